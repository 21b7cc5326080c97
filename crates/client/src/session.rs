//! What is kept of a login, and what can be said about it without a network.

use std::time::Duration;

use countersign_store::Record;
use serde::{Deserialize, Serialize};

use crate::{Secret, Timestamp};

/// Who signed in, from the verified ID token. Text from outside: filter it before printing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Identity {
    /// The person's identifier at the issuer: stable, and unique there only.
    pub subject: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// The name they sign in with, as a rule. Can change, and need not be unique.
    pub preferred_username: Option<String>,
    /// The e-mail address. Verified or not, as the server sees it.
    pub email: Option<String>,
    /// The authentication context class the server reached (`acr`).
    pub acr: Option<String>,
    /// When the person last authenticated, in seconds since 1970 (`auth_time`).
    pub auth_time: Option<i64>,
}

/// A login that is kept: its tokens, and what is known about them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    issuer: String,
    client_id: String,
    identity: Identity,
}

impl Record for Session {
    const VERSION: u32 = 1;
}

impl Session {
    /// The issuer the person signed in at.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The application they signed in to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Who signed in.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The scopes that were granted; those asked for when the server did not say.
    pub fn scopes(&self) -> &[String] {
        &[]
    }

    /// The `audience` that was asked for.
    pub fn audience(&self) -> Option<&str> {
        None
    }

    /// The access token, whether still good or not.
    pub fn access_token(&self) -> &Secret {
        unreachable!("no session can be made before this is written")
    }

    /// The ID token, when the server issued one.
    pub fn id_token(&self) -> Option<&Secret> {
        None
    }

    /// Whether the session can be renewed without a person.
    pub fn has_refresh_token(&self) -> bool {
        false
    }

    /// When the access token was issued, by this computer's clock.
    pub fn obtained_at(&self) -> Timestamp {
        Timestamp::from_secs(0)
    }

    /// When the access token expires, by this computer's clock; `None` when the server did not say.
    pub fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// How long the access token is still good at `now`; zero when it is not, `None` when the server
    /// did not say.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let _ = now;
        None
    }
}
