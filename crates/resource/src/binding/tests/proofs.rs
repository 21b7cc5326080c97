//! RFC 9449, section 4.3, rule by rule, and what the server adds to it.

use super::*;
use crate::state::{
    Advance, Attempt, Claim, Issued, Key, MemoryState, SharedState, StateError, StateFuture,
};

/// A good proof for `Sent::new` with this token, to be spoiled.
struct Proof<'s> {
    scene: &'s Scene,
    header: Value,
    claims: Value,
    signature: Signature,
}

impl<'s> Proof<'s> {
    fn new(scene: &'s Scene, token: &str) -> Self {
        let ath = crypto::aws_lc::provider().sha256(token.as_bytes());
        let mut jwk = scene.clients_key.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        Self {
            scene,
            header: json!({ "typ": "dpop+jwt", "jwk": jwk }),
            claims: json!({
                "jti": "p-1", "htm": "GET", "htu": "https://api.example.com/stock/7",
                "iat": scene.now(), "ath": base64url::encode(&ath),
            }),
            signature: Signature::Good,
        }
    }

    fn claim(mut self, name: &str, value: Value) -> Self {
        if value.is_null() {
            self.claims.as_object_mut().unwrap().remove(name);
        } else {
            self.claims[name] = value;
        }
        self
    }

