//! The messages of both directions, their fields in the order of the wire, and the limits of these.
//!
//! Not responsible for: which message may follow which. Module and daemon each keep their own order.

use crate::error::WireError;
use crate::frame::{self, Encoded, Field, Fields, ReadFields, Spec};
use crate::process::Process;
use crate::text::{Line, Text, Typed};

/// The version that opens each connection. A session outlives an upgrade, and its module closes it
/// with the version that it was loaded with: what this number has been, the daemon goes on to read.
pub const VERSION: u64 = 1;

const fn spec(name: &'static str, limit: usize) -> Spec {
    Spec { name, limit }
}

const SERVICE: Spec = spec("service", 64);
const USER: Spec = spec("user", 256);
const RUSER: Spec = spec("ruser", 256);
const RHOST: Spec = spec("rhost", 256);
const TTY: Spec = spec("tty", 256);
const SSH_CONNECTION: Spec = spec("ssh_connection", 256);
/// Public keys and certificates stand in it, one in a line.
const AUTH_INFO: Spec = spec("auth_info", 16 * 1024);
const XDG_SESSION: Spec = spec("xdg_session", 64);
const ANSWER: Spec = spec("answer", 4096);
/// An address, a code and a QR code made of characters of three bytes each.
const TEXT: Spec = spec("text", 32 * 1024);
const REFERENCE: Spec = spec("reference", 64);

/// What the kernel writes where there is no audit session.
const NO_AUDIT_SESSION: u32 = u32::MAX;

/// From the module to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToDaemon {
    /// `pam_sm_authenticate`: who wants to sign in. The daemon prompts, and ends with `Done`.
    Begin(Login),
    /// What was answered to the last `Prompt`.
    Answer(Typed),
    /// `pam_sm_acct_mgmt`: whether this account may be used. Nobody can be asked here.
    Account(Login),
    /// `pam_sm_open_session`.
    Open(Opened),
    /// `pam_sm_close_session`, for the login with this process.
    Close {
        /// As [`Login::monitor`] was when the session was opened.
        monitor: Process,
    },
}

/// A login, as PAM describes it. What PAM does not say is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `PAM_SERVICE`: `sshd`, `sudo`, `login`.
    pub service: Line,
    /// `PAM_USER`: the account.
    pub user: Line,
    /// `PAM_RUSER`: who asks, where su and sudo know it.
    pub ruser: Line,
    /// `PAM_RHOST`: where from, as an address or a name.
    pub rhost: Line,
    /// `PAM_TTY`.
    pub tty: Line,
    /// `SSH_CONNECTION` of PAM's environment: client's address and port, server's address and port.
    pub ssh_connection: Line,
    /// `SSH_AUTH_INFO_0` of PAM's environment: the methods that succeeded before, one in a line.
    pub auth_info: Text,
    /// The process that stands for the whole login: sshd's monitor of the connection, else the
    /// program that called PAM.
    pub monitor: Process,
}

/// A session that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The login it belongs to.
    pub login: Login,
    /// The kernel's audit session (`/proc/self/sessionid`), which every process of the login has in
    /// common and none can change.
    pub audit_session: Option<u32>,
    /// `XDG_SESSION_ID` of PAM's environment, where `pam_systemd` put it.
    pub xdg_session: Line,
}

/// From the daemon to the module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToModule {
    /// Show this and wait for a line; an `Answer` brings it.
    Prompt {
        /// What is shown.
        text: Text,
        /// Whether what is typed is seen.
        echo: Echo,
    },
    /// Show this.
    Info {
        /// What is shown. An empty text is shown as well: some versions of sshd notice by it that a
        /// client is gone.
        text: Text,
    },
    /// Nothing to show: the daemon is at work, and the module waits on.
    Working,
    /// The end. Whatever it says is the last thing on this connection.
    Done {
        /// How it ended.
        verdict: Verdict,
        /// What the person is told of it; may be empty.
        text: Text,
        /// What the journal has the details under; may be empty.
        reference: Line,
    },
}

/// Whether what is typed is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// `PAM_PROMPT_ECHO_ON`.
    On,
    /// `PAM_PROMPT_ECHO_OFF`.
    Off,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Success,
    /// No: the person, the account or the policy.
    Denied,
    /// Nobody could be asked: the provider is away.
    Unavailable,
    /// Something went wrong, so no.
    Failed,
}

mod kind {
    pub(super) const BEGIN: u8 = 0x01;
    pub(super) const ANSWER: u8 = 0x02;
    pub(super) const ACCOUNT: u8 = 0x03;
    pub(super) const OPEN: u8 = 0x04;
    pub(super) const CLOSE: u8 = 0x05;
    pub(super) const PROMPT: u8 = 0x81;
    pub(super) const INFO: u8 = 0x82;
    pub(super) const DONE: u8 = 0x83;
    pub(super) const WORKING: u8 = 0x84;
}

impl ToDaemon {
    /// The bytes to send. An error names the field that is too long.
    pub fn encode(&self) -> Result<Encoded, WireError> {
        match self {
            Self::Begin(login) => frame::encode(kind::BEGIN, &login.fields()),
            Self::Answer(typed) => {
                frame::encode(kind::ANSWER, &[Field::Text(ANSWER, typed.expose())])
            }
            Self::Account(login) => frame::encode(kind::ACCOUNT, &login.fields()),
            Self::Open(opened) => {
                let audit_session = opened.audit_session.unwrap_or(NO_AUDIT_SESSION);
                let mut fields = opened.login.fields().to_vec();
                fields.push(Field::Number(audit_session.into()));
                fields.push(Field::Text(XDG_SESSION, opened.xdg_session.as_str()));
                frame::encode(kind::OPEN, &fields)
            }
            Self::Close { monitor } => {
                let [pid, start_time] = monitor.fields();
                frame::encode(kind::CLOSE, &[Field::Number(VERSION), pid, start_time])
            }
        }
    }
}

