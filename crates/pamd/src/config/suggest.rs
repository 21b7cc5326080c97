//! What to write instead of a key that nobody knows.
//!
//! Not responsible for values, which say by themselves how they are written.

use crate::problem::Problem;

/// An error of the TOML reader with its line, and the key that was probably meant.
pub(super) fn problem(text: &str, name: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, span.start));
    let place = match line {
        Some(line) => format!("{name}, line {line}"),
        None => name.to_owned(),
    };
    let message = error.message();
    let problem = Problem::new(format!("{place}: the configuration cannot be used")).why(message);
    let Some((unknown, known)) = unknown_field(message) else {
        return problem;
    };
    match nearest(unknown, &known) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint("countersign-pamd check --help"),
    }
}

/// The line, counted from one, that a byte of the text is on.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// The field and what it could have been, from the words of serde.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((unknown, known))
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
        let known = ["issuer", "client_id", "scopes", "services", "max_session"];
        assert_eq!(nearest("scope", &known), Some("scopes"));
        assert_eq!(nearest("clientid", &known), Some("client_id"));
        assert_eq!(nearest("max_sesion", &known), Some("max_session"));
        assert_eq!(nearest("timeout", &known), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
