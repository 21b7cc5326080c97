//! What a person is shown during a login. Drawing it is the caller's business.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use countersign_oauth::NotOurs;
use countersign_oauth::text::printable;

use countersign_store::VaultKind;

use crate::{BrowserOutcome, Place, Secret, SignIn};

/// Shows a login to a person. Implemented by whoever owns the screen.
///
/// A login calls [`show_device`](Self::show_device) or [`show_authorization`](Self::show_authorization)
/// when the person has something to do, then [`waiting`](Self::waiting) and
/// [`pasted`](Self::pasted) several times a second until it has been done, then
/// [`finished`](Self::finished). When the server does not let them in this way, there may be another:
/// [`offer`](Self::offer) asks, and it begins anew.
///
/// Every text that reaches a method has come from a server and has been through the filter for
/// control characters already; URLs are `https`, or loopback.
pub trait Prompt {
    /// Shows where to go and which code to enter. Called once, before any browser is opened: who
    /// does not see the code cannot compare it (RFC 8628, section 3.3.1).
    fn show_device(&mut self, device: &DevicePrompt);

    /// Shows which address to open in a browser, and how the answer comes back. Called once, before any
    /// browser is opened.
    fn show_authorization(&mut self, authorization: &AuthorizationPrompt);

    /// Whether [`pasted`](Self::pasted) may ever answer something. If not, nobody is sent to a page whose
    /// answer has to be brought back by hand.
    fn takes_paste(&self) -> bool {
        false
    }

    /// What the person has pasted since the last call: a whole line, once, and without waiting for one.
    /// Asked several times a second while an authorization is shown. It is a secret.
    fn pasted(&mut self) -> Option<Secret> {
        None
    }

    /// What was pasted is not the answer that is waited for; waiting goes on.
    fn paste_refused(&mut self, refused: &PasteRefused) {
        let _ = refused;
    }

    /// Whether to sign in another way, after one has turned out to be closed. May wait for an answer.
    /// Who does not ask says no, and the login ends with the error that closed the first way.
    fn offer(&mut self, fallback: &Fallback) -> bool {
        let _ = fallback;
        false
    }

    /// As [`offer`](Self::offer), while the first way may still lead somewhere: a browser that is said
    /// not to have opened can come back all the same. Who waits for an answer asks `settled` several
    /// times a second. Once that is so nobody needs the answer any more, and it is no.
    fn offer_meanwhile(&mut self, fallback: &Fallback, settled: &mut dyn FnMut() -> bool) -> bool {
        let _ = settled;
        self.offer(fallback)
    }

    /// Called several times a second while somebody has to do something; `remaining` is the time until
    /// it is too late.
    fn waiting(&mut self, remaining: Duration) {
        let _ = remaining;
    }

    /// Something the person should know, which ends nothing.
    fn notice(&mut self, notice: &Notice) {
        let _ = notice;
    }

    /// Called once when a waiting is over, however it ended, so that a line can be cleaned up.
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

/// What a person needs to sign in with a browser (RFC 6749, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationPrompt {
    /// [`SignIn::Browser`] when a browser on this computer is meant, and opened if one can be;
    /// [`SignIn::Paste`] when it may be on any computer.
    pub flow: SignIn,
    /// The address to open.
    pub url: String,
    /// How soon it has to be opened, where the server remembers the request for a while only (RFC 9126).
    pub opens_within: Option<Duration>,
    /// Where the browser is sent afterwards.
    pub redirect_uri: String,
    /// Whether a browser on this computer brings the answer back by itself.
    pub comes_back: bool,
    /// What the person can bring back by hand, if the prompt takes it.
    pub paste: Option<Paste>,
    /// How long there is time.
    pub expires_in: Duration,
    /// The authorization server that is signing the person in.
    pub issuer: String,
    /// The application they are signing in to.
    pub client_id: String,
}

/// What a person copies from the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Paste {
    /// The code that the page shows in the end, or the address of that page.
    Code,
    /// The address of the page in the end, which a browser on another computer cannot open.
    Address,
}

/// Why what was pasted is not the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasteRefused {
    /// There is neither a code nor an error in it, or it is garbled.
    NoCode,
    /// It belongs to another sign-in: an older page, or somebody else's.
    OtherSignIn,
    /// It is an address, but not the one where the browser ends: the one to sign in at, perhaps.
    OtherAddress,
}

