//! When keys are fetched, and when not, without a socket and without waiting.

use countersign_testkit::{Key, Signature};
use serde_json::{Value, json};

use super::*;
use crate::Validator;
use crate::testing::{
    Answer, FakeClock, FakeIssuer, START, answer, claims_with, signed, validator,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// An API whose issuer publishes `key`, and the clock of both.
struct Scene {
    clock: FakeClock,
    issuer: FakeIssuer,
    validator: Validator,
    key: Key,
}

impl Scene {
    fn new() -> Self {
        let key = Key::generate("k1");
        let clock = FakeClock::default();
        let issuer = FakeIssuer::publishing(&[&key]);
        let validator = validator(&issuer, &clock).build().unwrap();
        Self {
            clock,
            issuer,
            validator,
            key,
        }
    }

    /// What a token signed by this key meets: `ok`, or the rejection's code.
    async fn try_key(&self, key: &Key) -> &'static str {
        let token = signed(key, &ageless_claims());
        match self.validator.validate(&token).await {
            Ok(_) => "ok",
            Err(rejection) => rejection.code(),
        }
    }

    async fn try_known(&self) -> &'static str {
        self.try_key(&self.key).await
    }

    /// A token of the right form with a key that nobody publishes.
    async fn try_junk(&self, kid: &str) -> &'static str {
        self.try_key(&Key::generate(kid)).await
    }

    /// Lets tasks that need nobody's permission run to their end.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

/// Good for as long as any test lasts.
fn ageless_claims() -> Value {
    claims_with(&json!({ "exp": START + 30 * 24 * 60 * 60 }))
}

