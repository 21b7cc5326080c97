//! The names of keys for which the issuer was asked in vain.
//!
//! A client that keeps sending a token of a key long withdrawn would otherwise
//! take every fetch that the cooldown allows, and a key that really is new would
//! have to wait behind it. Each time a name is asked for in vain it has to wait
//! twice as long for its next turn; the others take theirs meanwhile.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long a name waits at most. A key that is signed with before it is
/// published is found after that at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// One name enters per cooldown, so that this many never wait at once.
const ROOM: usize = 64;

#[derive(Debug, Default)]
pub(super) struct AbsentKeys {
    /// By a keyed hash: names are text from outside, of any length.
    waits: HashMap<u64, Wait>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Wait {
    until: Duration,
    next: Duration,
}

impl AbsentKeys {
    /// Whether this name may not lead to a fetch yet.
    pub(super) fn must_wait(&self, name: &str, now: Duration) -> bool {
        self.waits
            .get(&self.hasher.hash_one(name))
            .is_some_and(|wait| now < wait.until)
    }

    /// A fetch begins for this name; it brings the key, or the name waits.
    pub(super) fn asked_for(&mut self, name: &str, now: Duration, cooldown: Duration) {
        if self.waits.len() >= ROOM {
            // Whoever has not come back for long may begin anew.
            self.waits
                .retain(|_, wait| now < wait.until.saturating_add(LONGEST_WAIT));
        }
        if self.waits.len() < ROOM {
            let first = Wait {
                until: now,
                next: cooldown.saturating_mul(2),
            };
            let wait = self
                .waits
                .entry(self.hasher.hash_one(name))
                .or_insert(first);
            wait.until = now.saturating_add(wait.next);
            wait.next = wait.next.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// The issuer has another set: every name may be in it.
    pub(super) fn forget(&mut self) {
        self.waits.clear();
    }
}
