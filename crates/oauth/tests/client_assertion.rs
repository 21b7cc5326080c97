//! Clients that sign who they are: `private_key_jwt` (RFC 7523; OpenID Connect Core 1.0, section 9).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::collections::BTreeSet;

use common::*;
use countersign_jose::{Algorithm, KeySet, SigningKey, Unverified};
use countersign_oauth::{
    AssertionAudience, Client, ClientAuthentication, ClientKey, DeviceFlow, Flow, HttpRequest,
    RefreshFlow, RevocationFlow, Secret, Step, TokenTypeHint,
};

fn signing(key: ClientKey) -> Client {
    Client::new("svc", ClientAuthentication::PrivateKeyJwt(key))
}

/// The assertion in a request, verified with the client's public key.
fn assertion(request: &HttpRequest, key: &SigningKey) -> serde_json::Value {
    let token = field(request, "client_assertion").unwrap();
    let keys = KeySet::from(key.verifying_key().unwrap());
    let unverified: Unverified<'_> = Unverified::parse(&token).unwrap();
    let verified = unverified.verify(&keys, &[Algorithm::Es256]).unwrap();
    assert_eq!(verified.header().kid(), Some(key.kid()));
    part(&token, 1)
}

#[test]
fn a_client_with_a_key_signs_who_it_is() {
    let key = key();
    let client = signing(ClientKey::new(key.clone()));
    let mut flow = RefreshFlow::new(&metadata(), &client, &Secret::new("rt-1")).unwrap();
    let request = sent(&mut flow);
    assert_eq!(
        field(&request, "client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    assert_eq!(field(&request, "client_id").as_deref(), Some("svc"));
    assert_eq!(field(&request, "client_secret"), None);
    assert_eq!(header(&request, "authorization"), None);
    let claims = assertion(&request, &key);
    let jti = claims["jti"].as_str().unwrap();
    assert_eq!(jti.len(), 22);
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": "svc", "sub": "svc", "aud": ISSUER, "jti": jti,
            "iat": T0.as_secs(), "exp": T0.as_secs() + 120,
        })
    );
}

/// An assertion for an address could be made for an honest server's address by a malicious one.
#[test]
fn an_assertion_is_for_the_issuer_unless_the_server_wants_it_otherwise() {
    let key = key();
    let client = signing(ClientKey::new(key.clone()).audience(AssertionAudience::Endpoint));
    let token = Secret::new("t");
    let mut refresh = RefreshFlow::new(&metadata(), &client, &token).unwrap();
    assert_eq!(
        assertion(&sent(&mut refresh), &key)["aud"],
        "https://id.example.com/token"
    );
    let hint = TokenTypeHint::RefreshToken;
    let mut revoke = RevocationFlow::new(&metadata(), &client, &token, hint).unwrap();
    assert_eq!(
        assertion(&sent(&mut revoke), &key)["aud"],
        "https://id.example.com/revoke"
    );
}

/// RFC 7523, section 3: a `jti` counts once, and the time is that of the request.
#[test]
fn every_request_has_an_assertion_of_its_own() {
    let key = key();
    let client = signing(ClientKey::new(key.clone()));
    let mut flow = DeviceFlow::new(&metadata(), &client, &authorization(5, 600), T0).unwrap();
    let mut seen = BTreeSet::new();
    for poll in 1..4 {
        let now = T0 + secs(5 * poll);
        let Ok(Step::Send(request)) = flow.poll(now) else {
            panic!("no request")
        };
        let claims = assertion(&request, &key);
        assert_eq!(claims["iat"], now.as_secs());
        assert!(seen.insert(claims["jti"].to_string()));
        flow.handle(&error("authorization_pending"), now).unwrap();
    }
}

#[test]
fn an_assertion_is_not_shown() {
    let key = key();
    let client = signing(ClientKey::new(key.clone()));
    let request = sent(&mut RefreshFlow::new(&metadata(), &client, &Secret::new("rt")).unwrap());
    let token = field(&request, "client_assertion").unwrap();
    let shown = format!("{client:?} {request:?}");
    assert!(
        !shown.contains(&token[..16]) && shown.contains(key.kid()),
        "{shown}"
    );
}
