//! Lengths of time and numbers of bytes, as people write them in a file and as they read them.
//!
//! Not responsible for which of them is sensible where.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time: `500ms`, `90s`, `15m`, `12h`, `7d`. Shown as `90 s`, `15 min`, `12 h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes: `512`, `64KiB`, `10MiB`, `1GiB`. Shown as `512 bytes`, `64 KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Span {
    /// Reads a whole number and its unit, with nothing around or between them.
    pub fn parse(text: &str) -> Option<Self> {
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

impl Bytes {
    /// Reads a whole number and its unit, if it has one.
    pub fn parse(text: &str) -> Option<Self> {
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
                "`{text}` is no length of time; write it as \"500ms\", \"90s\", \"15m\", \"12h\" or \"7d\""
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

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (unit, size) in [("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
            if milliseconds.is_multiple_of(size) && (milliseconds >= size || size == 1000) {
                return write!(f, "{} {unit}", milliseconds / size);
            }
        }
        write!(f, "{milliseconds} ms")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{} {unit}", self.0 / size);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_and_written() {
        let time = |text| Span::parse(text).map(|time| time.to_string());
        let size = |text| Bytes::parse(text).map(|size| size.to_string());
        assert_eq!(time("0ms").unwrap(), "0 s");
        assert_eq!(time("500ms").unwrap(), "500 ms");
        assert_eq!(time("110s").unwrap(), "110 s");
        assert_eq!(time("120s").unwrap(), "2 min");
        assert_eq!(time("2h").unwrap(), "2 h");
        assert_eq!(time("7d").unwrap(), "168 h");
        assert_eq!(size("64KiB").unwrap(), "64 KiB");
        assert_eq!(size("1024").unwrap(), "1 KiB");
        assert_eq!(size("1000").unwrap(), "1000 bytes");
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "5w", "99999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "1MB", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
