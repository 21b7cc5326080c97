//! A person who has signed in, as their browser keeps it for us: the token that is checked at every
//! request, and how long this may go on.
//!
//! Not responsible for whether the token is good: it goes the way of every other token.

use std::time::Duration;

use countersign_jose::{Timestamp, base64url, crypto};
use countersign_oauth::{Secret, secret};
use countersign_resource::state::{Issued, Key, SharedState, StateError};
use serde::{Deserialize, Serialize};

use crate::config::SignIn as Wanted;

/// Whoever has just signed in and is still refused would be refused again.
const JUST_NOW: i64 = 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// By which it can be ended before its time. A new one at every sign-in.
    id: String,
    #[serde(with = "secret::exposed")]
    pub(super) access_token: Secret,
    /// For the provider's page to sign out at, if there is room for it.
    #[serde(default, with = "secret::exposed")]
    pub(super) id_token: Option<Secret>,
    began: i64,
    seen: i64,
    /// How the person was asked to sign in.
    #[serde(default)]
    asked_acr: Vec<String>,
}

impl Session {
    pub(super) fn begin(
        access_token: Secret,
        id_token: Option<Secret>,
        asked_acr: Vec<String>,
        now: Timestamp,
    ) -> Option<Self> {
        let mut id = [0; 16];
        crypto::aws_lc::provider().fill_random(&mut id).ok()?;
        Some(Self {
            id: base64url::encode(&id),
            access_token,
            id_token,
            began: now.as_secs(),
            seen: now.as_secs(),
            asked_acr,
        })
    }

    /// Whether it may still be used, as far as its own limits go.
    pub(super) fn is_alive(&self, wanted: &Wanted, now: Timestamp) -> bool {
        let now = now.as_secs();
        let within = |since: i64, limit: Duration| {
            let age = now.saturating_sub(since);
            age < i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)
        };
        within(self.began, wanted.longest) && within(self.seen, wanted.idle)
    }

    /// How long a browser is to keep it.
    pub(super) fn life(&self, wanted: &Wanted, now: Timestamp) -> Duration {
        let end = Timestamp::from_secs(self.began) + wanted.longest;
        end.since(now).min(wanted.idle)
    }

    /// Notes that it was used, if it was not noted lately: then the browser is to keep the new one.
    pub(super) fn touch(&mut self, wanted: &Wanted, now: Timestamp) -> bool {
        let often = (wanted.idle / 10).as_secs().clamp(1, 300);
        let is_due = now.as_secs().saturating_sub(self.seen) >= i64::try_from(often).unwrap_or(300);
        if is_due {
            self.seen = now.as_secs();
        }
        is_due
    }

    /// Whether to sign in once more would change nothing about a refusal that wants one of these
    /// classes.
    pub(super) fn would_be_in_vain(&self, acr: &[String], now: Timestamp) -> bool {
        now.as_secs().saturating_sub(self.began) < JUST_NOW
            || (!acr.is_empty() && self.asked_acr == acr)
    }

    fn key(&self) -> Key {
        Key::new("sign-in-session", &[self.id.as_bytes()])
    }

    /// Whether its owner has signed out, here or at another replica.
    pub(super) async fn is_ended(
        &self,
        state: &dyn SharedState,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        if state.denies_nothing() {
            return Ok(false);
        }
        let keys = [self.key()];
        let began = Some(Timestamp::from_secs(self.began));
        match state.denied_now(&keys, began, now) {
            Some(denied) => Ok(denied),
            None => state.denied(&keys, began, now).await,
        }
    }

    /// Ends it everywhere, whoever has a copy.
    pub(super) async fn end(
        &self,
        state: &dyn SharedState,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let until = Timestamp::from_secs(self.began) + wanted.longest;
        state
            .deny(&self.key(), Issued::Whenever, until.max(now), now)
            .await
    }
}
