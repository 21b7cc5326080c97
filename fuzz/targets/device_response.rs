//! A whole device login against a server that answers anything, in no time: it ends, it keeps the
//! pace of RFC 8628, and it never asks after the codes have expired.

#![no_main]

mod common;

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use common::{answers, check_error, drive};
use countersign_oauth::{
    AuthorizationRequest, Client, DeviceFlow, Error, Flow, HttpResponse, Issuer, Metadata,
    ScopeSet, Step, Timestamp, TransportError,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://id.example.com").expect("an issuer");
    let mut metadata = Metadata::new(issuer);
    metadata.token_endpoint = Url::parse("https://id.example.com/token").ok();
    metadata.device_authorization_endpoint = Url::parse("https://id.example.com/device").ok();
    metadata
});

/// Notes when requests are sent.
struct Paced<F> {
    flow: F,
    sent: RefCell<Vec<Timestamp>>,
}

impl<F: Flow> Flow for Paced<F> {
    type Output = F::Output;

    fn poll(&mut self, now: Timestamp) -> Result<Step<F::Output>, Error> {
        let step = self.flow.poll(now)?;
        if matches!(step, Step::Send(_)) {
            self.sent.borrow_mut().push(now);
        }
        Ok(step)
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        self.flow.handle(response, now)
    }

    fn transport_failed(&mut self, error: TransportError, now: Timestamp) {
        self.flow.transport_failed(error, now);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let client = Client::public("cli");
    let mut answers = answers(bytes).into_iter();
    let now = Timestamp::from_secs(1_795_000_000);
    let request = AuthorizationRequest::new(ScopeSet::new());
    let mut flow = request
        .start_device(&METADATA, &client)
        .expect("an endpoint");
    let (authorization, now) = match drive(&mut flow, &mut answers, now) {
        (Ok(authorization), now) => (authorization, now),
        (Err(error), _) => return check_error(&error),
    };
    let interval = authorization.interval;
    assert!(interval >= Duration::from_secs(1));
    assert!(!authorization.user_code.chars().any(char::is_control));
    let addresses = [
        Some(&authorization.verification_uri),
        authorization.verification_uri_complete.as_ref(),
    ];
    for url in addresses.into_iter().flatten() {
        assert_eq!(url.scheme(), "https", "{url}");
    }

    let flow = DeviceFlow::new(&METADATA, &client, &authorization, now).expect("an endpoint");
    let mut flow = Paced {
        flow,
        sent: RefCell::default(),
    };
    let (outcome, end) = drive(&mut flow, &mut answers, now);
    let mut previous = now;
    for sent in flow.sent.into_inner() {
        assert!(sent.since(previous) >= interval, "too early");
        assert!(sent < authorization.expires_at, "too late");
        previous = sent;
    }
    assert!(
        end <= authorization.expires_at + interval,
        "waited past the end"
    );
    match outcome {
        Ok(tokens) => assert!(!tokens.access_token.is_empty()),
        Err(error) => check_error(&error),
    }
});
