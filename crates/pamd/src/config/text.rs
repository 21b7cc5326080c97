//! Lengths of time, as people write them in a file and as they read them.
//!
//! Not responsible for which length is sensible where.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time: `90s`, `5m`, `12h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(at);
        let number: u32 = number.parse().ok()?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(
            u64::from(number) * milliseconds,
        )))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no length of time; write it as \"500ms\", \"90s\", \"15m\", \"12h\" or \"7d\""
            ))
        })
    }
}

/// A length of time for a person.
pub(crate) fn span(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, size) in [("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if milliseconds >= size && milliseconds.is_multiple_of(size) {
            return format!("{} {unit}", milliseconds / size);
        }
    }
    format!("{milliseconds} ms")
}

/// Minutes and seconds, as a clock that runs down shows them.
pub(crate) fn countdown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let time = |text| Span::parse(text).map(|time| span(time.0));
        assert_eq!(time("500ms").unwrap(), "500 ms");
        assert_eq!(time("110s").unwrap(), "110 s");
        assert_eq!(time("120s").unwrap(), "2 min");
        assert_eq!(time("7d").unwrap(), "168 h");
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "5w", "99999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(countdown(Duration::from_millis(109_999)), "1:49");
    }
}
