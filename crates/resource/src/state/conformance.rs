//! What every [`SharedState`] has to keep, as one suite that is run over each
//! implementation: in memory here, over the databases in the gateway.
//!
//! Its keys are new in every run, so it may run over a store that is in use.

use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Timestamp, crypto};
use tokio::task::JoinSet;

use super::{Advance, Attempt, Claim, Issued, Key, SharedState};

/// How many tasks do the same thing at the same time.
const PARALLEL: usize = 64;

/// Holds an implementation to its promises. `other` is a second replica over
/// the same store: another connection where there are connections. `now` has to
/// be near the store's own clock, if it has one.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn check(state: &Arc<dyn SharedState>, other: &Arc<dyn SharedState>, now: Timestamp) {
    let suite = Suite {
        state,
        other,
        now,
        run: random(),
    };
    suite.a_claim_is_first_once().await;
    suite.claims_of_different_keys_do_not_meet().await;
    suite.one_of_many_claims_is_first().await;
    suite.what_has_ended_is_not_claimed().await;
    suite.a_counter_only_moves_forward().await;
    suite.one_of_many_moves_to_the_same_place().await;
    suite.a_denial_reaches_the_other_replica().await;
    suite.a_denial_is_only_ever_widened().await;
    suite.attempts_are_counted_in_a_window().await;
    suite.of_many_attempts_the_limit_is_allowed().await;
    suite.a_grant_lasts_until_its_end_and_no_longer().await;
}

struct Suite<'a> {
    state: &'a Arc<dyn SharedState>,
    other: &'a Arc<dyn SharedState>,
    now: Timestamp,
    run: [u8; 16],
}