    fn header(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    fn jti(self, jti: &str) -> Self {
        self.claim("jti", json!(jti))
    }

    fn sign(&self) -> String {
        let key = &self.scene.clients_key;
        key.sign(&self.header, &self.claims, self.signature)
    }
}

/// What a request with this proof meets.
async fn meets(scene: &Scene, proof: &Proof<'_>) -> &'static str {
    let sent = Sent::new("DPoP", &scene.bound_token()).header("dpop", &proof.sign());
    sent.meets(scene).await
}

async fn nonce_for(scene: &Scene, sent: &Sent) -> String {
    match sent.check(&scene.validator, &Demands::none()).await {
        Err(Rejection::ProofNonce { nonce }) => nonce,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bound_token_with_a_proof_passes_once() {
    let scene = Scene::new();
    let proof = Proof::new(&scene, &scene.bound_token());
    assert_eq!(meets(&scene, &proof).await, "dpop");
    assert_eq!(meets(&scene, &proof).await, "proof_replayed");
    let next = Proof::new(&scene, &scene.bound_token()).jti("p-2");
    assert_eq!(meets(&scene, &next).await, "dpop");
}

#[tokio::test]
async fn each_of_the_twelve_rules_is_kept() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let good = || Proof::new(&scene, &token);
    let stranger = TestKey::generate("x");
    let mut private = scene.clients_key.jwk();
    private["d"] = json!("AAAA");
    let mut of_stranger = stranger.jwk();
    of_stranger.as_object_mut().unwrap().remove("kid");
    let with = |signature| Proof {
        signature,
        ..good()
    };
    for (rule, proof, code) in [
        ("3", good().claim("jti", Value::Null), "dpop_claim"),
        ("3", good().claim("htm", Value::Null), "dpop_claim"),
        ("3", good().claim("htu", Value::Null), "dpop_claim"),
        ("3", good().claim("iat", Value::Null), "dpop_claim"),
        ("3", good().claim("iat", json!("now")), "dpop_claim"),
        ("3", good().claim("ath", Value::Null), "dpop_claim"),
        ("3", good().jti(""), "dpop_jti"),
        ("3", good().jti(&"x".repeat(256)), "dpop_jti"),
        (
            "4",
            good().header("typ", json!("at+jwt")),
            "dpop_wrong_type",
        ),
        ("4", good().header("typ", json!("JWT")), "dpop_wrong_type"),
        (
            "5",
            with(Signature::Unsecured),
            "jose_unsupported_algorithm",
        ),
        (
            "5",
            with(Signature::HmacWithPublicKey),
            "jose_unsupported_algorithm",
        ),
        ("6", with(Signature::Corrupt), "jose_bad_signature"),
        ("6", good().header("jwk", of_stranger), "jose_bad_signature"),
        ("6", good().header("jwk", json!("key")), "dpop_key"),
        ("7", good().header("jwk", private), "dpop_key"),
        ("8", good().claim("htm", json!("POST")), "dpop_htm"),
        ("8", good().claim("htm", json!("get")), "dpop_htm"),
        (
            "9",
            good().claim("htu", json!("https://api.example.com/stock/8")),
            "dpop_htu",
        ),
        (
            "9",
            good().claim("htu", json!("http://api.example.com/stock/7")),
            "dpop_htu",
        ),
        (
            "9",
            good().claim("htu", json!("https://evil.example/stock/7")),
            "dpop_htu",
        ),
        ("9", good().claim("htu", json!("/stock/7")), "dpop_htu"),
        (
            "10",
            good().claim("nonce", json!("of somebody else")),
            "proof_nonce",
        ),
        (
            "11",
            good().claim("iat", json!(scene.now() - 60)),
            "proof_nonce",
        ),
        (
            "11",
            good().claim("iat", json!(scene.now() + 6)),
            "proof_nonce",
        ),
        (
            "12",
            good().claim("ath", json!("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")),
            "dpop_ath",
        ),
    ] {
        assert_eq!(
            meets(&scene, &proof).await,
            code,
            "rule {rule}: {}",
            proof.claims
        );
    }
    // Nothing of that has burned the proof.
    assert_eq!(meets(&scene, &good()).await, "dpop");
}

/// Rule 1.
#[tokio::test]
async fn there_is_one_proof_and_no_more() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let one = Proof::new(&scene, &token).sign();
    let two = Proof::new(&scene, &token).jti("p-2").sign();
    let bare = Sent::new("DPoP", &token);
    assert_eq!(bare.meets(&scene).await, "dpop_absent");
    let both = bare.clone().header("dpop", &one).header("dpop", &two);
    assert_eq!(both.meets(&scene).await, "dpop_several");
    let twice = bare.clone().header("dpop", &one).header("dpop", &one);
    assert_eq!(twice.meets(&scene).await, "dpop_several");
    let joined = bare.clone().header("dpop", &format!("{one}, {two}"));
    assert_eq!(joined.meets(&scene).await, "jose_not_compact");
    assert_eq!(bare.header("dpop", &one).meets(&scene).await, "dpop");
}

/// Rule 12: the proof of a thief's own key does not open somebody else's token.
#[tokio::test]
async fn a_proof_of_another_key_than_the_bound_one_is_refused() {
    let scene = Scene::new();
    let other = scene.token(&json!({ "jkt": thumbprint(&TestKey::generate("x")) }));
    let proof = Proof::new(&scene, &other).sign();
    let sent = Sent::new("DPoP", &other).header("dpop", &proof);
    assert_eq!(sent.meets(&scene).await, "dpop_other_key");
}

/// RFC 3986, sections 6.2.2 and 6.2.3; query and fragment do not count.
#[tokio::test]
async fn another_spelling_of_the_address_is_the_same_address() {
    let scene = Scene::new();
    for (n, htu) in [
        "https://api.example.com/stock/7?page=9#x",
        "HTTPS://API.example.com:443/stock/7",
        "https://api.example.com/st%6fck/7",
    ]
    .iter()
    .enumerate()
    {
        let proof = Proof::new(&scene, &scene.bound_token()).jti(&n.to_string());
        assert_eq!(meets(&scene, &proof.claim("htu", json!(htu))).await, "dpop");
    }
}

/// The address is the configured one: a proof for another host is not made good
/// by sending that host's name.
#[tokio::test]
async fn host_and_forwarded_headers_say_nothing_about_the_address() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let proof = Proof::new(&scene, &token).claim("htu", json!("https://evil.example/stock/7"));
    let sent = Sent::new("DPoP", &token)
        .header("dpop", &proof.sign())
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example;proto=https");
    assert_eq!(sent.meets(&scene).await, "dpop_htu");

    let nowhere = Scene::with(|builder| builder);
    let proof = Proof::new(&nowhere, &nowhere.bound_token());
    assert_eq!(meets(&nowhere, &proof).await, "dpop_htu");
}

/// Section 7.1: the binding is of the token, and the scheme is not a choice.
#[tokio::test]
async fn scheme_and_binding_belong_together() {
    let scene = Scene::new();
    let (bound, plain) = (scene.bound_token(), scene.plain_token());
    let proof = Proof::new(&scene, &bound).sign();
    let as_bearer = Sent::new("Bearer", &bound).header("dpop", &proof);
    assert_eq!(as_bearer.meets(&scene).await, "sender_constrained");
    let proof = Proof::new(&scene, &plain).sign();
    let as_dpop = Sent::new("DPoP", &plain).header("dpop", &proof);
    assert_eq!(as_dpop.meets(&scene).await, "not_sender_constrained");
    assert_eq!(Sent::new("Bearer", &plain).meets(&scene).await, "bearer");
    assert!(scene.validator.validate(&bound).await.is_err());
}

#[tokio::test]
async fn a_token_bound_to_what_nobody_can_prove_is_refused() {
    let scene = Scene::new();
    let jkt = scene.thumbprint();
    for cnf in [
        json!({}),
        json!("key"),
        json!([]),
        json!({ "kid": "k" }),
        json!({ "jkt": 7 }),
        json!({ "jkt": "" }),
        json!({ "jkt": jkt, "osc": {} }),
    ] {
        let token = scene.token(&cnf);
        let proof = Proof::new(&scene, &token).sign();
        for scheme in ["DPoP", "Bearer"] {
            let sent = Sent::new(scheme, &token).header("dpop", &proof);
            assert_eq!(sent.meets(&scene).await, "sender_constrained", "{cnf}");
        }
    }
}

/// A request that fails for another reason has used nothing up.
#[tokio::test]
async fn a_request_that_fails_burns_no_proof() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let proof = Proof::new(&scene, &token).sign();
    let sent = Sent::new("DPoP", &token).header("dpop", &proof);
    let demands = Demands::builder().scope("admin").build().unwrap();
    for _ in 0..2 {
        let refused = sent.check(&scene.validator, &demands).await.unwrap_err();
        assert_eq!(refused.code(), "insufficient_scope");
    }
    assert_eq!(sent.meets(&scene).await, "dpop");
}

