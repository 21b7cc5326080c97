//! What is asked for in both flows, and the address that a browser opens: RFC 6749, section 4.1.1; RFC
//! 7636, section 4.3; OpenID Connect Core 1.0, section 3.1.2.1; RFC 9126.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_oauth::{
    AuthorizationFlow, AuthorizationRequest, Client, ClientAuthentication, DpopKey, Error, Flow,
    HttpResponse, Metadata, Misuse, PendingAuthorization, Push, ScopeSet, Secret, Step,
    TransportError, pkce,
};
use url::Url;

fn everything() -> AuthorizationRequest {
    AuthorizationRequest {
        scopes: ScopeSet::parse("openid email").unwrap(),
        audience: Some("https://api.example.com".to_owned()),
        resource: vec![
            "https://a.example".to_owned(),
            "https://b.example".to_owned(),
        ],
        prompt: Some("login".to_owned()),
        login_hint: Some("ada@example.com".to_owned()),
        acr_values: vec!["mfa".to_owned(), "pwd".to_owned()],
        max_age: Some(secs(300)),
        extra: vec![("connection".to_owned(), "google-oauth2".to_owned())],
        ..AuthorizationRequest::default()
    }
}

fn start(request: &AuthorizationRequest, metadata: &Metadata) -> Result<AuthorizationFlow, Error> {
    request.start_code(metadata, &client(), REDIRECT_URI, ring::provider())
}

// --- both flows -------------------------------------------------------------------------------

#[test]
fn the_device_request_and_the_browsers_address_ask_for_the_same() {
    let asked = "scope=email+openid&audience=https%3A%2F%2Fapi.example.com\
         &resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example\
         &prompt=login&login_hint=ada%40example.com&acr_values=mfa+pwd&max_age=300\
         &connection=google-oauth2";
    let request = everything();
    let device = sent(&mut request.start_device(&metadata(), &client()).unwrap());
    let body = device.body.unwrap();
    assert_eq!(body.expose(), format!("{asked}&client_id=cli"));
    let pending = begin(&request, &metadata(), &client());
    assert!(pending.url().query().unwrap().ends_with(asked));
}

#[test]
fn extra_parameters_replace_nothing_and_send_the_code_nowhere_else() {
    for name in [
        "scope",
        "prompt",
        "max_age",
        "client_id",
        "client_secret",
        "client_assertion",
        "response_type",
        "response_mode",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "grant_type",
        "device_code",
        "dpop_jkt",
        "request",
        "request_uri",
        "connection",
    ] {
        let mut request = everything();
        request.extra.push((name.to_owned(), "x".to_owned()));
        let errors = [
            start(&request, &metadata()).unwrap_err(),
            request.start_device(&metadata(), &client()).unwrap_err(),
        ];
        for error in errors {
            let reserved =
                matches!(&error, Error::Misuse(Misuse::ReservedParameter(n)) if n == name);
            assert!(reserved, "{name}: {error:?}");
        }
    }
}

// --- the address ------------------------------------------------------------------------------

#[test]
fn the_address_asks_for_a_code_with_a_challenge_of_the_verifier() {
    let pending = pending();
    let get = |name| query(pending.url(), name).unwrap();
    assert!(
        pending
            .url()
            .as_str()
            .starts_with("https://id.example.com/authorize?")
    );
    assert_eq!(get("response_type"), "code");
    assert_eq!(get("client_id"), "cli");
    assert_eq!(get("redirect_uri"), REDIRECT_URI);
    assert_eq!(get("scope"), "openid");
    assert_eq!(get("nonce"), pending.nonce().expose());
    assert_eq!(get("code_challenge_method"), "S256");
    assert_eq!(query(pending.url(), "code_verifier"), None);
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(get(name).len(), 43, "{name}: 256 bits");
    }
    assert_ne!(get("state"), get("nonce"));
    assert_eq!(pending.redirect_uri(), REDIRECT_URI);
    assert_eq!(pending.expires_at(), None);
}

/// RFC 7636, section 4.5: the verifier goes to the token endpoint only, and is that of the challenge.
#[test]
fn the_challenge_belongs_to_the_verifier_that_is_sent_later() {
    let pending = pending();
    let code = pending.accept_pasted("code-0123456789").unwrap();
    let flow = countersign_oauth::CodeFlow::new(&metadata(), &client(), &pending, &code);
    let request = sent(&mut flow.unwrap());
    let verifier = field(&request, "code_verifier").unwrap();
    let challenge = query(pending.url(), "code_challenge").unwrap();
    assert_eq!(pkce::challenge(&verifier, ring::provider()), challenge);
}

