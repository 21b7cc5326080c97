//! Lines that a person types or pastes, taken without waiting for them and without changing anything
//! about the terminal.
//!
//! The terminal stays in its line mode: it edits, shows what is typed, and hands over whole lines.
//! Nothing is switched off that would have to be switched on again, so Ctrl-C may keep its default
//! meaning. What is pasted is therefore seen on the screen. For an authorization code that is no loss:
//! it works once, is used at once, and is worth nothing without the verifier that never leaves this
//! process (RFC 7636).
//!
//! Not responsible for what a line means.

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use countersign_client::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};

/// What a terminal takes in one line; it drops what goes beyond without a word (Linux: 4096 bytes
/// with the line break).
const TERMINAL_LINE: usize = 4095;
/// A line from a pipe beyond this is not kept: nothing that is pasted here is that long.
const MAX_LINE: usize = 64 * 1024;
/// The rest of a paste of several lines is there within this time: it comes in one piece.
const SAME_PASTE: Duration = Duration::from_millis(30);
/// How often to look whether a line is still needed.
const LOOK: Duration = Duration::from_millis(50);

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Nothing yet.
    Nothing,
    /// A line, without control characters, keys that are none, and surrounding space.
    Line(Secret),
    /// A line that is longer than the terminal takes, so that its end is lost.
    TooLong,
    /// Nothing will come any more.
    End,
}

/// Where lines come from: standard input, or a terminal of a test.
#[derive(Debug)]
pub(crate) struct Keyboard<F = io::Stdin> {
    input: F,
    is_terminal: bool,
    /// What has come of a line that is not whole.
    begun: Vec<u8>,
    ended: bool,
}

impl Keyboard {
    /// Standard input. It must not be read in any other way after the first look at it.
    pub(crate) fn new() -> Self {
        let input = io::stdin();
        let is_terminal = input.is_terminal();
        Self::of(input, is_terminal)
    }
}

impl<F: AsFd> Keyboard<F> {
    fn of(input: F, is_terminal: bool) -> Self {
        Self {
            input,
            is_terminal,
            begun: Vec::new(),
            ended: false,
        }
    }

    /// What has been pasted since the last look, if it is whole. Does not wait.
    ///
    /// A code consists of visible ASCII characters (RFC 6749, appendix A.11), and so does an address.
    /// Everything else, such as the invisible characters that chat programs put in, is not part of it.
    pub(crate) fn pasted(&mut self) -> Typed {
        loop {
            let whole = match self.line(Duration::ZERO) {
                Typed::Line(line) if self.is_terminal => self.rest_of_paste(line),
                typed => typed,
            };
            let Typed::Line(line) = whole else {
                return whole;
            };
            let visible = |c: &char| matches!(c, ' '..='~');
            let pasted: String = line.expose().chars().filter(visible).collect();
            if !pasted.is_empty() {
                return Typed::Line(Secret::new(pasted));
            }
        }
    }

    /// Waits for a line, which may be an empty one. `None` once it is `settled` that nobody needs one,
    /// which is asked several times a second.
    pub(crate) fn wait_unless(&mut self, settled: &mut dyn FnMut() -> bool) -> Option<Typed> {
        while !settled() {
            match self.line(LOOK) {
                Typed::Nothing => {}
                typed => return Some(typed),
            }
        }
        None
    }

    /// Throws away what was typed and not taken, a line that was begun included: otherwise the shell
    /// would take it for a command.
    pub(crate) fn forget(&mut self) {
        if self.is_terminal && self.is_ours() {
            let _ = tcflush(&self.input, QueueSelector::IFlush);
        }
        self.begun.clear();
    }

    /// A paste of several lines is one thing that was broken into lines where it was shown.
    fn rest_of_paste(&mut self, first: Secret) -> Typed {
        let mut whole = first;
        loop {
            match self.line(SAME_PASTE) {
                Typed::Line(next) => {
                    whole = Secret::new(format!("{}{}", whole.expose(), next.expose()));
                }
                Typed::TooLong => return Typed::TooLong,
                Typed::Nothing | Typed::End => return Typed::Line(whole),
            }
        }
    }

