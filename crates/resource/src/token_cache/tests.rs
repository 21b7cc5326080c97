//! What the memory of tokens keeps, for how long, and at what cost.

use std::time::Duration;

use countersign_testkit::{Key, Signature};
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    FakeClock, FakeIssuer, START, answer, claims_with, good_claims, signed, validator,
};
use crate::{Clock, Validator};

struct Scene {
    key: Key,
    clock: FakeClock,
    issuer: FakeIssuer,
    validator: Validator,
}

impl Scene {
    fn new() -> Self {
        let key = Key::generate("k1");
        let clock = FakeClock::default();
        let issuer = FakeIssuer::publishing(&[&key]);
        Self {
            validator: validator(&issuer, &clock).build().unwrap(),
            key,
            clock,
            issuer,
        }
    }

    fn token(&self, changes: &Value) -> String {
        signed(&self.key, &claims_with(changes))
    }

    async fn meets(&self, token: &str) -> &'static str {
        match self.validator.validate(token).await {
            Ok(_) => "ok",
            Err(rejection) => rejection.code(),
        }
    }

    /// The very token that is remembered comes back.
    async fn is_remembered(&self, token: &str) -> bool {
        let [one, two] = [
            self.validator.validate(token).await.unwrap(),
            self.validator.validate(token).await.unwrap(),
        ];
        std::ptr::eq(one.claims(), two.claims())
    }

    async fn fetches_new_keys(&self, keys: &[&Key]) {
        self.issuer.answers(answer(keys, None));
        // Beyond nine tenths of an hour, the next request starts a refresh.
        self.clock.advance(Duration::from_secs(55 * 60));
        let fetches = self.issuer.fetches();
        let long = self.token(&json!({ "exp": START + 100_000 }));
        while self.issuer.fetches() == fetches {
            assert_eq!(self.meets(&long).await, "ok");
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_token_is_remembered_until_it_ends() {
    let scene = Scene::new();
    let token = scene.token(&json!({}));
    assert!(scene.is_remembered(&token).await);
    assert_eq!(scene.validator.remembered_tokens().0, 1);
    scene.clock.advance(Duration::from_secs(659));
    assert_eq!(scene.meets(&token).await, "ok");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.meets(&token).await, "expired");
}

#[tokio::test]
async fn nothing_but_the_very_same_bytes_is_met() {
    let scene = Scene::new();
    let token = scene.token(&json!({}));
    assert_eq!(scene.meets(&token).await, "ok");
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert_ne!(scene.meets(&other).await, "ok", "{at}");
    }
    assert_ne!(scene.meets(&format!("{token}=")).await, "ok");
}

#[tokio::test]
async fn what_is_demanded_is_compared_every_time() {
    let scene = Scene::new();
    let token = scene.token(&json!({ "scope": "openid", "auth_time": START }));
    assert!(scene.is_remembered(&token).await);
    let caller = scene.validator.validate(&token).await.unwrap();
    let demands = |builder: crate::DemandsBuilder| builder.build().unwrap();
    let meets = |demands| match scene.validator.meets(&caller, None, &demands) {
        Ok(()) => "ok",
        Err(rejection) => rejection.code(),
    };
    let wide = crate::Demands::builder().scope("openid").scope("admin");
    assert_eq!(meets(demands(wide)), "insufficient_scope");
    let recent = crate::Demands::builder().max_age(Duration::from_secs(300));
    let recent = demands(recent);
    assert_eq!(meets(recent.clone()), "ok");
    scene.clock.advance(Duration::from_secs(361));
    assert_eq!(meets(recent), "insufficient_user_authentication");
}

#[tokio::test]
async fn a_token_whose_key_was_withdrawn_is_forgotten_and_the_others_are_not() {
    let scene = Scene::new();
    let token = scene.token(&json!({ "exp": START + 100_000 }));
    let next = Key::generate("k2");
    assert!(scene.is_remembered(&token).await);
    scene.fetches_new_keys(&[&scene.key, &next]).await;
    let before = scene.validator.validate(&token).await.unwrap();
    assert!(scene.is_remembered(&token).await);
    let after = scene.validator.validate(&token).await.unwrap();
    assert!(
        std::ptr::eq(before.claims(), after.claims()),
        "a key that is new withdraws none"
    );
    scene.fetches_new_keys(&[&next]).await;
    assert_eq!(scene.meets(&token).await, "unknown_key");
    assert_eq!(scene.meets(&token).await, "unknown_key");
}

/// A service whose callers are all known must notice all the same.
#[tokio::test]
async fn tokens_that_are_remembered_keep_the_keys_fresh_and_end_with_them() {
    let scene = Scene::new();
    let token = scene.token(&json!({ "exp": START + 10_000_000 }));
    assert_eq!(scene.meets(&token).await, "ok");
    scene.issuer.answers(crate::testing::Answer::Down);
    scene.clock.advance(Duration::from_secs(55 * 60));
    assert_eq!(scene.meets(&token).await, "ok");
    tokio::task::yield_now().await;
    assert_eq!(scene.issuer.fetches(), 2, "a refresh was due");
    // An hour of life, and a day of staleness.
    scene.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(scene.meets(&token).await, "keys_unavailable");
}

