//! What a person sees while they sign in: the code, the address, the QR code, and one calm line.
//!
//! Ctrl-C is left to the system on purpose. The waiting line always ends with a line break, so that
//! the cursor stands at the start of an empty line at every moment; nothing is hidden, no mode is
//! changed, and there is nothing to restore. Dying of the signal, instead of catching it and leaving
//! with 130, is also what a shell needs to see to stop the script that we run in; it reports 130.
//!
//! Not responsible for the login itself, nor for the filter for control characters: every text that
//! reaches a `Prompt` has been through it.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_client::{AuthorizationPrompt, BrowserOutcome, DevicePrompt, Notice, Prompt};

use crate::args::When;
use crate::duration;
use crate::output::{Paint, Voice, message};
use crate::qr::Qr;
use crate::sheet::{Approval, CODE, Line};
use crate::term::Terminal;

/// Rows below the instructions: the waiting line, and the cursor's.
const SPARE: usize = 2;

/// Shows a login on standard error.
#[derive(Debug)]
pub(crate) struct Screen {
    voice: Voice,
    terminal: Terminal,
    qr: When,
    user_code: String,
    /// The seconds that the waiting line shows, while there is one.
    shown: Option<u64>,
}

impl Screen {
    pub(crate) fn new(voice: Voice, terminal: Terminal, qr: When) -> Self {
        Self {
            voice,
            terminal,
            qr,
            user_code: String::new(),
            shown: None,
        }
    }

    fn instructions(&self, approval: Approval<'_>) -> String {
        let (qr, size) = match (self.qr, self.terminal) {
            // In a file or a log it would be noise.
            (When::Never, _) | (When::Auto, Terminal::Plain) => (None, None),
            (When::Always, _) => (Qr::new(approval.address()), None),
            (When::Auto, Terminal::Screen { columns, rows, .. }) => {
                let size = (usize::from(columns), usize::from(rows));
                (Qr::new(approval.address()), Some(size))
            }
        };
        // Colours are only ever for a terminal: a camera would read the escape sequences.
        let qr_paint = match self.terminal {
            Terminal::Plain => Paint::Plain,
            Terminal::Screen { .. } => self.voice.paint(),
        };
        let mut text = String::new();
        for line in approval.lines(qr.as_ref(), size, SPARE) {
            match line {
                Line::Text(words) => text.push_str(&words),
                Line::Code(code, words) => {
                    let _ = write!(text, "{CODE}{}{words}", self.voice.paint().bold(code));
                }
                Line::Address(address) => text.push_str(&self.terminal.hyperlink(address, address)),
                Line::Qr => {
                    let drawing = qr.as_ref().map(|qr| qr.draw(qr_paint)).unwrap_or_default();
                    text.push_str(drawing.trim_end_matches('\n'));
                }
                Line::Blank => {}
            }
            text.push('\n');
        }
        text
    }

    /// What takes the waiting line away, if there is one: up to it, to its start, and away with
    /// everything below.
    fn eraser(&mut self) -> &'static str {
        if self.shown.take().is_some() {
            "\x1b[A\r\x1b[J"
        } else {
            ""
        }
    }

    fn clear(&mut self) {
        message(self.eraser());
    }
}

impl Prompt for Screen {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.user_code.clone_from(&device.user_code);
        // Also with --quiet: without it nobody can sign in.
        message(&self.instructions(Approval {
            user_code: &device.user_code,
            verification_uri: &device.verification_uri,
            verification_uri_complete: device.verification_uri_complete.as_deref(),
        }));
        if self.terminal == Terminal::Plain {
            let left = duration::text(device.expires_in);
            self.voice.say(&format!(
                "Waiting for approval; the code is good for {left}."
            ));
        }
    }

    fn show_authorization(&mut self, authorization: &AuthorizationPrompt) {
        // Also with --quiet: without it nobody can sign in.
        message(&format!(
            "Open this address in a browser and sign in:\n  {}\n",
            self.terminal
                .hyperlink(&authorization.url, &authorization.url)
        ));
    }

    fn waiting(&mut self, remaining: Duration) {
        let Terminal::Screen { columns, .. } = self.terminal else {
            return;
        };
        if self.voice.is_quiet() || self.shown == Some(remaining.as_secs()) {
            return;
        }
        let line = waiting_line(&self.user_code, remaining);
        // A line that wraps could not be taken away again.
        if line.chars().count() >= usize::from(columns) {
            return;
        }
        // In one piece, so that nothing flickers.
        let eraser = self.eraser();
        message(&format!("{eraser}{}\n", self.voice.paint().faint(&line)));
        self.shown = Some(remaining.as_secs());
    }

    fn notice(&mut self, notice: &Notice) {
        self.clear();
        match notice {
            Notice::Browser(BrowserOutcome::Opened) => {
                self.voice.say("A browser window was opened.");
            }
            // The address is on the screen either way; why it was not opened is for the curious.
            Notice::Browser(_) => self.voice.detail(1, || notice.text()),
            _ => self.voice.say(&format!("({})", notice.text())),
        }
    }

    fn finished(&mut self) {
        self.clear();
    }
}

/// The line that is shown while the person is away. It repeats the code, because the code above may
/// have left the screen, and the person has to compare it (RFC 8628, section 3.3.1).
fn waiting_line(user_code: &str, remaining: Duration) -> String {
    format!(
        "Waiting for approval of {user_code} … {} left",
        duration::clock(remaining)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPROVAL: Approval<'_> = Approval {
        user_code: "BCDF-GHJK",
        verification_uri: "https://id.example.com/device",
        verification_uri_complete: Some("https://id.example.com/device?user_code=BCDF-GHJK"),
    };

    fn shown(terminal: Terminal, color: When, qr: When) -> String {
        Screen::new(Voice::new(false, 0, color), terminal, qr).instructions(APPROVAL)
    }

    const SCREEN: Terminal = Terminal::Screen {
        columns: 80,
        rows: 50,
        hyperlinks: true,
    };

    #[test]
    fn a_log_gets_a_qr_code_only_when_it_asks_and_colours_never() {
        assert!(!shown(Terminal::Plain, When::Never, When::Auto).contains('▀'));
        let asked = shown(Terminal::Plain, When::Never, When::Always);
        assert!(asked.contains('▀') && !asked.contains('\x1b'));
        assert!(!shown(Terminal::Plain, When::Always, When::Always).contains("48;5"));
    }

    #[test]
    fn a_screen_gets_colours_links_and_a_qr_code_unless_it_says_no() {
        let shown_there = shown(SCREEN, When::Always, When::Auto);
        assert!(shown_there.contains("\x1b[38;5;16;48;5;231m"));
        assert!(shown_there.contains("\x1b]8;;https://id.example.com/device\x1b\\"));
        assert!(!shown(SCREEN, When::Always, When::Never).contains('▀'));
    }

    #[test]
    fn the_waiting_line_repeats_the_code_and_fits() {
        let line = waiting_line("BCDF-GHJK", Duration::from_secs(598));
        assert_eq!(line, "Waiting for approval of BCDF-GHJK … 9:58 left");
        assert!(line.chars().count() < 80);
    }
}