#[tokio::test]
async fn the_first_token_fetches_the_keys_and_the_next_ones_do_not() {
    let scene = Scene::new();
    assert_eq!(scene.issuer.fetches(), 0);
    for _ in 0..3 {
        assert_eq!(scene.try_known().await, "ok");
    }
    assert_eq!(scene.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_thousand_requests_wait_for_one_fetch() {
    let scene = Scene::new();
    scene.issuer.hold();
    let token = signed(&scene.key, &ageless_claims());
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let (validator, token) = (scene.validator.clone(), token.clone());
            tokio::spawn(async move { validator.validate(&token).await.is_ok() })
        })
        .collect();
    scene.settle().await;
    assert!(waiting.iter().all(|request| !request.is_finished()));
    scene.issuer.let_go();
    for request in waiting {
        assert!(request.await.unwrap());
    }
    assert_eq!(scene.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_request_that_goes_away_takes_no_fetch_with_it() {
    let scene = Scene::new();
    scene.issuer.hold();
    let token = signed(&scene.key, &ageless_claims());
    let validator = scene.validator.clone();
    let impatient = tokio::spawn(async move { validator.validate(&token).await.is_ok() });
    scene.settle().await;
    impatient.abort();
    scene.issuer.let_go();
    scene.settle().await;
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_by_one_fetch_when_the_first_token_with_it_comes() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    let next = Key::generate("k2");
    scene.issuer.answers(answer(&[&scene.key, &next], None));
    assert_eq!(scene.try_key(&next).await, "ok");
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.issuer.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_junk_costs_one_fetch_per_cooldown() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    for minute in 1..=3 {
        for second in 0..60 {
            for n in 0..3 {
                assert_eq!(scene.try_junk(&format!("junk{n}")).await, "unknown_key");
            }
            // The good ones do not notice.
            assert_eq!(scene.try_known().await, "ok", "second {second}");
            scene.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(scene.issuer.fetches(), 1 + 2 * minute);
    }
}

#[tokio::test]
async fn the_cooldown_runs_by_time_alone_whatever_the_fetch_brought() {
    for outcome in [Answer::Down, Answer::Keys(b"not json".to_vec(), None)] {
        let scene = Scene::new();
        assert_eq!(scene.try_known().await, "ok");
        scene.issuer.answers(outcome);
        for _ in 0..5 {
            assert_eq!(scene.try_junk("junk").await, "unknown_key");
        }
        assert_eq!(scene.issuer.fetches(), 2);
        scene
            .clock
            .advance(UNKNOWN_KEY_COOLDOWN.saturating_sub(Duration::from_millis(1)));
        assert_eq!(scene.try_junk("junk").await, "unknown_key");
        assert_eq!(scene.issuer.fetches(), 2);
        scene.clock.advance(Duration::from_millis(1));
        assert_eq!(scene.try_junk("junk").await, "unknown_key");
        assert_eq!(scene.issuer.fetches(), 3);
    }
}

#[tokio::test]
async fn junk_that_is_not_an_access_token_of_ours_never_leads_to_a_fetch() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    let stranger = Key::generate("stranger");
    let of_other_issuer = claims_with(&json!({ "iss": "https://evil.example.com" }));
    let id_token = stranger.sign(&json!({ "typ": "JWT" }), &ageless_claims(), Signature::Good);
    for token in [
        "junk",
        "a.b.c",
        &signed(&stranger, &of_other_issuer),
        &id_token,
    ] {
        assert!(scene.validator.validate(token).await.is_err());
    }
    assert_eq!(scene.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_bad_signature_under_a_known_key_never_leads_to_a_fetch() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.try_junk("k1").await, "bad_signature");
    assert_eq!(scene.issuer.fetches(), 1);
}

#[tokio::test]
async fn junk_cannot_use_up_the_periodic_refresh() {
    let scene = Scene::new();
    scene
        .issuer
        .answers(answer(&[&scene.key], Some(10 * MINUTE)));
    assert_eq!(scene.try_known().await, "ok");
    scene.clock.advance(8 * MINUTE);
    // Junk claims its cooldown and gets nothing new …
    scene.issuer.answers_once(Answer::Down);
    assert_eq!(scene.try_junk("junk").await, "unknown_key");
    assert_eq!(scene.issuer.fetches(), 2);
    // … and the refresh that is due happens all the same.
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    assert_eq!(scene.issuer.fetches(), 3);
}

#[tokio::test]
async fn keys_are_refreshed_behind_a_request_at_four_fifths_of_their_life() {
    let scene = Scene::new();
    scene
        .issuer
        .answers(answer(&[&scene.key], Some(10 * MINUTE)));
    assert_eq!(scene.try_known().await, "ok");
    scene
        .clock
        .advance((8 * MINUTE).saturating_sub(Duration::from_secs(1)));
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.issuer.fetches(), 1);

    scene.clock.advance(Duration::from_secs(1));
    scene.issuer.hold();
    // Nobody waits: the fetch cannot end, and the request is answered.
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    assert_eq!(scene.issuer.fetches(), 2);
    scene.issuer.let_go();
    scene.settle().await;
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.issuer.fetches(), 2);
}

#[tokio::test]
async fn cache_control_is_clamped_to_between_five_minutes_and_a_day() {
    for (max_age, refreshed_after) in [
        (Some(Duration::ZERO), 4 * MINUTE),
        (Some(Duration::MAX), 24 * HOUR / 5 * 4),
        (None, HOUR / 5 * 4),
    ] {
        let scene = Scene::new();
        scene.issuer.answers(answer(&[&scene.key], max_age));
        assert_eq!(scene.try_known().await, "ok");
        for (advance, fetches) in [
            (refreshed_after.saturating_sub(Duration::from_secs(1)), 1),
            (Duration::from_secs(1), 2),
        ] {
            scene.clock.advance(advance);
            assert_eq!(scene.try_known().await, "ok");
            scene.settle().await;
            assert_eq!(scene.issuer.fetches(), fetches, "max-age {max_age:?}");
        }
    }
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_after_the_refresh() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    let next = Key::generate("k2");
    scene.issuer.answers(answer(&[&next], None));
    scene.clock.advance(HOUR / 5 * 4);
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    assert_eq!(scene.try_known().await, "unknown_key");
    assert_eq!(scene.try_key(&next).await, "ok");
}

