//! What a person sees while they sign in: the code, the address, the QR code, and one calm line.
//!
//! Ctrl-C is left to the system on purpose. The waiting line always ends with a line break, so that
//! the cursor stands at the start of an empty line at every moment; nothing is hidden, no mode is
//! changed, and there is nothing to restore. Dying of the signal, instead of catching it and leaving
//! with 130, is also what a shell needs to see to stop the script that we run in; it reports 130.
//!
//! Where something can be pasted, the empty line is where it goes, and nothing above it moves: what a
//! person types must not be written over. The time that is left is then said once.
//!
//! Not responsible for the login itself, nor for the filter for control characters: every text that
//! reaches a `Prompt` has been through it.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, BrowserOutcome, DevicePrompt, Fallback, Notice, PasteRefused, Prompt,
    Secret,
};
use countersign_console::qr::{Colours, QUIET, Qr};

use crate::args::When;
use crate::keyboard::{Keyboard, Typed};
use crate::output::{Paint, Voice, fold, message};
use crate::sheet::{Approval, CODE, Line};
use crate::term::Terminal;
use crate::{authorization, duration, question, ways};

/// Rows below the instructions: the waiting line, and the cursor's.
const SPARE: usize = 2;

/// Shows a login on standard error, and takes what is pasted on standard input.
#[derive(Debug)]
pub(crate) struct Screen {
    voice: Voice,
    terminal: Terminal,
    qr: When,
    /// Whether questions may be asked.
    asks: bool,
    /// Where a paste comes from, if one can come.
    keyboard: Option<Keyboard>,
    /// What is waited for, while something is.
    awaited: Option<Awaited>,
    /// The seconds that the waiting line shows, while there is one.
    shown: Option<u64>,
    /// Whether another way than the first was agreed to.
    agreed: bool,
    /// Whether the input has ended where only a paste could help.
    deserted: bool,
}

/// What is waited for.
#[derive(Debug)]
enum Awaited {
    /// The approval of this code.
    Approval(String),
    /// A browser, or a paste.
    Answer(Answer),
}

/// The answer that a browser or a paste brings.
#[derive(Debug)]
struct Answer {
    authorization: AuthorizationPrompt,
    /// What came of opening a browser, as far as is known.
    opened: Option<BrowserOutcome>,
    /// Whether the person has been told that, and what happens in the end.
    told: bool,
}

impl Screen {
    pub(crate) fn new(voice: Voice, terminal: Terminal, qr: When) -> Self {
        Self {
            voice,
            terminal,
            qr,
            asks: false,
            keyboard: None,
            awaited: None,
            shown: None,
            agreed: false,
            deserted: false,
        }
    }

    /// Asks questions as well.
    #[must_use]
    pub(crate) fn asking(mut self, asks: bool) -> Self {
        self.asks = asks;
        self
    }

    /// Takes what is pasted on standard input.
    #[must_use]
    pub(crate) fn taking_paste(mut self, takes: bool) -> Self {
        self.keyboard = takes.then(Keyboard::new);
        self
    }

    /// Whether the person agreed to another way than the first.
    pub(crate) fn has_agreed(&self) -> bool {
        self.agreed
    }

    /// Whether the input ended while only a paste could have helped.
    pub(crate) fn was_deserted(&self) -> bool {
        self.deserted
    }