impl Suite<'_> {
    fn key(&self, name: &str) -> Key {
        Key::new("conformance", &[&self.run, name.as_bytes()])
    }

    fn later(&self, secs: u64) -> Timestamp {
        self.now + Duration::from_secs(secs)
    }

    async fn claim(&self, state: &Arc<dyn SharedState>, key: &Key, secs: u64) -> Claim {
        let claimed = state.claim(key, self.later(secs), self.now).await;
        claimed.expect("a claim is answered")
    }

    async fn a_claim_is_first_once(&self) {
        let key = self.key("claim");
        assert_eq!(self.claim(self.state, &key, 120).await, Claim::First);
        assert_eq!(self.claim(self.state, &key, 120).await, Claim::Again);
        assert_eq!(self.claim(self.other, &key, 120).await, Claim::Again);
        // Nor does asking for longer make it another one.
        assert_eq!(self.claim(self.other, &key, 600).await, Claim::Again);
    }

    async fn claims_of_different_keys_do_not_meet(&self) {
        let key = self.key("name");
        assert_eq!(self.claim(self.state, &key, 120).await, Claim::First);
        let elsewhere = Key::new("conformance-2", &[&self.run, b"name"]);
        assert_eq!(self.claim(self.state, &elsewhere, 120).await, Claim::First);
        let advanced = self.state.advance(&key, 1).await;
        assert_eq!(advanced.expect("answered"), Advance::Moved);
        assert!(!self.denied(self.state, &key, None).await);
    }

    async fn one_of_many_claims_is_first(&self) {
        for round in 0..8 {
            let key = self.key(&format!("race {round}"));
            let (now, expires) = (self.now, self.later(120));
            let first = self
                .together(move |state| async move {
                    state.claim(&key, expires, now).await.expect("answered") == Claim::First
                })
                .await;
            assert_eq!(first, 1, "of {PARALLEL} claims exactly one is the first");
        }
    }

    async fn what_has_ended_is_not_claimed(&self) {
        assert_eq!(
            self.claim(self.state, &self.key("past"), 0).await,
            Claim::Again
        );
    }

    async fn a_counter_only_moves_forward(&self) {
        let key = self.key("counter");
        for (to, expected) in [
            (0, Advance::Moved),
            (0, Advance::Behind),
            (7, Advance::Moved),
            (6, Advance::Behind),
            (7, Advance::Behind),
            (8, Advance::Moved),
            // The greatest that a signed column holds.
            (i64::MAX.unsigned_abs(), Advance::Moved),
            (9, Advance::Behind),
        ] {
            let advanced = self.other.advance(&key, to).await;
            assert_eq!(advanced.expect("answered"), expected, "to {to}");
        }
    }

    async fn one_of_many_moves_to_the_same_place(&self) {
        for round in 0..8 {
            let key = self.key(&format!("step {round}"));
            let moved = self
                .together(move |state| async move {
                    state.advance(&key, 5).await.expect("answered") == Advance::Moved
                })
                .await;
            assert_eq!(moved, 1, "of {PARALLEL} moves exactly one happens");
        }
    }

    async fn denied(
        &self,
        state: &Arc<dyn SharedState>,
        key: &Key,
        issued_at: Option<Timestamp>,
    ) -> bool {
        let keys = [self.key("never denied"), *key];
        let denied = state.denied(&keys, issued_at, self.now).await;
        let denied = denied.expect("answered");
        if let Some(at_once) = state.denied_now(&keys, issued_at, self.now) {
            assert_eq!(at_once, denied, "both ways to ask give one answer");
        }
        denied
    }

    async fn deny(&self, key: &Key, issued: Issued, secs: u64) {
        let until = self.later(secs);
        let done = self.state.deny(key, issued, until, self.now).await;
        done.expect("a denial is kept");
    }

    async fn a_denial_reaches_the_other_replica(&self) {
        let key = self.key("token");
        assert!(!self.denied(self.other, &key, None).await);
        self.deny(&key, Issued::Whenever, 120).await;
        assert!(self.denied(self.state, &key, None).await);
        assert!(self.denied(self.other, &key, Some(self.later(60))).await);
        let nobody = self.other.denied(&[], None, self.now).await;
        assert!(!nobody.expect("answered"));
    }

    async fn a_denial_is_only_ever_widened(&self) {
        let key = self.key("subject");
        let at = |secs| Some(self.later(secs));
        self.deny(&key, Issued::UpTo(self.later(10)), 120).await;
        assert!(self.denied(self.other, &key, at(10)).await);
        assert!(self.denied(self.other, &key, None).await);
        assert!(!self.denied(self.other, &key, at(11)).await);
        // Neither an earlier moment nor an earlier end takes anything back.
        self.deny(&key, Issued::UpTo(self.later(5)), 60).await;
        assert!(self.denied(self.other, &key, at(10)).await);
        self.deny(&key, Issued::UpTo(self.later(20)), 60).await;
        assert!(self.denied(self.other, &key, at(20)).await);
        let late = self.other.denied(&[key], at(20), self.later(119)).await;
        assert!(late.expect("answered"), "the later of both ends counts");
        self.deny(&key, Issued::Whenever, 60).await;
        self.deny(&key, Issued::UpTo(self.later(5)), 60).await;
        assert!(self.denied(self.other, &key, at(1_000)).await);
    }

    async fn attempts_are_counted_in_a_window(&self) {
        let key = self.key("attempts");
        let attempt = async |state: &Arc<dyn SharedState>, limit, until, now| {
            let (until, now) = (self.later(until), self.later(now));
            let attempt = state.attempt(&key, limit, until, now).await;
            attempt.expect("answered")
        };
        let is_exhausted = |attempt| match attempt {
            // Remembered to the second, and never shorter.
            Attempt::Exhausted { until } => until >= self.later(100) && until <= self.later(102),
            Attempt::Allowed => false,
        };
        assert_eq!(attempt(self.state, 2, 100, 0).await, Attempt::Allowed);
        // The first one says when the window ends.
        assert_eq!(attempt(self.other, 2, 900, 50).await, Attempt::Allowed);
        assert!(is_exhausted(attempt(self.state, 2, 900, 60).await));
        assert!(is_exhausted(attempt(self.other, 2, 900, 99).await));
        // A new window, which is the longer one.
        assert_eq!(attempt(self.other, 1, 900, 102).await, Attempt::Allowed);
        assert_ne!(attempt(self.state, 1, 990, 890).await, Attempt::Allowed);

        self.other.forgive(&key).await.expect("answered");
        assert_eq!(attempt(self.state, 1, 100, 0).await, Attempt::Allowed);
        assert!(is_exhausted(attempt(self.state, 1, 100, 0).await));
        self.state.forgive(&key).await.expect("answered");
        // Nothing is tried in no time, nor within a limit of none.
        assert_ne!(attempt(self.state, 1, 5, 5).await, Attempt::Allowed);
        assert_ne!(attempt(self.state, 0, 100, 0).await, Attempt::Allowed);
        let unknown = self.state.forgive(&self.key("never tried")).await;
        unknown.expect("there is nothing to forgive");
    }

    async fn of_many_attempts_the_limit_is_allowed(&self) {
        for round in 0..8 {
            let key = self.key(&format!("attempt {round}"));
            let (now, until) = (self.now, self.later(120));
            let allowed = self
                .together(move |state| async move {
                    let attempt = state.attempt(&key, 5, until, now).await;
                    attempt.expect("answered") == Attempt::Allowed
                })
                .await;
            assert_eq!(allowed, 5, "of {PARALLEL} attempts exactly five");
        }
    }

    async fn a_grant_lasts_until_its_end_and_no_longer(&self) {
        let key = self.key("grant");
        let granted = async |state: &Arc<dyn SharedState>, secs| {
            let granted = state.granted(&key, self.later(secs)).await;
            granted.expect("answered")
        };
        assert!(!granted(self.state, 0).await);
        for (secs, end) in [(60, 60), (120, 120), (30, 120)] {
            let done = self.state.grant(&key, self.later(secs), self.now).await;
            done.expect("a grant is kept");
            assert!(granted(self.other, end - 1).await, "{secs}");
            assert!(!granted(self.other, end).await, "{secs}");
        }
        assert_eq!(self.claim(self.state, &key, 120).await, Claim::First);
        assert!(!self.denied(self.state, &key, None).await);
    }

    /// How many of [`PARALLEL`] tasks, half of them on each replica, succeed.
    async fn together<F>(&self, act: impl Fn(Arc<dyn SharedState>) -> F) -> usize
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for number in 0..PARALLEL {
            let replica = if number % 2 == 0 {
                self.state
            } else {
                self.other
            };
            tasks.spawn(act(Arc::clone(replica)));
        }
        let outcomes = tasks.join_all().await;
        outcomes.into_iter().filter(|success| *success).count()
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    crypto::aws_lc::provider()
        .fill_random(&mut bytes)
        .expect("this machine has random values");
    bytes
}
