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

use countersign_client::{BrowserOutcome, DevicePrompt, Notice, Prompt};

use crate::args::When;
use crate::duration;
use crate::output::{Paint, Voice, message};
use crate::qr::Qr;
use crate::term::Terminal;

/// Rows that must stay free for the code and the address above a QR code.
const ROWS_BESIDE_QR: usize = 4;

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

    /// The QR code of `text`, when it is wanted and there is room for it.
    fn qr(&self, text: &str) -> Option<Qr> {
        let qr = match self.qr {
            When::Never => return None,
            When::Auto | When::Always => Qr::new(text)?,
        };
        let fits = match (self.qr, self.terminal) {
            (When::Always, _) => true,
            // In a file or a log it would be noise.
            (_, Terminal::Plain) => false,
            (_, Terminal::Screen { columns, rows, .. }) => {
                qr.columns() <= usize::from(columns)
                    && qr.rows() + ROWS_BESIDE_QR <= usize::from(rows)
            }
        };
        fits.then_some(qr)
    }

    /// How a QR code is coloured: only ever on a terminal.
    fn qr_paint(&self) -> Paint {
        match self.terminal {
            Terminal::Plain => Paint::Plain,
            Terminal::Screen { .. } => self.voice.paint(),
        }
    }

    fn instructions(&self, device: &DevicePrompt) -> String {
        let paint = self.voice.paint();
        let link = |address: &str| self.terminal.hyperlink(address, address);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "Your one-time code: {}\n",
            paint.bold(&device.user_code)
        );
        let Some(complete) = &device.verification_uri_complete else {
            let _ = writeln!(text, "Open this page and enter the code:\n");
            let _ = writeln!(text, "{}\n", link(&device.verification_uri));
            if let Some(qr) = self.qr(&device.verification_uri) {
                let _ = writeln!(text, "{}", qr.draw(self.qr_paint()));
            }
            return text;
        };
        let _ = writeln!(
            text,
            "Open this page and check that it shows the same code:\n"
        );
        let _ = writeln!(text, "{}\n", link(complete));
        if let Some(qr) = self.qr(complete) {
            let _ = writeln!(text, "{}", qr.draw(self.qr_paint()));
        }
        let _ = writeln!(text, "Or enter the code on any device at\n");
        let _ = writeln!(text, "{}\n", link(&device.verification_uri));
        text
    }

    /// Takes the waiting line away, if there is one.
    fn clear(&mut self) {
        if self.shown.take().is_some() {
            // Up to the line, to its start, and away with everything below.
            message("\x1b[A\r\x1b[J");
        }
    }
}

impl Prompt for Screen {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.user_code.clone_from(&device.user_code);
        // Also with --quiet: without it nobody can sign in.
        message(&self.instructions(device));
        if self.terminal == Terminal::Plain {
            let left = duration::text(device.expires_in);
            self.voice.say(&format!(
                "Waiting for approval; the code is good for {left}."
            ));
        }
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
        self.clear();
        message(&format!("{}\n", self.voice.paint().faint(&line)));
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

    fn screen(columns: u16, rows: u16, qr: When) -> Screen {
        let terminal = Terminal::Screen {
            columns,
            rows,
            hyperlinks: false,
        };
        Screen::new(Voice::new(false, 0, When::Never), terminal, qr)
    }

    const ADDRESS: &str = "https://id.example.com/device?user_code=BCDF-GHJK";

    #[test]
    fn a_qr_code_needs_room_in_both_directions() {
        assert!(screen(80, 40, When::Auto).qr(ADDRESS).is_some());
        assert!(screen(30, 40, When::Auto).qr(ADDRESS).is_none());
        assert!(screen(80, 20, When::Auto).qr(ADDRESS).is_none());
        assert!(screen(30, 20, When::Always).qr(ADDRESS).is_some());
        assert!(screen(80, 40, When::Never).qr(ADDRESS).is_none());
    }

    #[test]
    fn a_log_gets_a_qr_code_only_when_it_asks() {
        let log = |qr| Screen::new(Voice::new(false, 0, When::Always), Terminal::Plain, qr);
        assert!(log(When::Auto).qr(ADDRESS).is_none());
        let asked = log(When::Always);
        assert!(
            !asked
                .qr(ADDRESS)
                .unwrap()
                .draw(asked.qr_paint())
                .contains('\x1b')
        );
    }

    #[test]
    fn the_waiting_line_repeats_the_code_and_fits() {
        let line = waiting_line("BCDF-GHJK", Duration::from_secs(598));
        assert_eq!(line, "Waiting for approval of BCDF-GHJK … 9:58 left");
        assert!(line.chars().count() < 80);
    }
}
