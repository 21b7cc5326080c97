//! Lengths of time and numbers of bytes, as people write them in a file and as they read them.
//!
//! Not responsible for which length is sensible where.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time: `500ms`, `90s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A number of bytes: `512`, `64KiB`, `10MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Span {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(at);
        let number: u32 = number.parse().ok()?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(
            u64::from(number) * milliseconds,
        )))
    }
}

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no length of time; write it as \"500ms\", \"90s\", \"5m\" or \"1h\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no number of bytes; write it as \"512\", \"64KiB\", \"10MiB\" or \"1GiB\""
            ))
        })
    }
}

/// A length of time for a person.
pub(crate) fn span(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 => "0 s".to_owned(),
        _ if milliseconds.is_multiple_of(3_600_000) => format!("{} h", milliseconds / 3_600_000),
        _ if milliseconds.is_multiple_of(60_000) => format!("{} min", milliseconds / 60_000),
        _ if milliseconds.is_multiple_of(1000) => format!("{} s", milliseconds / 1000),
        _ => format!("{milliseconds} ms"),
    }
}

/// A number of bytes for a person.
pub(crate) fn bytes(number: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if number >= size && number.is_multiple_of(size) {
            return format!("{} {unit}", number / size);
        }
    }
    format!("{number} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_and_written() {
        let time = |text| Span::parse(text).map(|time| span(time.0));
        let size = |text| Bytes::parse(text).map(|size| bytes(size.0));
        assert_eq!(time("500ms").unwrap(), "500 ms");
        assert_eq!(time("120s").unwrap(), "2 min");
        assert_eq!(time("2h").unwrap(), "2 h");
        assert_eq!(size("64KiB").unwrap(), "64 KiB");
        assert_eq!(size("1024").unwrap(), "1 KiB");
        assert_eq!(size("1000").unwrap(), "1000 bytes");
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "5d", "99999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "1MB", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
