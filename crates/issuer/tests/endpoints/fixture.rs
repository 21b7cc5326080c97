//! A whole issuer behind a function from request to answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use countersign_issuer::core::{
    Audiences, BrowserSession, Core, Decision, GrantType, Keys, NewAccount, NewAuthentication,
    NewClient, Policy, SignIn,
};
use countersign_issuer::http::{AppState, Peer, Settings, router};
use countersign_issuer::storage::Memory;
use countersign_jose::{Algorithm, Timestamp, crypto::aws_lc};
use countersign_oauth::{Issuer, Secret};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;
use url::form_urlencoded;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

pub(crate) struct Fixture {
    pub(crate) core: Arc<Core>,
    router: Router,
    now: Arc<AtomicI64>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON, not {:?}", self.body))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .unwrap_or_else(|| panic!("the header {name}"));
        value.to_str().unwrap()
    }

    /// The RFC's code, after checking what is true of every error.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        self.assert_private();
        self.json()["error"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_private(&self) {
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("content-type"), "application/json");
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::at("http://127.0.0.1:8628").await
    }

    pub(crate) async fn at(issuer: &str) -> Self {
        Self::with_policy(issuer, |_| {}).await
    }

    pub(crate) async fn with_policy(issuer: &str, change: impl FnOnce(&mut Policy)) -> Self {
        let issuer = Issuer::parse(issuer).unwrap();
        let settings = Settings::new(issuer.as_url().clone());
        let keys = Keys::generate(aws_lc::provider()).unwrap();
        let mut policy = Policy::new(issuer);
        change(&mut policy);
        let core = Arc::new(Core::new(Box::new(Memory::new()), keys, policy));
        let now = Arc::new(AtomicI64::new(1_800_000_000_000));
        let clock = Arc::clone(&now);
        let state = AppState::new(Arc::clone(&core), settings, move || {
            Timestamp::from_millis(clock.load(Ordering::SeqCst))
        });
        let fixture = Self {
            core,
            router: router(&state),
            now,
        };
        fixture
            .core
            .ensure_default_client(fixture.now())
            .await
            .unwrap();
        let ada = NewAccount {
            username: "ada".to_owned(),
            name: Some("Ada".to_owned()),
            email: None,
            password: Secret::new("correct horse"),
        };
        fixture
            .core
            .add_account(ada, Vec::new(), fixture.now())
            .await
            .unwrap()
            .unwrap();
        fixture
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    pub(crate) fn advance_secs(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(Peer(PEER));
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.post_as(path, "application/x-www-form-urlencoded", None, body)
            .await
    }

    pub(crate) async fn post_as(
        &self,
        path: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: String,
    ) -> Answer {
        let mut request = Request::post(path).header("content-type", content_type);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub(crate) async fn start(&self, scope: &str) -> Value {
        let fields = [("client_id", "cli"), ("scope", scope)];
        let answer = self.post("/device_authorization", &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.assert_private();
        answer.json()
    }

    pub(crate) async fn poll(&self, started: &Value) -> Answer {
        let fields = [
            ("client_id", "cli"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", started["device_code"].as_str().unwrap()),
        ];
        self.post("/token", &fields).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        let fields = [
            ("client_id", "cli"),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        self.post("/token", &fields).await
    }

    pub(crate) async fn session(&self) -> BrowserSession {
        let password = Secret::new("correct horse");
        let outcome = self
            .core
            .sign_in("ada", &password, PEER, self.now())
            .await
            .unwrap();
        let SignIn::Accepted(session) = outcome else {
            panic!("Ada signs in");
        };
        self.core
            .session(&session.token, self.now())
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn approve(&self, started: &Value) {
        let session = self.session().await;
        let code = started["user_code"].as_str().unwrap();
        let decision = self
            .core
            .approve(code, &session, PEER, self.now())
            .await
            .unwrap();
        assert!(matches!(decision, Decision::Recorded));
    }

    pub(crate) async fn log_in(&self, scope: &str) -> Value {
        let started = self.start(scope).await;
        self.approve(&started).await;
        let answer = self.poll(&started).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.assert_private();
        answer.json()
    }

    /// A login for an API.
    pub(crate) async fn log_in_for(&self, scope: &str, resource: &str) -> Value {
        let fields = [
            ("client_id", "cli"),
            ("scope", scope),
            ("resource", resource),
        ];
        let started = self.post("/device_authorization", &fields).await.json();
        self.approve(&started).await;
        self.poll(&started).await.json()
    }

    /// A service that is an API and may call another; its secret.
    pub(crate) async fn add_exchanger(&self, id: &str, serves: &str) -> String {
        let new = NewClient {
            authentication: NewAuthentication::Secret,
            grant_types: vec![GrantType::TokenExchange],
            audiences: Audiences::Listed(vec!["https://stock.example".to_owned()]),
            serves: vec![serves.to_owned()],
            ..NewClient::new(id)
        };
        let registered = self.core.put_client(new, self.now()).await;
        let secret = registered.unwrap().unwrap().secret.unwrap();
        secret.expose().to_owned()
    }

    pub(crate) async fn add_client(&self, id: &str, confidential: bool) -> Option<String> {
        let new = NewClient {
            authentication: if confidential {
                NewAuthentication::Secret
            } else {
                NewAuthentication::Public
            },
            audiences: Audiences::Listed(vec!["https://api.example".to_owned()]),
            signing_algorithm: Algorithm::Rs256,
            ..NewClient::new(id)
        };
        let registered = self
            .core
            .put_client(new, self.now())
            .await
            .unwrap()
            .unwrap();
        registered.secret.map(|secret| secret.expose().to_owned())
    }
}