impl ReadFields for ToDaemon {
    fn read(kind: u8, fields: &mut Fields<'_>) -> Result<Self, WireError> {
        Ok(match kind {
            kind::BEGIN => Self::Begin(Login::read(fields)?),
            kind::ANSWER => Self::Answer(fields.typed(ANSWER)?),
            kind::ACCOUNT => Self::Account(Login::read(fields)?),
            kind::OPEN => Self::Open(Opened {
                login: Login::read(fields)?,
                audit_session: Some(fields.small("audit_session")?)
                    .filter(|session| *session != NO_AUDIT_SESSION),
                xdg_session: fields.line(XDG_SESSION)?,
            }),
            kind::CLOSE => {
                check_version(fields)?;
                Self::Close {
                    monitor: Process::read(fields)?,
                }
            }
            other => return Err(WireError::UnknownKind(other)),
        })
    }
}

impl ToModule {
    /// The bytes to send. An error names the field that is too long.
    pub fn encode(&self) -> Result<Encoded, WireError> {
        match self {
            Self::Prompt { text, echo } => {
                let echo = Field::Number(echo.to_wire());
                frame::encode(kind::PROMPT, &[Field::Text(TEXT, text.as_str()), echo])
            }
            Self::Info { text } => frame::encode(kind::INFO, &[Field::Text(TEXT, text.as_str())]),
            Self::Working => frame::encode(kind::WORKING, &[]),
            Self::Done {
                verdict,
                text,
                reference,
            } => frame::encode(
                kind::DONE,
                &[
                    Field::Number(verdict.to_wire()),
                    Field::Text(TEXT, text.as_str()),
                    Field::Text(REFERENCE, reference.as_str()),
                ],
            ),
        }
    }
}

impl ReadFields for ToModule {
    fn read(kind: u8, fields: &mut Fields<'_>) -> Result<Self, WireError> {
        Ok(match kind {
            kind::PROMPT => Self::Prompt {
                text: fields.lines(TEXT)?,
                echo: Echo::from_wire(fields.number("echo")?)?,
            },
            kind::INFO => Self::Info {
                text: fields.lines(TEXT)?,
            },
            kind::WORKING => Self::Working,
            kind::DONE => Self::Done {
                verdict: Verdict::from_wire(fields.number("verdict")?)?,
                text: fields.lines(TEXT)?,
                reference: fields.line(REFERENCE)?,
            },
            other => return Err(WireError::UnknownKind(other)),
        })
    }
}

impl Login {
    fn fields(&self) -> [Field<'_>; 10] {
        let [pid, start_time] = self.monitor.fields();
        [
            Field::Number(VERSION),
            Field::Text(SERVICE, self.service.as_str()),
            Field::Text(USER, self.user.as_str()),
            Field::Text(RUSER, self.ruser.as_str()),
            Field::Text(RHOST, self.rhost.as_str()),
            Field::Text(TTY, self.tty.as_str()),
            Field::Text(SSH_CONNECTION, self.ssh_connection.as_str()),
            Field::Text(AUTH_INFO, self.auth_info.as_str()),
            pid,
            start_time,
        ]
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        check_version(fields)?;
        Ok(Self {
            service: fields.line(SERVICE)?,
            user: fields.line(USER)?,
            ruser: fields.line(RUSER)?,
            rhost: fields.line(RHOST)?,
            tty: fields.line(TTY)?,
            ssh_connection: fields.line(SSH_CONNECTION)?,
            auth_info: fields.lines(AUTH_INFO)?,
            monitor: Process::read(fields)?,
        })
    }
}

impl Process {
    fn fields(self) -> [Field<'static>; 2] {
        [
            Field::Number(self.pid.into()),
            Field::Number(self.start_time),
        ]
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        Ok(Self {
            pid: fields.small("pid")?,
            start_time: fields.number("start_time")?,
        })
    }
}

impl Echo {
    fn to_wire(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::On => 1,
        }
    }

    fn from_wire(number: u64) -> Result<Self, WireError> {
        match number {
            0 => Ok(Self::Off),
            1 => Ok(Self::On),
            _ => Err(WireError::BadValue { field: "echo" }),
        }
    }
}

impl Verdict {
    fn to_wire(self) -> u64 {
        match self {
            Self::Success => 1,
            Self::Denied => 2,
            Self::Unavailable => 3,
            Self::Failed => 4,
        }
    }

    /// Nothing that is all zeros says yes.
    fn from_wire(number: u64) -> Result<Self, WireError> {
        match number {
            1 => Ok(Self::Success),
            2 => Ok(Self::Denied),
            3 => Ok(Self::Unavailable),
            4 => Ok(Self::Failed),
            _ => Err(WireError::BadValue { field: "verdict" }),
        }
    }
}

fn check_version(fields: &mut Fields<'_>) -> Result<(), WireError> {
    match fields.number("version")? {
        VERSION => Ok(()),
        other => Err(WireError::UnknownVersion(other)),
    }
}
