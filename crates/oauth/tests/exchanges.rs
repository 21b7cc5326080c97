//! The exchanges of one request, but for the refresh: device authorization, revocation, userinfo,
//! introspection, keys.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_oauth::{
    AuthorizationRequest, Client, ClientAuthentication, DeviceFlow, Error, ErrorCode, Flow,
    Introspection, IntrospectionFlow, KeysFlow, Metadata, Misuse, RefreshFlow, RevocationFlow,
    ScopeSet, Secret, Step, SubjectCheck, TokenTypeHint, TransportError, UserInfo, UserInfoFlow,
    pkce,
};

// --- device authorization (RFC 8628, section 3.1) ---------------------------------------------

fn request() -> AuthorizationRequest {
    AuthorizationRequest::new(ScopeSet::parse("openid email").unwrap())
}

#[test]
fn a_device_authorization_request_holds_what_was_asked_for() {
    let mut request = request();
    request.audience = Some("https://api.example.com".to_owned());
    request.resource = vec!["https://a.example".to_owned()];
    request.extra = vec![("acr_values".to_owned(), "mfa".to_owned())];
    let sent = sent(&mut request.start_device(&metadata(), &client()).unwrap());
    assert_eq!(
        sent.url.as_str(),
        "https://id.example.com/device_authorization"
    );
    assert_eq!(
        sent.body.unwrap().expose(),
        "scope=email+openid&audience=https%3A%2F%2Fapi.example.com\
         &resource=https%3A%2F%2Fa.example&acr_values=mfa&client_id=cli"
    );
}

/// Keycloak asks for PKCE (RFC 7636) here too, where a client must use it.
#[test]
fn a_device_code_can_be_bound_by_pkce() {
    let start = request().start_device(&metadata(), &client()).unwrap();
    let mut flow = start.with_pkce(ring::provider()).unwrap();
    let sent_first = sent(&mut flow);
    assert_eq!(
        field(&sent_first, "code_challenge_method").as_deref(),
        Some("S256")
    );
    let body = r#"{"device_code":"dc","user_code":"BCDF","expires_in":600,
        "verification_uri":"https://id.example.com/device"}"#;
    flow.handle(&json(200, body), T0).unwrap();
    let Ok(Step::Done(authorization)) = flow.poll(T0) else {
        panic!("not done")
    };
    let flow = DeviceFlow::new(&metadata(), &client(), &authorization, T0);
    let Ok(Step::Send(request)) = flow.unwrap().poll(T0 + secs(5)) else {
        panic!("no request")
    };
    let verifier = field(&request, "code_verifier").unwrap();
    let challenge = pkce::challenge(&verifier, ring::provider());
    assert_eq!(field(&sent_first, "code_challenge"), Some(challenge));
    let shown = format!("{authorization:?} {request:?}");
    assert!(!shown.contains(&verifier), "{shown}");
}

#[test]
fn extra_parameters_cannot_replace_those_of_the_protocol() {
    for name in ["client_id", "client_secret", "scope"] {
        let mut request = request();
        request.extra = vec![(name.to_owned(), "x".to_owned())];
        let error = request.start_device(&metadata(), &client()).unwrap_err();
        assert!(matches!(error, Error::Misuse(Misuse::ReservedParameter(n)) if n == name));
    }
}

#[test]
fn a_server_without_the_device_grant_is_named_before_anything_is_sent() {
    let mut metadata = metadata();
    metadata.device_authorization_endpoint = None;
    let error = request().start_device(&metadata, &client()).unwrap_err();
    assert_eq!(error.code(), "endpoint_missing");
    assert!(error.hints()[1].contains("device_authorization_endpoint"));
}

#[test]
fn a_client_that_may_not_use_the_device_grant_is_told_so() {
    let error = authorize(&error("unauthorized_client")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server rejected this client"
    );
    assert!(error.hints()[0].contains("device grant"));
    let error = authorize(&json(401, r#"{"error":"invalid_client"}"#)).unwrap_err();
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("token_endpoint_auth_method"))
    );
}

// --- revocation (RFC 7009) --------------------------------------------------------------------

fn revoke(response: &countersign_oauth::HttpResponse) -> Result<(), Error> {
    let hint = TokenTypeHint::RefreshToken;
    exchange(
        RevocationFlow::new(&metadata(), &client(), &Secret::new("rt"), hint).unwrap(),
        response,
    )
}

