//! Questions to an issuer over real sockets: where to, as whom, and that a
//! redirect takes no token along.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_resource::{Algorithm, IntrospectionPolicy, Validator};
use countersign_testkit::{HttpServer, Reply};
use serde_json::json;

const AUDIENCE: &str = "https://api.example.com";

/// An issuer that says that every token is good.
fn issuer() -> HttpServer {
    let server = HttpServer::start();
    let metadata = json!({
        "issuer": server.origin(),
        "jwks_uri": server.url("/keys"),
        "introspection_endpoint": server.url("/introspect"),
    });
    let place = "/.well-known/openid-configuration";
    server.on("GET", place, Reply::json(200, &metadata));
    server.on("POST", "/introspect", Reply::json(200, &answer()));
    server
}

fn answer() -> serde_json::Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    json!({
        "active": true, "aud": AUDIENCE, "sub": "ada", "exp": now.as_secs() + 600,
    })
}

async fn ask(server: &HttpServer, policy: IntrospectionPolicy) -> &'static str {
    let validator = Validator::builder(server.origin())
        .audience(AUDIENCE)
        .introspection(policy)
        .build()
        .unwrap();
    match validator.validate("opaque-token").await {
        Ok(caller) => caller.presentation().code(),
        Err(rejection) => rejection.code(),
    }
}

/// RFC 6749, section 2.3.1; RFC 7662, section 2.1.
#[tokio::test]
async fn a_secret_goes_into_the_header_and_the_token_into_the_form() {
    let server = issuer();
    let policy = IntrospectionPolicy::secret_basic("api", "s3cret");
    assert_eq!(ask(&server, policy).await, "introspected");
    let request = &server.requests_to("/introspect")[0];
    assert_eq!(
        request.header("authorization"),
        Some("Basic YXBpOnMzY3JldA==")
    );
    assert_eq!(request.form_value("token").as_deref(), Some("opaque-token"));
    let hint = request.form_value("token_type_hint");
    assert_eq!(hint.as_deref(), Some("access_token"));
}

/// RFC 7523, section 2.2.
#[tokio::test]
async fn a_key_signs_who_asks() {
    let server = issuer();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = key.serialize_pem();
    let kid = Some("api-1".to_owned());
    let policy =
        IntrospectionPolicy::private_key_jwt("api", Algorithm::Es256, kid, pem.as_bytes()).unwrap();
    assert_eq!(ask(&server, policy).await, "introspected");
    let request = &server.requests_to("/introspect")[0];
    assert_eq!(request.header("authorization"), None);
    let assertion = request.form_value("client_assertion").unwrap();
    assert_eq!(assertion.split('.').count(), 3);

    let not_a_key = IntrospectionPolicy::private_key_jwt("api", Algorithm::Es256, None, b"junk");
    assert_eq!(not_a_key.unwrap_err().code(), "client_key_unusable");
    let other_type =
        IntrospectionPolicy::private_key_jwt("api", Algorithm::Rs256, None, pem.as_bytes());
    assert_eq!(other_type.unwrap_err().code(), "client_key_unusable");
}

#[tokio::test]
async fn a_configured_endpoint_is_asked_without_metadata() {
    let server = issuer();
    server.on("POST", "/elsewhere", Reply::json(200, &answer()));
    let policy = IntrospectionPolicy::secret_basic("api", "s");
    let policy = policy.endpoint(server.url("/elsewhere"));
    assert_eq!(ask(&server, policy).await, "introspected");
    assert_eq!(server.requests().len(), 1);

    let policy = IntrospectionPolicy::secret_basic("api", "s");
    let built = Validator::builder("https://id.example.com")
        .audience(AUDIENCE)
        .introspection(policy.endpoint("http://id.example.com/introspect"))
        .build();
    assert_eq!(built.unwrap_err().code(), "introspection_endpoint_unusable");
}

#[tokio::test]
async fn a_redirect_takes_no_token_along() {
    let server = issuer();
    let place = server.url("/elsewhere");
    server.on("POST", "/introspect", Reply::redirect(307, &place));
    server.on("POST", "/elsewhere", Reply::json(200, &answer()));
    let policy = IntrospectionPolicy::secret_basic("api", "s");
    assert_eq!(ask(&server, policy).await, "issuer_unavailable");
    assert_eq!(server.requests_to("/elsewhere").len(), 0);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_lets_nobody_in() {
    for reply in [Reply::hangup(), Reply::new(500), Reply::new(401)] {
        let server = issuer();
        server.on("POST", "/introspect", reply);
        let policy = IntrospectionPolicy::secret_basic("api", "s");
        assert_eq!(ask(&server, policy).await, "issuer_unavailable");
    }
}