impl PasteRefused {
    pub(crate) fn new(reason: NotOurs) -> Self {
        match reason {
            NotOurs::OtherState | NotOurs::StateMissing => Self::OtherSignIn,
            NotOurs::OtherAddress => Self::OtherAddress,
            _ => Self::NoCode,
        }
    }

    /// One line for a person.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoCode => {
                "there is no code in it: copy the whole address that the browser shows in the end"
            }
            Self::OtherSignIn => "it belongs to another sign-in: open the address above once more",
            Self::OtherAddress => {
                "it is another address: copy the one that the browser shows after signing in"
            }
        }
    }
}

/// Another way to sign in, after one has turned out to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fallback {
    /// The way that is closed.
    pub from: SignIn,
    /// The way that may be open.
    pub to: SignIn,
    /// What closed the first, one line, fit to print.
    pub why: String,
    /// Whether the caller asked for `from` by name. Otherwise it was chosen, and nobody minds another.
    pub asked_for: bool,
}

impl Fallback {
    /// One line for a person.
    pub fn text(&self) -> String {
        format!(
            "no {}: {}; there is {}",
            self.from.text(),
            self.why,
            self.to.text()
        )
    }
}

/// Something the person should know, which ends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// This way to sign in was chosen, because of the place and of what the server offers.
    Chosen {
        /// The way.
        flow: SignIn,
        /// The kind of place this seems to be.
        place: Place,
    },
    /// Another program has the port that the browser was to come back to.
    PortInUse {
        /// The port.
        port: u16,
        /// The one that is tried instead, if there is one left.
        next: Option<u16>,
    },
    /// Something came to the listener, or was pasted, that is not the answer of this login. Nothing
    /// changes: it is for those who want to know why nothing happens.
    Ignored {
        /// What it was, one line, fit to print.
        what: String,
    },
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
    /// The refresh token is kept in another place than the one that was preferred.
    VaultPassedOver {
        /// The place that was preferred.
        kind: VaultKind,
        /// There is no such place here: nothing is out of order, and nothing could be mended.
        absent: bool,
        /// What keeps it from being used, one line, fit to print.
        why: String,
        /// The place that is used.
        instead: VaultKind,
    },
}

impl Notice {
    /// One line for a person.
    pub fn text(&self) -> String {
        match self {
            Self::Chosen { flow, place } => {
                format!("this is {}: {}", place.text(), flow.text())
            }
            Self::PortInUse { port, next } => {
                let next = next.map_or_else(String::new, |next| format!("; trying {next}"));
                format!("port {port} is in use by another program{next}")
            }
            Self::Ignored { what } => format!("not the answer: {}", printable(what)),
            Self::Browser(BrowserOutcome::Opened) => "a browser window was opened".to_owned(),
            Self::Browser(outcome) => format!("no browser was opened: {}", outcome.text()),
            Self::ClockOffset { by, ahead } => {
                let direction = if *ahead { "ahead of" } else { "behind" };
                // Differences below a minute are nobody's concern.
                let minutes = (by.as_secs() + 30) / 60;
                let plural = if minutes == 1 { "" } else { "s" };
                format!(
                    "the clock of this computer is {minutes} minute{plural} {direction} the server's"
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
            Self::VaultPassedOver { why, instead, .. } => {
                format!("{why}; the refresh token is kept {}", instead.place())
            }
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

    fn show_authorization(&mut self, authorization: &AuthorizationPrompt) {
        self.line("Open this address in a browser on this computer and sign in:");
        self.line(&format!("  {}", authorization.url));
    }

    fn offer(&mut self, fallback: &Fallback) -> bool {
        // Nobody is asked here. What was asked for by name is not replaced by something else.
        if !fallback.asked_for {
            self.line(&format!("({})", fallback.text()));
        }
        !fallback.asked_for
    }

    fn notice(&mut self, notice: &Notice) {
        if let Notice::Chosen { .. }
        | Notice::Ignored { .. }
        | Notice::VaultPassedOver { absent: true, .. } = notice
        {
            return;
        }
        let text = notice.text();
        self.line(&format!("({text})"));
    }
}
