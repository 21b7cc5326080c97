//! From the request to an address for the browser, by way of the server if need be.

use std::time::Duration;

use countersign_jose::{CryptoProvider, Timestamp};
use url::Url;

use super::pending::Asked;
use super::{AuthorizationRequest, PendingAuthorization, Push};
use crate::error::{Endpoint, Misuse};
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, Flow, HttpResponse, Metadata, PeerMisbehaved, Secret, Step, TransportError,
    answer, pkce,
};

/// The longest `request_uri` that is taken. It ends up in an address that a person may have to copy.
const MAX_REQUEST_URI: usize = 2048;
/// Nobody opens a browser later than this.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The machine that prepares a sign-in by authorization code; see
/// [`AuthorizationRequest::start_code`].
///
/// Without a pushed request it is done at once, and sends nothing.
#[derive(Debug)]
pub struct AuthorizationFlow {
    pending: Option<PendingAuthorization>,
    /// The request that is pushed, and the address that its reference is added to.
    pushed: Option<Once<Pushed>>,
}

/// A successful pushed authorization response (RFC 9126, section 2.2).
#[derive(Debug)]
struct Pushed {
    request_uri: Secret,
    expires_at: Timestamp,
}

impl AuthorizationFlow {
    pub(super) fn new(
        request: &AuthorizationRequest,
        metadata: &Metadata,
        client: &Client,
        redirect_uri: &str,
        provider: &'static CryptoProvider,
    ) -> Result<Self, Error> {
        let mut url = metadata.endpoint(Endpoint::Authorization)?.clone();
        // Checked before a person signs in in vain.
        metadata.endpoint(Endpoint::Token)?;
        check_redirect_uri(redirect_uri)?;
        let push = request.push == Push::Always
            || metadata.require_pushed_authorization_requests == Some(true);

        let (state, nonce) = (pkce::random(provider)?, pkce::random(provider)?);
        let verifier = pkce::random(provider)?;
        let mut form = Form::default();
        form.add("response_type", "code");
        form.add("client_id", &client.client_id);
        form.add("redirect_uri", redirect_uri);
        form.add("state", state.expose());
        form.add("nonce", nonce.expose());
        form.add(
            "code_challenge",
            pkce::challenge(verifier.expose(), provider),
        );
        form.add("code_challenge_method", pkce::METHOD);
        if let Some(key) = &client.dpop {
            // RFC 9449, section 10: the code is good for this key only.
            form.add("dpop_jkt", key.thumbprint());
        }
        form.append(request.form()?);

        let pushed = if push {
            let endpoint = Endpoint::PushedAuthorization;
            let secrets = [&state, &nonce];
            let exchange = Exchange::form(metadata, endpoint, client, form, &secrets)?;
            Some(Once::new(exchange))
        } else {
            form.append_to(&mut url);
            None
        };
        let pending = PendingAuthorization {
            url,
            expires_at: None,
            issuer: metadata.issuer.clone(),
            promises_iss: metadata.authorization_response_iss_parameter_supported == Some(true),
            client: client.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state,
            nonce,
            verifier,
            asked: Asked::of(request),
            provider,
        };
        Ok(Self {
            pending: Some(pending),
            pushed,
        })
    }
}

impl Asked {
    pub(super) fn of(request: &AuthorizationRequest) -> Self {
        let resource = match request.resource.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        Self {
            openid: request.scopes.contains("openid"),
            resource,
            acr_values: request.acr_values.clone(),
            max_age: request.max_age,
        }
    }
}

/// An absolute URI without fragment (RFC 6749, section 3.1.2), to which a code can travel unseen: not
/// `http`, unless it is to this machine (RFC 8252, section 7.3).
fn check_redirect_uri(text: &str) -> Result<(), Error> {
    let invalid = |what| Err(Error::InvalidRedirectUri { what });
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return invalid("has characters that a URI cannot have");
    }
    let Ok(url) = Url::parse(text) else {
        return invalid("is not an absolute URI");
    };
    if url.fragment().is_some() {
        return invalid("has a fragment");
    }
    if url.scheme() == "http" && !crate::issuer::is_secure(&url) {
        return invalid("is http, and not on this machine");
    }
    Ok(())
}

impl Flow for AuthorizationFlow {
    type Output = PendingAuthorization;

    fn poll(&mut self, now: Timestamp) -> Result<Step<PendingAuthorization>, Error> {
        let finished = || Error::from(Misuse::Finished);
        let pushed = match &mut self.pushed {
            None => None,
            Some(push) => match push.poll(now)? {
                Step::Done(pushed) => Some(pushed),
                Step::Send(request) => return Ok(Step::Send(request)),
                Step::WaitUntil(time) => return Ok(Step::WaitUntil(time)),
            },
        };
        let mut pending = self.pending.take().ok_or_else(finished)?;
        if let Some(pushed) = pushed {
            // RFC 9126, section 4: these two, and whatever the endpoint's own address holds.
            let mut form = Form::default();
            form.add("client_id", &pending.client.client_id);
            form.add("request_uri", pushed.request_uri.expose());
            form.append_to(&mut pending.url);
            pending.expires_at = Some(pushed.expires_at);
        }
        Ok(Step::Done(pending))
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        match &mut self.pushed {
            None => Err(Misuse::NothingSent.into()),
            Some(push) => push.handle(response, || read(response, now)),
        }
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        if let Some(push) = &mut self.pushed {
            push.transport_failed(error);
        }
    }
}

/// Reads a pushed authorization response (RFC 9126, section 2.2).
fn read(response: &HttpResponse, now: Timestamp) -> Result<Pushed, Error> {
    let object = answer::object(Endpoint::PushedAuthorization, response)?;
    let request_uri = object.required_str("request_uri")?;
    let usable = request_uri.len() <= MAX_REQUEST_URI
        && request_uri.bytes().all(|b| b.is_ascii_graphic())
        && Url::parse(request_uri).is_ok();
    if !usable {
        return Err(object.fail(PeerMisbehaved::UnusableRequestUri));
    }
    let expires_in = object
        .seconds("expires_in")?
        .ok_or_else(|| object.fail(PeerMisbehaved::MissingMember { name: "expires_in" }))?
        .min(MAX_LIFETIME);
    Ok(Pushed {
        request_uri: Secret::new(request_uri),
        expires_at: now + expires_in,
    })
}