/// Entra ID says nothing of PKCE, and enforces it.
#[test]
fn s256_is_sent_whatever_the_metadata_say_of_it() {
    for methods in [None, Some(vec![]), Some(vec!["plain".to_owned()])] {
        let mut metadata = metadata();
        metadata.code_challenge_methods_supported = methods;
        let pending = begin(&asked(), &metadata, &client());
        assert_eq!(
            query(pending.url(), "code_challenge_method").unwrap(),
            "S256"
        );
    }
}

#[test]
fn two_sign_ins_share_nothing() {
    let (one, other) = (pending(), pending());
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(query(one.url(), name), query(other.url(), name), "{name}");
    }
}

/// RFC 6749, section 3.1: the endpoint's own query is kept (Azure AD B2C names its policy there).
#[test]
fn the_query_of_the_endpoint_is_kept() {
    let mut metadata = metadata();
    let endpoint = "https://id.example.com/authorize?p=policy%201";
    metadata.authorization_endpoint = Url::parse(endpoint).ok();
    let pending = begin(&asked(), &metadata, &client());
    let start = format!("{endpoint}&response_type=code&client_id=cli&");
    assert!(
        pending.url().as_str().starts_with(&start),
        "{}",
        pending.url()
    );
}

/// RFC 9449, section 10.
#[test]
fn the_code_of_a_dpop_client_is_bound_to_its_key() {
    let key = DpopKey::generate(&metadata(), ring::provider()).unwrap();
    let client = client().with_dpop(key.clone());
    let pending = begin(&asked(), &metadata(), &client);
    assert_eq!(query(pending.url(), "dpop_jkt"), Some(key.thumbprint()));
}

#[test]
fn a_redirect_uri_that_cannot_work_is_refused_before_the_browser_opens() {
    let check = |uri| asked().start_code(&metadata(), &client(), uri, ring::provider());
    for (uri, why) in [
        ("", "is not an absolute URI"),
        ("/callback", "is not an absolute URI"),
        ("https://app.example/cb#x", "has a fragment"),
        ("https://app.example/cb#", "has a fragment"),
        ("http://app.example/cb", "is http, and not on this machine"),
        (
            "http://127.0.0.1.evil.example/cb",
            "is http, and not on this machine",
        ),
        (
            "http://127.0.0.1/c b",
            "has characters that a URI cannot have",
        ),
        (
            "http://127.0.0.1/cb\n",
            "has characters that a URI cannot have",
        ),
    ] {
        let error = check(uri).unwrap_err();
        assert_eq!(error.code(), "invalid_redirect_uri");
        assert_eq!(
            error.to_string(),
            format!("the redirect URI {why}"),
            "{uri}"
        );
    }
    for uri in [
        "http://127.0.0.1:1/callback",
        "http://[::1]:1/callback",
        "http://localhost:6363",
        "https://login.example.com/cli?app=1",
        "com.example.app:/callback",
        "urn:ietf:wg:oauth:2.0:oob",
    ] {
        assert!(check(uri).is_ok(), "{uri}");
    }
}

#[test]
fn a_server_without_the_endpoints_is_named_before_the_browser_opens() {
    for (without, name) in [
        (
            (|metadata| metadata.authorization_endpoint = None) as fn(&mut Metadata),
            "authorization_endpoint",
        ),
        (|metadata| metadata.token_endpoint = None, "token_endpoint"),
        (
            |metadata| {
                metadata.require_pushed_authorization_requests = Some(true);
                metadata.pushed_authorization_request_endpoint = None;
            },
            "pushed_authorization_request_endpoint",
        ),
    ] {
        let mut metadata = metadata();
        without(&mut metadata);
        let error = start(&asked(), &metadata).unwrap_err();
        assert_eq!(error.code(), "endpoint_missing");
        assert!(error.to_string().ends_with(name), "{error}");
    }
}

#[test]
fn without_pushing_the_machine_sends_nothing_and_is_done_once() {
    let mut flow = start(&asked(), &metadata()).unwrap();
    let early = flow.handle(&json(200, "{}"), T0).unwrap_err();
    assert!(matches!(early, Error::Misuse(Misuse::NothingSent)));
    flow.transport_failed(TransportError::Timeout, T0);
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::Finished))
    ));
}

// --- pushed authorization requests (RFC 9126) -------------------------------------------------

fn demanding() -> Metadata {
    let mut metadata = metadata();
    metadata.require_pushed_authorization_requests = Some(true);
    metadata
}

fn pushed(response: &HttpResponse) -> Result<PendingAuthorization, Error> {
    exchange(start(&asked(), &demanding()).unwrap(), response)
}

const PUSHED: &str = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:6esc","expires_in":60}"#;

/// Section 2.1: all parameters of the request, in the body, with the client's credentials.
#[test]
fn a_server_that_requires_it_gets_the_request_pushed() {
    let mut flow = start(&everything(), &demanding()).unwrap();
    let request = sent(&mut flow);
    assert_eq!(request.url.as_str(), "https://id.example.com/par");
    for name in [
        "response_type",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
    ] {
        assert!(field(&request, name).is_some(), "{name}");
    }
    assert_eq!(field(&request, "client_id").as_deref(), Some("cli"));
    assert_eq!(
        field(&request, "login_hint").as_deref(),
        Some("ada@example.com")
    );
    assert_eq!(field(&request, "request_uri"), None);
}