    /// The next line, if one comes within `limit`.
    fn line(&mut self, limit: Duration) -> Typed {
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let line = std::mem::replace(&mut self.begun, rest);
                if self.is_terminal && end >= TERMINAL_LINE {
                    return Typed::TooLong;
                }
                return Typed::Line(clean(&line));
            }
            if self.ended && self.begun.is_empty() {
                return Typed::End;
            }
            if self.ended {
                // The last line of a file need not end.
                return Typed::Line(clean(&std::mem::take(&mut self.begun)));
            }
            if !self.is_ours() || !is_readable(self.input.as_fd(), limit) {
                return Typed::Nothing;
            }
            let mut piece = [0_u8; 4096];
            match rustix::io::read(&self.input, &mut piece) {
                Ok(count @ 1..) => {
                    self.begun.extend(piece.iter().take(count));
                    if self.begun.len() > MAX_LINE {
                        self.begun.clear();
                        return Typed::TooLong;
                    }
                }
                Err(Errno::INTR | Errno::AGAIN) => return Typed::Nothing,
                // An error means that the terminal is gone.
                Ok(0) | Err(_) => self.ended = true,
            }
        }
    }

    /// Whether the input is for us: in a program that was sent to the background, what is typed is
    /// for somebody else, and reading it would stop the program.
    fn is_ours(&self) -> bool {
        // A terminal that does not control us has no background.
        !self.is_terminal || tcgetpgrp(&self.input).map_or(true, |group| group == getpgrp())
    }
}

fn is_readable(input: BorrowedFd<'_>, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).ok();
    let mut inputs = [PollFd::from_borrowed_fd(input, PollFlags::IN)];
    let polled = poll(&mut inputs, limit.as_ref());
    // A hang-up reads as the end. What cannot be polled at all would make the read wait.
    let [input] = inputs;
    polled.is_ok_and(|ready| ready > 0) && !input.revents().contains(PollFlags::NVAL)
}

