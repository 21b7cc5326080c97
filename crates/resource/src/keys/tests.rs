//! When keys are fetched, and when not, without a socket and without waiting.

use countersign_jose::base64url;
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
        match self.validator.validate(&junk(kid)).await {
            Ok(_) => "ok",
            Err(rejection) => rejection.code(),
        }
    }

    /// Lets tasks that need nobody's permission run to their end.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

/// Such a token, without the effort of a signature.
fn junk(kid: &str) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
    let signature = base64url::encode(&[1; 64]);
    format!("{}.{}.{signature}", part(&header), part(&ageless_claims()))
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
                let kid = format!("{minute} {second} {n}");
                assert_eq!(scene.try_junk(&kid).await, "unknown_key");
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
        for n in 0..5 {
            assert_eq!(scene.try_junk(&format!("junk {n}")).await, "unknown_key");
        }
        assert_eq!(scene.issuer.fetches(), 2);
        scene
            .clock
            .advance(UNKNOWN_KEY_COOLDOWN.saturating_sub(Duration::from_millis(1)));
        assert_eq!(scene.try_junk("early").await, "unknown_key");
        assert_eq!(scene.issuer.fetches(), 2);
        scene.clock.advance(Duration::from_millis(1));
        assert_eq!(scene.try_junk("in time").await, "unknown_key");
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

/// A client that keeps sending a token of a withdrawn key, and then a rotation.
#[tokio::test]
async fn a_name_asked_for_in_vain_does_not_take_every_turn() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    let mut asked_at = Vec::new();
    for second in 0..900 {
        let before = scene.issuer.fetches();
        assert_eq!(scene.try_junk("withdrawn").await, "unknown_key");
        if scene.issuer.fetches() > before {
            asked_at.push(second);
        }
        scene.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(asked_at, [0, 60, 180, 420, 720]);
    // Another name is not held up by that …
    let next = Key::generate("k2");
    scene.issuer.answers(answer(&[&scene.key, &next], None));
    assert_eq!(scene.try_key(&next).await, "ok");
    // … and a set that has changed lets every name try again.
    scene.clock.advance(UNKNOWN_KEY_COOLDOWN);
    let fetches = scene.issuer.fetches();
    assert_eq!(scene.try_junk("withdrawn").await, "unknown_key");
    assert_eq!(scene.issuer.fetches(), fetches + 1);
}

/// The flood of the issue: every token of it names another key.
#[tokio::test]
async fn a_hundred_thousand_junk_tokens_cost_one_fetch_per_cooldown() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    let shape = junk("KID");
    let (header, rest) = shape.split_once('.').unwrap();
    let header = String::from_utf8(base64url::decode(header).unwrap()).unwrap();
    let seconds = 100;
    for second in 0..seconds {
        for n in 0..1000 {
            let header = header.replace("KID", &format!("{second}-{n}"));
            let token = format!("{}.{rest}", base64url::encode(header.as_bytes()));
            let rejection = scene.validator.validate(&token).await.unwrap_err();
            assert_eq!(rejection.code(), "unknown_key");
        }
        assert_eq!(scene.try_known().await, "ok");
        scene.clock.advance(Duration::from_secs(1));
    }
    let cooldowns = seconds / UNKNOWN_KEY_COOLDOWN.as_secs() + 1;
    assert_eq!(scene.issuer.fetches() as u64, 1 + cooldowns);
}

#[tokio::test]
async fn junk_cannot_use_up_the_periodic_refresh() {
    let scene = Scene::new();
    scene
        .issuer
        .answers(answer(&[&scene.key], Some(10 * MINUTE)));
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    scene.clock.advance(9 * MINUTE);
    // Junk claims its cooldown and gets nothing new …
    scene.issuer.answers_once(Answer::Down);
    assert_eq!(scene.try_junk("junk").await, "unknown_key");
    assert_eq!(scene.issuer.fetches(), 2);
    // … and the refresh that is due happens all the same.
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    assert_eq!(scene.issuer.fetches(), 3);
}

/// Four fifths of a life, and the half of a fifth over which replicas spread.
fn window(life: Duration) -> [Duration; 2] {
    let early = (life / 5 * 4).saturating_sub(Duration::from_secs(1));
    [early, life / 10 + Duration::from_secs(1)]
}

