//! Tokens that are bound to a key, and the proofs that go with them (RFC 9449, sections 4 to 7 and 10).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::sync::Arc;

use common::*;
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey, dpop};
use countersign_oauth::{
    AuthorizationRequest, Client, ClientAuthentication, ClientCredentialsFlow, ClientKey, CodeFlow,
    DeviceFlow, DpopKey, Flow, HttpRequest, IntrospectionFlow, KeysFlow, Metadata, Push,
    RefreshFlow, RevocationFlow, Secret, Step, SubjectCheck, Timestamp, TokenResponse, TokenType,
    TokenTypeHint, UserInfoFlow,
};
use url::Url;

/// The proof of a request, believed by the other side.
fn proof(request: &HttpRequest, token: Option<&str>, now: Timestamp) -> serde_json::Value {
    let text = header(request, "dpop").expect("a proof");
    let address = request.url.as_str();
    let mut expected = dpop::Expected::new(request.method.as_str(), address);
    expected.access_token = token;
    dpop::verify(text, &expected, ring::provider(), now).unwrap();
    part(text, 1)
}

#[test]
fn every_request_of_a_dpop_client_carries_a_proof() {
    let (client, key) = bound();
    let (metadata, token) = (metadata(), Secret::new("t"));
    let pending = begin(&asked(), &metadata, &client);
    let code = pending.accept_pasted("code-0123456789").unwrap();
    let mut pushed = asked();
    pushed.push = Push::Always;
    let hint = TokenTypeHint::RefreshToken;
    let start = |request: &AuthorizationRequest| {
        request.start_code(&metadata, &client, REDIRECT_URI, ring::provider())
    };
    let requests = [
        sent(&mut asked().start_device(&metadata, &client).unwrap()),
        sent(&mut start(&pushed).unwrap()),
        sent(&mut CodeFlow::new(&metadata, &client, &pending, &code).unwrap()),
        sent(&mut RefreshFlow::new(&metadata, &client, &token).unwrap()),
        sent(&mut RevocationFlow::new(&metadata, &client, &token, hint).unwrap()),
        sent(&mut IntrospectionFlow::new(&metadata, &client, &token, None).unwrap()),
    ];
    for request in requests {
        let claims = proof(&request, None, T0);
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], request.url.as_str());
        assert_eq!(claims["iat"], T0.as_secs());
        assert!(claims.get("ath").is_none() && claims.get("nonce").is_none());
        let shown = format!("{request:?} {client:?} {key:?}");
        assert!(!shown.contains("eyJ"), "{shown}");
    }
    let keys = sent(&mut KeysFlow::new(&metadata, ring::provider()).unwrap());
    assert_eq!(header(&keys, "dpop"), None, "anybody may read the keys");
}

#[test]
fn a_client_without_a_key_sends_no_proof() {
    let request = sent(&mut RefreshFlow::new(&metadata(), &client(), &Secret::new("t")).unwrap());
    assert_eq!(header(&request, "dpop"), None);
}

/// RFC 9449, section 7.1.
#[test]
fn userinfo_gets_the_token_with_a_proof_that_names_it() {
    let (_, key) = bound();
    let token = Secret::new("at-1");
    let flow = UserInfoFlow::new(&metadata(), &token, SubjectCheck::NoIdToken).unwrap();
    let request = sent(&mut flow.bound_to(&key));
    assert_eq!(header(&request, "authorization"), Some("DPoP at-1"));
    assert_eq!(proof(&request, Some("at-1"), T0)["htm"], "GET");
}

#[test]
fn any_request_can_be_made_with_a_bound_token() {
    let (_, key) = bound();
    let url = Url::parse("https://ada:pw@api.example.com/x?secret=1#y").unwrap();
    let text = key
        .proof("DELETE", &url, Some(&Secret::new("at-1")), T0)
        .unwrap();
    let claims = part(text.expose(), 1);
    assert_eq!(
        (&claims["htm"], &claims["htu"]),
        (&"DELETE".into(), &"https://api.example.com/x".into())
    );
    assert!(claims["ath"].is_string());
}

/// RFC 9449, section 5.
#[test]
fn the_kind_of_token_is_the_one_that_was_asked_for() {
    let refreshed = |client: &Client, body: &str| {
        let flow = RefreshFlow::new(&metadata(), client, &Secret::new("rt-1")).unwrap();
        exchange(flow, &json(200, body))
    };
    let (client, key) = bound();
    assert_eq!(
        refreshed(&client, BOUND).unwrap().token_type,
        TokenType::Dpop
    );
    let stripped = refreshed(&client, TOKENS).unwrap_err();
    assert_eq!(stripped.code(), "token_not_bound");
    assert!(stripped.hints()[0].contains("does not support DPoP"));
    let lenient = common::client().with_dpop(key.or_bearer());
    assert_eq!(
        refreshed(&lenient, TOKENS).unwrap().token_type,
        TokenType::Bearer
    );
    assert_eq!(
        refreshed(&lenient, BOUND).unwrap().token_type,
        TokenType::Dpop
    );
    let unasked = refreshed(&common::client(), BOUND).unwrap_err();
    assert_eq!(unasked.code(), "unsupported_token_type");
    let neither = refreshed(&lenient, &TOKENS.replace("Bearer", "mac")).unwrap_err();
    assert_eq!(neither.code(), "unsupported_token_type");
}

