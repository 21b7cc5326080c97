//! Redeeming a code, and tokens without a person: RFC 6749, sections 4.1.3 and 4.4; RFC 7636, section 4.5;
//! OpenID Connect Core 1.0, section 3.1.3.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, KeySet, SigningKey};
use countersign_oauth::{
    AuthorizationCode, AuthorizationRequest, Client, ClientAuthentication, ClientCredentialsFlow,
    CodeFlow, EndSessionRequest, Error, HttpResponse, Issuer, Metadata, Misuse,
    PendingAuthorization, ScopeSet, Secret, TokenResponse, TransportError, id_token,
};
use countersign_oauth::{Flow, Step};
use serde_json::{Value, json as value};

const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";

fn code(pending: &PendingAuthorization) -> AuthorizationCode {
    pending.accept_pasted(CODE).unwrap()
}

fn flow(pending: &PendingAuthorization) -> CodeFlow {
    CodeFlow::new(&metadata(), &client(), pending, &code(pending)).unwrap()
}

fn redeemed(
    request: &AuthorizationRequest,
    response: &HttpResponse,
) -> Result<TokenResponse, Error> {
    exchange(flow(&begin(request, &metadata(), &client())), response)
}

fn without_openid() -> AuthorizationRequest {
    AuthorizationRequest::new(ScopeSet::parse("api").unwrap())
}

fn with_id_token(scope: Option<&str>, id_token: Option<&str>) -> HttpResponse {
    let mut body = value!({ "access_token": "at-1", "token_type": "Bearer" });
    if let Some(scope) = scope {
        body["scope"] = scope.into();
    }
    if let Some(token) = id_token {
        body["id_token"] = token.into();
    }
    json(200, &body.to_string())
}

// --- the request ------------------------------------------------------------------------------

#[test]
fn a_code_is_redeemed_with_its_verifier_and_the_same_redirect_uri() {
    let pending = pending();
    let request = sent(&mut flow(&pending));
    assert_eq!(request.url.as_str(), "https://id.example.com/token");
    assert_eq!(
        field(&request, "grant_type").as_deref(),
        Some("authorization_code")
    );
    assert_eq!(field(&request, "code").as_deref(), Some(CODE));
    assert_eq!(
        field(&request, "redirect_uri").as_deref(),
        Some(REDIRECT_URI)
    );
    assert_eq!(field(&request, "client_id").as_deref(), Some("cli"));
    assert_eq!(field(&request, "code_verifier").unwrap().len(), 43);
    assert_eq!(field(&request, "resource"), None);
    assert_eq!(query(pending.url(), "code_verifier"), None);
}

/// RFC 8707, section 2.2: oidc-provider gives a token for the resource only if it is named here too, and
/// takes one at a time.
#[test]
fn a_single_resource_is_named_again() {
    let mut request = asked();
    for (resources, named) in [
        (vec!["https://a.example"], Some("https://a.example")),
        (vec!["https://a.example", "https://b.example"], None),
    ] {
        request.resource = resources.into_iter().map(str::to_owned).collect();
        let pending = begin(&request, &metadata(), &client());
        assert_eq!(
            field(&sent(&mut flow(&pending)), "resource").as_deref(),
            named
        );
    }
}

/// A code in the wrong hands: RFC 9207, section 1.
#[test]
fn a_code_goes_to_the_server_it_was_asked_of_and_to_no_other() {
    let pending = pending();
    let mut other = Metadata::new(Issuer::parse("https://evil.example").unwrap());
    other.token_endpoint = metadata().token_endpoint;
    let errors = [
        CodeFlow::new(&other, &client(), &pending, &code(&pending)).unwrap_err(),
        CodeFlow::new(&metadata(), &Client::public("x"), &pending, &code(&pending)).unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Error::Misuse(Misuse::OtherRequest)),
            "{error:?}"
        );
    }
}

// --- the answer -------------------------------------------------------------------------------

#[test]
fn tokens_come_out() {
    let tokens = redeemed(&without_openid(), &json(200, TOKENS)).unwrap();
    assert_eq!(tokens.access_token.expose(), "at-1");
}

/// RFC 6749, section 5.2: expired, used, another client's, another redirect URI's; RFC 7636, section 4.6:
/// another verifier's.
#[test]
fn a_code_that_is_not_accepted_has_an_error_of_its_own() {
    for status in [400, 401, 403] {
        let body = r#"{"error":"invalid_grant","error_description":"PKCE verification failed"}"#;
        let error = redeemed(&asked(), &json(status, body)).unwrap_err();
        assert_eq!(error.code(), "code_rejected");
        assert!(!error.is_retryable());
        assert!(error.hints()[0].starts_with("sign in again"));
        let refusal = error.refusal().unwrap();
        assert_eq!(
            refusal.description.as_deref(),
            Some("PKCE verification failed")
        );
    }
}