    fn instructions(&self, approval: Approval<'_>) -> String {
        let (qr, size) = match (self.qr, self.terminal) {
            // In a file or a log it would be noise.
            (When::Never, _) | (When::Auto, Terminal::Plain) => (None, None),
            (When::Always, _) => (Qr::new(approval.address(), QUIET), None),
            (When::Auto, Terminal::Screen { columns, rows, .. }) => {
                let size = (usize::from(columns), usize::from(rows));
                (Qr::new(approval.address(), QUIET), Some(size))
            }
        };
        // Colours are only ever for a terminal: a camera would read the escape sequences.
        let colours = match (self.terminal, self.voice.paint()) {
            (Terminal::Screen { .. }, Paint::Ansi) => Colours::BlackOnWhite,
            _ => Colours::OfDarkTerminal,
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
                    let drawing = qr.as_ref().map(|qr| qr.draw(colours)).unwrap_or_default();
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

    /// Tells once what happens in the end; where nothing can be pasted, a line then counts the time.
    fn await_answer(&mut self, remaining: Duration) {
        let takes_paste = self.keyboard.is_some();
        let Some(Awaited::Answer(answer)) = &mut self.awaited else {
            return;
        };
        let authorization = &answer.authorization;
        let pastes = takes_paste && authorization.paste.is_some();
        let counts = !pastes && self.terminal != Terminal::Plain;
        if !std::mem::replace(&mut answer.told, true) {
            if let Some(words) = authorization::opened(answer.opened) {
                self.voice.say(words);
            }
            let ending = authorization::ending(authorization, takes_paste);
            // Also with --quiet, when there is something to do.
            if !counts && (!self.voice.is_quiet() || !authorization::returns(authorization)) {
                message(&ending);
            }
        }
        if counts {
            self.show_waiting(&authorization::waiting(remaining), remaining);
        }
    }

    /// Shows the waiting line, or a newer one in its place.
    fn show_waiting(&mut self, line: &str, remaining: Duration) {
        let Terminal::Screen { columns, .. } = self.terminal else {
            return;
        };
        if self.voice.is_quiet() || self.shown == Some(remaining.as_secs()) {
            return;
        }
        // A line that wraps could not be taken away again.
        if line.chars().count() >= usize::from(columns) {
            return;
        }
        // In one piece, so that nothing flickers.
        let eraser = self.eraser();
        message(&format!("{eraser}{}\n", self.voice.paint().faint(line)));
        self.shown = Some(remaining.as_secs());
    }
}

impl Prompt for Screen {
    fn show_device(&mut self, device: &DevicePrompt) {
        self.awaited = Some(Awaited::Approval(device.user_code.clone()));
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
        let url = &authorization.url;
        // Also with --quiet. The address stands alone on its line, so that it can be copied and a
        // terminal can be told to open it.
        message(&format!(
            "{}\n\n{}\n\n",
            authorization::above(authorization),
            self.terminal.hyperlink(url, url)
        ));
        self.awaited = Some(Awaited::Answer(Answer {
            authorization: authorization.clone(),
            opened: None,
            told: false,
        }));
    }

    fn takes_paste(&self) -> bool {
        self.keyboard.is_some()
    }

    fn pasted(&mut self) -> Option<Secret> {
        let keyboard = self.keyboard.as_mut()?;
        match keyboard.pasted() {
            Typed::Line(pasted) => Some(pasted),
            Typed::TooLong => {
                message(&format!("{}\n", authorization::TOO_LONG));
                None
            }
            Typed::End => {
                self.keyboard = None;
                self.deserted = matches!(
                    &self.awaited,
                    Some(Awaited::Answer(answer))
                        if !authorization::returns(&answer.authorization)
                );
                None
            }
            Typed::Nothing => None,
        }
    }

    fn paste_refused(&mut self, refused: &PasteRefused) {
        message(&format!("{}\n", authorization::refused(*refused)));
    }

    fn offer(&mut self, fallback: &Fallback) -> bool {
        self.offer_meanwhile(fallback, &mut || false)
    }

    fn offer_meanwhile(&mut self, fallback: &Fallback, settled: &mut dyn FnMut() -> bool) -> bool {
        self.clear();
        let Some(keyboard) = self.keyboard.as_mut().filter(|_| self.asks) else {
            return false;
        };
        // A browser that said so late was told of when it did.
        let is_known = matches!(&self.awaited, Some(Awaited::Answer(answer)) if answer.told);
        if !is_known {
            message(&format!("{}\n", fold(&ways::closed(fallback))));
        }
        let agreed = question::agree(keyboard, ways::instead(fallback.to), settled);
        message("\n");
        self.agreed |= agreed;
        agreed
    }

    fn waiting(&mut self, remaining: Duration) {
        match &self.awaited {
            Some(Awaited::Approval(user_code)) => {
                let line = waiting_line(user_code, remaining);
                self.show_waiting(&line, remaining);
            }
            Some(Awaited::Answer(_)) => self.await_answer(remaining),
            None => {}
        }
    }

    fn notice(&mut self, notice: &Notice) {
        self.clear();
        match (notice, &mut self.awaited) {
            (Notice::Browser(outcome), Some(Awaited::Answer(answer))) => {
                answer.opened = Some(*outcome);
                // A browser can say late that it cannot be started.
                if let (Some(words), true) = (authorization::opened(answer.opened), answer.told) {
                    self.voice.say(words);
                }
                self.voice.detail(1, || notice.text());
            }
            (Notice::Browser(BrowserOutcome::Opened), _) => {
                self.voice.say("A browser window was opened.");
            }
            // The address is on the screen either way; why it was not opened, and why this way was
            // chosen, is for the curious.
            (Notice::VaultPassedOver { absent: true, .. }, _) => {
                self.voice.detail(2, || notice.text());
            }
            (Notice::Browser(_) | Notice::Chosen { .. } | Notice::Ignored { .. }, _) => {
                self.voice.detail(1, || notice.text());
            }
            _ => self.voice.say(&fold(&format!("({})", notice.text()))),
        }
    }

    fn finished(&mut self) {
        self.clear();
        let awaited = self.awaited.take();
        let (Some(Awaited::Answer(_)), Some(keyboard)) = (awaited, &mut self.keyboard) else {
            return;
        };
        // What was typed and not sent off would become the shell's next command.
        keyboard.forget();
        if matches!(self.terminal, Terminal::Screen { .. }) {
            message("\r\x1b[K");
        }
    }

    fn cancelled(&self) -> bool {
        self.deserted
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
