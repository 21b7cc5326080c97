//! A server made of answers, and a clock made of numbers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;
use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey, base64url};
use countersign_oauth::{
    AuthorizationCode, AuthorizationRequest, CallbackError, Client, CodeFlow, DeviceAuthorization,
    DeviceFlow, DpopKey, Error, Flow, HttpRequest, HttpResponse, Issuer, Metadata, NotOurs,
    PeerMisbehaved, PendingAuthorization, RefreshFlow, Refusal, ScopeSet, Secret, Step, Timestamp,
    TokenResponse, TransportError,
};
use url::Url;

pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const TOKENS: &str = r#"{"access_token":"at-1","token_type":"Bearer","expires_in":600}"#;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn issuer() -> Issuer {
    Issuer::parse(ISSUER).unwrap()
}

pub(crate) fn metadata() -> Metadata {
    let url = |path: &str| Some(Url::parse(&format!("{ISSUER}/{path}")).unwrap());
    let mut metadata = Metadata::new(issuer());
    metadata.authorization_endpoint = url("authorize");
    metadata.pushed_authorization_request_endpoint = url("par");
    metadata.token_endpoint = url("token");
    metadata.device_authorization_endpoint = url("device_authorization");
    metadata.jwks_uri = url("jwks");
    metadata.userinfo_endpoint = url("userinfo");
    metadata.revocation_endpoint = url("revoke");
    metadata.introspection_endpoint = url("introspect");
    metadata
}

pub(crate) fn client() -> Client {
    Client::public("cli")
}

