//! An axum API behind the validator: what handlers get, and what callers are told.

#![cfg(feature = "axum")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::{get, put};
use countersign_oauth::challenge::BearerChallenge;
use countersign_otp::crypto::aws_lc;
use countersign_resource::otp::{
    MemoryDevices, Method, NewDevice, OtpService, Person, SealingKey, SealingKeys,
};
use countersign_resource::policy::{Policy, Rule};
use countersign_resource::state::MemoryState;
use countersign_resource::step_up::{Confirmed, Confirmer, StepUp, StepUpLayer};
use countersign_resource::{
    Caller, Clock as _, Demands, Refused, SystemClock, Validator, ValidatorLayer,
};
use countersign_testkit::{HttpServer, Key, Reply, Signature};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, Response};
use serde_json::{Value, json};
use tower_service::Service as _;

const API: &str = "https://api.example.com/v1";

struct Scene {
    issuer: HttpServer,
    key: Key,
    app: Router,
    otp: OtpService,
}

impl Scene {
    fn new() -> Self {
        let issuer = HttpServer::start();
        let key = Key::generate("k1");
        let metadata = json!({ "issuer": issuer.origin(), "jwks_uri": issuer.url("/keys") });
        let place = "/.well-known/openid-configuration";
        issuer.on("GET", place, Reply::json(200, &metadata));
        let keys = json!({ "keys": [key.jwk()] });
        issuer.on("GET", "/keys", Reply::json(200, &keys));

        let validator = Validator::builder(issuer.origin())
            .resource(API)
            .build()
            .unwrap();
        let policy = Policy::builder()
            .allow(
                Rule::named("keepers")
                    .groups(["warehouse"])
                    .scopes(["stock:write"]),
            )
            .build()
            .unwrap();
        let demands = Demands::builder().policy(policy).build().unwrap();
        let otp = OtpService::builder(
            Arc::new(MemoryDevices::new()),
            SealingKeys::new(SealingKey::new(&[7; 32]).unwrap()),
            Arc::new(MemoryState::new(SystemClock::default().now())),
        );
        let otp = otp.build().unwrap();
        let confirmer = Confirmer::builder(API, otp.clone()).build().unwrap();
        let asked = StepUp::each_request("put").build().unwrap();
        let step_up = StepUpLayer::new(validator.clone(), confirmer, asked);
        let layer = ValidatorLayer::new(validator.clone());
        let metadata = validator.metadata().unwrap().clone();
        let app = Router::new()
            .route("/write", get(greet))
            .layer(layer.clone().demands(demands))
            .merge(
                Router::new()
                    .route("/greet", get(greet))
                    .route("/clear", get(clear))
                    .route("/unasked", put(store))
                    .route("/behind", put(store).layer(step_up.clone()))
                    .layer(layer),
            )
            .route("/alone", put(store).layer(step_up))
            .route("/open", get(greet))
            .route("/perhaps", get(perhaps))
            .route(metadata.path(), get(metadata.clone()))
            .with_state(validator);
        Self {
            issuer,
            key,
            app,
            otp,
        }
    }

    fn token(&self, changes: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": self.issuer.origin(), "aud": API, "sub": "ada", "client_id": "cli",
            "jti": "t-1", "iat": now, "exp": now + 600, "auth_time": now - 500,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "typ": "at+jwt" });
        self.key.sign(&header, &claims, Signature::Good)
    }

    async fn get(&mut self, path: &str, token: Option<&str>) -> Response<Body> {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).unwrap();
        self.app.call(request).await.unwrap()
    }

    /// Status and body.
    async fn answer(&mut self, path: &str, token: Option<&str>) -> (u16, String) {
        let response = self.get(path, token).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

async fn greet(caller: Caller) -> String {
    format!("Welcome, {}", caller.subject())
}

async fn perhaps(caller: Option<Caller>) -> &'static str {
    if caller.is_some() {
        "somebody"
    } else {
        "nobody"
    }
}

async fn clear(State(validator): State<Validator>, caller: Caller) -> Result<String, Refused> {
    let recent = Demands::builder().max_age(Duration::from_secs(300));
    validator.demand(&caller, &recent.build().unwrap())?;
    Ok("cleared".to_owned())
}

async fn store(caller: Caller, confirmed: Confirmed, body: String) -> String {
    let device = confirmed.device().unwrap_or_default();
    format!("{} stored {body} by {device}", caller.subject())
}

fn challenge(response: &Response<Body>) -> &str {
    response.headers()[WWW_AUTHENTICATE].to_str().unwrap()
}

