//! Text that may be shown to a person at a terminal, or compared with a name.
//!
//! Not responsible for: what a terminal can draw. Letters of every script pass.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

/// What stands for a character that was taken out. It is part of no account's name, so a name that
/// had one never becomes somebody else's.
const REPLACED: char = char::REPLACEMENT_CHARACTER;

/// One line: no control character, nothing that turns the direction of writing or is not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(String);

/// A [`Line`] or several: as the former, and `\n` may stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(String);

/// The text has a character that a [`Line`] cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALine;

impl fmt::Display for NotALine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a control character or something invisible stands in it")
    }
}

impl std::error::Error for NotALine {}

impl Line {
    /// `text` with U+FFFD in the place of whatever does not belong into a line. For what is shown;
    /// what is compared is parsed, so that a bad name is an error and not another name.
    pub fn clean(text: &str) -> Self {
        Self(replaced(text, is_unfit))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes the text as it is, or not at all.
impl FromStr for Line {
    type Err = NotALine;

    fn from_str(text: &str) -> Result<Self, NotALine> {
        if text.chars().any(is_unfit) {
            return Err(NotALine);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Line {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Text {
    /// `text` with U+FFFD in the place of whatever does not belong into lines.
    pub fn clean(text: &str) -> Self {
        Self(replaced(text, is_unfit_in_lines))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, if each of its characters may stand in one.
    pub(crate) fn exact(text: &str) -> Option<Self> {
        (!text.chars().any(is_unfit_in_lines)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What a person typed: a one-time password perhaps, or a code. One line, as [`Line`] has it. `Debug`
/// shows stars; wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Typed(String);

impl Typed {
    /// Takes what was typed, with U+FFFD in the place of whatever does not belong into a line: a
    /// password with one of those is a wrong one, and is not made right here.
    pub fn clean(text: &str) -> Self {
        if !text.chars().any(is_unfit) {
            return Self(text.to_owned());
        }
        // Room for all of it at once: a string that grows leaves its beginnings behind.
        let room = text.chars().map(|c| c.len_utf8().max(REPLACED.len_utf8()));
        let mut kept = String::with_capacity(room.sum());
        kept.extend(text.chars().map(|c| if is_unfit(c) { REPLACED } else { c }));
        Self(kept)
    }

    /// The text. Every use of it is found by searching for this name.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// Overwrites `bytes`. What is about to be freed is written for nobody, as far as a compiler can see;
/// `black_box` says that somebody looks.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

fn replaced(text: &str, is_unfit: fn(char) -> bool) -> String {
    text.chars()
        .map(|c| if is_unfit(c) { REPLACED } else { c })
        .collect()
}

fn is_unfit_in_lines(c: char) -> bool {
    c != '\n' && is_unfit(c)
}

/// Whether `c` could steer a terminal, end a line, or is not seen.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Arabic letter mark, zero-width characters and directional marks.
            '\u{061C}' | '\u{200B}'..='\u{200F}'
            // Line and paragraph separator; embeddings and overrides; word joiner, invisible
            // operators, isolates, deprecated formats.
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            // Tags: a second, invisible alphabet.
            | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_leaves_a_mark() {
        assert_eq!(Line::clean("ro\u{7}ot").as_str(), "ro\u{fffd}ot");
        assert_eq!(
            Line::clean("\u{1b}[7m\u{9b}a\u{202e}\u{200b}").as_str(),
            "\u{fffd}[7m\u{fffd}a\u{fffd}\u{fffd}"
        );
        assert_eq!(
            Text::clean("one\ntwo\r\n\tthree").as_str(),
            "one\ntwo\u{fffd}\n\u{fffd}three"
        );
        // What sshd answers for an account that does not exist.
        let typed = Typed::clean("\u{8}\n\r\u{7f}INCORRECT");
        assert_eq!(typed.expose(), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}INCORRECT");
    }

    #[test]
    fn a_name_is_taken_as_it_is_or_not_at_all() {
        assert_eq!("ada łukasz 李".parse(), Ok(Line::clean("ada łukasz 李")));
        for bad in [
            "root\n",
            "a\u{0}",
            "\u{feff}root",
            "a\u{2028}b",
            "\u{e0041}",
        ] {
            assert_eq!(bad.parse::<Line>(), Err(NotALine), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Typed::clean("hunter2")), "****");
    }
}
