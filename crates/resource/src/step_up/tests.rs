//! An API that asks for a one-time password: what it answers, and what gets through to its handler.

mod deputies;
mod outages;
mod windows;

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_jose::Timestamp;
use countersign_oauth::challenge::BearerChallenge;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{KeyFile, Secrets};
use countersign_testkit::Key;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_layer::Layer as _;
use tower_service::Service;

use super::*;
use crate::otp::{MemoryDevices, Method, NewDevice, OtpService, Person, SealingKey, SealingKeys};
use crate::state::{MemoryState, SharedState};
use crate::testing::{FakeClock, FakeIssuer, ISSUER, claims_with, signed, validator};
use crate::{Caller, Clock as _, Demands};

const SEALING: [u8; 32] = [7; 32];
const PATH: &str = "/resources/foobar";

/// Says what has come to it. Panics when it is reached without both.
#[derive(Clone)]
struct Handler;

impl Service<Request<Full<Bytes>>> for Handler {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let extensions = request.extensions();
        let caller = Caller::from_extensions(extensions).expect("a caller");
        let confirmed = Confirmed::from_extensions(extensions).expect("a confirmed request");
        let shown = request.headers().contains_key(STEP_UP);
        let device = confirmed
            .device()
            .unwrap_or("an earlier password")
            .to_owned();
        let text = format!("{} by {device}, {shown}", caller.subject());
        let length = hyper::body::Body::size_hint(request.body()).exact();
        ready(Ok(Response::new(format!("{text}, {length:?}"))))
    }
}

/// Everything that replicas share, and the people.
struct World {
    clock: FakeClock,
    signer: Key,
    issuer: FakeIssuer,
    devices: Arc<MemoryDevices>,
    state: Arc<dyn SharedState>,
}

/// One replica of an API.
struct Api {
    service: StepUpService<Handler>,
    otp: OtpService,
}

/// What a request is.
#[derive(Clone)]
struct Sent<'s> {
    method: &'s str,
    target: &'s str,
    body: &'s str,
    token: &'s str,
    step_up: Vec<String>,
}

/// What comes back.
#[derive(Debug)]
struct Answer {
    status: u16,
    told: Option<BearerChallenge>,
    retry_after: Option<String>,
    body: String,
}

impl World {
    fn new() -> Self {
        let clock = FakeClock::default();
        let signer = Key::generate("k1");
        Self {
            issuer: FakeIssuer::publishing(&[&signer]),
            signer,
            devices: Arc::default(),
            state: Arc::new(MemoryState::new(clock.now())),
            clock,
        }
    }

    /// An API of the usual name with one key.
    fn api(&self, asked: StepUpBuilder) -> Api {
        self.api_with(asked, |builder| builder.key([1; 32]))
    }

    fn api_with(
        &self,
        asked: StepUpBuilder,
        with: impl FnOnce(ConfirmerBuilder) -> ConfirmerBuilder,
    ) -> Api {
        self.api_named("https://api.example.com", asked, with)
    }

    fn api_named(
        &self,
        realm: &str,
        asked: StepUpBuilder,
        with: impl FnOnce(ConfirmerBuilder) -> ConfirmerBuilder,
    ) -> Api {
        let registry = Arc::<MemoryDevices>::clone(&self.devices);
        let keys = SealingKeys::new(SealingKey::new(&SEALING).unwrap());
        let otp = OtpService::builder(registry, keys, Arc::clone(&self.state))
            .clock(Arc::new(self.clock.clone()))
            .build()
            .unwrap();
        let confirmer = Confirmer::builder(realm, otp.clone())
            .origin("https://api.example.com".parse().unwrap())
            .clock(self.clock.clone());
        let confirmer = with(confirmer).build().unwrap();
        let validator = validator(&self.issuer, &self.clock).build().unwrap();
        let demands = Demands::builder().scope("openid").build().unwrap();
        let layer = StepUpLayer::new(validator, confirmer, asked.build().unwrap());
        Api {
            service: layer.demands(demands).layer(Handler),
            otp,
        }
    }

    fn token(&self, changes: &Value) -> String {
        signed(&self.signer, &claims_with(changes))
    }
}

