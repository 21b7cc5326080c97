//! The time in an answer.
//!
//! Servers write `2026-11-26T02:22:26Z0277`, with the milliseconds behind the `Z`; others write
//! `2026-11-26T02:22:26.277Z` or none at all.

use std::time::Duration;

/// The time since 1970, or `None` for what is none. Always UTC.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (date, rest) = text.split_once('T')?;
    let (clock, after) = rest.split_once('Z')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let millis = match (fraction, after) {
        ("", "") => 0,
        (millis, "") if millis.len() == 3 => number(millis)?,
        ("", glued) if (3..=4).contains(&glued.len()) => number(glued)?,
        _ => return None,
    };
    let [year, month, day] = three(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = three(clock, ':', [2, 2, 2])?;
    let is_real = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && millis < 1000;
    if !is_real {
        return None;
    }
    let secs = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Duration::from_millis(secs * 1000 + millis))
}

/// Days since 1970-01-01 in the calendar of Gregory, counted in years that begin in March.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The time since 1970 in the first of the forms.
#[cfg(any(feature = "sim", test))]
pub(super) fn format(time: Duration) -> String {
    let secs = time.as_secs();
    let (clock, mut left) = (secs % 86_400, secs / 86_400);
    let mut year = 1970;
    while left >= days(year + 1, 1, 1) - days(year, 1, 1) {
        left -= days(year + 1, 1, 1) - days(year, 1, 1);
        year += 1;
    }
    let mut month = 1;
    while month < 12 && left >= days(year, month + 1, 1) - days(year, month, 1) {
        left -= days(year, month + 1, 1) - days(year, month, 1);
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z{:04}",
        left + 1,
        clock / 3600,
        clock / 60 % 60,
        clock % 60,
        time.subsec_millis()
    )
}

fn three(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (to, length) in numbers.iter_mut().zip(digits) {
        *to = number(parts.next().filter(|part| part.len() == length)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_that_servers_write_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00Z0001", 1),
            ("2000-02-29T23:59:59Z", 951_868_799_000),
            ("2000-03-01T00:00:00Z000", 951_868_800_000),
            ("2026-11-26T02:22:26Z0277", 1_795_659_746_277),
            ("2026-11-26T02:22:26.277Z", 1_795_659_746_277),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(
            format(Duration::from_millis(1_795_659_746_277)),
            "2026-11-26T02:22:26Z0277"
        );
        // The days around a leap year that is one, and around one that is none, at odd times.
        for day in (10_900..11_100).chain(47_000..49_000) {
            let time = Duration::from_millis(day * 86_400_000 + day * 589 % 86_400_000);
            assert_eq!(parse(&format(time)), Some(time));
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "T",
            "TZ",
            "2026-11-26T02:22:26",
            "2026-11-26 02:22:26Z",
            "2026-11-26T02:22:26Z27",
            "2026-11-26T02:22:26Z1000",
            "2026-11-26T02:22:26Z00001",
            "2026-11-26T02:22:26.27Z",
            "2026-11-26T02:22:26.277Z0277",
            "2026-11-26T02:22:26+01:00",
            "2026-13-26T02:22:26Z",
            "2026-11-32T02:22:26Z",
            "2026-11-26T24:22:26Z",
            "2026-11-26T02:60:26Z",
            "2026-11-26T02:22:61Z",
            "1969-12-31T23:59:59Z",
            "26-11-26T02:22:26Z",
            "2026-11-26-01T02:22:26Z",
            "+026-11-26T02:22:26Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