#[test]
fn a_revocation_names_the_token_and_its_kind() {
    let hint = TokenTypeHint::RefreshToken;
    let mut flow = RevocationFlow::new(&metadata(), &client(), &Secret::new("rt"), hint).unwrap();
    let body = sent(&mut flow).body.unwrap();
    assert_eq!(
        body.expose(),
        "token=rt&token_type_hint=refresh_token&client_id=cli"
    );
}

#[test]
fn any_success_that_is_not_somebody_elses_page_counts_as_revoked() {
    for response in [
        empty(200),
        empty(204),
        json(200, "{}"),
        answer(200, "text/plain", "ok"),
    ] {
        assert!(revoke(&response).is_ok(), "{response:?}");
    }
    assert_eq!(revoke(&html(200)).unwrap_err().code(), "html_response");
    let error = revoke(&json(200, r#"{"error":"unsupported_token_type"}"#)).unwrap_err();
    assert_eq!(error.code(), "unsupported_token_type");
    assert_eq!(revoke(&empty(201)).unwrap_err().code(), "empty_response");
    assert!(revoke(&empty(503)).unwrap_err().is_retryable());
}

// --- userinfo (OpenID Connect Core 1.0, section 5.3) ------------------------------------------

fn userinfo(
    response: &countersign_oauth::HttpResponse,
    expected: SubjectCheck,
) -> Result<UserInfo, Error> {
    exchange(
        UserInfoFlow::new(&metadata(), &Secret::new("at"), expected).unwrap(),
        response,
    )
}

#[test]
fn userinfo_is_asked_for_with_the_token_in_the_header() {
    let check = SubjectCheck::NoIdToken;
    let request = sent(&mut UserInfoFlow::new(&metadata(), &Secret::new("at"), check).unwrap());
    let header = request
        .headers
        .iter()
        .find(|(name, _)| *name == "authorization")
        .unwrap();
    assert_eq!(header.1.expose(), "Bearer at");
    assert_eq!(request.url.query(), None);
}

/// Section 5.3.2: the `sub` must be that of the ID token.
#[test]
fn userinfo_about_somebody_else_is_refused() {
    let body = json(
        200,
        r#"{"sub":"mallory","name":"Ada","email_verified":true}"#,
    );
    let error = userinfo(&body, SubjectCheck::SameAs("ada".to_owned())).unwrap_err();
    assert_eq!(error.code(), "userinfo_subject_mismatch");
    let same = userinfo(&body, SubjectCheck::SameAs("mallory".to_owned())).unwrap();
    assert_eq!((same.sub(), same.str("name")), ("mallory", Some("Ada")));
    assert!(same.email_verified());
    assert!(userinfo(&body, SubjectCheck::NoIdToken).is_ok());
    let nobody = userinfo(&json(200, r#"{"name":"Ada"}"#), SubjectCheck::NoIdToken).unwrap_err();
    assert_eq!(nobody.code(), "missing_member");
}

#[test]
fn an_email_counts_as_verified_only_if_the_server_says_so() {
    for (claim, verified) in [
        (r#""email_verified":true"#, true),
        (r#""email_verified":"true""#, true),
        (r#""email_verified":false"#, false),
        (r#""email_verified":"yes""#, false),
        (r#""email_verified":1"#, false),
        (r#""x":1"#, false),
    ] {
        let body = json(200, &format!(r#"{{"sub":"ada",{claim}}}"#));
        let info = userinfo(&body, SubjectCheck::NoIdToken).unwrap();
        assert_eq!(info.email_verified(), verified, "{claim}");
    }
}

#[test]
fn a_signed_userinfo_answer_is_named_as_such() {
    let error = userinfo(
        &answer(200, "application/jwt", "a.b.c"),
        SubjectCheck::NoIdToken,
    );
    assert_eq!(error.unwrap_err().code(), "userinfo_is_jwt");
}

#[test]
fn the_reason_of_a_401_is_found_in_the_challenge() {
    let challenge =
        r#"DPoP algs="ES256", Bearer error="invalid_token", error_description="it \"expired\"""#;
    let response = with_header(empty(401), "WWW-Authenticate", challenge);
    let error = userinfo(&response, SubjectCheck::NoIdToken).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.code, Some(ErrorCode::InvalidToken));
    assert_eq!(refusal.description.as_deref(), Some(r#"it "expired""#));
    assert_eq!(error.hints(), ["sign in again"]);
}

// --- introspection (RFC 7662) -----------------------------------------------------------------

#[test]
fn introspection_is_asked_for_with_the_credentials_of_the_resource_server() {
    let client = Client::new("api", ClientAuthentication::SecretBasic(Secret::new("pw")));
    let hint = Some(TokenTypeHint::AccessToken);
    let mut flow = IntrospectionFlow::new(&metadata(), &client, &Secret::new("at"), hint).unwrap();
    let request = sent(&mut flow);
    assert_eq!(
        request.body.unwrap().expose(),
        "token=at&token_type_hint=access_token"
    );
    assert!(
        request
            .headers
            .iter()
            .any(|(name, _)| *name == "authorization")
    );
}

#[test]
fn an_active_token_is_described_and_an_inactive_one_is_not() {
    let body = r#"{"active":true,"scope":"a b","client_id":"cli","exp":1800000600,"iat":1800000000.5,
        "sub":"ada","aud":"api","iss":"https://id.example.com","groups":["x"]}"#;
    let token = Introspection::from_response(&json(200, body)).unwrap();
    assert!(token.active);
    assert_eq!(token.scope.as_ref().unwrap().to_string(), "a b");
    assert_eq!(token.exp, Some(T0 + secs(600)));
    assert_eq!(token.aud, ["api"]);
    assert_eq!(token.claim("groups").unwrap()[0], "x");
    assert_eq!(token.claim("sub"), None);
    let inactive = json(200, r#"{"active":false,"sub":"ada","scope":"admin"}"#);
    assert_eq!(
        Introspection::from_response(&inactive).unwrap(),
        Introspection::inactive()
    );
}

#[test]
fn an_introspection_answer_must_say_whether_the_token_is_active() {
    for (body, code) in [
        ("{}", "missing_member"),
        (r#"{"active":"true"}"#, "wrong_member_type"),
        (r#"{"active":null}"#, "missing_member"),
        (r#"{"active":true,"exp":"tomorrow"}"#, "wrong_member_type"),
        (r#"{"active":true,"aud":5}"#, "wrong_member_type"),
        (r#"{"active":true,"scope":"a\tb"}"#, "wrong_member_type"),
        (r#"{"active":false,"active":true}"#, "duplicate_member"),
    ] {
        let error = Introspection::from_response(&json(200, body)).unwrap_err();
        assert_eq!(error.code(), code, "{body}");
    }
}

#[test]
fn an_introspection_answer_reads_back_what_it_writes() {
    let mut token = Introspection::active().with_claim("groups", serde_json::json!(["x"]));
    token.scope = Some(ScopeSet::parse("a").unwrap());
    token.exp = Some(T0);
    token.aud = vec!["api".to_owned(), "other".to_owned()];
    let body = serde_json::to_string(&token).unwrap();
    assert_eq!(
        Introspection::from_response(&json(200, &body)).unwrap(),
        token
    );
    let nothing = serde_json::to_string(&Introspection::inactive()).unwrap();
    assert_eq!(nothing, r#"{"active":false}"#);
}

// --- keys -------------------------------------------------------------------------------------

fn keys(
    response: &countersign_oauth::HttpResponse,
) -> Result<countersign_oauth::FetchedKeys, Error> {
    exchange(
        KeysFlow::new(&metadata(), ring::provider()).unwrap(),
        response,
    )
}

#[test]
fn keys_come_with_their_document_and_their_age() {
    let body = r#"{"keys":[{"kty":"oct","k":"AA"}]}"#;
    let response = answer(200, "application/jwk-set+json", body);
    let response = with_header(response, "Cache-Control", "public, max-age=600");
    let fetched = keys(&response).unwrap();
    assert_eq!(fetched.json, body.as_bytes());
    assert_eq!(fetched.max_age, Some(secs(600)));
    assert_eq!(
        (fetched.keys.keys().len(), fetched.keys.skipped().len()),
        (0, 1)
    );
}

#[test]
fn what_is_no_key_set_is_named() {
    for (response, code) in [
        (html(200), "html_response"),
        (empty(200), "empty_response"),
        (empty(404), "refused_without_reason"),
        (empty(503), "server_unavailable"),
        (
            with_header(empty(301), "location", "https://x.example"),
            "redirect_refused",
        ),
        (json(200, "{}"), "jose_not_a_key_set"),
        (json(200, r#"{"keys":["#), "jose_json"),
        (json(500, r#"{"keys":[]}"#), "server_unavailable"),
    ] {
        assert_eq!(keys(&response).unwrap_err().code(), code, "{response:?}");
    }
}

/// RFC 9110, section 13.1.2.
#[test]
fn a_server_may_confirm_the_keys_it_was_asked_about_and_no_others() {
    let flow = || KeysFlow::new(&metadata(), ring::provider()).unwrap();
    let not_modified = with_header(empty(304), "Cache-Control", "max-age=60");
    let known = br#"{"keys":[{"kty":"oct","k":"AA"}]}"#;

    let mut asking = flow().unless_still("W/\"7\"", known);
    let Step::Send(request) = asking.poll(T0).unwrap() else {
        panic!("nothing is sent")
    };
    let asked = request.headers.iter().find(|h| h.0 == "if-none-match");
    assert_eq!(asked.unwrap().1.expose(), "W/\"7\"");
    let same = exchange(flow().unless_still("W/\"7\"", known), &not_modified).unwrap();
    assert_eq!(same.json, known);
    assert_eq!(same.etag.as_deref(), Some("W/\"7\""));
    assert_eq!(same.max_age, Some(secs(60)));

    let newer = with_header(json(200, r#"{"keys":[]}"#), "ETag", "\"8\"");
    let newer = exchange(flow().unless_still("W/\"7\"", known), &newer).unwrap();
    assert_eq!(newer.json, br#"{"keys":[]}"#);
    assert_eq!(newer.etag.as_deref(), Some("\"8\""));

    assert!(keys(&not_modified).is_err());
}

// --- all of them ------------------------------------------------------------------------------

#[test]
fn a_missing_endpoint_is_named_before_anything_is_sent() {
    let (bare, client, token) = (Metadata::new(issuer()), client(), Secret::new("t"));
    let missing = |error: Error| {
        assert_eq!(error.code(), "endpoint_missing");
        error.to_string()
    };
    let revocation =
        RevocationFlow::new(&bare, &client, &token, TokenTypeHint::AccessToken).unwrap_err();
    let told = [
        missing(RefreshFlow::new(&bare, &client, &token).unwrap_err()),
        missing(revocation),
        missing(UserInfoFlow::new(&bare, &token, SubjectCheck::NoIdToken).unwrap_err()),
        missing(IntrospectionFlow::new(&bare, &client, &token, None).unwrap_err()),
        missing(KeysFlow::new(&bare, ring::provider()).unwrap_err()),
    ];
    let names = ["token_endpoint", "revocation_endpoint", "userinfo_endpoint"];
    for (told, name) in told.iter().zip(
        names
            .into_iter()
            .chain(["introspection_endpoint", "jwks_uri"]),
    ) {
        assert_eq!(told, &format!("the authorization server names no {name}"));
    }
}

#[test]
fn an_exchange_out_of_order_is_an_error_and_not_a_panic() {
    let mut flow = RefreshFlow::new(&metadata(), &client(), &Secret::new("rt")).unwrap();
    flow.transport_failed(TransportError::Timeout, T0);
    let early = flow.handle(&json(200, TOKENS), T0).unwrap_err();
    assert!(matches!(early, Error::Misuse(Misuse::NothingSent)));
    sent(&mut flow);
    let again = flow.poll(T0).unwrap_err();
    assert!(matches!(again, Error::Misuse(Misuse::AnswerOutstanding)));
    flow.handle(&json(200, TOKENS), T0).unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::Finished))
    ));
}

#[test]
fn a_lost_answer_is_told_at_the_next_poll() {
    let mut flow = RefreshFlow::new(&metadata(), &client(), &Secret::new("rt")).unwrap();
    sent(&mut flow);
    let reason = "tls\u{1b}[31m".to_owned();
    flow.transport_failed(TransportError::Tls { reason }, T0);
    let error = flow.poll(T0).unwrap_err();
    assert_eq!(error.to_string(), "cannot reach the token endpoint");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "TLS failed: tls[31m");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("SSL_CERT_FILE"))
    );
}
