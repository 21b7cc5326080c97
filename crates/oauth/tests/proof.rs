//! Clients with keys: signed assertions (RFC 7523; OpenID Connect Core 1.0, section 9), and tokens that
//! are bound to a key (RFC 9449).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::*;
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, KeySet, SigningKey, Unverified, dpop};
use countersign_oauth::{
    AssertionAudience, AuthorizationRequest, Client, ClientAuthentication, ClientCredentialsFlow,
    ClientKey, CodeFlow, DeviceFlow, DpopKey, Error, ErrorCode, Flow, HttpRequest, HttpResponse,
    IntrospectionFlow, KeysFlow, Metadata, Push, RefreshFlow, RevocationFlow, Secret, Step,
    SubjectCheck, Timestamp, TokenResponse, TokenType, TokenTypeHint, TransportError, UserInfoFlow,
};
use url::Url;

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap())
}

// --- private_key_jwt (RFC 7523, sections 2.2 and 3) -------------------------------------------

fn signing(key: ClientKey) -> Client {
    Client::new("svc", ClientAuthentication::PrivateKeyJwt(key))
}

/// The assertion in a request, verified with the client's public key.
fn assertion(request: &HttpRequest, key: &SigningKey) -> serde_json::Value {
    let token = field(request, "client_assertion").unwrap();
    let keys = KeySet::from(key.verifying_key().unwrap());
    let unverified: Unverified = Unverified::parse(&token).unwrap();
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

// --- proofs (RFC 9449, sections 4 and 5) ------------------------------------------------------

fn bound() -> (Client, DpopKey) {
    let key = DpopKey::new(key());
    (client().with_dpop(key.clone()), key)
}

const BOUND: &str = r#"{"access_token":"at-1","token_type":"DPoP","expires_in":600}"#;

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

// --- nonces (RFC 9449, sections 8 and 9) ------------------------------------------------------

fn demand(nonce: &str) -> HttpResponse {
    with_header(error("use_dpop_nonce"), "DPoP-Nonce", nonce)
}

fn refresh_flow(client: &Client) -> RefreshFlow {
    RefreshFlow::new(&metadata(), client, &Secret::new("rt-1")).unwrap()
}

fn nonce_of(request: &HttpRequest) -> Option<String> {
    let claims = part(header(request, "dpop").unwrap(), 1);
    claims
        .get("nonce")
        .map(|nonce| nonce.as_str().unwrap().to_owned())
}

#[test]
fn a_demand_for_a_nonce_is_answered_with_the_same_request_and_the_nonce() {
    let (client, _) = bound();
    let mut flow = refresh_flow(&client);
    let first = sent(&mut flow);
    assert_eq!(nonce_of(&first), None);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    assert_eq!(nonce_of(&second).as_deref(), Some("n-1"));
    assert_eq!(first.body.unwrap().expose(), second.body.unwrap().expose());
    flow.handle(&json(200, BOUND), T0).unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
}

#[test]
fn each_proof_and_each_assertion_of_a_repeated_request_is_new() {
    let (mut client, _) = bound();
    client.authentication = ClientAuthentication::PrivateKeyJwt(ClientKey::new(key()));
    let mut flow = refresh_flow(&client);
    let first = sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    let proofs = [&first, &second].map(|r| part(header(r, "dpop").unwrap(), 1)["jti"].to_string());
    assert_ne!(proofs[0], proofs[1]);
    let assertions = [&first, &second].map(|r| field(r, "client_assertion").unwrap());
    assert_ne!(assertions[0], assertions[1]);
}

/// A server that is never content is not asked for ever.
#[test]
fn a_second_demand_for_a_nonce_is_a_refusal() {
    let (client, _) = bound();
    let mut flow = refresh_flow(&client);
    sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    sent(&mut flow);
    let error = flow.handle(&demand("n-2"), T0).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
    assert!(
        matches!(&error, Error::Refused(_)),
        "the session is not over: {error:?}"
    );
    assert_eq!(error.refusal().unwrap().code, Some(ErrorCode::UseDpopNonce));
}

#[test]
fn a_demand_without_a_usable_nonce_is_named() {
    let (client, _) = bound();
    for response in [
        error("use_dpop_nonce"),
        demand(""),
        demand("with space"),
        demand("with\"quote"),
        demand("with\\backslash"),
        demand("ünicode"),
        demand(&"n".repeat(513)),
        with_header(demand("n-1"), "dpop-nonce", "n-2"),
    ] {
        let mut flow = refresh_flow(&client);
        sent(&mut flow);
        let error = flow.handle(&response, T0).unwrap_err();
        assert_eq!(error.code(), "dpop_nonce_missing", "{response:?}");
    }
}

/// Section 8.2: the next request uses the latest nonce, whichever answer brought it.
#[test]
fn a_nonce_is_remembered_for_the_next_request_to_the_same_server() {
    let (client, key) = bound();
    let answer = with_header(json(200, BOUND), "dpop-nonce", "n-7");
    exchange(refresh_flow(&client), &answer).unwrap();
    assert_eq!(
        nonce_of(&sent(&mut refresh_flow(&client))).as_deref(),
        Some("n-7")
    );
    let flow = UserInfoFlow::new(&metadata(), &Secret::new("at"), SubjectCheck::NoIdToken);
    let request = sent(&mut flow.unwrap().bound_to(&key));
    assert_eq!(
        nonce_of(&request).as_deref(),
        Some("n-7"),
        "clones share it"
    );
    let refused = with_header(error("invalid_grant"), "DPoP-Nonce", "n-8");
    let _ = exchange(refresh_flow(&client), &refused);
    assert_eq!(
        nonce_of(&sent(&mut refresh_flow(&client))).as_deref(),
        Some("n-8")
    );
    // Another server's is another's.
    let elsewhere = Url::parse("https://api.example.com/x").unwrap();
    let text = key.proof("GET", &elsewhere, None, T0).unwrap();
    assert!(part(text.expose(), 1).get("nonce").is_none());
    let (_, stranger) = bound();
    let text = stranger
        .proof("GET", &Url::parse(ISSUER).unwrap(), None, T0)
        .unwrap();
    assert!(part(text.expose(), 1).get("nonce").is_none());
}

#[test]
fn the_nonces_of_many_servers_do_not_pile_up() {
    let (_, key) = bound();
    let at = |port: u16| Url::parse(&format!("https://api.example.com:{port}/x")).unwrap();
    for port in 1..=40 {
        let answer = with_header(empty(200), "DPoP-Nonce", &format!("n-{port}"));
        assert!(key.learn(&at(port), &answer));
    }
    let known = (1..=40).filter(|port| {
        let text = key.proof("GET", &at(*port), None, T0).unwrap();
        part(text.expose(), 1).get("nonce").is_some()
    });
    assert_eq!(known.collect::<Vec<_>>(), (25..=40).collect::<Vec<_>>());
}

/// Section 9: at a resource the demand stands in the challenge.
#[test]
fn userinfo_answers_a_demand_in_the_challenge() {
    let (_, key) = bound();
    let flow = UserInfoFlow::new(&metadata(), &Secret::new("at"), SubjectCheck::NoIdToken);
    let mut flow = flow.unwrap().bound_to(&key);
    sent(&mut flow);
    let challenge = r#"Bearer realm="x", DPoP error="use_dpop_nonce", error_description="again""#;
    let refused = with_header(empty(401), "WWW-Authenticate", challenge);
    flow.handle(&with_header(refused.clone(), "DPoP-Nonce", "n-1"), T0)
        .unwrap();
    let request = sent(&mut flow);
    assert_eq!(nonce_of(&request).as_deref(), Some("n-1"));
    assert_eq!(header(&request, "authorization"), Some("DPoP at"));
    let error = flow
        .handle(&with_header(refused, "DPoP-Nonce", "n-2"), T0)
        .unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
    assert_eq!(
        error.refusal().unwrap().description.as_deref(),
        Some("again")
    );
}

#[test]
fn what_only_looks_like_a_demand_is_none() {
    let (client, _) = bound();
    for (response, code) in [
        (with_header(json(200, BOUND), "DPoP-Nonce", "n"), None),
        (
            with_header(error("invalid_grant"), "DPoP-Nonce", "n"),
            Some("refresh_rejected"),
        ),
        (
            with_header(error("invalid_dpop_proof"), "DPoP-Nonce", "n"),
            Some("invalid_dpop_proof"),
        ),
        (
            with_header(
                json(500, r#"{"error":"use_dpop_nonce"}"#),
                "DPoP-Nonce",
                "n",
            ),
            Some("use_dpop_nonce"),
        ),
        (
            with_header(html(401), "DPoP-Nonce", "n"),
            Some("html_response"),
        ),
    ] {
        let outcome = exchange(refresh_flow(&client), &response);
        assert_eq!(
            outcome.err().map(|error| error.code()),
            code,
            "{response:?}"
        );
    }
    // A client without a key cannot answer, and says what the server said.
    let error = exchange(refresh_flow(&common::client()), &demand("n")).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
}

#[test]
fn a_push_answers_a_demand_for_a_nonce_too() {
    let (client, _) = bound();
    let mut request = asked();
    request.push = Push::Always;
    let flow = request.start_code(&metadata(), &client, REDIRECT_URI, ring::provider());
    let mut flow = flow.unwrap();
    let first = sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    assert_eq!(nonce_of(&second).as_deref(), Some("n-1"));
    assert_eq!(field(&first, "state"), field(&second, "state"));
    let body = r#"{"request_uri":"urn:x","expires_in":60}"#;
    flow.handle(&json(201, body), T0).unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
}

/// RFC 8628, section 3.5: the repetition is no poll of its own, and one a poll.
#[test]
fn a_device_flow_answers_one_demand_a_poll_and_at_once() {
    let (client, _) = bound();
    let mut flow = DeviceFlow::new(&metadata(), &client, &authorization(5, 600), T0).unwrap();
    let poll = |flow: &mut DeviceFlow, now| match flow.poll(now).unwrap() {
        Step::Send(request) => nonce_of(&request),
        Step::WaitUntil(time) => panic!("waits until {time:?}"),
        Step::Done(_) => panic!("is done"),
    };
    let first = T0 + secs(5);
    assert_eq!(poll(&mut flow, first), None);
    flow.handle(&demand("n-1"), first).unwrap();
    assert_eq!(poll(&mut flow, first).as_deref(), Some("n-1"));
    flow.handle(&error("authorization_pending"), first).unwrap();
    assert!(matches!(flow.poll(first), Ok(Step::WaitUntil(at)) if at == first + secs(5)));

    // The nonce has changed by the next poll: one more repetition.
    let second = first + secs(5);
    assert_eq!(poll(&mut flow, second).as_deref(), Some("n-1"));
    flow.handle(&demand("n-2"), second).unwrap();
    assert_eq!(poll(&mut flow, second).as_deref(), Some("n-2"));
    // A repetition that is lost backs off like any other, and does not use the next one up.
    flow.transport_failed(TransportError::Closed, second);
    let Ok(Step::WaitUntil(third)) = flow.poll(second) else {
        panic!("does not back off")
    };
    assert_eq!(poll(&mut flow, third).as_deref(), Some("n-2"));
    flow.handle(&demand("n-3"), third).unwrap();
    assert_eq!(poll(&mut flow, third).as_deref(), Some("n-3"));
    let error = flow.handle(&demand("n-4"), third).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
}

#[test]
fn clients_are_equal_when_their_keys_are() {
    let (one, key) = bound();
    assert_eq!(one, client().with_dpop(key.clone()));
    assert_ne!(one, client());
    assert_ne!(one, bound().0);
    assert_ne!(one, client().with_dpop(key.or_bearer()));
    let signing_key = self::key();
    let by = |key: &Arc<SigningKey>| signing(ClientKey::new(key.clone()));
    assert_eq!(by(&signing_key), by(&signing_key));
    assert_ne!(by(&signing_key), by(&self::key()));
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