#[tokio::test]
async fn junk_that_comes_again_costs_no_signature_but_a_new_key_is_tried() {
    let scene = Scene::new();
    let next = Key::generate("k2");
    // Without a key id, so that any key may have signed it.
    let header = json!({ "typ": "at+jwt", "kid": null });
    let claims = claims_with(&json!({ "exp": START + 100_000 }));
    let token = next.sign(&header, &claims, Signature::Good);
    assert_eq!(scene.meets(&token).await, "bad_signature");
    let cache = scene.validator.inner_cache();
    assert!(matches!(
        cache.get(&Digest::of(&token)),
        Some(Known::Bad(Junk::BadSignature, _))
    ));
    assert_eq!(scene.meets(&token).await, "bad_signature");
    scene.fetches_new_keys(&[&scene.key, &next]).await;
    assert_eq!(scene.meets(&token).await, "ok");
}

#[tokio::test]
async fn what_is_denied_is_forgotten() {
    let scene = Scene::new();
    let [one, two] = ["a", "b"].map(|jti| scene.token(&json!({ "jti": jti })));
    for token in [&one, &two] {
        assert_eq!(scene.meets(token).await, "ok");
    }
    scene.validator.forget(&one);
    assert_eq!(scene.validator.remembered_tokens().0, 1);
    scene.validator.forget_all();
    assert_eq!(scene.validator.remembered_tokens(), (0, 0));
}

/// A verification that began before a token was denied may end after it.
#[tokio::test]
async fn what_was_verified_before_a_denial_is_not_kept_after_it() {
    let scene = Scene::new();
    let token = verified(&scene, &json!({})).await;
    let cache = TokenCache::new(SMALLEST_SHARD);
    let epoch = cache.epoch();
    cache.forget(&a_token(1));
    cache.keep(a_token(1), Arc::clone(&token), BY, epoch, scene.clock.now());
    assert_eq!(cache.size(), (0, 0));
    cache.keep(a_token(1), token, BY, cache.epoch(), scene.clock.now());
    assert_eq!(cache.size().0, 1);
}

#[tokio::test]
async fn without_memory_nothing_is_remembered() {
    let mut scene = Scene::new();
    scene.validator = validator(&scene.issuer, &scene.clock)
        .token_cache(0)
        .build()
        .unwrap();
    let token = scene.token(&json!({}));
    assert!(!scene.is_remembered(&token).await);
}

fn a_token(number: u64) -> Digest {
    Digest::of(&number.to_string())
}

async fn verified(scene: &Scene, changes: &Value) -> Arc<AccessToken> {
    let token = scene.token(changes);
    Arc::new((*scene.validator.validate(&token).await.unwrap()).clone())
}

const BY: VerifiedBy = VerifiedBy::Issuer {
    trusted: 0,
    keys: 0,
};

#[tokio::test]
async fn the_bound_holds_and_tokens_in_use_stay() {
    let scene = Scene::new();
    let token = verified(&scene, &json!({ "x": "y".repeat(500) })).await;
    let now = scene.clock.now();
    let bound = 1024 * 1024;
    let cache = TokenCache::new(bound);
    let in_use: Vec<Digest> = (0..50).map(a_token).collect();
    for number in 0..10_000 {
        cache.keep(a_token(number), Arc::clone(&token), BY, 0, now);
        for digest in in_use.iter().take(usize::try_from(number).unwrap()) {
            let _ = cache.get(digest);
        }
        assert!(cache.size().1 <= bound);
    }
    let (tokens, bytes) = cache.size();
    assert!(bytes > bound * 9 / 10, "{bytes} of {bound}");
    assert!(tokens > 300, "{tokens}");
    let kept = in_use.iter().filter(|digest| cache.get(digest).is_some());
    assert!(kept.count() >= 45);
    // One that is larger than a shard is not taken, and costs nobody a place.
    let small = TokenCache::new(1000);
    small.keep(a_token(1), token, BY, 0, now);
    assert_eq!(small.size(), (0, 0));
}

#[tokio::test]
async fn tokens_that_have_ended_leave_before_those_in_use() {
    let scene = Scene::new();
    let ended = verified(&scene, &json!({})).await;
    let lasting = verified(&scene, &json!({ "exp": START + 100_000 })).await;
    let cache = TokenCache::new(SMALLEST_SHARD);
    let mut number = 0;
    // As many as there is room for, all used.
    loop {
        let before = cache.size().0;
        let token = if number % 2 == 0 { &ended } else { &lasting };
        cache.keep(a_token(number), Arc::clone(token), BY, 0, scene.clock.now());
        if cache.size().0 == before {
            break;
        }
        let _ = cache.get(&a_token(number));
        number += 1;
    }
    // Making room for the last one has cleared all marks.
    for number in 0..number {
        let _ = cache.get(&a_token(number));
    }
    scene.clock.advance(Duration::from_secs(1000));
    for more in 0..number / 4 {
        let digest = a_token(1_000_000 + more);
        cache.keep(digest, Arc::clone(&lasting), BY, 0, scene.clock.now());
    }
    let stays = |odd| {
        let numbers = (0..number).filter(|number| number % 2 == odd);
        numbers
            .filter(|number| cache.get(&a_token(*number)).is_some())
            .count()
    };
    let lasting = (0..number).filter(|number| number % 2 == 1).count();
    assert_eq!(stays(1), lasting);
    assert!(stays(0) < lasting);
}

#[tokio::test]
async fn keeping_the_same_tokens_again_takes_no_more_room() {
    let scene = Scene::new();
    let token = verified(&scene, &good_claims()).await;
    let cache = TokenCache::new(SMALLEST_SHARD);
    for round in 0..10_000 {
        cache.keep(
            a_token(round % 3),
            Arc::clone(&token),
            BY,
            0,
            scene.clock.now(),
        );
    }
    let shard = cache.shards[0].read().unwrap();
    assert_eq!(shard.entries.len(), 3);
    assert!(shard.queue.len() <= 22, "{}", shard.queue.len());
}
