//! A one-time password, typed at the terminal that controls this program.
//!
//! Asked and answered on `/dev/tty` alone: what comes through standard input may be somebody else's, and
//! what goes to standard error may be read by nobody. Of what is typed, stars are shown. What was typed
//! and not taken is thrown away, because a shell would take it for a command.
//!
//! Not responsible for what is typed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::Instant;

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use zeroize::Zeroizing;

use super::confirmation::{OtpPrompt, OtpQuestion, OtpReply};
use crate::{Keystroke, Secret, Unseen};

/// More than a key types.
const MOST: usize = 128;
/// So many stars and the prompt fit into a line.
const STARS: usize = 34;

/// Asks at the terminal that controls this program, if there is one and this program is in front.
///
/// Whoever sits there is taken for the person. A program that is not to ask anybody does not use it.
#[derive(Debug, Clone, Copy, Default)]
pub struct OtpTerminal;

impl OtpTerminal {
    /// Whether there is a terminal to ask at.
    pub fn is_there() -> bool {
        open().is_some()
    }
}

impl OtpPrompt for OtpTerminal {
    fn one_time_password(&mut self, question: &OtpQuestion<'_>) -> OtpReply {
        let until = Instant::now() + question.remaining;
        let Some(terminal) = open() else {
            return OtpReply::Nothing;
        };
        let show = |text: &str| {
            // A terminal that shows nothing is one where nobody types.
            let _ = (&terminal).write_all(text.as_bytes());
        };
        let Some(unseen) = Unseen::on(&terminal) else {
            return OtpReply::Nothing;
        };
        show(&question.text());
        show(question.prompt());
        let reply = read(&unseen, until, &show);
        show("\n");
        drop(unseen);
        reply
    }
}

/// The terminal. In the background what is typed is for somebody else, and reading it would stop us.
fn open() -> Option<File> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    let is_ours = tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp());
    is_ours.then_some(terminal)
}

/// Reads up to the end of the line, with the keys that correct it.
fn read(terminal: &Unseen<'_>, until: Instant, show: &dyn Fn(&str)) -> OtpReply {
    let mut line = Line::new();
    loop {
        match terminal.key(Some(until)) {
            Keystroke::Byte(byte) => {
                if let Some(reply) = line.take(byte, show) {
                    return reply;
                }
            }
            // As Ctrl-C. What remains of us is up to the signal.
            Keystroke::Signal => return OtpReply::Stopped,
            Keystroke::Nothing | Keystroke::End => return OtpReply::Nothing,
        }
    }
}

/// What has been typed.
struct Line {
    typed: Zeroizing<Vec<u8>>,
    escape: Escape,
}

/// Where in the sequence of a key that is no character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    /// It ends with a character from `@` to `~` (ECMA-48, section 5.4).
    Control,
}

impl Line {
    fn new() -> Self {
        Self {
            // Room at once: a vector that grows leaves unwiped copies behind.
            typed: Zeroizing::new(Vec::with_capacity(MOST)),
            escape: Escape::No,
        }
    }

    /// Takes one key stroke; a reply when it was the last.
    fn take(&mut self, byte: u8, show: &dyn Fn(&str)) -> Option<OtpReply> {
        let before = std::mem::replace(&mut self.escape, Escape::No);
        match (before, byte) {
            (Escape::Begun, b'[') | (Escape::Control, b' '..=b'?') => self.escape = Escape::Control,
            (Escape::Begun | Escape::Control, b' '..=b'~') => {}
            (_, 0x1b) => self.escape = Escape::Begun,
            (_, b'\n' | b'\r') => {
                let text = String::from_utf8_lossy(&self.typed).into_owned();
                return Some(OtpReply::Typed(Secret::new(text)));
            }
            (_, 0x03) => return Some(OtpReply::Stopped),
            (_, 0x04) if self.typed.is_empty() => return Some(OtpReply::Nothing),
            (_, 0x7f | 0x08) => self.take_back(show),
            (_, 0x15) => {
                while !self.typed.is_empty() {
                    self.take_back(show);
                }
            }
            // What else there is in UTF-8 is part of no password, and is noticed as such.
            (_, byte) if byte >= b' ' && self.typed.len() < MOST => {
                self.typed.push(byte);
                if self.typed.len() <= STARS {
                    show("*");
                }
            }
            _ => {}
        }
        None
    }

    fn take_back(&mut self, show: &dyn Fn(&str)) {
        if self.typed.pop().is_some() && self.typed.len() < STARS {
            show("\x08 \x08");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What comes of these key strokes, and what the terminal shows.
    fn typed(keys: &str) -> (Option<OtpReply>, String) {
        let shown = RefCell::new(String::new());
        let show = |text: &str| shown.borrow_mut().push_str(text);
        let mut line = Line::new();
        let reply = keys.bytes().find_map(|key| line.take(key, &show));
        (reply, shown.into_inner())
    }

    fn line(keys: &str) -> String {
        match typed(keys).0 {
            Some(OtpReply::Typed(line)) => line.expose().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_that_correct_and_keys_that_are_no_characters() {
        for (keys, meant) in [
            ("123456\r", "123456"),
            ("12\x7f23\x084\n", "124"),
            ("wrong\x15123456\r", "123456"),
            ("\x7f\x7f1\r", "1"),
            ("\x1b[200~123\x1b[201~456\r", "123456"),
            ("1\x1b[D\x1b[1;5C2\x1bO3\r", "123"),
            ("1\x00\x1a\x072\r", "12"),
            ("\r", ""),
        ] {
            assert_eq!(line(keys), meant, "{keys:?}");
        }
        assert_eq!(line(&format!("{}\r", "c".repeat(4000))).len(), MOST);
        assert_eq!(line("1\u{e9}\r"), "1\u{e9}");
    }

    #[test]
    fn ctrl_c_stops_and_ctrl_d_ends_an_empty_line() {
        assert_eq!(typed("12\x03").0, Some(OtpReply::Stopped));
        assert_eq!(typed("\x1b\x03").0, Some(OtpReply::Stopped));
        assert_eq!(typed("\x04").0, Some(OtpReply::Nothing));
        assert_eq!(typed("1\x04").0, None);
    }

    #[test]
    fn stars_are_all_that_is_seen_and_they_stay_in_their_line() {
        assert_eq!(typed("123\x7f\r").1, "***\x08 \x08");
        let many = "c".repeat(44);
        assert_eq!(typed(&many).1, "*".repeat(STARS));
        let (_, shown) = typed(&format!("{many}\x15"));
        assert_eq!(shown.matches("\x08 \x08").count(), STARS);
        assert!(!typed("\x1b[200~1").1.contains('~'));
    }
}
