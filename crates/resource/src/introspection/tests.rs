//! What issuers say about tokens, and what they must not be believed.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_oauth::{Endpoint, HttpResponse, TransportError};
use countersign_testkit::Key as TestKey;
use serde_json::{Value, json};
use tokio::sync::Semaphore as Gate;

use super::*;
use crate::testing::{
    AUDIENCE, FakeClock, FakeIssuer, ISSUER, START, good_claims, signed, validator,
};
use crate::{Revocation, Validator};

/// An issuer that answers everybody the same.
#[derive(Clone)]
struct FakeServer(Arc<Script>);

struct Script {
    asked: AtomicUsize,
    answer: Mutex<Answer>,
    gate: Gate,
}

#[derive(Clone)]
enum Answer {
    Json(Value),
    Status(u16),
    Down,
}

impl FakeServer {
    fn answers(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

fn response(status: u16, body: &Value) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

impl IntrospectToken for FakeServer {
    fn introspect<'a>(&'a self, _token: &'a str) -> AnswerFuture<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.0.gate.acquire().await.unwrap().forget();
            let answer = self.0.answer.lock().unwrap().clone();
            match answer {
                Answer::Json(body) => Introspection::from_response(&response(200, &body)),
                Answer::Status(status) => {
                    Introspection::from_response(&response(status, &json!({})))
                }
                Answer::Down => Err(OAuthError::Transport {
                    endpoint: Endpoint::Introspection,
                    source: TransportError::Timeout,
                }),
            }
        })
    }
}

struct Scene {
    clock: FakeClock,
    server: FakeServer,
    key: TestKey,
    validator: Validator,
}

/// What a server says about a good token.
fn good() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "cli",
        "token_type": "Bearer", "scope": "a b", "iat": START, "exp": START + 600, "jti": "o-1",
    })
}

fn good_with(name: &str, value: Value) -> Value {
    let mut answer = good();
    if value.is_null() {
        answer.as_object_mut().unwrap().remove(name);
    } else {
        answer[name] = value;
    }
    answer
}

impl Scene {
    fn new() -> Self {
        Self::with(|policy| policy)
    }

    fn with(refine: impl FnOnce(IntrospectionPolicy) -> IntrospectionPolicy) -> Self {
        let server = FakeServer(Arc::new(Script {
            asked: AtomicUsize::new(0),
            answer: Mutex::new(Answer::Json(good())),
            gate: Gate::new(Gate::MAX_PERMITS),
        }));
        let clock = FakeClock::default();
        let key = TestKey::generate("k1");
        let policy = IntrospectionPolicy::secret_basic("api", "secret").asker(server.clone());
        let validator = validator(&FakeIssuer::publishing(&[&key]), &clock)
            .introspection(refine(policy))
            .build()
            .unwrap();
        Self {
            clock,
            server,
            key,
            validator,
        }
    }

    async fn meets(&self, token: &str) -> &'static str {
        match self.validator.validate(token).await {
            Ok(caller) => caller.presentation().code(),
            Err(rejection) => rejection.code(),
        }
    }

    fn passes(&self, time: u64) {
        self.clock.advance(Duration::from_secs(time));
    }
}

/// What a token meets about which the server says this.
async fn with_answer(answer: Value) -> &'static str {
    let scene = Scene::new();
    scene.server.answers(Answer::Json(answer));
    scene.meets("opaque").await
}

#[tokio::test]
async fn a_good_token_is_asked_about_once_in_a_while() {
    let scene = Scene::new();
    let caller = scene.validator.validate("opaque").await.unwrap();
    assert_eq!(caller.presentation().code(), "introspected");
    assert_eq!((caller.subject(), caller.issuer()), ("ada", ISSUER));
    assert_eq!(caller.client_id(), Some("cli"));
    assert!(caller.has_scope("b") && !caller.has_scope("c"));
    scene.passes(59);
    assert_eq!(scene.meets("opaque").await, "introspected");
    assert_eq!(scene.server.asked(), 1);
    scene.passes(1);
    assert_eq!(scene.meets("opaque").await, "introspected");
    assert_eq!(scene.server.asked(), 2);
}

