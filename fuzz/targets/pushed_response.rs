//! A pushed authorization request to a server that answers anything, demands for nonces among it: it
//! ends after two requests at most, and what goes to the browser is the server's own page.

#![no_main]

mod common;

use std::sync::LazyLock;

use common::{answers, check_error, drive};
use countersign_jose::crypto::ring;
use countersign_oauth::{
    AuthorizationRequest, Client, DpopKey, Issuer, Metadata, Push, ScopeSet, Timestamp,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let issuer = Issuer::parse("https://id.example.com").expect("an issuer");
    let mut metadata = Metadata::new(issuer);
    let url = |path: &str| Url::parse(&format!("https://id.example.com/{path}")).ok();
    metadata.authorization_endpoint = url("authorize");
    metadata.pushed_authorization_request_endpoint = url("par");
    metadata.token_endpoint = url("token");
    metadata
});

static KEY: LazyLock<DpopKey> =
    LazyLock::new(|| DpopKey::generate(&METADATA, ring::provider()).expect("a key"));

fuzz_target!(|bytes: &[u8]| {
    // Without the nonces of the inputs before.
    let key = DpopKey::new(KEY.signing_key().clone());
    let client = Client::public("cli").with_dpop(key);
    let mut request = AuthorizationRequest::new(ScopeSet::new());
    request.push = Push::Always;
    let redirect_uri = "http://127.0.0.1:49152/callback";
    let mut flow = request
        .start_code(&METADATA, &client, redirect_uri, ring::provider())
        .expect("the endpoints");
    let mut answers = answers(bytes).into_iter();
    let (given, now) = (answers.len(), Timestamp::from_secs(1_795_000_000));
    let (outcome, end) = drive(&mut flow, &mut answers, now);
    assert!(given - answers.len() <= 2, "asked more than twice");
    let pending = match outcome {
        Ok(pending) => pending,
        Err(error) => return check_error(&error),
    };
    let url = pending.url();
    assert_eq!(url.origin(), METADATA.issuer.as_url().origin());
    assert_eq!(url.path(), "/authorize");
    let names: Vec<_> = url.query_pairs().map(|(name, _)| name).collect();
    assert_eq!(names, ["client_id", "request_uri"]);
    assert!(pending.expires_at() >= Some(end));
});
