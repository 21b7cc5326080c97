//! The example for tonic, served and called by tonic: what callers by gRPC are told.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../examples/tonic.rs"]
mod example;

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_resource::Validator;
use countersign_testkit::{HttpServer, Key, Reply, Signature};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};

const API: &str = "http://127.0.0.1:3001";

struct Scene {
    issuer: HttpServer,
    key: Key,
    origin: http::Uri,
    client: Client<HttpConnector, Body>,
}

impl Scene {
    async fn new() -> Self {
        let issuer = HttpServer::start();
        let key = Key::generate("k1");
        let metadata = json!({ "issuer": issuer.origin(), "jwks_uri": issuer.url("/keys") });
        let place = "/.well-known/openid-configuration";
        issuer.on("GET", place, Reply::json(200, &metadata));
        let keys = json!({ "keys": [key.jwk()] });
        issuer.on("GET", "/keys", Reply::json(200, &keys));
        let validator = Validator::builder(issuer.origin())
            .audience(API)
            .required_scope("profile")
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(example::serve(listener, validator));
        Self {
            issuer,
            key,
            origin: origin.parse().unwrap(),
            client: Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build_http(),
        }
    }

    fn token(&self, changes: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": self.issuer.origin(), "aud": API, "sub": "ada", "client_id": "cli",
            "jti": "t-1", "iat": now, "exp": now + 600, "scope": "profile", "auth_time": now,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "typ": "at+jwt" });
        self.key.sign(&header, &claims, Signature::Good)
    }

    async fn call(&self, method: &str, token: Option<&str>) -> Result<String, Status> {
        let mut grpc = Grpc::with_origin(self.client.clone(), self.origin.clone());
        let mut request = Request::new("bolts".to_owned());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let path: PathAndQuery = format!("/warehouse.Stock/{method}").parse().unwrap();
        grpc.ready().await.unwrap();
        let answer = grpc.unary(request, path, example::StringValue).await?;
        Ok(answer.into_inner())
    }

    /// The answer as HTTP has it.
    async fn post(&self, kind: &str) -> http::Response<()> {
        let request = http::Request::post(format!("{}warehouse.Stock/Count", self.origin))
            .header(CONTENT_TYPE, kind)
            .header(AUTHORIZATION, "Bearer x")
            .body(Body::empty())
            .unwrap();
        self.client.request(request).await.unwrap().map(|_| ())
    }
}

/// Code, message, and the challenge.
fn told(status: &Status) -> (Code, &str, Option<&str>) {
    let challenge = status.metadata().get(WWW_AUTHENTICATE.as_str());
    let challenge = challenge.map(|value| value.to_str().unwrap());
    (status.code(), status.message(), challenge)
}

#[tokio::test]
async fn a_caller_with_a_good_token_reaches_the_method() {
    let scene = Scene::new().await;
    let token = scene.token(&json!({}));
    let answer = scene.call("Count", Some(&token)).await;
    assert_eq!(answer.unwrap(), "ada may count bolts");
    let answer = scene.call("Clear", Some(&token)).await;
    assert_eq!(answer.unwrap(), "ada may clear bolts");
    let status = scene.call("Other", Some(&token)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_refused_caller_finds_the_reason_in_the_status_and_the_challenge_in_the_metadata() {
    let scene = Scene::new().await;
    let expired = scene.token(&json!({ "exp": 1 }));
    let narrow = scene.token(&json!({ "scope": "email" }));
    let old = scene.token(&json!({ "auth_time": 1 }));
    for (method, token, code, message, challenge) in [
        (
            "Count",
            None,
            Code::Unauthenticated,
            "Unauthorized",
            "Bearer",
        ),
        (
            "Other",
            Some(&expired),
            Code::Unauthenticated,
            "the token has expired",
            r#"Bearer error="invalid_token", error_description="the token has expired""#,
        ),
        (
            "Count",
            Some(&narrow),
            Code::PermissionDenied,
            "the token lacks a scope",
            r#"Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="profile""#,
        ),
        (
            "Clear",
            Some(&old),
            Code::Unauthenticated,
            "a stronger or more recent sign-in is needed",
            r#"Bearer error="insufficient_user_authentication", error_description="a stronger or more recent sign-in is needed", max_age="300""#,
        ),
    ] {
        let status = scene.call(method, token.map(String::as_str)).await;
        let status = status.unwrap_err();
        assert_eq!(told(&status), (code, message, Some(challenge)));
    }
}

#[tokio::test]
async fn without_keys_a_caller_is_told_to_come_again() {
    let scene = Scene::new().await;
    scene.issuer.on("GET", "/keys", Reply::new(500));
    let token = scene.token(&json!({}));
    let status = scene.call("Count", Some(&token)).await.unwrap_err();
    assert_eq!(
        told(&status),
        (Code::Unavailable, "Service Unavailable", None)
    );
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
}

/// The request alone says that it is a call by gRPC, so whoever asks us on behalf of others, by their
/// headers, must not find a 200.
#[tokio::test]
async fn a_refusal_keeps_its_http_status_whatever_the_caller_speaks() {
    let scene = Scene::new().await;
    for (kind, status) in [
        ("application/grpc", Some("16")),
        ("application/grpc+proto", Some("16")),
        ("application/grpc-web", None),
        ("application/json", None),
    ] {
        let answer = scene.post(kind).await;
        assert_eq!(answer.status(), 401, "{kind}");
        let found = answer.headers().get("grpc-status");
        assert_eq!(found.map(|value| value.to_str().unwrap()), status, "{kind}");
        assert!(answer.headers().contains_key(WWW_AUTHENTICATE), "{kind}");
    }
}
