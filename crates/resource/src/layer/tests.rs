//! What the layer answers, and whom it lets through to the service behind it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Mutex;

use countersign_testkit::Key;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::*;
use crate::Caller;
use crate::testing::{
    Answer, FakeClock, FakeIssuer, START, claims_with, good_claims, signed, validator,
};

/// Greets whoever the layer says is calling. Must be asked whether it is ready
/// before each call, as tower wants it.
#[derive(Debug, Default)]
struct Greeter {
    asked: bool,
}

impl Clone for Greeter {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Greeter {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(self.asked, "called without having been asked");
        self.asked = false;
        let caller = Caller::from_extensions(request.extensions()).expect("a caller");
        ready(Ok(Response::new(format!("Welcome, {}", caller.subject()))))
    }
}

struct Scene {
    key: Key,
    issuer: FakeIssuer,
    service: ValidatorService<Greeter>,
    refused: Arc<Mutex<Vec<&'static str>>>,
}

impl Scene {
    fn new() -> Self {
        let key = Key::generate("k1");
        let issuer = FakeIssuer::publishing(&[&key]);
        let validator = validator(&issuer, &FakeClock::default())
            .required_scope("profile")
            .required_scope("openid")
            .build()
            .unwrap();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let layer = ValidatorLayer::new(validator).on_rejection({
            let refused = Arc::clone(&refused);
            move |rejection| refused.lock().unwrap().push(rejection.code())
        });
        Self {
            key,
            issuer,
            service: layer.layer(Greeter::default()),
            refused,
        }
    }

    async fn call(&mut self, uri: &str, credentials: &[&str]) -> Response<String> {
        let mut request = Request::get(uri);
        for value in credentials {
            request = request.header(header::AUTHORIZATION, *value);
        }
        let request = request.body(()).unwrap();
        std::future::poll_fn(|context| self.service.poll_ready(context))
            .await
            .unwrap();
        self.service.call(request).await.unwrap()
    }

    fn bearer(&self, claims: &Value) -> String {
        format!("Bearer {}", signed(&self.key, claims))
    }
}

/// Status and challenge.
fn answer(response: &Response<String>) -> (u16, Option<&str>) {
    assert_eq!(response.body(), "");
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "0");
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    (
        response.status().as_u16(),
        challenge.map(|value| value.to_str().unwrap()),
    )
}

#[tokio::test]
async fn a_caller_with_a_good_token_reaches_the_service_every_time() {
    let mut scene = Scene::new();
    let bearer = scene.bearer(&good_claims());
    for _ in 0..3 {
        let response = scene.call("/hello", &[&bearer]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), "Welcome, ada");
    }
    assert!(scene.refused.lock().unwrap().is_empty());
}

/// RFC 6750, section 3.1: without credentials, no error is told.
#[tokio::test]
async fn a_stranger_gets_401_and_a_challenge_without_an_error() {
    let mut scene = Scene::new();
    for credentials in [&[][..], &["Basic YWRhOnB3"]] {
        let response = scene.call("/hello", credentials).await;
        assert_eq!(answer(&response), (401, Some("Bearer")));
    }
    assert_eq!(*scene.refused.lock().unwrap(), ["no_credentials"; 2]);
    assert_eq!(scene.issuer.fetches(), 0);
}

#[tokio::test]
async fn a_bad_token_gets_401_invalid_token() {
    let mut scene = Scene::new();
    let expired = scene.bearer(&claims_with(&json!({ "exp": START - 600 })));
    let response = scene.call("/hello", &[&expired]).await;
    let challenge = r#"Bearer error="invalid_token", error_description="the token has expired""#;
    assert_eq!(answer(&response), (401, Some(challenge)));
}

#[tokio::test]
async fn a_token_that_lacks_a_scope_gets_403_and_is_told_the_scope() {
    let mut scene = Scene::new();
    let bearer = scene.bearer(&claims_with(&json!({ "scope": "openid" })));
    let response = scene.call("/hello", &[&bearer]).await;
    let challenge = r#"Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="openid profile""#;
    assert_eq!(answer(&response), (403, Some(challenge)));
}

#[tokio::test]
async fn two_methods_in_one_request_get_400_invalid_request() {
    let mut scene = Scene::new();
    let bearer = scene.bearer(&good_claims());
    let twice = scene.call("/hello", &[&bearer, &bearer]).await;
    let challenge =
        r#"Bearer error="invalid_request", error_description="more than one credential was sent""#;
    assert_eq!(answer(&twice), (400, Some(challenge)));
    let with_query = scene.call("/hello?access_token=x", &[&bearer]).await;
    assert_eq!(answer(&with_query), (400, Some(challenge)));
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_and_nobody_is_sent_to_log_in() {
    let mut scene = Scene::new();
    scene.issuer.answers(Answer::Down);
    let bearer = scene.bearer(&good_claims());
    let response = scene.call("/hello", &[&bearer]).await;
    assert_eq!(answer(&response), (503, None));
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn no_answer_repeats_a_word_of_the_token() {
    let mut scene = Scene::new();
    let canary = "c4nary";
    for changes in [
        json!({ "iss": canary }),
        json!({ "aud": canary }),
        json!({ "scope": canary }),
        json!({ "exp": canary }),
    ] {
        let bearer = scene.bearer(&claims_with(&changes));
        let response = scene.call("/hello", &[&bearer]).await;
        assert!(!format!("{response:?}").contains(canary), "{changes}");
    }
    let foreign = scene.key.sign(
        &json!({ "typ": canary }),
        &json!({}),
        countersign_testkit::Signature::Good,
    );
    let response = scene.call("/hello", &[&format!("Bearer {foreign}")]).await;
    assert!(!format!("{response:?}").contains(canary));
}
