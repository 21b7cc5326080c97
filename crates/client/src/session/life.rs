//! From when to when a token is good.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A clock may be set back this far before what it said earlier is no longer believed.
const TOLERATED_STEP_BACK: Duration = Duration::from_secs(60);

/// From when to when a token is good, by this computer's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// When it was asked for: a slow answer cannot stretch it.
    pub(super) obtained_at: Timestamp,
    /// Unknown when the server did not say.
    pub(super) expires_at: Option<Timestamp>,
}

impl Life {
    #[cfg(test)]
    pub(crate) fn new(obtained_at: Timestamp, expires_at: Option<Timestamp>) -> Self {
        Self {
            obtained_at,
            expires_at,
        }
    }

    /// When the token was asked for.
    pub(crate) fn obtained_at(self) -> Timestamp {
        self.obtained_at
    }

    /// How much is left at `now`; `None` when nobody knows.
    pub(crate) fn left(self, now: Timestamp) -> Option<Duration> {
        // The clock has been set back since: how much time really passed, nobody knows.
        if now + TOLERATED_STEP_BACK < self.obtained_at {
            return self.expires_at.map(|_| Duration::ZERO);
        }
        self.expires_at.map(|expires_at| expires_at.since(now))
    }

    /// How long the token was good for when it was new.
    pub(crate) fn length(self) -> Option<Duration> {
        self.expires_at
            .map(|expires_at| expires_at.since(self.obtained_at))
    }
}