#[tokio::test]
async fn keys_outlive_an_outage_of_the_issuer_and_then_fail_closed() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    scene.issuer.answers(Answer::Down);
    for _ in 0..24 {
        scene.clock.advance(HOUR);
        assert_eq!(scene.try_known().await, "ok");
        scene.settle().await;
    }
    assert!(scene.validator.key_status().last_error.is_some());
    // One hour of life and 24 of grace.
    scene.clock.advance(HOUR);
    assert_eq!(scene.try_known().await, "keys_unavailable");
    assert!(!scene.validator.key_status().ready);
    scene.issuer.answers(answer(&[&scene.key], None));
    scene.clock.advance(LONGEST_RETRY);
    assert_eq!(scene.try_known().await, "ok");
}

#[tokio::test]
async fn keys_age_whatever_is_done_to_the_clock() {
    let set_back = Scene::new();
    assert_eq!(set_back.try_known().await, "ok");
    set_back.clock.set_back(10 * HOUR);
    set_back.clock.advance(HOUR);
    set_back.issuer.answers(Answer::Down);
    set_back.try_known().await;
    set_back.settle().await;
    assert_eq!(set_back.issuer.fetches(), 2);

    let asleep = Scene::new();
    assert_eq!(asleep.try_known().await, "ok");
    asleep.clock.sleep(26 * HOUR);
    asleep.issuer.answers(Answer::Down);
    assert_eq!(asleep.try_known().await, "keys_unavailable");
}

#[tokio::test]
async fn an_answer_without_a_usable_key_does_not_take_the_good_ones_away() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    for body in [
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"AKP\"}]}",
        "{}",
        "",
        "<html>",
    ] {
        scene
            .issuer
            .answers(Answer::Keys(body.as_bytes().to_vec(), None));
        scene.clock.advance(HOUR);
        assert_eq!(scene.try_known().await, "ok", "{body:?}");
        scene.settle().await;
        assert_eq!(scene.try_known().await, "ok", "{body:?}");
        assert!(
            scene.validator.key_status().last_error.is_some(),
            "{body:?}"
        );
    }
    assert_eq!(scene.issuer.fetches(), 6);
}

#[tokio::test]
async fn without_keys_the_next_try_waits_longer_each_time_up_to_half_a_minute() {
    let scene = Scene::new();
    scene.issuer.answers(Answer::Down);
    let mut tries = 0;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(scene.try_known().await, "keys_unavailable");
        tries += 1;
        assert_eq!(scene.issuer.fetches(), tries);
        scene.clock.advance(Duration::from_millis(pause * 1000 - 1));
        assert_eq!(scene.try_known().await, "keys_unavailable");
        assert_eq!(scene.issuer.fetches(), tries);
        scene.clock.advance(Duration::from_millis(1));
    }
    scene.issuer.answers(answer(&[&scene.key], None));
    assert_eq!(scene.try_known().await, "ok");
}

#[tokio::test]
async fn an_unusable_key_is_reported_and_does_not_spoil_the_others() {
    let scene = Scene::new();
    let jwks = json!({ "keys": [{ "kty": "AKP", "kid": "pq\u{1b}[31m", "alg": "ML-DSA-44" }, scene.key.jwk()] });
    scene
        .issuer
        .answers(Answer::Keys(jwks.to_string().into_bytes(), None));
    assert_eq!(scene.try_known().await, "ok");
    let status = scene.validator.key_status();
    assert_eq!(
        (status.ready, status.keys, status.skipped.len()),
        (true, 1, 1)
    );
    assert!(
        !status.skipped[0].contains('\u{1b}'),
        "{:?}",
        status.skipped
    );
}

#[tokio::test]
async fn keys_can_be_loaded_before_the_first_request() {
    let scene = Scene::new();
    scene.validator.load_keys().await.unwrap();
    assert_eq!(scene.issuer.fetches(), 1);
    assert!(scene.validator.key_status().ready);

    let down = Scene::new();
    down.issuer.answers(Answer::Down);
    let rejection = down.validator.load_keys().await.unwrap_err();
    assert_eq!(rejection.code(), "keys_unavailable");
}
