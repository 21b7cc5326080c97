//! What an administrator decides about sessions.
//!
//! Not responsible for where the settings come from.

use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of a session whose access was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRevoke {
    /// Its person is warned, then every process of the login is ended.
    #[default]
    Terminate,
    /// Its person is warned, and that is all: it ends with `max_session`.
    Warn,
}

/// How the processes of a login are told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kill {
    /// By all that there is.
    #[default]
    Auto,
    /// By the scope that logind made for the session.
    Logind,
    /// By the kernel's audit session.
    Sessionid,
}

/// What logins that did not sign in here (a public key) need in the account phase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Elsewhere {
    /// Nothing. They were authenticated by something else, and are neither judged nor watched.
    #[default]
    Pass,
    /// That the person of the account is signed in, and still may be.
    NeedsGrant {
        /// Accounts that need none, such as the one for emergencies.
        except: Vec<String>,
    },
}

impl Elsewhere {
    /// Whether a login to `account` has to be covered by a grant.
    pub(crate) fn needs_grant(&self, account: &str) -> bool {
        match self {
            Self::Pass => false,
            Self::NeedsGrant { except } => except.iter().all(|name| name != account),
        }
    }
}

/// What an administrator decides about sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of a session whose access was withdrawn.
    pub on_revoke: OnRevoke,
    /// How long the authorization server may be away before sessions end.
    pub offline_grace: Duration,
    /// How long before its end a session is warned.
    pub warning: Duration,
    /// How long a withdrawal may go unnoticed, where that is to be less than the life of tokens leads to.
    pub renew_every: Option<Duration>,
    /// How the processes of a login are told from others.
    pub kill: Kill,
    /// What logins that did not sign in here need.
    pub elsewhere: Elsewhere,
    /// How long a session may last, by the name of the rule that let its person in. A grant brings this with
    /// it; here it stands for those that were given before the rule was changed.
    pub max_session: BTreeMap<String, Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_revoke: OnRevoke::default(),
            offline_grace: Duration::from_secs(15 * 60),
            warning: Duration::from_secs(60),
            renew_every: None,
            kill: Kill::default(),
            elsewhere: Elsewhere::default(),
            max_session: BTreeMap::new(),
        }
    }
}
