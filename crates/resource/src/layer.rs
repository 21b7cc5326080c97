//! The tower layer in front of a service.
//!
//! Not responsible for the answer's body, nor for what a handler may show to
//! whom: it lets verified callers in and says who they are.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, mem};

use http::{HeaderName, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{Demands, Presented, Rejection, Validator, grpc};

type RejectionHook = Arc<dyn Fn(&Rejection) + Send + Sync>;

/// Refuses every request without a good token, and gives the others a
/// [`Caller`](crate::Caller) in their extensions.
///
/// Works with any service over `http` types whose response body has a
/// `Default`, which stands for "empty": axum, hyper, tonic. A call by gRPC that is refused gets the same
/// answer as other requests and a `grpc-status` with it.
#[derive(Clone)]
pub struct ValidatorLayer {
    validator: Validator,
    demands: Arc<Demands>,
    on_rejection: Option<RejectionHook>,
}

impl ValidatorLayer {
    /// A layer that asks this validator.
    pub fn new(validator: Validator) -> Self {
        Self {
            validator,
            demands: Arc::default(),
            on_rejection: None,
        }
    }

    /// Asks for this beyond what the validator asks of every token.
    #[must_use]
    pub fn demands(mut self, demands: Demands) -> Self {
        self.demands = Arc::new(demands);
        self
    }

    /// Calls `hook` for every refused request, to log or count it. It runs on
    /// the request's path, so it must not block.
    #[must_use]
    pub fn on_rejection(mut self, hook: impl Fn(&Rejection) + Send + Sync + 'static) -> Self {
        self.on_rejection = Some(Arc::new(hook));
        self
    }
}

impl<S> Layer<S> for ValidatorLayer {
    type Service = ValidatorService<S>;

    fn layer(&self, inner: S) -> ValidatorService<S> {
        ValidatorService {
            inner,
            layer: self.clone(),
        }
    }
}

impl fmt::Debug for ValidatorLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorLayer")
            .field("validator", &self.validator)
            .finish_non_exhaustive()
    }
}

/// A service behind a [`ValidatorLayer`].
#[derive(Debug, Clone)]
pub struct ValidatorService<S> {
    inner: S,
    layer: ValidatorLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for ValidatorService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The service that was polled ready must be the one that is called; its
        // clone has not been asked yet.
        let unasked = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, unasked);
        let layer = self.layer.clone();
        Box::pin(async move {
            // Taken apart so that only the head is borrowed while we wait: the
            // body need not be `Sync`.
            let (mut head, body) = request.into_parts();
            let verdict = {
                let presented = Presented::head(&head);
                layer.validator.check(&presented, &layer.demands).await
            };
            match verdict {
                Ok(caller) => {
                    let next_nonce = caller.next_nonce().and_then(|nonce| nonce.parse().ok());
                    head.extensions.insert(caller);
                    let mut response = inner.call(Request::from_parts(head, body)).await?;
                    if let Some(nonce) = next_nonce {
                        let name = HeaderName::from_static("dpop-nonce");
                        response.headers_mut().insert(name, nonce);
                    }
                    Ok(response)
                }
                Err(rejection) => {
                    if let Some(hook) = &layer.on_rejection {
                        hook(&rejection);
                    }
                    let advice = layer.validator.advice();
                    Ok(if grpc::is_call(&head.headers) {
                        rejection.grpc_response(advice)
                    } else {
                        rejection.response(advice)
                    })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