#[tokio::test]
async fn a_client_whose_clock_is_wrong_goes_on_with_a_nonce() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let wrong = || Proof::new(&scene, &token).claim("iat", json!(scene.now() - 7200));
    let sent = Sent::new("DPoP", &token).header("dpop", &wrong().sign());
    let nonce = nonce_for(&scene, &sent).await;
    let with_nonce = wrong().claim("nonce", json!(nonce));
    assert_eq!(meets(&scene, &with_nonce).await, "dpop");
    assert_eq!(meets(&scene, &with_nonce).await, "proof_replayed");
}

/// Sections 8.2 and 9.
#[tokio::test]
async fn a_nonce_is_good_for_five_minutes_and_the_next_one_comes_in_time() {
    let policy = DpopPolicy::new().origin(ORIGIN).unwrap().require_nonce();
    let scene = Scene::with(|builder| builder.dpop(policy));
    let token = scene.bound_token();
    let bare = Proof::new(&scene, &token);
    let first = Sent::new("DPoP", &token).header("dpop", &bare.sign());
    let nonce = nonce_for(&scene, &first).await;

    let mut offered = Vec::new();
    for minute in 0..5 {
        let proof = Proof::new(&scene, &token)
            .jti(&format!("m{minute}"))
            .claim("nonce", json!(nonce));
        let sent = Sent::new("DPoP", &token).header("dpop", &proof.sign());
        let caller = sent
            .check(&scene.validator, &Demands::none())
            .await
            .unwrap();
        offered.push(caller.next_nonce().is_some());
        scene.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(offered, [false, false, false, true, true]);
    let late = Proof::new(&scene, &token).claim("nonce", json!(nonce));
    assert_eq!(meets(&scene, &late).await, "proof_nonce");
}

/// What was used before the memory began nobody knows. It has to be made anew.
#[tokio::test]
async fn a_restart_brings_no_proof_back() {
    let scene = Scene::new();
    let token = scene.bound_token();
    let proof = Proof::new(&scene, &token).sign();
    let sent = Sent::new("DPoP", &token).header("dpop", &proof);
    assert_eq!(sent.meets(&scene).await, "dpop");
    let restarted = validator(&scene.issuer, &scene.clock)
        .dpop(DpopPolicy::new().origin(ORIGIN).unwrap())
        .build()
        .unwrap();
    let again = Scene {
        validator: restarted,
        ..scene
    };
    let nonce = nonce_for(&again, &sent).await;
    let fresh = Proof::new(&again, &token).claim("nonce", json!(nonce));
    assert_eq!(meets(&again, &fresh).await, "dpop");
    // And from then on clients without nonces are served as before.
    again.clock.advance(Duration::from_secs(6));
    let plain = Proof::new(&again, &token).jti("p-2");
    assert_eq!(meets(&again, &plain).await, "dpop");
}

#[tokio::test]
async fn no_clock_that_is_set_back_brings_a_proof_back() {
    let scene = Scene::new();
    let proof = Proof::new(&scene, &scene.bound_token());
    assert_eq!(meets(&scene, &proof).await, "dpop");
    scene.clock.sleep(Duration::from_secs(3600));
    assert_eq!(meets(&scene, &proof).await, "proof_nonce");
    // Another proof makes the memory drop what has ended.
    let later = Proof::new(&scene, &scene.bound_token()).jti("p-2");
    assert_eq!(meets(&scene, &later).await, "dpop");
    scene.clock.set_back(Duration::from_secs(3600));
    assert_eq!(meets(&scene, &proof).await, "proof_replayed");
}

/// On two replicas that share a store. In full, a thousand times, under `prove`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_parallel_presentations_of_one_proof_one_is_accepted() {
    let trials = std::env::var("COUNTERSIGN_TRIALS").ok();
    let trials = trials
        .and_then(|n| n.parse().ok())
        .map_or(20, |n: u32| n * 5);
    let state = Arc::new(MemoryState::new(Timestamp::from_secs(START)));
    let replica = |builder: ValidatorBuilder| {
        let policy = DpopPolicy::new().origin(ORIGIN).unwrap();
        let builder = builder.dpop(policy.proofs_per_minute(u32::MAX));
        builder.state(Arc::clone(&state) as Arc<dyn SharedState>)
    };
    let scene = Scene::with(replica);
    let other = replica(validator(&scene.issuer, &scene.clock));
    let replicas = [scene.validator.clone(), other.build().unwrap()];
    let token = scene.bound_token();
    for trial in 0..trials {
        let proof = Proof::new(&scene, &token).jti(&format!("trial {trial}"));
        let sent = Sent::new("DPoP", &token).header("dpop", &proof.sign());
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..64 {
            let (sent, validator) = (sent.clone(), replicas[n % 2].clone());
            tasks.spawn(async move {
                match sent.check(&validator, &Demands::none()).await {
                    Ok(_) => 1,
                    Err(rejection) => {
                        assert_eq!(rejection.code(), "proof_replayed");
                        0
                    }
                }
            });
        }
        let accepted: i32 = tasks.join_all().await.into_iter().sum();
        assert_eq!(accepted, 1, "trial {trial}");
    }
}

