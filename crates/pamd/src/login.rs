//! What is said about a login, between the socket and those who watch over sessions.

use crate::{Grant, Process, Reference};

/// A login, as the service describes it. Texts are as they came, and not fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The service of PAM, such as `sshd`.
    pub service: String,
    /// The account.
    pub user: String,
    /// Where the person comes from; empty for a local one.
    pub rhost: String,
    /// The terminal, `ssh` before there is one.
    pub tty: String,
    /// `SSH_CONNECTION`, where there is one.
    pub ssh_connection: String,
    /// `SSH_AUTH_INFO_0`: how the service has authenticated the person before.
    pub auth_info: String,
    /// What the login is known by in all its phases: the process that stays until the end.
    pub monitor: Process,
}

impl Login {
    /// Whether it is the beginning of a session, which is watched, and not a question to a person who is in
    /// already.
    pub(crate) fn begins_session(&self) -> bool {
        begins_session(&self.service)
    }
}

/// Whether a service lets people in, as opposed to those that they use from within.
pub(crate) fn begins_session(service: &str) -> bool {
    !matches!(service, "sudo" | "sudo-i" | "su" | "su-l")
}

/// What is known of a login once its session opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The kernel's audit session (`/proc/PID/sessionid`), which every process of the login inherits;
    /// `u32::MAX` where there is none.
    pub audit_session: u32,
    /// `XDG_SESSION_ID` of logind; empty where there is none.
    pub xdg_session: String,
}

/// What the module returns to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The person may.
    Success,
    /// The person may not.
    Denied,
    /// Nobody can say, because the authorization server or a part of the daemon is away.
    Unavailable,
    /// Something broke.
    Failed,
}

/// The end of a hook: the verdict and what the person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// For the person, fit for a terminal; empty for nothing.
    pub text: String,
    /// The reference of the login, if it has one.
    pub reference: Option<Reference>,
}

impl Answer {
    /// A verdict without a word.
    pub fn silent(verdict: Verdict) -> Self {
        Self {
            verdict,
            text: String::new(),
            reference: None,
        }
    }
}

/// Whoever watches over logins that are under way. Each is known by the process that stays until the
/// end, from the grant on.
///
/// Calls come from the threads of the socket, at the same time, and end within three seconds.
pub trait Sessions: Send + Sync {
    /// A person was let in (the end of `auth`).
    fn granted(&self, login: Process, grant: Grant);

    /// Whether the account may be used (`account`): after `auth` here, and after other ways to
    /// authenticate.
    fn account(&self, login: &Login) -> Answer;

    /// A session opens (`open_session`). Without a grant there is none.
    fn open(&self, login: &Login, opened: &Opened) -> Answer;

    /// A session is closed (`close_session`), or the login never came to one.
    fn close(&self, login: Process);

    /// How many logins are watched. The daemon does not end while there are any.
    fn watched(&self) -> usize;
}