#[tokio::test]
async fn keys_are_refreshed_behind_a_request_after_four_fifths_of_their_life() {
    let scene = Scene::new();
    scene
        .issuer
        .answers(answer(&[&scene.key], Some(10 * MINUTE)));
    assert_eq!(scene.try_known().await, "ok");
    let [early, jitter] = window(10 * MINUTE);
    scene.clock.advance(early);
    assert_eq!(scene.try_known().await, "ok");
    assert_eq!(scene.issuer.fetches(), 1);

    scene.clock.advance(jitter);
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
async fn keys_are_refreshed_without_any_request_and_no_longer_than_there_is_a_validator() {
    let scene = Scene::new();
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    for _ in 0..24 {
        scene.clock.advance(LONGEST_SLEEP);
        scene.settle().await;
    }
    // Two hours, each refresh after 48 to 54 minutes.
    assert_eq!(scene.issuer.fetches(), 3);
    let Scene {
        clock,
        issuer,
        validator,
        ..
    } = scene;
    let clones = (validator.clone(), validator);
    drop(clones);
    for _ in 0..48 {
        clock.advance(LONGEST_SLEEP);
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.fetches(), 3);
}

/// Nobody sends requests to a service that says it is not ready.
#[test]
fn a_runtime_that_ended_is_followed_by_another_that_looks_after_the_keys() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let scene = Scene::new();
    runtime().block_on(async {
        for _ in 0..3 {
            assert_eq!(scene.try_known().await, "ok");
        }
    });
    assert_eq!(scene.issuer.fetches(), 1);
    runtime().block_on(async {
        // The keys are as fresh as before, so this has no other reason to look.
        assert_eq!(scene.try_known().await, "ok");
        scene.settle().await;
        assert_eq!(scene.issuer.fetches(), 1);
        scene.clock.advance(HOUR);
        scene.settle().await;
        assert_eq!(scene.issuer.fetches(), 2);
    });
}

#[tokio::test]
async fn missing_keys_are_asked_for_again_without_any_request() {
    let scene = Scene::new();
    scene.issuer.answers(Answer::Down);
    assert!(scene.validator.load_keys().await.is_err());
    for _ in 0..60 {
        scene.clock.advance(Duration::from_secs(1));
        scene.settle().await;
    }
    let tries = scene.issuer.fetches();
    assert!((3..=7).contains(&tries), "{tries} tries in a minute");
    scene.issuer.answers(answer(&[&scene.key], None));
    scene.clock.advance(LONGEST_RETRY);
    scene.settle().await;
    assert!(scene.validator.key_status().ready);
}

