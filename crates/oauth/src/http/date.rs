//! Dates of HTTP (RFC 9110, section 5.6.7), in the one form that may be sent.
//!
//! The two obsolete forms are not read: what cannot be read counts as not said.

use countersign_jose::Timestamp;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `Sun, 06 Nov 1994 08:49:37 GMT`. The name of the day is not compared with the date.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (_day_name, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day = number(words.next()?, 2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year = number(words.next()?, 4)?;
    let mut time = words.next()?.split(':');
    let (hours, minutes, seconds) = (
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
    );
    let ends = words.next() == Some("GMT") && words.next().is_none() && time.next().is_none();
    // A leap second is the 60th.
    let in_range = (1..=31).contains(&day) && hours < 24 && minutes < 60 && seconds <= 60;
    (ends && in_range).then_some(())?;
    let days = days_since_1970(year, i64::try_from(month).ok()? + 1, day);
    Some(Timestamp::from_secs(
        days * 86_400 + hours * 3_600 + minutes * 60 + seconds,
    ))
}

fn number(digits: &str, len: usize) -> Option<i64> {
    let all_digits = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}

/// In the proleptic Gregorian calendar. A year is taken to begin in March, so that its odd day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between the first of March of the year 0 and 1970.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_form_that_is_sent_today() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2028 23:59:59 GMT", 1_835_481_599),
            ("Thu, 26 Nov 2026 01:00:00 GMT", 1_795_654_800),
        ] {
            assert_eq!(parse(text), Some(Timestamp::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn whatever_else_stands_there_is_not_a_date() {
        for text in [
            "",
            "0",
            "-1",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