#[test]
fn other_refusals_keep_their_names() {
    for (response, expected) in [
        (error("invalid_client"), "invalid_client"),
        (error("unauthorized_client"), "unauthorized_client"),
        (error("invalid_request"), "invalid_request"),
        (error("access_denied"), "access_denied"),
        (json(200, r#"{"error":"bad_verification_code"}"#), "refused"),
        (empty(503), "server_unavailable"),
        (html(200), "html_response"),
        (json(200, r#"{"access_token":"x"}"#), "missing_member"),
    ] {
        let error = redeemed(&asked(), &response).unwrap_err();
        assert_eq!(error.code(), expected, "{response:?}");
    }
}

/// RFC 6749, section 4.1.2: a server may end everything a code has brought when it sees it twice.
#[test]
fn a_code_is_sent_once_even_when_the_answer_is_lost() {
    let mut flow = flow(&pending());
    sent(&mut flow);
    flow.transport_failed(TransportError::Closed, T0);
    assert_eq!(flow.poll(T0).unwrap_err().code(), "connection_closed");
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::Finished))
    ));
}

/// OpenID Connect Core 1.0, section 3.1.3.3.
#[test]
fn an_answer_without_an_id_token_is_refused_where_there_must_be_one() {
    let missing = |request: &AuthorizationRequest, scope| {
        let error = redeemed(request, &with_id_token(scope, None)).err();
        error.map(|error| error.code())
    };
    let code = Some("id_token_missing");
    assert_eq!(missing(&asked(), None), code);
    assert_eq!(missing(&asked(), Some("")), code);
    assert_eq!(missing(&asked(), Some("openid email")), code);
    // A server may grant less, if it says so.
    assert_eq!(missing(&asked(), Some("email")), None);
    assert_eq!(missing(&without_openid(), None), None);
    // Unless the token is to prove something.
    let mut proving = without_openid();
    proving.max_age = Some(secs(0));
    assert_eq!(missing(&proving, Some("api")), code);
    let mut proving = asked();
    proving.acr_values = vec!["mfa".to_owned()];
    assert_eq!(missing(&proving, Some("email")), code);
    assert!(redeemed(&proving, &with_id_token(None, Some("a.b.c"))).is_ok());
}

// --- the ID token (section 3.1.3.7) -----------------------------------------------------------

/// Redeems a code for an ID token with these claims beside the usual ones, and checks it.
fn check(request: &AuthorizationRequest, change: impl FnOnce(&mut Value)) -> Result<(), Error> {
    let key = SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap();
    let keys = KeySet::from(key.verifying_key().unwrap());
    let pending = begin(request, &metadata(), &client());
    let mut claims = value!({
        "iss": ISSUER, "sub": "ada", "aud": "cli", "iat": T0.as_secs(), "exp": T0.as_secs() + 600,
        "nonce": pending.nonce().expose(), "auth_time": T0.as_secs() - 10, "acr": "mfa",
    });
    change(&mut claims);
    let token = key.sign("JWT", &claims).unwrap();
    let tokens = exchange(flow(&pending), &with_id_token(None, Some(&token))).unwrap();
    let token = id_token::parse(tokens.id_token.as_ref().unwrap()).unwrap();
    let expected = pending.expected_id_token(&tokens);
    id_token::verify(&token, &keys, &expected, T0).map(drop)
}

#[test]
fn the_id_token_answers_this_request() {
    assert!(check(&asked(), |_| {}).is_ok());
    let other = check(&asked(), |claims| claims["nonce"] = "another".into());
    assert_eq!(other.unwrap_err().code(), "id_token_nonce");
    let missing = check(&asked(), |claims| {
        claims.as_object_mut().unwrap().remove("nonce");
    });
    assert_eq!(missing.unwrap_err().code(), "id_token_nonce_missing");
    // Section 3.1.3.8: the hash, if there is one.
    let hash = check(&asked(), |claims| {
        claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
    });
    assert_eq!(hash.unwrap_err().code(), "id_token_at_hash");
    let elsewhere = check(&asked(), |claims| {
        claims["iss"] = "https://evil.example".into();
    });
    assert_eq!(elsewhere.unwrap_err().code(), "id_token_issuer");
    let audience = check(&asked(), |claims| claims["aud"] = "other".into());
    assert_eq!(audience.unwrap_err().code(), "id_token_audience");
}