/// Section 4: nothing but the reference goes through the browser.
#[test]
fn the_browser_carries_a_reference_and_nothing_else() {
    let pending = pushed(&json(201, PUSHED)).unwrap();
    assert_eq!(
        pending.url().as_str(),
        "https://id.example.com/authorize?client_id=cli\
         &request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A6esc"
    );
    assert_eq!(pending.expires_at(), Some(T0 + secs(60)));
}

#[test]
fn pushing_can_be_asked_for() {
    let mut request = asked();
    assert!(matches!(
        start(&request, &metadata()).unwrap().poll(T0),
        Ok(Step::Done(_))
    ));
    request.push = Push::Always;
    assert_eq!(
        sent(&mut start(&request, &metadata()).unwrap()).url.path(),
        "/par"
    );
}

#[test]
fn a_client_with_a_secret_authenticates_where_it_pushes() {
    let client = Client::new("cli", ClientAuthentication::SecretBasic(Secret::new("pw")));
    let flow = asked().start_code(&demanding(), &client, REDIRECT_URI, ring::provider());
    let request = sent(&mut flow.unwrap());
    assert!(
        header(&request, "authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    // Section 2.1: the identifier is a parameter of the request as well.
    assert_eq!(field(&request, "client_id").as_deref(), Some("cli"));
    let client = Client::new("cli", ClientAuthentication::SecretPost(Secret::new("pw")));
    let flow = asked().start_code(&demanding(), &client, REDIRECT_URI, ring::provider());
    let request = sent(&mut flow.unwrap());
    assert_eq!(field(&request, "client_id").as_deref(), Some("cli"));
    assert_eq!(field(&request, "client_secret").as_deref(), Some("pw"));
}

#[test]
fn a_push_that_fails_says_where_and_why() {
    for (response, code) in [
        (error("invalid_request"), "invalid_request"),
        (error("unauthorized_client"), "unauthorized_client"),
        (json(401, r#"{"error":"invalid_client"}"#), "invalid_client"),
        (json(201, r#"{"expires_in":60}"#), "missing_member"),
        (json(201, r#"{"request_uri":"urn:x"}"#), "missing_member"),
        (
            json(201, r#"{"request_uri":7,"expires_in":60}"#),
            "wrong_member_type",
        ),
        (
            json(201, r#"{"request_uri":"","expires_in":60}"#),
            "unusable_request_uri",
        ),
        (
            json(201, r#"{"request_uri":"no uri","expires_in":60}"#),
            "unusable_request_uri",
        ),
        (
            json(201, r#"{"request_uri":"urn:x y","expires_in":60}"#),
            "unusable_request_uri",
        ),
        (
            json(201, r#"{"request_uri":"urn:x","expires_in":-1}"#),
            "wrong_member_type",
        ),
        (
            json(
                201,
                r#"{"request_uri":"urn:x","request_uri":"urn:y","expires_in":60}"#,
            ),
            "duplicate_member",
        ),
        (html(200), "html_response"),
        (empty(201), "empty_response"),
        (empty(503), "server_unavailable"),
        (
            with_header(empty(302), "location", "https://x.example"),
            "redirect_refused",
        ),
    ] {
        let error = pushed(&response).unwrap_err();
        assert_eq!(error.code(), code, "{response:?}");
    }
    let long = format!(
        r#"{{"request_uri":"urn:{}","expires_in":60}}"#,
        "x".repeat(3000)
    );
    assert_eq!(
        pushed(&json(201, &long)).unwrap_err().code(),
        "unusable_request_uri"
    );
    let error = pushed(&error("invalid_request")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization server refused the pushed authorization request"
    );
}

#[test]
fn an_absurd_lifetime_of_a_pushed_request_is_cut() {
    let body = r#"{"request_uri":"urn:x","expires_in":1e300}"#;
    let pending = pushed(&json(201, body)).unwrap();
    assert_eq!(pending.expires_at(), Some(T0 + secs(86_400)));
}

#[test]
fn debug_shows_neither_state_nor_nonce_nor_challenge() {
    let pending = pending();
    let mut flow = start(&everything(), &demanding()).unwrap();
    let request = sent(&mut flow);
    let shown = format!("{pending:?} {pending:#?} {flow:?} {request:?}");
    for name in ["state", "nonce", "code_challenge"] {
        for secret in [query(pending.url(), name), field(&request, name)] {
            assert!(!shown.contains(&secret.unwrap()), "{name}: {shown}");
        }
    }
    assert!(
        shown.contains("https://id.example.com/authorize"),
        "{shown}"
    );
}