#[tokio::test]
async fn one_key_cannot_use_more_proofs_than_its_share() {
    let policy = DpopPolicy::new().origin(ORIGIN).unwrap();
    let scene = Scene::with(|builder| builder.dpop(policy.proofs_per_minute(3)));
    let token = scene.bound_token();
    for n in 0..3 {
        let proof = Proof::new(&scene, &token).jti(&format!("{n}"));
        assert_eq!(meets(&scene, &proof).await, "dpop");
        // Replays are not counted: a thief shall not use up the share.
        for _ in 0..3 {
            let code = meets(&scene, &proof).await;
            assert!(
                ["proof_replayed", "too_many_proofs"].contains(&code),
                "{code}"
            );
        }
    }
    let fourth = Proof::new(&scene, &token).jti("4");
    assert_eq!(meets(&scene, &fourth).await, "too_many_proofs");
    scene.clock.advance(Duration::from_secs(60));
    let fourth = Proof::new(&scene, &token).jti("4");
    assert_eq!(meets(&scene, &fourth).await, "dpop");
}

#[tokio::test]
async fn a_full_memory_refuses_unless_told_otherwise() {
    for (danger, expected) in [(false, "state_unavailable"), (true, "dpop")] {
        let now = Timestamp::from_secs(START);
        let state = Arc::new(MemoryState::with_room_for(now, 1, 1, 1));
        let scene = Scene::with(|builder| {
            let builder = builder.dpop(DpopPolicy::new().origin(ORIGIN).unwrap());
            let builder = builder.state(state);
            if danger {
                builder.danger_allow_without_state()
            } else {
                builder
            }
        });
        let token = scene.bound_token();
        assert_eq!(meets(&scene, &Proof::new(&scene, &token)).await, "dpop");
        let second = Proof::new(&scene, &token).jti("p-2");
        assert_eq!(meets(&scene, &second).await, expected);
        // What is known to be used up stays refused.
        let first = Proof::new(&scene, &token);
        assert_eq!(meets(&scene, &first).await, "proof_replayed");
    }
}