#[test]
fn every_grant_insists_on_a_bound_token() {
    let (client, _) = bound();
    let metadata = metadata();
    let request = AuthorizationRequest::default();
    let pending = begin(&request, &metadata, &client);
    let code = pending.accept_pasted("code-0123456789").unwrap();
    let confidential = Client {
        authentication: ClientAuthentication::SecretPost(Secret::new("pw")),
        ..client.clone()
    };
    let answer = json(200, TOKENS);
    let errors = [
        exchange(
            CodeFlow::new(&metadata, &client, &pending, &code).unwrap(),
            &answer,
        )
        .unwrap_err(),
        exchange(
            ClientCredentialsFlow::new(&metadata, &confidential, &request).unwrap(),
            &answer,
        )
        .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), "token_not_bound");
    }
    let mut flow = DeviceFlow::new(&metadata, &client, &authorization(5, 600), T0).unwrap();
    assert!(matches!(flow.poll(T0 + secs(5)), Ok(Step::Send(_))));
    let error = flow.handle(&answer, T0 + secs(5)).unwrap_err();
    assert_eq!(error.code(), "token_not_bound");
}

#[test]
fn a_bound_token_reads_back_as_one() {
    let tokens = TokenResponse::from_response(&json(200, BOUND)).unwrap();
    let again = TokenResponse::from_response(&json(200, tokens.to_json().expose())).unwrap();
    assert_eq!(again, tokens);
    assert_eq!(tokens.token_type.as_str(), "DPoP");
    for spelling in ["dpop", "DPOP", "DPoP"] {
        let body = BOUND.replace("DPoP", spelling);
        let tokens = TokenResponse::from_response(&json(200, &body)).unwrap();
        assert_eq!(tokens.token_type, TokenType::Dpop);
    }
}

/// RFC 9449, section 5.1.
#[test]
fn a_key_is_made_for_an_algorithm_the_server_takes() {
    let made = |offered: Option<&[&str]>| {
        let mut metadata = metadata();
        metadata.dpop_signing_alg_values_supported =
            offered.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        DpopKey::generate(&metadata, ring::provider()).map(|key| key.signing_key().algorithm())
    };
    assert_eq!(made(None).unwrap(), Algorithm::Es256);
    assert_eq!(
        made(Some(&["RS256", "EdDSA", "ES256"])).unwrap(),
        Algorithm::Es256
    );
    assert_eq!(made(Some(&["RS256", "EdDSA"])).unwrap(), Algorithm::EdDsa);
    assert_eq!(made(Some(&["Ed25519"])).unwrap(), Algorithm::EdDsa);
    let error = made(Some(&["ES384", "PS256\u{1b}[m"])).unwrap_err();
    assert_eq!(error.code(), "dpop_algorithm_unsupported");
    assert!(
        error.to_string().ends_with("it offers ES384, PS256[m"),
        "{error}"
    );
    assert!(
        made(Some(&[]))
            .unwrap_err()
            .to_string()
            .ends_with("it offers none")
    );
}

#[test]
fn clients_are_equal_when_their_keys_are() {
    let (one, key) = bound();
    assert_eq!(one, client().with_dpop(key.clone()));
    assert_ne!(one, client());
    assert_ne!(one, bound().0);
    assert_ne!(one, client().with_dpop(key.or_bearer()));
    let signing_key = common::key();
    let by = |key: &Arc<SigningKey>| {
        let key = ClientKey::new(key.clone());
        Client::new("svc", ClientAuthentication::PrivateKeyJwt(key))
    };
    assert_eq!(by(&signing_key), by(&signing_key));
    assert_ne!(by(&signing_key), by(&common::key()));
}

#[test]
fn a_server_that_names_what_it_takes_is_read() {
    let document = serde_json::json!({
        "issuer": ISSUER,
        "dpop_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_signing_alg_values_supported": ["EdDSA"],
        "pushed_authorization_request_endpoint": "https://id.example.com/par",
        "require_pushed_authorization_requests": true,
    });
    let read = Metadata::from_json(document.to_string().as_bytes(), &issuer()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), document);
}
