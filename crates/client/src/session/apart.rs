//! The part of a session that only a vault keeps.
//!
//! The refresh token lets whoever has it be this person for weeks, and the client's secret is needed with
//! it; both are used once in a while. The access token is used by every command, and so is the key that
//! it is bound to (RFC 9449): those stay in the file.

use countersign_oauth::secret::exposed;
use countersign_store::{Divided, Record};
use serde::{Deserialize, Serialize};

use super::Session;
use crate::Secret;

/// What of a session is kept in a vault. Nothing but a vault has a use for it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSecrets {
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Secret>,
    #[serde(default, with = "exposed", skip_serializing_if = "Option::is_none")]
    client_secret: Option<Secret>,
}

/// What stands in the place of the secrets, so that what can be said without them can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Apart {
    /// There is a refresh token among them.
    pub(super) renewable: bool,
}

impl Session {
    /// The same with the refresh token that came with another access token than its own.
    pub(crate) fn rotated(mut self, refresh_token: Secret) -> Self {
        self.refresh_token = Some(refresh_token);
        self
    }
}

impl Record for Session {
    const VERSION: u32 = 2;
    /// Sessions of version 1 hold their secrets themselves.
    const OLDEST: u32 = 1;
}

impl Divided for Session {
    type Secrets = SessionSecrets;

    fn divide(&self) -> Option<(Self, SessionSecrets)> {
        if self.apart.is_some() {
            return None;
        }
        let mut clear = self.clone();
        clear.apart = Some(Apart {
            renewable: self.refresh_token.is_some(),
        });
        let secrets = SessionSecrets {
            refresh_token: clear.refresh_token.take(),
            client_secret: clear.client_secret.take(),
        };
        Some((clear, secrets))
    }

    fn unite(&mut self, secrets: SessionSecrets) {
        self.apart = None;
        self.refresh_token = secrets.refresh_token;
        self.client_secret = secrets.client_secret;
    }
}