#[test]
fn what_was_asked_of_the_authentication_is_checked() {
    let mut request = asked();
    request.max_age = Some(secs(300));
    request.acr_values = vec!["phr".to_owned(), "mfa".to_owned()];
    assert!(check(&request, |_| {}).is_ok());
    for (claim, wrong, code) in [
        (
            "auth_time",
            value!(T0.as_secs() - 361),
            "id_token_authentication_too_old",
        ),
        ("acr", value!("pwd"), "id_token_acr"),
    ] {
        let error = check(&request, |claims| claims[claim] = wrong).unwrap_err();
        assert_eq!(error.code(), code);
    }
    for (claim, code) in [
        ("auth_time", "id_token_auth_time_missing"),
        ("acr", "id_token_acr"),
    ] {
        let without = |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(claim);
        };
        assert_eq!(check(&request, without).unwrap_err().code(), code);
        assert!(
            check(&asked(), without).is_ok(),
            "{claim} was not asked for"
        );
    }
}

// --- client credentials (RFC 6749, section 4.4) -----------------------------------------------

fn service() -> Client {
    Client::new("svc", ClientAuthentication::SecretPost(Secret::new("pw")))
}

#[test]
fn client_credentials_ask_in_the_clients_own_name() {
    let request = AuthorizationRequest {
        scopes: ScopeSet::parse("api").unwrap(),
        audience: Some("https://api.example.com".to_owned()),
        resource: vec!["https://a.example".to_owned()],
        prompt: Some("login".to_owned()),
        login_hint: Some("ada".to_owned()),
        acr_values: vec!["mfa".to_owned()],
        max_age: Some(secs(1)),
        extra: vec![("organization".to_owned(), "org".to_owned())],
        ..AuthorizationRequest::default()
    };
    let mut flow = ClientCredentialsFlow::new(&metadata(), &service(), &request).unwrap();
    let body = sent(&mut flow).body.unwrap();
    assert_eq!(
        body.expose(),
        "grant_type=client_credentials&scope=api&audience=https%3A%2F%2Fapi.example.com\
         &resource=https%3A%2F%2Fa.example&organization=org&client_id=svc&client_secret=pw"
    );
    let tokens = exchange(
        ClientCredentialsFlow::new(&metadata(), &service(), &asked()).unwrap(),
        &json(200, TOKENS),
    );
    assert_eq!(tokens.unwrap().access_token.expose(), "at-1");
}

#[test]
fn a_public_client_has_no_credentials_to_ask_with() {
    let error = ClientCredentialsFlow::new(&metadata(), &client(), &asked()).unwrap_err();
    assert_eq!(error.code(), "client_cannot_authenticate");
    assert!(error.hints()[0].contains("secret or key"));
}

#[test]
fn a_refusal_of_client_credentials_keeps_its_name() {
    for code in [
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
        "invalid_grant",
    ] {
        let flow = ClientCredentialsFlow::new(&metadata(), &service(), &asked()).unwrap();
        assert_eq!(exchange(flow, &error(code)).unwrap_err().code(), code);
    }
}

// --- the end (OpenID Connect RP-Initiated Logout 1.0, section 2) ------------------------------

#[test]
fn a_logout_page_is_told_what_is_known() {
    let mut metadata = metadata();
    let request = EndSessionRequest::default();
    let error = metadata.end_session_url(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server names no end_session_endpoint"
    );
    let endpoint = "https://id.example.com/logout";
    metadata.end_session_endpoint = url::Url::parse(endpoint).ok();
    assert_eq!(
        metadata.end_session_url(&request).unwrap().as_str(),
        endpoint
    );
    let request = EndSessionRequest {
        id_token_hint: Some(&Secret::new("a.b.c")),
        client_id: Some("cli"),
        logout_hint: Some("ada"),
        post_logout_redirect_uri: Some("http://127.0.0.1/bye"),
        state: Some("s&t"),
    };
    assert_eq!(
        metadata.end_session_url(&request).unwrap().as_str(),
        "https://id.example.com/logout?id_token_hint=a.b.c&client_id=cli&logout_hint=ada\
         &post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%2Fbye&state=s%26t"
    );
    assert!(!format!("{request:?}").contains("a.b.c"));
}

#[test]
fn the_machines_of_one_request_are_finished_after_it() {
    let pending = pending();
    let mut flow = flow(&pending);
    assert!(matches!(
        flow.handle(&json(200, TOKENS), T0),
        Err(Error::Misuse(Misuse::NothingSent))
    ));
    sent(&mut flow);
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::AnswerOutstanding))
    ));
    flow.handle(&with_id_token(None, Some("a.b.c")), T0)
        .unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::Finished))
    ));
}
