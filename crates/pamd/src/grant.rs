//! What a login left behind, and how it is kept up.
//!
//! Not responsible for when a grant is renewed, nor for what becomes of a login whose grant is gone:
//! that is `session`.

use std::fmt;
use std::time::Duration;

use countersign_client::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Reference;

/// That a person may be in an account, by verified claims and a rule, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// What the person is called, fit for a terminal.
    pub name: String,
    /// How the person signed in.
    pub sign_in: SignIn,
    /// The local account.
    pub account: String,
    /// The rule that allowed it.
    pub rule: String,
    /// The service of PAM, such as `sshd`.
    pub service: String,
    /// Where the person came from, as the service says; empty for a local one. Rules that ask for a
    /// network are judged by it again at each renewal.
    pub rhost: String,
    /// What the person was shown.
    pub reference: Reference,
    /// When the person was let in.
    pub granted_at: Timestamp,
    /// The longest that a session may last from then on.
    pub max_session: Duration,
    /// When the access token ends, as far as the server says.
    pub access_expires: Option<Timestamp>,
    /// With what it is renewed. Without one it lasts as long as `max_session` allows, and cannot be
    /// renewed.
    pub refresh: Option<RefreshToken>,
}

impl Grant {
    /// Takes the refresh token out, to be given back.
    pub(crate) fn take_unused(&mut self) -> Option<Unused> {
        let refresh = self.refresh.take()?;
        Some(Unused {
            issuer: self.issuer.clone(),
            account: self.account.clone(),
            reference: self.reference.clone(),
            refresh,
        })
    }

    /// When it ends, whatever is renewed.
    pub fn ends_at(&self) -> Timestamp {
        self.granted_at + self.max_session
    }
}

/// What stays as it was at the sign-in, however often a grant is renewed (OpenID Connect Core 1.0,
/// section 12.2): a renewal need not say it again, and userinfo never does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// `acr`.
    #[serde(default)]
    pub acr: Option<String>,
    /// `amr`.
    #[serde(default)]
    pub amr: Vec<String>,
    /// `auth_time`, in seconds since 1970.
    #[serde(default)]
    pub auth_time: Option<i64>,
}

/// A refresh token. It is in no frame of the module and in no log, and in no file but the one in memory that
/// lets a later daemon go on (`session::record`).
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(pub(crate) Secret);

impl RefreshToken {
    /// Takes it as the server gave it.
    pub fn new(token: Secret) -> Self {
        Self(token)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// A refresh token that nobody will use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Who gave it out.
    pub issuer: String,
    /// The account that it was for.
    pub account: String,
    /// What the person was shown.
    pub reference: Reference,
    /// The token.
    pub refresh: RefreshToken,
}

/// Renews grants. Implemented over the worker, and by a script in tests.
pub trait Renewer: Send + Sync {
    /// Asks the authorization server for a new token, and judges the claims that come with it as if the
    /// person had just signed in. Ends within ten seconds.
    fn renew(&self, grant: &Grant) -> Renewed;

    /// Gives a token back to the authorization server, some time later and if that can be done. Returns at
    /// once.
    fn give_back(&self, unused: Unused);
}

/// What became of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewed {
    /// It goes on, perhaps under another rule, with the token for the next time.
    Still(Box<Grant>),
    /// It is over: the server refuses, or the policy does now. For the person and the journal.
    Withdrawn {
        /// Why, in a clause without a full stop.
        why: String,
        /// The token that the server would still take.
        refresh: Option<RefreshToken>,
    },
    /// Nobody can say: the server is away, or answers what is no answer.
    Unreachable {
        /// Why, for the journal.
        why: String,
        /// The token for the next time, where the server has replaced the last one all the same.
        refresh: Option<RefreshToken>,
    },
}

impl Renewed {
    /// The token that the server would take now, as far as that is known.
    pub(crate) fn into_refresh(self) -> Option<RefreshToken> {
        match self {
            Self::Still(grant) => grant.refresh,
            Self::Withdrawn { refresh, .. } | Self::Unreachable { refresh, .. } => refresh,
        }
    }
}