#[tokio::test]
async fn cache_control_is_clamped_to_between_five_minutes_and_a_day() {
    for (max_age, life) in [
        (Some(Duration::ZERO), 5 * MINUTE),
        (Some(Duration::MAX), 24 * HOUR),
        (None, HOUR),
    ] {
        let scene = Scene::new();
        scene.issuer.answers(answer(&[&scene.key], max_age));
        assert_eq!(scene.try_known().await, "ok");
        for (advance, fetches) in window(life).into_iter().zip(1..) {
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
    scene.settle().await;
    let generation = || scene.validator.key_status().generation;
    let before = generation();
    scene.clock.advance(HOUR / 10 * 9);
    scene.settle().await;
    assert_eq!(scene.issuer.fetches(), 2);
    assert_eq!(generation(), before, "the same document is the same set");
    let next = Key::generate("k2");
    scene.issuer.answers(answer(&[&next], None));
    scene.clock.advance(HOUR / 10 * 9);
    assert_eq!(scene.try_known().await, "ok");
    scene.settle().await;
    assert_ne!(generation(), before);
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

mod persisted {
    use std::fs;
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::*;

    /// A validator that keeps its keys in a file, of an issuer that can be down.
    struct Kept {
        scene: Scene,
        directory: TempDir,
    }

    impl Kept {
        /// After the keys were fetched once and written.
        async fn new() -> Self {
            let mut scene = Scene::new();
            let directory = tempfile::tempdir().unwrap();
            scene.validator = started(&scene, directory.path());
            let kept = Self { scene, directory };
            assert_eq!(kept.scene.try_known().await, "ok");
            kept.written(1).await;
            kept
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join("keys.json")
        }

        /// Waits for the thread that writes, which no fake clock covers.
        async fn written(&self, files: usize) {
            for _ in 0..1000 {
                let names = fs::read_dir(self.directory.path()).unwrap();
                let names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
                if names.len() == files && self.file().exists() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("the keys were not written");
        }

        /// The process ends and begins anew, while the issuer is down.
        fn restart(&mut self) {
            self.scene.issuer.answers(Answer::Down);
            self.scene.validator = started(&self.scene, self.directory.path());
        }

        /// Why the file is not believed.
        fn problem(&self) -> String {
            let status = self.scene.validator.key_status();
            let Some(error) = status.file_error else {
                return "none".to_owned();
            };
            assert_eq!(error.code(), "key_file_unusable");
            std::error::Error::source(&*error).unwrap().to_string()
        }
    }

    fn started(scene: &Scene, directory: &Path) -> Validator {
        validator(&scene.issuer, &scene.clock)
            .key_file(directory.join("keys.json"))
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn a_cold_start_without_the_issuer_begins_with_the_keys_of_before() {
        let mut kept = Kept::new().await;
        kept.restart();
        let fetches = kept.scene.issuer.fetches();
        assert!(kept.scene.validator.key_status().ready);
        // An hour, in which the issuer stays down.
        for _ in 0..60 {
            assert_eq!(kept.scene.try_known().await, "ok");
            kept.scene.clock.advance(MINUTE);
            kept.scene.settle().await;
        }
        assert!(kept.scene.issuer.fetches() > fetches);
        // Another key is asked for, and refused like any other time.
        assert_eq!(kept.scene.try_junk("k9").await, "unknown_key");
    }

    #[tokio::test]
    async fn keys_of_a_file_are_trusted_no_longer_than_others() {
        let mut kept = Kept::new().await;
        kept.scene.clock.advance(24 * HOUR + 59 * MINUTE);
        kept.restart();
        assert_eq!(kept.scene.try_known().await, "ok");
        kept.scene.clock.advance(MINUTE);
        assert_eq!(kept.scene.try_known().await, "keys_unavailable");
        kept.restart();
        assert_eq!(kept.scene.try_known().await, "keys_unavailable");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_file_is_private_and_one_that_others_may_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let mut kept = Kept::new().await;
        let mode = fs::metadata(kept.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for mode in [0o620, 0o602] {
            fs::set_permissions(kept.file(), fs::Permissions::from_mode(mode)).unwrap();
            kept.restart();
            assert_eq!(kept.problem(), "others may write it");
            assert_eq!(kept.scene.try_known().await, "keys_unavailable");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_ours_is_not_believed() {
        let mut kept = Kept::new().await;
        let good: Value = serde_json::from_slice(&fs::read(kept.file()).unwrap()).unwrap();
        for (member, value, problem) in [
            ("version", json!(2), "it is of another version"),
            (
                "issuer",
                json!("https://id.example.com/"),
                "it holds the keys of another issuer",
            ),
            (
                "fetched_at",
                json!((START + 1) * 1000),
                "it is dated in the future",
            ),
            ("keys", json!("{\"keys\":[]}"), "it holds no usable key"),
            ("keys", json!("<html>"), ""),
            ("keys", json!(7), ""),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            fs::write(kept.file(), bad.to_string()).unwrap();
            kept.restart();
            assert!(kept.problem().starts_with(problem), "{}", kept.problem());
            assert_ne!(kept.problem(), "none");
            assert!(!kept.scene.validator.key_status().ready);
        }
        fs::write(kept.file(), vec![b' '; 2 * 1024 * 1024]).unwrap();
        kept.restart();
        assert_ne!(kept.problem(), "none");
        // Whatever was there is replaced by what the issuer says.
        let answer = answer(&[&kept.scene.key], None);
        kept.scene.issuer.answers(answer);
        kept.scene.clock.advance(LONGEST_RETRY);
        assert_eq!(kept.scene.try_known().await, "ok");
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_reported_and_nothing_else() {
        let mut scene = Scene::new();
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("missing");
        scene.validator = started(&scene, &nowhere);
        assert_eq!(scene.try_known().await, "ok");
        for _ in 0..1000 {
            if scene.validator.key_status().file_error.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing was reported");
    }
}
