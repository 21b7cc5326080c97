//! Names of records.

use std::fmt;
use std::str::FromStr;

/// The name of a record: always a safe file name.
///
/// One to 64 characters out of `a-z`, `0-9`, `.`, `_`, `-` and `@`, beginning with a letter or a digit.
/// There are no capitals because two names that differ only in case are one file on some systems,
/// and so one session would answer for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// Why a text cannot be a [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// There is no character at all.
    #[error("the name is empty")]
    Empty,
    /// More than [`Key::MAX_LENGTH`] characters.
    #[error("the name is longer than {} characters", Key::MAX_LENGTH)]
    TooLong,
    /// The first character is neither a lower-case letter nor a digit.
    #[error("the name does not begin with a lower-case letter or a digit")]
    BadStart,
    /// A character other than `a-z`, `0-9`, `.`, `_`, `-` and `@`.
    #[error("the name has a character other than a-z, 0-9, '.', '_', '-' and '@'")]
    BadCharacter,
}

impl Key {
    /// The greatest length of a name, in characters (which are bytes here).
    pub const MAX_LENGTH: usize = 64;

    /// Takes `name` as a key.
    ///
    /// # Errors
    /// [`InvalidKey`] when the name could not be a file name on every system.
    pub fn new(name: &str) -> Result<Self, InvalidKey> {
        let first = *name.as_bytes().first().ok_or(InvalidKey::Empty)?;
        if name.len() > Self::MAX_LENGTH {
            return Err(InvalidKey::TooLong);
        }
        if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
            return Err(InvalidKey::BadStart);
        }
        let allowed = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'@')
        };
        if !name.bytes().all(allowed) {
            return Err(InvalidKey::BadCharacter);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_keys() {
        for name in ["a", "0", "default", "prod.eu-1", "rs_ctl", "a..b", "a@b.c"] {
            assert_eq!(Key::new(name).unwrap().as_str(), name);
        }
        assert!(Key::new(&"k".repeat(64)).is_ok());
    }

    #[test]
    fn names_that_could_leave_the_directory_or_collide_are_refused() {
        let cases = [
            ("", InvalidKey::Empty),
            (".", InvalidKey::BadStart),
            ("..", InvalidKey::BadStart),
            (".hidden", InvalidKey::BadStart),
            ("-rf", InvalidKey::BadStart),
            ("@ada", InvalidKey::BadStart),
            ("Prod", InvalidKey::BadStart),
            ("prOd", InvalidKey::BadCharacter),
            ("a/b", InvalidKey::BadCharacter),
            ("a\0b", InvalidKey::BadCharacter),
            ("a\nb", InvalidKey::BadCharacter),
            ("naïve", InvalidKey::BadCharacter),
        ];
        for (name, expected) in cases {
            assert_eq!(Key::new(name), Err(expected), "{name:?}");
        }
        assert_eq!(Key::new(&"k".repeat(65)), Err(InvalidKey::TooLong));
    }
}