/// `active` is a word about some token; the rest says whether it is one for us.
#[tokio::test]
async fn active_alone_is_not_enough() {
    for (name, value, expected) in [
        ("active", json!(false), "revoked"),
        ("active", json!("true"), "issuer_unavailable"),
        ("active", Value::Null, "issuer_unavailable"),
        ("iss", json!("https://evil.example"), "wrong_issuer"),
        ("iss", json!("https://id.example.com/"), "wrong_issuer"),
        ("aud", json!("https://other.example"), "wrong_audience"),
        ("aud", json!([]), "missing_claim"),
        ("aud", Value::Null, "missing_claim"),
        ("exp", json!(START - 60), "expired"),
        ("exp", Value::Null, "missing_claim"),
        ("nbf", json!(START + 61), "not_yet_valid"),
        ("iat", json!(START + 61), "issued_in_future"),
        ("sub", Value::Null, "missing_claim"),
        ("sub", json!(""), "malformed_claim"),
        ("token_type", json!("refresh_token"), "other_kind"),
        ("token_type", json!("N_A"), "other_kind"),
        ("token_type", json!("DPoP"), "missing_claim"),
        ("token_use", json!("refresh_token"), "other_kind"),
        ("token_use", json!(7), "malformed_claim"),
        ("typ", json!("Refresh"), "other_kind"),
        ("typ", json!("ID"), "other_kind"),
        ("cnf", json!({ "jkt": "x" }), "sender_constrained"),
        ("cnf", json!({ "x5t#S256": "x" }), "sender_constrained"),
        ("cnf", json!("x"), "sender_constrained"),
        // And what may be left out, or be there.
        ("iss", Value::Null, "introspected"),
        ("client_id", Value::Null, "introspected"),
        ("iat", Value::Null, "introspected"),
        ("token_type", Value::Null, "introspected"),
        ("token_type", json!("bearer"), "introspected"),
        ("token_use", json!("access_token"), "introspected"),
        ("typ", json!("Bearer"), "introspected"),
        (
            "aud",
            json!(["https://x.example", AUDIENCE]),
            "introspected",
        ),
    ] {
        let answer = good_with(name, value);
        assert_eq!(with_answer(answer.clone()).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_thousand_presentations_of_one_token_share_one_question() {
    let scene = Scene::new();
    scene.server.0.gate.forget_permits(Gate::MAX_PERMITS);
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let validator = scene.validator.clone();
            tokio::spawn(async move { validator.validate("opaque").await.is_ok() })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // The first of them goes away, and takes nothing with it.
    waiting[0].abort();
    assert!(waiting[1..].iter().all(|request| !request.is_finished()));
    scene.server.0.gate.add_permits(1);
    for request in waiting.into_iter().skip(1) {
        assert!(request.await.unwrap());
    }
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_bad_token_is_remembered_as_well() {
    let scene = Scene::new();
    scene
        .server
        .answers(Answer::Json(json!({ "active": false })));
    for _ in 0..5 {
        assert_eq!(scene.meets("opaque").await, "revoked");
    }
    assert_eq!(scene.server.asked(), 1);
    assert_eq!(scene.meets("another").await, "revoked");
    assert_eq!(scene.server.asked(), 2);
}

#[tokio::test]
async fn an_answer_is_never_kept_beyond_the_end_of_the_token() {
    let scene = Scene::with(|policy| policy.horizon(Duration::from_secs(3600)));
    scene
        .server
        .answers(Answer::Json(good_with("exp", json!(START + 30))));
    assert_eq!(scene.meets("opaque").await, "introspected");
    scene.passes(29);
    assert_eq!(scene.meets("opaque").await, "introspected");
    assert_eq!(scene.server.asked(), 1);
    scene.passes(1);
    // Still within the leeway, so the issuer is asked and not the memory.
    assert_eq!(scene.meets("opaque").await, "introspected");
    assert_eq!(scene.server.asked(), 2);
    // The time of day alone moves on: what is kept has expired all the same.
    let scene = Scene::new();
    assert_eq!(scene.meets("opaque").await, "introspected");
    scene.clock.sleep(Duration::from_secs(660));
    assert_eq!(scene.meets("opaque").await, "expired");
}

#[tokio::test]
async fn an_issuer_that_is_down_lets_nobody_in_and_is_left_alone() {
    let scene = Scene::new();
    assert_eq!(scene.meets("known").await, "introspected");
    for outage in [Answer::Down, Answer::Status(503), Answer::Status(429)] {
        scene.server.answers(outage);
        scene.passes(30);
        let asked = scene.server.asked();
        for n in 0..10 {
            let token = format!("new {asked} {n}");
            let rejection = scene.validator.validate(&token).await.unwrap_err();
            let Rejection::IssuerUnavailable { retry_after, .. } = rejection else {
                panic!("{rejection:?}")
            };
            assert!(!retry_after.is_zero());
        }
        assert_eq!(scene.server.asked(), asked + 1);
    }
    scene.server.answers(Answer::Json(good()));
    scene.passes(30);
    assert_eq!(scene.meets("new").await, "introspected");
}

/// A server that trips over one token must not shut the others out.
#[tokio::test]
async fn an_answer_that_makes_no_sense_concerns_its_own_token_alone() {
    let scene = Scene::new();
    for nonsense in [
        Answer::Status(400),
        Answer::Status(401),
        Answer::Json(json!([])),
        Answer::Json(json!({ "active": 1 })),
    ] {
        scene.server.answers(nonsense);
        assert_eq!(scene.meets("odd").await, "issuer_unavailable");
        scene.server.answers(Answer::Json(good()));
        assert_eq!(scene.meets("odd").await, "introspected");
        scene.passes(60);
    }
}

#[tokio::test]
async fn only_so_many_questions_are_under_way_at_once() {
    let scene = Scene::new();
    scene.server.0.gate.forget_permits(Gate::MAX_PERMITS);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..MAX_QUESTIONS {
        let validator = scene.validator.clone();
        waiting.spawn(async move { validator.validate(&format!("t{n}")).await.is_ok() });
    }
    while scene.server.asked() < MAX_QUESTIONS {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.meets("one more").await, "issuer_unavailable");
    scene.server.0.gate.add_permits(MAX_QUESTIONS + 1);
    assert!(waiting.join_all().await.into_iter().all(|good| good));
    assert_eq!(scene.meets("one more").await, "introspected");
}

/// A flood of junk drives out other junk, and nobody's good token.
#[tokio::test]
async fn junk_is_bounded_and_drives_out_no_good_token() {
    let scene = Scene::with(|policy| policy.capacity(10));
    assert_eq!(scene.meets("good").await, "introspected");
    scene
        .server
        .answers(Answer::Json(json!({ "active": false })));
    for n in 0..100 {
        assert_eq!(
            scene.meets(&format!("junk {n}").replace(' ', "-")).await,
            "revoked"
        );
    }
    let asked = scene.server.asked();
    assert_eq!(scene.meets("good").await, "introspected");
    assert_eq!(scene.meets("junk-99").await, "revoked");
    assert_eq!(scene.server.asked(), asked);
    assert_eq!(scene.meets("junk-0").await, "revoked");
    assert_eq!(scene.server.asked(), asked + 1);
}

#[tokio::test]
async fn a_token_that_says_what_it_means_is_not_sent_anywhere() {
    let scene = Scene::new();
    let jwt = signed(&scene.key, &good_claims());
    assert_eq!(scene.meets(&jwt).await, "bearer");
    assert_eq!(scene.meets("eyJ.e30.AA").await, "malformed_token");
    let stranger = signed(&TestKey::generate("k2"), &good_claims());
    assert_eq!(scene.meets(&stranger).await, "unknown_key");
    assert_eq!(scene.meets(&"x".repeat(5000)).await, "malformed_token");
    assert_eq!(scene.server.asked(), 0);
}

#[tokio::test]
async fn a_jwt_is_asked_about_as_well_where_that_is_configured() {
    let scene = Scene::with(IntrospectionPolicy::jwt_too);
    let jwt = signed(&scene.key, &good_claims());
    assert_eq!(scene.meets(&jwt).await, "bearer");
    assert_eq!(scene.server.asked(), 1);
    // Revoked meanwhile, which is noticed after the horizon and not before.
    scene
        .server
        .answers(Answer::Json(json!({ "active": false })));
    assert_eq!(scene.meets(&jwt).await, "bearer");
    scene.passes(60);
    assert_eq!(scene.meets(&jwt).await, "revoked");
    // An answer about somebody else is none about this token.
    scene
        .server
        .answers(Answer::Json(good_with("sub", json!("bob"))));
    scene.passes(60);
    assert_eq!(scene.meets(&jwt).await, "revoked");
    scene.server.answers(Answer::Down);
    scene.passes(60);
    assert_eq!(scene.meets(&jwt).await, "issuer_unavailable");
}

#[tokio::test]
async fn an_introspected_token_can_be_revoked_here_at_once() {
    let scene = Scene::new();
    assert_eq!(scene.meets("opaque").await, "introspected");
    let revocation = Revocation::jwt_id(ISSUER, "o-1");
    scene.validator.revoke(&revocation).await.unwrap();
    assert_eq!(scene.meets("opaque").await, "revoked");
}

#[test]
fn no_token_is_shown_to_an_issuer_that_it_may_not_be_from() {
    let policy = || IntrospectionPolicy::secret_basic("api", "secret");
    let other = crate::Trust::issuer("https://other.example")
        .audience(AUDIENCE)
        .introspection(policy());
    let built = Validator::builder(ISSUER)
        .audience(AUDIENCE)
        .introspection(policy())
        .trust(other)
        .build();
    assert_eq!(built.unwrap_err().code(), "introspection_twice");
}

#[test]
fn no_secret_is_shown() {
    let policy = IntrospectionPolicy::secret_basic("api", "canary");
    assert!(!format!("{policy:?}").contains("canary"));
}
