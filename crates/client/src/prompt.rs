//! What a person is shown during a login. Drawing it is the caller's business.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use countersign_oauth::text::printable;

use crate::BrowserOutcome;

/// Shows a login to a person. Implemented by whoever owns the screen.
///
/// Every text that reaches a method has come from a server and has been through the filter for
/// control characters already; URLs are `https`, or loopback.
pub trait Prompt {
    /// Shows where to go and which code to enter. Called once, before any browser is opened: who
    /// does not see the code cannot compare it (RFC 8628, section 3.3.1).
    fn show_device(&mut self, device: &DevicePrompt);

    /// Called several times a second while the server is being asked; `remaining` is the time until
    /// the code expires.
    fn waiting(&mut self, remaining: Duration) {
        let _ = remaining;
    }

    /// Something the person should know, which ends nothing.
    fn notice(&mut self, notice: &Notice) {
        let _ = notice;
    }

    /// Called once when the waiting is over, however it ended, so that a line can be cleaned up.
    fn finished(&mut self) {}

    /// Whether the person wants to stop. Asked several times a second while waiting.
    fn cancelled(&self) -> bool {
        false
    }
}

/// What a person needs to approve a login on another device (RFC 8628, section 3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePrompt {
    /// The code to enter or to compare, as the server wrote it.
    pub user_code: String,
    /// The address to open by hand.
    pub verification_uri: String,
    /// The address with the code in it, for a QR code or a link; not every server has one.
    pub verification_uri_complete: Option<String>,
    /// How long the code is good for.
    pub expires_in: Duration,
    /// The authorization server that is signing the person in.
    pub issuer: String,
    /// The application they are signing in to.
    pub client_id: String,
}

/// Something the person should know, which ends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A browser was opened, or why not.
    Browser(BrowserOutcome),
    /// This computer's clock and the server's differ by more than a minute.
    ClockOffset {
        /// By how much.
        by: Duration,
        /// Whether this computer is ahead of the server.
        ahead: bool,
    },
    /// The server could not be reached or answered with an error; asking goes on.
    Retrying {
        /// What happened, one line.
        why: String,
    },
    /// The kept session was damaged and has been set aside.
    SessionSetAside {
        /// Where it is now, unless it could not be moved.
        kept_as: Option<PathBuf>,
    },
    /// Another process is signing in to the same session; this one waits for it.
    WaitingForLogin,
}

impl Notice {
    /// One line for a person.
    pub fn text(&self) -> String {
        match self {
            Self::Browser(BrowserOutcome::Opened) => "a browser window was opened".to_owned(),
            Self::Browser(outcome) => format!("no browser was opened: {}", outcome.text()),
            Self::ClockOffset { by, ahead } => {
                let direction = if *ahead { "ahead of" } else { "behind" };
                format!(
                    "the clock of this computer is {} seconds {direction} the server's",
                    by.as_secs()
                )
            }
            Self::Retrying { why } => format!("still trying: {}", printable(why)),
            Self::SessionSetAside {
                kept_as: Some(path),
            } => {
                let path = path.to_string_lossy();
                format!(
                    "the saved session was damaged and was kept as {}",
                    printable(&path)
                )
            }
            Self::SessionSetAside { kept_as: None } => "the saved session was damaged".to_owned(),
            Self::WaitingForLogin => "waiting for another login that is under way".to_owned(),
        }
    }
}

/// A prompt of plain lines, for programs that want nothing more: no colours, no cursor movement.
#[derive(Debug)]
pub struct PlainPrompt<W> {
    writer: W,
}

impl<W: Write> PlainPrompt<W> {
    /// Writes to `writer`, which should be the standard error stream: standard output belongs to
    /// what the program was asked for.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// A prompt that cannot be written must not end a login that may succeed without it.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.writer, "{line}");
        let _ = self.writer.flush();
    }
}

impl<W: Write> Prompt for PlainPrompt<W> {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.line(&format!("Your one-time code: {}", device.user_code));
        self.line("Open this address and check that it shows the same code:");
        let address = device
            .verification_uri_complete
            .as_ref()
            .unwrap_or(&device.verification_uri);
        self.line(&format!("  {address}"));
        if device.verification_uri_complete.is_some() {
            self.line(&format!(
                "Or open {} and enter the code.",
                device.verification_uri
            ));
        }
    }

    fn notice(&mut self, notice: &Notice) {
        let text = notice.text();
        self.line(&format!("({text})"));
    }
}
