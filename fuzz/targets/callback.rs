//! Anything that comes to a redirect URI or out of a clipboard: only our `state` brings in a code or an
//! end, and what is pasted bare is a code or has a name.

#![no_main]

mod common;

use std::sync::LazyLock;

use common::check_error;
use countersign_jose::crypto::ring;
use countersign_oauth::{
    AuthorizationCode, AuthorizationRequest, CallbackError, Client, CodeFlow, Error, Flow, Issuer,
    Metadata, PendingAuthorization, ScopeSet, Step, Timestamp,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// What an input writes where it means the state of this run, which nobody can know beforehand.
const STATE: &str = "{state}";

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://id.example.com").expect("an issuer");
    let mut metadata = Metadata::new(issuer);
    metadata.authorization_endpoint = Url::parse("https://id.example.com/authorize").ok();
    metadata.token_endpoint = Url::parse("https://id.example.com/token").ok();
    metadata
});

fn pending(promises_iss: bool) -> PendingAuthorization {
    let mut metadata = METADATA.clone();
    metadata.authorization_response_iss_parameter_supported = Some(promises_iss);
    let redirect_uri = "http://127.0.0.1:49152/callback";
    let mut flow = AuthorizationRequest::new(ScopeSet::new())
        .start_code(
            &metadata,
            &Client::public("cli"),
            redirect_uri,
            ring::provider(),
        )
        .expect("the endpoints");
    match flow.poll(NOW) {
        Ok(Step::Done(pending)) => pending,
        other => panic!("{other:?}"),
    }
}

/// The code as it would be sent.
fn redeemed(pending: &PendingAuthorization, code: &AuthorizationCode) -> String {
    let flow = CodeFlow::new(&METADATA, &Client::public("cli"), pending, code);
    let Ok(Step::Send(request)) = flow.expect("the same server").poll(NOW) else {
        panic!("nothing to send");
    };
    let body = request.body.expect("a form");
    let mut fields = url::form_urlencoded::parse(body.expose().as_bytes());
    let code = fields.find(|(name, _)| name == "code").expect("a code");
    code.1.into_owned()
}

fn check(
    pending: &PendingAuthorization,
    result: Result<AuthorizationCode, CallbackError>,
    knows_state: bool,
) {
    match result {
        Ok(code) => {
            let code = redeemed(pending, &code);
            assert!(!code.is_empty() && code.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
        Err(error) => {
            assert!(knows_state || error.is_stray(), "{error:?}");
            check_error(&Error::from(error));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((promises_iss, bytes)) = bytes.split_first() else {
        return;
    };
    let pending = pending(promises_iss % 2 == 1);
    let mut pairs = pending.url().query_pairs();
    let state = pairs.find(|(name, _)| name == "state").expect("a state").1;
    let text = String::from_utf8_lossy(bytes);
    let knows_state = text.contains(STATE);
    let text = text.replace(STATE, &state);
    let taken = pending.accept(&text);
    assert!(knows_state || taken.is_err(), "a code without our state");
    check(&pending, taken, knows_state);
    check(&pending, pending.accept_pasted(&text), knows_state);
});
