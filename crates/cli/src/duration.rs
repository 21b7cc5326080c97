//! Lengths of time, as people write them (`90`, `90s`, `5m`, `1h`) and as they read them.
//!
//! Not responsible for points in time.

use std::time::Duration;

/// Reads a length of time: a whole number, then `s`, `m` or `h`; seconds without a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    const HOW: &str = "write it as 90s, 5m or 1h";
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) if text.ends_with('h') => (number, 3600),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    // `parse` would take a sign.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HOW);
    }
    let number: u32 = number.parse().map_err(|_| HOW)?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}

/// A length of time in a configuration file: a text as above, or a number of seconds.
pub(crate) mod setting {
    use super::{Duration, parse};

    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Reads either.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a length of time such as \"90s\", \"5m\" or \"1h\""
        )]
        enum Either {
            Seconds(u32),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Seconds(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
            Either::Text(text) => parse(&text).map(Some).map_err(de::Error::custom),
        }
    }

    /// Writes the text, in the largest unit that loses nothing.
    #[expect(clippy::ref_option, reason = "serde hands over the field")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(seconds) = duration.map(|duration| duration.as_secs()) else {
            return to.serialize_none();
        };
        let text = match seconds {
            0 => "0s".to_owned(),
            hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
            minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
            seconds => format!("{seconds}s"),
        };
        to.serialize_str(&text)
    }
}

/// A length of time for a person, in its two largest units: `2 h 5 min`, `9 min 3 s`, `12 s`.
pub(crate) fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: u64, unit: &str, small: u64, sub: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {sub}"),
    };
    match () {
        () if days == 1 => two(days, "day", hours, "h"),
        () if days > 0 => two(days, "days", hours, "h"),
        () if hours > 0 => two(hours, "h", minutes, "min"),
        () if minutes > 0 => two(minutes, "min", seconds % 60, "s"),
        () => format!("{seconds} s"),
    }
}

/// A length of time as a clock shows it while it runs down: `9:05`, `0:41`.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_seconds_minutes_and_hours() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_whole_number_is_refused() {
        for text in [
            "",
            "s",
            "-5",
            "+5",
            "1.5h",
            "5 m",
            "5d",
            "5mm",
            "99999999999",
            "٣",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_read_the_two_largest_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (543, "9 min 3 s"),
            (7500, "2 h 5 min"),
            (86400, "1 day"),
            (200_000, "2 days 7 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(text(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(clock(Duration::from_secs(545)), "9:05");
    }
}
