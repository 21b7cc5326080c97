//! The tower layer for a route that asks for a one-time password.
//!
//! Not responsible for the answer's body. Trailers of a request are left behind with the body that is
//! read: nothing would have bound them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, mem};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::refusal::{StepUpRefusal, Unconfirmed};
use super::{Confirmed, Confirmer, STEP_UP, Seen, StepUp};
use crate::{Caller, Demands, Presented, Rejection, Validator, grpc};

type RejectionHook = Arc<dyn Fn(&Rejection) + Send + Sync>;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Lets a request to the service only when its caller has a good token *and* a person has confirmed
/// this very request by a one-time password, which is used up by then. The service finds a
/// [`Caller`] and a [`Confirmed`] in the extensions.
///
/// The body is read first, up to [`body_limit`](super::StepUpBuilder::body_limit), and handed on as it
/// was read. Stands in the place of a [`ValidatorLayer`](crate::ValidatorLayer) or behind one, whose
/// caller it takes.
#[derive(Clone)]
pub struct StepUpLayer {
    validator: Validator,
    confirmer: Confirmer,
    asked: StepUp,
    demands: Arc<Demands>,
    on_rejection: Option<RejectionHook>,
}

impl StepUpLayer {
    /// A layer that asks this validator who is calling, and this confirmer for a password.
    pub fn new(validator: Validator, confirmer: Confirmer, asked: StepUp) -> Self {
        Self {
            validator,
            confirmer,
            asked,
            demands: Arc::default(),
            on_rejection: None,
        }
    }

    /// Asks for this as well, before anybody types a password.
    #[must_use]
    pub fn demands(mut self, demands: Demands) -> Self {
        self.demands = Arc::new(demands);
        self
    }

    /// Calls `hook` for every refused request, to log or count it. It runs on the request's path, so
    /// it must not block.
    #[must_use]
    pub fn on_rejection(mut self, hook: impl Fn(&Rejection) + Send + Sync + 'static) -> Self {
        self.on_rejection = Some(Arc::new(hook));
        self
    }

    /// Who is calling, by the layer in front or by the request itself.
    async fn caller(&self, head: &http::request::Parts) -> Result<Caller, Rejection> {
        if let Some(caller) = Caller::from_extensions(&head.extensions) {
            let caller = caller.clone();
            self.validator.meets(&caller, None, &self.demands)?;
            return Ok(caller);
        }
        let presented = Presented::head(head);
        self.validator.check(&presented, &self.demands).await
    }

    /// Reads the body and has the request confirmed.
    async fn confirmed<B>(
        &self,
        head: &http::request::Parts,
        body: B,
        caller: &Caller,
    ) -> Result<(Confirmed, Bytes), Rejection>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let refused = |why| Rejection::from(StepUpRefusal::final_of(why, caller));
        let body = Limited::new(body, self.asked.body_limit()).collect();
        let body = match tokio::time::timeout(BODY_TIME, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(refused(Unconfirmed::BodyTooLong));
            }
            Ok(Err(_)) | Err(_) => return Err(refused(Unconfirmed::BodyBroken)),
        };
        let presented = Presented::head(head);
        let seen = Seen::Whole(&body);
        let confirmed = self
            .confirmer
            .confirm(caller, &presented, seen, &self.asked)
            .await?;
        Ok((confirmed, body))
    }
}

impl<S> Layer<S> for StepUpLayer {
    type Service = StepUpService<S>;

    fn layer(&self, inner: S) -> StepUpService<S> {
        StepUpService {
            inner,
            layer: self.clone(),
        }
    }
}

impl fmt::Debug for StepUpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepUpLayer")
            .field("validator", &self.validator)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// A service behind a [`StepUpLayer`].
#[derive(Debug, Clone)]
pub struct StepUpService<S> {
    inner: S,
    layer: StepUpLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for StepUpService<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Body + Send + 'static,
    RequestBody::Data: Send,
    RequestBody::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The service that was polled ready must be the one that is called; its clone has not been
        // asked yet.
        let unasked = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, unasked);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let verdict = match layer.caller(&head).await {
                Ok(caller) => {
                    let confirmed = layer.confirmed(&head, body, &caller).await;
                    let nonce = caller.next_nonce().and_then(|nonce| nonce.parse().ok());
                    confirmed
                        .map(|(confirmed, body)| (caller, confirmed, body))
                        .map_err(|rejection| (rejection, nonce))
                }
                Err(rejection) => Err((rejection, None)),
            };
            match verdict {
                Ok((caller, confirmed, body)) => {
                    let nonce = caller.next_nonce().and_then(|nonce| nonce.parse().ok());
                    // A password that is used up is nobody's business any more.
                    head.headers.remove(STEP_UP);
                    head.extensions.insert(caller);
                    head.extensions.insert(confirmed);
                    let request = Request::from_parts(head, Full::new(body));
                    let mut response = inner.call(request).await?;
                    renew(&mut response, nonce);
                    Ok(response)
                }
                Err((rejection, nonce)) => {
                    if let Some(hook) = &layer.on_rejection {
                        hook(&rejection);
                    }
                    let advice = layer.validator.advice();
                    let mut response = if grpc::is_call(&head.headers) {
                        rejection.grpc_response(advice)
                    } else {
                        rejection.response(advice)
                    };
                    renew(&mut response, nonce);
                    Ok(response)
                }
            }
        })
    }
}

/// The nonce for the caller's next proof (RFC 9449, section 8.2).
fn renew<B>(response: &mut Response<B>, nonce: Option<HeaderValue>) {
    if let Some(nonce) = nonce {
        let name = HeaderName::from_static("dpop-nonce");
        response.headers_mut().insert(name, nonce);
    }
}
