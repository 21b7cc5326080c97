//! What each of PAM's hooks does.
//!
//! Not responsible for: pointers and panics. See `ffi`.

use std::fmt;

use countersign_pam_wire::{Line, Login, Opened, Process, Text, ToDaemon, Verdict};

use crate::arguments::Arguments;
use crate::code::Code;
use crate::monitor::Caller;
use crate::pam::{Item, Level, Pam, Tone};
use crate::talk::{Limits, Outcome, Questions, Stream, talk};
use crate::trouble::Trouble;

/// What a person is told when the daemon cannot say it. The log has the reason.
const AWAY: &str = "Sign-in is not available on this host right now.";

/// The hooks, under the names that they are exported by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// `pam_sm_authenticate`
    Authenticate,
    /// `pam_sm_setcred`
    SetCredentials,
    /// `pam_sm_acct_mgmt`
    Account,
    /// `pam_sm_open_session`
    OpenSession,
    /// `pam_sm_close_session`
    CloseSession,
    /// `pam_sm_chauthtok`
    ChangeToken,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authenticate => "authenticate",
            Self::SetCredentials => "setcred",
            Self::Account => "acct_mgmt",
            Self::OpenSession => "open_session",
            Self::CloseSession => "close_session",
            Self::ChangeToken => "chauthtok",
        })
    }
}

impl Hook {
    /// How this hook says no.
    pub(crate) fn refusal(self) -> Code {
        match self {
            Self::Authenticate => Code::AuthenticationFailed,
            Self::SetCredentials => Code::CredentialsFailed,
            Self::Account => Code::PermissionDenied,
            Self::OpenSession | Self::CloseSession => Code::SessionFailed,
            Self::ChangeToken => Code::TokenFailed,
        }
    }

    /// How this hook says that nobody could be asked: only before a session may a stack have another
    /// way.
    fn unavailable(self) -> Code {
        match self {
            Self::Authenticate | Self::Account => Code::Unavailable,
            _ => self.refusal(),
        }
    }
}

/// Everything a hook needs that is not PAM's: tests have their own.
pub(crate) trait Place {
    type Stream: Stream;

    /// Connects to the daemon, and makes sure that it is root's.
    fn connect(&self, arguments: &Arguments) -> Result<Self::Stream, Trouble>;
    /// The process that this login is known by.
    fn monitor(&self, caller: Caller) -> Result<Process, Trouble>;
    /// The kernel's audit session of this process.
    fn audit_session(&self) -> Option<u32>;
}

/// Runs a hook with the arguments from `/etc/pam.d`.
pub(crate) fn run(hook: Hook, pam: &mut impl Pam, place: &impl Place, words: &[Vec<u8>]) -> Code {
    let arguments = match Arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(trouble) => {
            pam.log(Level::Error, &format!("{hook}: refused: {trouble}"));
            return hook.refusal();
        }
    };
    inject(&arguments, &hook.to_string());
    match hook {
        // There is nothing to set: what a login needs, it gets by its session.
        Hook::SetCredentials => return Code::Success,
        Hook::ChangeToken => {
            let line = "chauthtok: there is no password here to change";
            pam.log(Level::Error, line);
            return hook.refusal();
        }
        _ => {}
    }
    match ask_daemon(hook, pam, place, &arguments) {
        Ok(outcome) => conclude(hook, pam, &outcome),
        Err(trouble) => {
            pam.log(Level::Error, &format!("{hook}: refused: {trouble}"));
            match trouble {
                Trouble::Away(_) => {
                    if matches!(hook, Hook::Authenticate | Hook::Account) {
                        let _ = pam.tell(&Text::clean(AWAY), Tone::Error);
                    }
                    hook.unavailable()
                }
                Trouble::Wrong(_) => hook.refusal(),
            }
        }
    }
}

fn conclude(hook: Hook, pam: &mut impl Pam, outcome: &Outcome) -> Code {
    let (level, word, code) = match outcome.verdict {
        Verdict::Success => (Level::Notice, "granted", Code::Success),
        Verdict::Denied => (Level::Notice, "denied", hook.refusal()),
        Verdict::Unavailable => (Level::Warning, "not available", hook.unavailable()),
        Verdict::Failed => (Level::Warning, "failed", hook.refusal()),
    };
    let line = match outcome.reference.as_str() {
        "" => format!("{hook}: {word}"),
        reference => format!("{hook}: {word}, reference {reference}"),
    };
    pam.log(level, &line);
    code
}

fn ask_daemon(
    hook: Hook,
    pam: &mut impl Pam,
    place: &impl Place,
    arguments: &Arguments,
) -> Result<Outcome, Trouble> {
    let opening = opening(hook, pam, place)?;
    let limits = Limits::new(arguments.timeout);
    let mut stream = place.connect(arguments)?;
    if arguments.debug {
        let socket = arguments.socket.display();
        pam.log(Level::Debug, &format!("{hook}: connected to {socket}"));
    }
    inject(arguments, "connected");
    let questions = if hook == Hook::Authenticate {
        Questions::Allowed
    } else {
        Questions::Refused
    };
    let outcome = talk(pam, &mut stream, &opening, questions, limits);
    inject(arguments, "answered");
    outcome
}

/// What this hook says first.
fn opening(hook: Hook, pam: &mut impl Pam, place: &impl Place) -> Result<ToDaemon, Trouble> {
    let ssh_connection = text(&pam.variable(c"SSH_CONNECTION"));
    let caller = if ssh_connection.is_empty() {
        Caller::Other
    } else {
        Caller::Sshd
    };
    let monitor = place.monitor(caller)?;
    if hook == Hook::CloseSession {
        return Ok(ToDaemon::Close { monitor });
    }
    let user = match hook {
        Hook::Authenticate => pam
            .ask_user()
            .map_err(|failed| Trouble::Wrong(format!("no account was named: {failed}")))?,
        _ => pam.item(Item::User),
    };
    let login = Login {
        service: line(&pam.item(Item::Service)),
        user: name(&user)?,
        ruser: line(&pam.item(Item::RemoteUser)),
        rhost: line(&pam.item(Item::RemoteHost)),
        tty: line(&pam.item(Item::Tty)),
        ssh_connection: Line::clean(&ssh_connection),
        auth_info: Text::clean(&text(&pam.variable(c"SSH_AUTH_INFO_0"))),
        monitor,
    };
    Ok(match hook {
        Hook::OpenSession => ToDaemon::Open(Opened {
            login,
            audit_session: place.audit_session(),
            xdg_session: line(&pam.variable(c"XDG_SESSION_ID")),
        }),
        Hook::Account => ToDaemon::Account(login),
        _ => ToDaemon::Begin(login),
    })
}

/// An account's name, as it is or not at all: one that was made fit could be another's.
fn name(bytes: &[u8]) -> Result<Line, Trouble> {
    let name = std::str::from_utf8(bytes)
        .ok()
        .and_then(|it| it.parse().ok());
    let name: Line = name.ok_or_else(|| Trouble::wrong("the account's name is not plain text"))?;
    if name.is_empty() {
        return Err(Trouble::wrong("no account was named"));
    }
    Ok(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn line(bytes: &[u8]) -> Line {
    Line::clean(&text(bytes))
}

/// Panics if the arguments say so, in the build that tests make for this.
#[cfg(feature = "danger_panic_injection")]
fn inject(arguments: &Arguments, place: &str) {
    assert!(
        arguments.panic.as_deref() != Some(place.as_bytes()),
        "asked for"
    );
}

#[cfg(not(feature = "danger_panic_injection"))]
fn inject(_arguments: &Arguments, _place: &str) {}

#[cfg(test)]
mod tests;