/// A store that is away.
struct Away;

fn away<T>() -> StateFuture<'static, T> {
    Box::pin(async { Err(StateError::Unavailable("connection refused".into())) })
}

impl SharedState for Away {
    fn claim<'a>(&'a self, _: &'a Key, _: Timestamp, _: Timestamp) -> StateFuture<'a, Claim> {
        away()
    }

    fn advance<'a>(&'a self, _: &'a Key, _: u64) -> StateFuture<'a, Advance> {
        away()
    }

    fn deny<'a>(
        &'a self,
        _: &'a Key,
        _: Issued,
        _: Timestamp,
        _: Timestamp,
    ) -> StateFuture<'a, ()> {
        away()
    }

    fn denied<'a>(
        &'a self,
        _: &'a [Key],
        _: Option<Timestamp>,
        _: Timestamp,
    ) -> StateFuture<'a, bool> {
        away()
    }

    fn attempt<'a>(
        &'a self,
        _: &'a Key,
        _: u32,
        _: Timestamp,
        _: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        away()
    }

    fn forgive<'a>(&'a self, _: &'a Key) -> StateFuture<'a, ()> {
        away()
    }

    fn grant<'a>(&'a self, _: &'a Key, _: Timestamp, _: Timestamp) -> StateFuture<'a, ()> {
        away()
    }

    fn granted<'a>(&'a self, _: &'a Key, _: Timestamp) -> StateFuture<'a, bool> {
        away()
    }
}

#[tokio::test]
async fn a_store_that_is_away_lets_nobody_in_unless_told_otherwise() {
    let policy = || DpopPolicy::new().origin(ORIGIN).unwrap();
    let scene = Scene::with(|builder| builder.dpop(policy()).state(Arc::new(Away)));
    let proof = Proof::new(&scene, &scene.bound_token());
    assert_eq!(meets(&scene, &proof).await, "state_unavailable");
    let plain = Sent::new("Bearer", &scene.plain_token());
    assert_eq!(plain.meets(&scene).await, "state_unavailable");
    let revoked = scene.validator.revoke(&Revocation::token("t")).await;
    assert!(revoked.is_err());

    let scene = Scene::with(|builder| {
        let builder = builder.dpop(policy()).state(Arc::new(Away));
        builder.danger_allow_without_state()
    });
    let proof = Proof::new(&scene, &scene.bound_token());
    assert_eq!(meets(&scene, &proof).await, "dpop");
}