impl Api {
    /// Gives a key to a person.
    async fn enrol(&self, subject: &str, number: u8) -> SimulatedKey {
        let line = format!(
            "{number},ccccccccccc{}",
            ['c', 'b', 'd', 'e'][usize::from(number)]
        );
        let text = format!(
            "{line},0000000000{number:02x},{}{number:02x},000000000000,,,\n",
            "00".repeat(15)
        );
        let record = KeyFile::parse(&text).unwrap().into_records().remove(0);
        let secrets = |()| {
            let (id, key) = record.secrets.expose();
            Secrets::new(*id, *key)
        };
        let key = SimulatedKey::new(record.public_id.clone(), secrets(()));
        let new = NewDevice::Yubikey(record.public_id.clone(), secrets(()));
        let who = Person::new(ISSUER, subject);
        let label = format!("{subject}'s key");
        self.otp.enrol(who, &label, new, None).await.unwrap();
        key
    }

    async fn send(&mut self, sent: &Sent<'_>) -> Answer {
        let mut request = Request::builder().method(sent.method).uri(sent.target);
        if !sent.token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", sent.token));
        }
        for value in &sent.step_up {
            request = request.header(STEP_UP, value);
        }
        let body = Full::new(Bytes::from(sent.body.to_owned()));
        let request = request.body(body).unwrap();
        poll_fn(|context| Service::<Request<Full<Bytes>>>::poll_ready(&mut self.service, context))
            .await
            .unwrap();
        let response = self.service.call(request).await.unwrap();
        let header = |name| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let (told, retry_after) = (header(WWW_AUTHENTICATE), header(RETRY_AFTER));
        Answer {
            status: response.status().as_u16(),
            told: told.map(|told| BearerChallenge::find([told.as_str()]).expect("a challenge")),
            retry_after,
            body: response.into_body(),
        }
    }

    /// The challenge for a request.
    async fn challenge(&mut self, sent: &Sent<'_>) -> String {
        let answer = self.send(sent).await;
        assert_eq!((answer.status, answer.error()), (401, None), "{answer:?}");
        answer.challenge().to_owned()
    }
}

impl Answer {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.told.as_ref()?.extra(name)
    }

    fn error(&self) -> Option<&str> {
        self.parameter("otp_error")
    }

    fn challenge(&self) -> &str {
        self.parameter("otp_challenge").expect("a challenge")
    }
}

impl<'s> Sent<'s> {
    fn delete(token: &'s str) -> Self {
        Self {
            method: "DELETE",
            target: PATH,
            body: "",
            token,
            step_up: Vec::new(),
        }
    }

    fn with(&self, challenge: &str, otp: &str) -> Self {
        let field = format!("challenge=\"{challenge}\", method=yubikey, otp=\"{otp}\"");
        Self {
            step_up: vec![field],
            ..self.clone()
        }
    }
}

fn each() -> StepUpBuilder {
    StepUp::each_request("delete").action("delete resource {last}")
}

#[tokio::test]
async fn a_password_lets_one_request_through_with_its_body() {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent {
        method: "PUT",
        body: "{\"count\":7}",
        ..Sent::delete(&token)
    };
    let asked = api.send(&sent).await;
    assert_eq!((asked.status, &*asked.body), (401, ""));
    for (name, value) in [
        ("otp_methods", Some("yubikey")),
        ("otp_expires_in", Some("60")),
        ("otp_action", Some("delete resource foobar")),
        ("otp_error", None),
    ] {
        assert_eq!(asked.parameter(name), value, "{name}");
    }
    let otp = key.press(1);
    let done = api.send(&sent.with(asked.challenge(), otp.expose())).await;
    assert_eq!(done.status, 200, "{done:?}");
    // The password is nobody's business any more, and the body is as it was.
    assert_eq!(done.body, "ada by ada's key, false, Some(11)");
}

