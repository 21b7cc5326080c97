//! What PAM lets a module see and do, as a trait, so that what uses it is tested without PAM.
//!
//! Not responsible for: pointers. See `ffi`.

use std::ffi::CStr;
use std::fmt;

use countersign_pam_wire::{Echo, Text, Typed};

/// PAM, as far as it is used here. What it does not know is empty.
pub(crate) trait Pam {
    /// The account. Where nobody has named it yet (login), PAM asks.
    fn ask_user(&mut self) -> Result<Vec<u8>, Failed>;
    /// An item.
    fn item(&self, item: Item) -> Vec<u8>;
    /// A variable of PAM's own environment, which is neither the process's nor the user's.
    fn variable(&self, name: &CStr) -> Vec<u8>;
    /// Shows a text and waits for a line.
    fn ask(&mut self, text: &Text, echo: Echo) -> Result<Typed, Failed>;
    /// Shows a text.
    fn tell(&mut self, text: &Text, tone: Tone) -> Result<(), Failed>;
    /// Writes a line to the log of authentications.
    fn log(&self, level: Level, line: &str);
}

/// The items that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Service,
    User,
    Tty,
    RemoteHost,
    RemoteUser,
}

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Info,
    Error,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Notice,
    Debug,
}

/// PAM, or the program that called it, could not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It said so, with this code.
    Code(i32),
    /// There is nothing to converse with, as at the end of a session of sshd's.
    NoConversation,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code} of PAM"),
            Self::NoConversation => f.write_str("there is no conversation"),
        }
    }
}