#[tokio::test]
async fn a_handler_has_a_caller_or_is_not_reached() {
    let mut scene = Scene::new();
    let token = scene.token(&json!({}));
    let welcome = (200, "Welcome, ada".to_owned());
    assert_eq!(scene.answer("/greet", Some(&token)).await, welcome);
    assert_eq!(scene.answer("/greet", None).await, (401, String::new()));
    // Without the layer, even a good token makes no caller.
    assert_eq!(
        scene.answer("/open", Some(&token)).await,
        (500, String::new())
    );
    let nobody = (200, "nobody".to_owned());
    assert_eq!(scene.answer("/perhaps", Some(&token)).await, nobody);
}

/// RFC 9728, section 5.1: from the challenge to the document to the issuer.
#[tokio::test]
async fn a_stranger_finds_the_issuer_by_the_challenge() {
    let mut scene = Scene::new();
    let response = scene.get("/greet", None).await;
    let url = "https://api.example.com/.well-known/oauth-protected-resource/v1";
    assert_eq!(
        challenge(&response),
        format!("Bearer resource_metadata=\"{url}\"")
    );
    let path = "/.well-known/oauth-protected-resource/v1";
    let (status, document) = scene.answer(path, None).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let issuers = json!([scene.issuer.origin()]);
    assert_eq!(
        (status, &document["authorization_servers"]),
        (200, &issuers)
    );
    assert_eq!(document["resource"], API);
}

/// RFC 9470, section 3.
#[tokio::test]
async fn a_handler_may_ask_for_a_recent_sign_in() {
    let mut scene = Scene::new();
    let old = scene.token(&json!({}));
    let response = scene.get("/clear", Some(&old)).await;
    assert_eq!(response.status(), 401);
    let told = challenge(&response);
    for part in [
        "Bearer error=\"insufficient_user_authentication\"",
        "max_age=\"300\"",
        "resource_metadata=",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let recent = scene.token(&json!({ "auth_time": now - 10 }));
    let cleared = (200, "cleared".to_owned());
    assert_eq!(scene.answer("/clear", Some(&recent)).await, cleared);
}

#[tokio::test]
async fn a_policy_is_answered_by_a_challenge_where_another_token_would_help() {
    let mut scene = Scene::new();
    let keeper = json!({ "groups": ["warehouse"], "scope": "stock:write" });
    let [keeper, lacks_scope, stranger] = [
        keeper,
        json!({ "groups": ["warehouse"] }),
        json!({ "groups": ["sales"], "scope": "stock:write" }),
    ]
    .map(|changes| scene.token(&changes));
    assert_eq!(scene.answer("/write", Some(&keeper)).await.0, 200);
    let response = scene.get("/write", Some(&lacks_scope)).await;
    assert_eq!(response.status(), 403);
    let told = challenge(&response);
    assert!(told.contains("error=\"insufficient_scope\""), "{told}");
    assert!(told.contains("scope=\"stock:write\""), "{told}");
    let response = scene.get("/write", Some(&stranger)).await;
    assert_eq!(response.status(), 403);
    assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
}

/// In the place of the validator's layer, and behind it: a proof of possession is used up once.
#[tokio::test]
async fn a_handler_has_a_confirmed_request_or_is_not_reached() {
    let mut scene = Scene::new();
    let token = scene.token(&json!({}));
    let new = NewDevice::totp().unwrap();
    let NewDevice::Totp(totp) = new.clone() else {
        panic!("it is one");
    };
    let issuer = scene.issuer.origin();
    let ada = Person::new(&issuer, "ada");
    scene.otp.enrol(ada, "her phone", new, None).await.unwrap();
    for (round, path) in ["/behind", "/alone"].into_iter().enumerate() {
        let request = |step_up: Option<String>| {
            let mut request = Request::put(path).header(AUTHORIZATION, format!("Bearer {token}"));
            if let Some(step_up) = step_up {
                request = request.header("step-up", step_up);
            }
            request.body(Body::from("7")).unwrap()
        };
        let asked = scene.app.call(request(None)).await.unwrap();
        assert_eq!(asked.status(), 401);
        let told = BearerChallenge::find([challenge(&asked)]).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // A step is used once, and the next one is taken, too.
        let at = now + Duration::from_secs(30) * u32::try_from(round).unwrap();
        let code = totp.code_at(at, aws_lc::provider());
        let method = Method::Totp;
        let step_up = format!(
            "challenge=\"{}\", method={method}, otp=\"{code}\"",
            told.extra("otp_challenge").unwrap()
        );
        let done = scene.app.call(request(Some(step_up))).await.unwrap();
        assert_eq!(done.status(), 200, "{:?}", done.headers());
        let body = to_bytes(done.into_body(), 10_000).await.unwrap();
        assert_eq!(body, "ada stored 7 by her phone");
    }
    let unasked = Request::put("/unasked").header(AUTHORIZATION, format!("Bearer {token}"));
    let unasked = unasked.body(Body::empty()).unwrap();
    assert_eq!(scene.app.call(unasked).await.unwrap().status(), 500);
}