/// The sign-in and the scope come first: nobody types a password to be told that something else lacks.
#[tokio::test]
async fn what_a_password_does_not_mend_is_told_before_it_is_asked_for() {
    let world = World::new();
    let mut api = world.api(each());
    api.enrol("ada", 0).await;
    for (changes, status, error) in [
        (json!({ "scope": "profile" }), 403, "insufficient_scope"),
        (json!({ "exp": 1 }), 401, "invalid_token"),
    ] {
        let token = world.token(&changes);
        let answer = api.send(&Sent::delete(&token)).await;
        let told = answer.told.as_ref().unwrap().error.as_ref().unwrap();
        assert_eq!((answer.status, told.as_str()), (status, error));
        assert_eq!(answer.parameter("otp_challenge"), None);
    }
    let answer = api.send(&Sent::delete("")).await;
    assert_eq!(
        (answer.status, answer.told),
        (401, Some(BearerChallenge::default()))
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read_on() {
    let world = World::new();
    let mut api = world.api(each().body_limit(10));
    api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    for (body, status) in [("0123456789", 401), ("0123456789a", 413)] {
        let sent = Sent {
            body,
            ..Sent::delete(&token)
        };
        assert_eq!(api.send(&sent).await.status, status, "{body}");
    }
}

/// `docs/step-up.md`, "The answer".
#[tokio::test]
async fn a_field_that_cannot_be_read_is_refused_before_anything_is_asked() {
    let world = World::new();
    let mut api = world.api(each().methods([Method::Yubikey]));
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = api.challenge(&sent).await;
    let otp = key.press(1);
    let good = sent.with(&challenge, otp.expose());
    let field = &good.step_up[0];
    for (fields, described) in [
        (vec![field.clone(), field.clone()], "there twice"),
        (
            vec![field.replace("yubikey", "totp")],
            "none that was asked for",
        ),
        (
            vec![field.replace("yubikey", "sms")],
            "none that was asked for",
        ),
        (vec![field.replace("method", "medium")], "unknown member"),
        (vec![format!("{field}, {field}")], "a member twice"),
        (vec![field.replace(", otp", "; otp")], "unknown member"),
        (vec!["yes".to_owned()], "no dictionary"),
        (vec!["x".repeat(1025)], "too long"),
    ] {
        let bad = Sent {
            step_up: fields,
            ..sent.clone()
        };
        let answer = api.send(&bad).await;
        let told = answer.told.as_ref().unwrap();
        assert_eq!(answer.status, 400, "{described}");
        assert_eq!(told.error.as_ref().unwrap().as_str(), "invalid_request");
        let said = told.error_description.as_deref().unwrap();
        assert!(said.contains(described), "{said}");
        assert_eq!(answer.parameter("otp_challenge"), None);
    }
    // None of them has cost anything.
    assert_eq!(api.send(&good).await.status, 200);
}

#[tokio::test]
async fn who_has_no_device_is_told_so_and_not_to_sign_in() {
    let world = World::new();
    let mut api = world.api(each().methods([Method::Totp]));
    api.enrol("ada", 0).await;
    for subject in ["ada", "grace"] {
        let token = world.token(&json!({ "sub": subject }));
        let answer = api.send(&Sent::delete(&token)).await;
        assert_eq!((answer.status, answer.error()), (403, Some("no_device")));
        assert_eq!(answer.parameter("otp_challenge"), None);
    }
}

#[tokio::test]
async fn after_five_wrong_passwords_none_is_taken_for_a_while() {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let mut of_nobody = api.enrol("grace", 1).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let mut challenge = api.challenge(&sent).await;
    for _ in 0..5 {
        // A wrong password costs no challenge; the answer has a fresh one all the same.
        let otp = of_nobody.press(1);
        let answer = api.send(&sent.with(&challenge, otp.expose())).await;
        assert_eq!((answer.status, answer.error()), (401, Some("wrong_otp")));
        answer.challenge().clone_into(&mut challenge);
    }
    let right = key.press(2);
    let answer = api.send(&sent.with(&challenge, right.expose())).await;
    assert_eq!((answer.status, answer.error()), (429, Some("locked")));
    assert_eq!(answer.parameter("otp_challenge"), None);
    let wait = answer.retry_after.unwrap().parse::<u64>().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    world.clock.advance(Duration::from_secs(wait));
    let token = world
        .token(&json!({ "iat": crate::testing::START + 900, "exp": crate::testing::START + 2000 }));
    let sent = Sent::delete(&token);
    let challenge = api.challenge(&sent).await;
    let answer = api.send(&sent.with(&challenge, right.expose())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