/// What was meant by a line: without the marks of a bracketed paste, without keys that are no
/// characters, without surrounding space.
fn clean(line: &[u8]) -> Secret {
    let text = String::from_utf8_lossy(line);
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\x1b' && characters.next_if_eq(&'[').is_some() {
            // A control sequence ends with a character from `@` to `~` (ECMA-48, section 5.4).
            let _ = characters.find(|c| ('@'..='~').contains(c));
        } else if !c.is_control() {
            kept.push(c);
        }
    }
    let kept = Secret::new(kept);
    Secret::new(kept.expose().trim())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    fn line(text: &str) -> Typed {
        Typed::Line(Secret::new(text))
    }

    fn waited(keyboard: &mut Keyboard<impl AsFd>) -> Typed {
        keyboard.wait_unless(&mut || false).unwrap()
    }

    #[test]
    fn nobody_waits_for_a_line_that_is_not_needed() {
        let (input, _writer) = io::pipe().unwrap();
        let mut looks = 0;
        let mut settled = || {
            looks += 1;
            looks > 2
        };
        assert_eq!(Keyboard::of(input, false).wait_unless(&mut settled), None);
        assert_eq!(looks, 3);
    }

    #[test]
    fn a_pipe_brings_lines_one_by_one_and_then_ends() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut keyboard = Keyboard::of(reader, false);
        assert_eq!(keyboard.pasted(), Typed::Nothing);
        writer.write_all(b"hal").unwrap();
        assert_eq!(keyboard.pasted(), Typed::Nothing);
        writer
            .write_all("f\n\n \r\n sec\u{200b}ond\u{e9}\nlast".as_bytes())
            .unwrap();
        assert_eq!(keyboard.pasted(), line("half"));
        assert_eq!(keyboard.pasted(), line("second"));
        assert_eq!(keyboard.pasted(), Typed::Nothing);
        drop(writer);
        assert_eq!(keyboard.pasted(), line("last"));
        assert_eq!(keyboard.pasted(), Typed::End);
        assert_eq!(waited(&mut keyboard), Typed::End);
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut keyboard = Keyboard::of(reader, false);
        let flood = std::thread::spawn(move || writer.write_all(&vec![b'a'; 2 * MAX_LINE]));
        assert_eq!(waited(&mut keyboard), Typed::TooLong);
        drop(keyboard);
        let _ = flood.join();
    }

    #[test]
    fn what_terminals_add_to_a_paste_is_taken_off() {
        let cases = [
            ("\x1b[200~abc\x1b[201~\n", "abc"),
            ("abc\x1b[D\x1b[1;5Cdef\r\n", "abcdef"),
            ("\x1b]0;title\x07abc\n", "]0;titleabc"),
            ("a\tb\x00c\u{9b}d\u{e9}\n", "abcd\u{e9}"),
            ("\x1b[200~\x1b[201~\n", ""),
            (" \t\n", ""),
        ];
        for (typed, meant) in cases {
            assert_eq!(clean(typed.as_bytes()), Secret::new(meant), "{typed:?}");
        }
    }

    /// Both sides of a terminal that controls nobody.
    fn terminal() -> (File, Keyboard<File>) {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let ours = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
            .open(name.to_str().unwrap())
            .unwrap();
        (File::from(controller), Keyboard::of(ours, true))
    }

    /// Looks until something has come.
    fn typed(keyboard: &mut Keyboard<File>) -> Typed {
        loop {
            match keyboard.pasted() {
                Typed::Nothing => std::thread::yield_now(),
                typed => return typed,
            }
        }
    }

    #[test]
    fn a_terminal_hands_over_what_was_edited_and_nothing_before_the_line_is_whole() {
        let (mut fingers, mut keyboard) = terminal();
        fingers.write_all(b"abX\x7fc").unwrap();
        assert_eq!(keyboard.pasted(), Typed::Nothing);
        fingers.write_all(b"\n").unwrap();
        assert_eq!(typed(&mut keyboard), line("abc"));
        assert_eq!(keyboard.pasted(), Typed::Nothing);
    }

    #[test]
    fn a_paste_that_was_broken_into_lines_is_one() {
        let (mut fingers, mut keyboard) = terminal();
        fingers
            .write_all(b"\x1b[200~http://127.0.0.1:4/cb?co\r\nde=abc&state=\ndef\x1b[201~\n")
            .unwrap();
        assert_eq!(
            typed(&mut keyboard),
            line("http://127.0.0.1:4/cb?code=abc&state=def")
        );
    }

    #[test]
    fn a_line_whose_end_the_terminal_drops_is_not_taken_for_a_whole_one() {
        let (mut fingers, mut keyboard) = terminal();
        let longest = "a".repeat(TERMINAL_LINE - 1);
        fingers
            .write_all(format!("{longest}\n").as_bytes())
            .unwrap();
        assert_eq!(typed(&mut keyboard), line(&longest));
        if cfg!(target_os = "linux") {
            for length in [TERMINAL_LINE, TERMINAL_LINE + 1, 9000] {
                // The terminal takes a long line in pieces: whoever writes waits for nobody.
                let paste = format!("{}\n", "b".repeat(length));
                fingers.write_all(paste.as_bytes()).unwrap();
                assert_eq!(typed(&mut keyboard), Typed::TooLong, "{length}");
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_not_left_for_the_shell() {
        let (mut fingers, mut keyboard) = terminal();
        fingers.write_all(b"rm -rf half\nand a half").unwrap();
        // It has arrived once the terminal has shown it.
        let mut shown = [0; 64];
        while !String::from_utf8_lossy(&shown).contains("a half") {
            let _ = fingers.read(&mut shown).unwrap();
        }
        keyboard.forget();
        fingers.write_all(b"ls\n\n").unwrap();
        assert_eq!(waited(&mut keyboard), line("ls"));
        assert_eq!(waited(&mut keyboard), line(""));
    }

    #[test]
    fn the_end_of_file_key_ends_it() {
        let (mut fingers, mut keyboard) = terminal();
        fingers.write_all(b"\x04").unwrap();
        assert_eq!(waited(&mut keyboard), Typed::End);
    }
}
