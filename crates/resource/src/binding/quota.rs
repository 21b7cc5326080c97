//! How many proofs one key may use in a while, so that the holder of one token
//! cannot fill the memory that all others need.
//!
//! Counted by each replica for itself, and only for keys that a good token is
//! bound to.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_jose::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);

/// Beyond so many keys at once no more are counted: the memory's own bound
/// holds all the same.
const ROOM: usize = 16 * 1024;

pub(super) struct Quota {
    limit: u32,
    hasher: RandomState,
    counted: Mutex<HashMap<u64, Window>>,
}

struct Window {
    began: Timestamp,
    used: u32,
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.began + WINDOW || now < self.began
    }
}

impl Quota {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            hasher: RandomState::new(),
            counted: Mutex::default(),
        }
    }

    /// Counts another proof of this key.
    ///
    /// # Errors
    ///
    /// How long it has to wait, when there were too many.
    pub(super) fn take(&self, thumbprint: &str, now: Timestamp) -> Result<(), Duration> {
        let key = self.hasher.hash_one(thumbprint);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= ROOM && !counted.contains_key(&key) {
            counted.retain(|_, window| !window.is_over(now));
            if counted.len() >= ROOM {
                return Ok(());
            }
        }
        let fresh = Window {
            began: now,
            used: 0,
        };
        let window = counted.entry(key).or_insert(fresh);
        if window.is_over(now) {
            window.began = now;
            window.used = 0;
        }
        if window.used >= self.limit {
            return Err((window.began + WINDOW).since(now));
        }
        window.used += 1;
        Ok(())
    }

    /// Takes back the count of a proof that was used before: whoever replays
    /// somebody's proof shall not use up their share.
    pub(super) fn give_back(&self, thumbprint: &str) {
        let key = self.hasher.hash_one(thumbprint);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = counted.get_mut(&key) {
            window.used = window.used.saturating_sub(1);
        }
    }
}
