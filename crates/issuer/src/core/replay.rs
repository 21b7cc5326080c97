//! Which DPoP proofs were used before (RFC 9449, section 11.1).
//!
//! Kept in memory, and sound all the same: a proof that may have been
//! forgotten is never accepted. Everything dated before the *horizon* counts
//! as unknowable; a restart begins with the horizon at its own start, and a
//! memory that is full forgets the older half and moves the horizon behind it.
//! A client whose proof is unknowable is given a nonce and makes another one by
//! itself, so neither costs anybody a login.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_jose::Timestamp;

use super::model::Digest;

/// How many proofs are remembered: some minutes of a few hundred requests a
/// second.
const MOST: usize = 100_000;

/// What is known of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is used now, for the first time.
    Never,
    /// It was used before.
    Before,
    /// It is so old that it may have been used and forgotten.
    Unknowable,
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    dated: Timestamp,
    until: Timestamp,
}

/// The proofs that were used and could be accepted again.
#[derive(Debug)]
pub(super) struct Replays(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    horizon: Timestamp,
    most: usize,
    used: HashMap<Digest, Proof>,
}

impl Replays {
    /// Nothing was used before: right for records that are as new.
    pub(super) fn new() -> Self {
        Self::with_room_for(MOST)
    }

    fn with_room_for(most: usize) -> Self {
        Self(Mutex::new(Memory {
            horizon: Timestamp::from_millis(i64::MIN),
            most,
            used: HashMap::new(),
        }))
    }

    /// Whatever was made before `start` may have been used already.
    pub(super) fn begin_at(&self, start: Timestamp) {
        let mut memory = self.memory();
        memory.horizon = memory.horizon.max(start);
    }

    /// Uses a proof, dated so and acceptable until then.
    pub(super) fn use_once(
        &self,
        proof: Digest,
        dated: Timestamp,
        until: Timestamp,
        now: Timestamp,
    ) -> Seen {
        let mut memory = self.memory();
        if dated < memory.horizon {
            return Seen::Unknowable;
        }
        if memory.used.contains_key(&proof) {
            return Seen::Before;
        }
        if memory.used.len() >= memory.most {
            memory.make_room(now);
            if dated < memory.horizon {
                return Seen::Unknowable;
            }
        }
        memory.used.insert(proof, Proof { dated, until });
        Seen::Never
    }

    /// Forgets what would no longer be accepted for its age.
    pub(super) fn purge(&self, now: Timestamp) {
        let mut memory = self.memory();
        memory.used.retain(|_, proof| now <= proof.until);
        memory.used.shrink_to_fit();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn make_room(&mut self, now: Timestamp) {
        self.used.retain(|_, proof| now <= proof.until);
        if self.used.len() < self.most {
            return;
        }
        let mut dates: Vec<Timestamp> = self.used.values().map(|proof| proof.dated).collect();
        let middle = dates.len() / 2;
        let (_, newest_forgotten, _) = dates.select_nth_unstable(middle);
        self.horizon = *newest_forgotten + Duration::from_millis(1);
        let horizon = self.horizon;
        self.used.retain(|_, proof| proof.dated >= horizon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn after(millis: u64) -> Timestamp {
        T0 + Duration::from_millis(millis)
    }

    fn digest(number: u64) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn use_at(replays: &Replays, number: u64, dated: Timestamp) -> Seen {
        replays.use_once(digest(number), dated, dated + Duration::from_secs(60), T0)
    }

    #[test]
    fn a_proof_is_used_once() {
        let replays = Replays::new();
        assert_eq!(use_at(&replays, 1, T0), Seen::Never);
        assert_eq!(use_at(&replays, 1, T0), Seen::Before);
        assert_eq!(use_at(&replays, 2, T0), Seen::Never);
    }

    #[test]
    fn what_was_made_before_a_start_may_have_been_used() {
        let replays = Replays::new();
        replays.begin_at(after(1));
        assert_eq!(use_at(&replays, 1, T0), Seen::Unknowable);
        assert_eq!(use_at(&replays, 1, after(1)), Seen::Never);
        // It does not go back.
        replays.begin_at(T0);
        assert_eq!(use_at(&replays, 2, T0), Seen::Unknowable);
    }

    #[test]
    fn purging_forgets_only_what_is_too_old_to_be_accepted() {
        let replays = Replays::new();
        use_at(&replays, 1, T0);
        replays.purge(after(60_000));
        assert_eq!(use_at(&replays, 1, T0), Seen::Before);
        replays.purge(after(60_001));
        assert_eq!(replays.memory().used.len(), 0);
    }

    #[test]
    fn a_full_memory_accepts_nothing_that_it_may_have_forgotten() {
        let replays = Replays::with_room_for(10);
        for number in 0..10 {
            assert_eq!(use_at(&replays, number, after(number)), Seen::Never);
        }
        assert_eq!(use_at(&replays, 10, after(10)), Seen::Never);
        assert!(replays.memory().used.len() < 10);
        for number in 0..11 {
            assert_ne!(use_at(&replays, number, after(number)), Seen::Never);
        }
        assert_eq!(use_at(&replays, 99, after(3)), Seen::Unknowable);
        assert_eq!(use_at(&replays, 99, after(11)), Seen::Never);
    }

    /// Whatever comes in whatever order, however small the memory: nothing is
    /// accepted twice.
    #[test]
    fn no_proof_is_ever_used_twice() {
        let replays = Replays::with_room_for(16);
        let mut accepted = std::collections::HashSet::new();
        let mut random: u64 = 0x2545_F491_4F6C_DD1D;
        for step in 0..20_000_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) % 400;
            let now = after(step * 7);
            // A proof has its date for good; some are from the future.
            let dated = after(number * 350);
            let until = dated + Duration::from_secs(60);
            if dated > now + Duration::from_secs(5) || now > until {
                continue;
            }
            if replays.use_once(digest(number), dated, until, now) == Seen::Never {
                assert!(accepted.insert(number), "{number} at step {step}");
            }
            if step % 500 == 0 {
                replays.purge(now);
            }
        }
        assert!(accepted.len() > 50, "{} were accepted", accepted.len());
    }

    #[test]
    fn a_full_memory_of_one_date_starts_over_behind_it() {
        let replays = Replays::with_room_for(4);
        for number in 0..4 {
            use_at(&replays, number, T0);
        }
        assert_eq!(use_at(&replays, 5, T0), Seen::Unknowable);
        assert_eq!(use_at(&replays, 5, after(1)), Seen::Never);
    }
}
