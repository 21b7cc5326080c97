//! Slips in a file that holds rules: on which line one is, and which key was probably meant.
//!
//! For the programs whose configuration such rules are a part of, so that all of them answer a slip in
//! the same way. Not responsible for reading the file, nor for how the problem is shown.

/// A key that the reader of a file does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownKey<'m> {
    /// The known key that takes the fewest changes, if they are few.
    pub meant: Option<&'m str>,
}

impl<'m> UnknownKey<'m> {
    /// Reads the message of a reader that was made with serde; nothing, when it is about something
    /// else than an unknown key.
    pub fn of(message: &'m str) -> Option<Self> {
        let rest = message.strip_prefix("unknown field `")?;
        let (unknown, rest) = rest.split_once('`')?;
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        Some(Self {
            meant: nearest(unknown, &known),
        })
    }
}

/// The line, counted from one, that a byte of the text is on.
pub fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// The known word that takes the fewest changes, if they are few.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = 1 + word.len() / 3;
    known
        .iter()
        .map(|other| (distance(word, other), *other))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, other)| other)
}

/// How many letters have to be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(a != *b);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_suggested_and_a_far_one_is_not() {
        let known = ["path", "methods", "public", "scopes", "upstream"];
        assert_eq!(nearest("scope", &known), Some("scopes"));
        assert_eq!(nearest("method", &known), Some("methods"));
        assert_eq!(nearest("publik", &known), Some("public"));
        assert_eq!(nearest("upstreams", &known), Some("upstream"));
        assert_eq!(nearest("timeout", &known), None);
    }

    #[test]
    fn only_a_message_about_a_key_is_read() {
        let about = "unknown field `scope`, expected one of `path`, `scopes`";
        assert_eq!(UnknownKey::of(about).unwrap().meant, Some("scopes"));
        let far = "unknown field `zzz`, expected `path`";
        assert_eq!(UnknownKey::of(far).unwrap().meant, None);
        assert_eq!(UnknownKey::of("missing field `path`"), None);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