pub(crate) fn answer(status: u16, media_type: &str, body: &str) -> HttpResponse {
    let headers = vec![("Content-Type".to_owned(), media_type.to_owned())];
    HttpResponse {
        status,
        headers,
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn json(status: u16, body: &str) -> HttpResponse {
    answer(status, "application/json; charset=utf-8", body)
}

pub(crate) fn error(code: &str) -> HttpResponse {
    json(400, &format!(r#"{{"error":"{code}"}}"#))
}

pub(crate) fn html(status: u16) -> HttpResponse {
    answer(status, "text/html", "<!DOCTYPE html><title>Oops</title>")
}

pub(crate) fn empty(status: u16) -> HttpResponse {
    HttpResponse {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

pub(crate) fn with_header(mut response: HttpResponse, name: &str, value: &str) -> HttpResponse {
    response.headers.push((name.to_owned(), value.to_owned()));
    response
}

pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:49152/callback";

pub(crate) fn asked() -> AuthorizationRequest {
    AuthorizationRequest::new(ScopeSet::parse("openid").unwrap())
}

/// A sign-in that is under way, asked for without pushing.
pub(crate) fn begin(
    request: &AuthorizationRequest,
    metadata: &Metadata,
    client: &Client,
) -> PendingAuthorization {
    let provider = ring::provider();
    let mut flow = request
        .start_code(metadata, client, REDIRECT_URI, provider)
        .unwrap();
    match flow.poll(T0).unwrap() {
        Step::Done(pending) => pending,
        Step::Send(_) | Step::WaitUntil(_) => panic!("not done at once"),
    }
}

pub(crate) fn pending() -> PendingAuthorization {
    begin(&asked(), &metadata(), &client())
}

pub(crate) fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap())
}

/// A client with a key, and the key.
pub(crate) fn bound() -> (Client, DpopKey) {
    let key = DpopKey::new(key());
    (client().with_dpop(key.clone()), key)
}

pub(crate) const BOUND: &str = r#"{"access_token":"at-1","token_type":"DPoP","expires_in":600}"#;

/// A server that says it sends `iss` in every answer (RFC 9207, section 3).
pub(crate) fn promising() -> Metadata {
    let mut metadata = metadata();
    metadata.authorization_response_iss_parameter_supported = Some(true);
    metadata
}

pub(crate) fn state(pending: &PendingAuthorization) -> String {
    query(pending.url(), "state").unwrap()
}

/// The code as it would be redeemed.
pub(crate) fn value(pending: &PendingAuthorization, code: &AuthorizationCode) -> String {
    let mut flow = CodeFlow::new(&metadata(), &client(), pending, code).unwrap();
    field(&sent(&mut flow), "code").unwrap()
}

pub(crate) fn stray(result: Result<AuthorizationCode, CallbackError>) -> NotOurs {
    match result.unwrap_err() {
        CallbackError::NotOurs(reason) => reason,
        other => panic!("ends the sign-in: {other:?}"),
    }
}

pub(crate) fn refusal(result: Result<AuthorizationCode, CallbackError>) -> Refusal {
    match result.unwrap_err() {
        CallbackError::Refused(refusal) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

pub(crate) fn misbehaved(result: Result<AuthorizationCode, CallbackError>) -> PeerMisbehaved {
    match result.unwrap_err() {
        CallbackError::PeerMisbehaved(what) => what,
        other => panic!("no misbehaviour: {other:?}"),
    }
}

/// A parameter of an address, decoded.
pub(crate) fn query(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs().filter(|(n, _)| n == name);
    let value = pairs.next()?.1.into_owned();
    assert!(pairs.next().is_none(), "{name} is there twice");
    Some(value)
}

/// A parameter of a form, decoded.
pub(crate) fn field(request: &HttpRequest, name: &str) -> Option<String> {
    let mut url = Url::parse("https://form.example").unwrap();
    url.set_query(request.body.as_ref().map(Secret::expose));
    query(&url, name)
}

pub(crate) fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let mut fields = request.headers.iter().filter(|(n, _)| *n == name);
    let value = fields.next()?.1.expose();
    assert!(fields.next().is_none(), "{name} is there twice");
    Some(value)
}

/// The part of a token at `index`, unverified.
pub(crate) fn part(token: &str, index: usize) -> serde_json::Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap()
}

/// Sends the one request of an exchange at T0 and hands back the outcome.
pub(crate) fn exchange<F: Flow>(mut flow: F, response: &HttpResponse) -> Result<F::Output, Error> {
    sent(&mut flow);
    flow.handle(response, T0)?;
    match flow.poll(T0)? {
        Step::Done(output) => Ok(output),
        Step::Send(_) | Step::WaitUntil(_) => panic!("the exchange goes on"),
    }
}

pub(crate) fn sent<F: Flow>(flow: &mut F) -> HttpRequest {
    match flow.poll(T0) {
        Ok(Step::Send(request)) => request,
        Ok(Step::WaitUntil(time)) => panic!("waits until {time:?}"),
        Ok(Step::Done(_)) => panic!("is done"),
        Err(error) => panic!("failed: {error:?}"),
    }
}

pub(crate) fn authorize(response: &HttpResponse) -> Result<DeviceAuthorization, Error> {
    let request = AuthorizationRequest::new(ScopeSet::parse("openid").unwrap());
    exchange(
        request.start_device(&metadata(), &client()).unwrap(),
        response,
    )
}

pub(crate) fn refresh(response: &HttpResponse) -> Result<TokenResponse, Error> {
    exchange(
        RefreshFlow::new(&metadata(), &client(), &Secret::new("rt-1")).unwrap(),
        response,
    )
}

pub(crate) fn authorization(interval: u64, lifetime: u64) -> DeviceAuthorization {
    authorize(&json(
        200,
        &format!(
            r#"{{"device_code":"dc-1","user_code":"BCDF-GHJK","interval":{interval},
                "verification_uri":"https://id.example.com/device","expires_in":{lifetime}}}"#
        ),
    ))
    .unwrap()
}

/// A device flow, driven through its time by hand.
pub(crate) struct Device {
    pub(crate) flow: DeviceFlow,
    pub(crate) now: Timestamp,
}

impl Device {
    pub(crate) fn new(interval: u64, lifetime: u64) -> Self {
        let authorization = authorization(interval, lifetime);
        let flow = DeviceFlow::new(&metadata(), &client(), &authorization, T0).unwrap();
        Self { flow, now: T0 }
    }

    /// Waits as told until there is a request; gives the seconds waited.
    pub(crate) fn until_request(&mut self) -> Result<u64, Error> {
        let start = self.now;
        loop {
            match self.flow.poll(self.now)? {
                Step::Send(_) => return Ok(self.now.since(start).as_secs()),
                Step::WaitUntil(time) => {
                    assert!(time > self.now, "a wait that is already over");
                    self.now = time;
                }
                Step::Done(_) => panic!("is done"),
            }
        }
    }

    /// Waits for the next request and answers it; gives the seconds waited before.
    pub(crate) fn answer(&mut self, response: &HttpResponse) -> Result<u64, Error> {
        let waited = self.until_request()?;
        self.flow.handle(response, self.now)?;
        Ok(waited)
    }

    /// Waits for the next request and loses it; gives the seconds waited before.
    pub(crate) fn lose(&mut self, error: TransportError) -> Result<u64, Error> {
        let waited = self.until_request()?;
        self.flow.transport_failed(error, self.now);
        Ok(waited)
    }

    pub(crate) fn tokens(&mut self) -> Result<TokenResponse, Error> {
        match self.flow.poll(self.now)? {
            Step::Done(tokens) => Ok(tokens),
            Step::Send(_) | Step::WaitUntil(_) => panic!("not done"),
        }
    }
}

/// The outcome of a device flow whose first poll is answered like this.
pub(crate) fn first_poll(response: &HttpResponse) -> Result<TokenResponse, Error> {
    let mut device = Device::new(5, 600);
    device.answer(response)?;
    device.tokens()
}
