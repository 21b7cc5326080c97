//! How far this computer's clock is from the server's, learned from what the server sends anyway.
//!
//! A clock that is an hour off makes every fresh ID token look expired or not yet valid, and the
//! person would be told that the server is at fault. The server's time is believed only about the
//! server's own statements: when an access token expires is reckoned by this computer's clock alone.

use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::HttpResponse;

/// Smaller differences are covered by the leeway of ID token checks, and are nobody's business.
const WORTH_MENTIONING: Duration = Duration::from_secs(60);

/// The difference between the server's clock and ours; zero until a large one was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offset {
    /// What to add to our time to get the server's, in milliseconds.
    millis: i64,
}

impl Offset {
    /// Learns from the `Date` of an answer (RFC 9110, section 6.6.1) to a request sent at `sent` and
    /// answered at `received`. Only an answer made for this request tells the time: one with an `Age`
    /// comes out of a cache.
    pub(crate) fn learn(&mut self, answer: &HttpResponse, sent: Timestamp, received: Timestamp) {
        if answer.header("age").is_some() {
            return;
        }
        let Some(date) = answer.header("date").and_then(http_date) else {
            return;
        };
        // The answer was dated somewhere between the two; the error is at most half the way there
        // and back, plus the half second that `Date` leaves out.
        let middle = sent.as_millis() / 2 + received.as_millis() / 2;
        let difference = date.as_millis().saturating_add(500).saturating_sub(middle);
        let large = Duration::from_millis(difference.unsigned_abs()) >= WORTH_MENTIONING;
        self.millis = if large { difference } else { 0 };
    }

    /// The server's time, when ours is `now`.
    pub(crate) fn server_time(self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add(self.millis))
    }

    /// Our time, when the server's is `then`.
    pub(crate) fn our_time(self, then: Timestamp) -> Timestamp {
        Timestamp::from_millis(then.as_millis().saturating_sub(self.millis))
    }

    /// By how much the clocks differ, and whether ours is ahead; `None` when they agree.
    pub(crate) fn difference(self) -> Option<(Duration, bool)> {
        (self.millis != 0).then(|| {
            (
                Duration::from_millis(self.millis.unsigned_abs()),
                self.millis < 0,
            )
        })
    }
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms of RFC 9110, section 5.6.7, are not
/// worth reading: whoever sends them gets no correction.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = words.next().filter(|day| day.len() == 2)?.parse().ok()?;
    let month = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|m| *m == month)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let time = words.next()?;
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let mut parts = time.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let plausible = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    plausible.then(|| {
        let days = days_since_1970(year, month, day);
        Timestamp::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second)
    })
}

/// Days from 1 January 1970 to a date of the Gregorian calendar.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // With the year beginning in March, the leap day is the last, and the months before a given one
    // have 30.6 days on average, rounded.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_before_month = (month * 306 + 5) / 10;
    // 719,468 days lie between 1 March of the year 0 and 1 January 1970.
    year * 365 + leap_days + days_before_month + (day - 1) - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> HttpResponse {
        let headers = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        HttpResponse {
            status: 200,
            headers,
            body: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn dates_are_read_as_the_standard_writes_them() {
        let cases = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Sat, 21 Nov 2026 02:14:00 GMT", 1_795_227_240),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ];
        for (text, expected) in cases {
            assert_eq!(http_date(text), Some(at(expected)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_date() {
        for text in [
            "",
            "now",
            "784111777",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT and more",
            "Sun, 06 Now 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_large_difference_is_learned_and_a_small_one_forgotten() {
        let dated = answer(&[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        let mut offset = Offset::default();
        offset.learn(&dated, at(784_111_777 - 3600), at(784_111_777 - 3600));
        let (by, ahead) = offset.difference().unwrap();
        assert_eq!((by.as_secs(), ahead), (3600, false));
        assert_eq!(
            offset.server_time(at(784_111_777 - 3600)).as_secs(),
            784_111_777
        );
        offset.learn(&dated, at(784_111_777 - 30), at(784_111_777 + 2));
        assert_eq!(offset.difference(), None);
    }

    #[test]
    fn a_slow_answer_is_not_taken_for_a_wrong_clock() {
        let dated = answer(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        let mut offset = Offset::default();
        offset.learn(&dated, at(784_111_777 - 50), at(784_111_777 + 50));
        assert_eq!(offset.difference(), None);
    }

    #[test]
    fn a_cached_or_undated_answer_tells_nothing() {
        let mut offset = Offset::default();
        let cached = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("age", "7")];
        offset.learn(&answer(&cached), at(0), at(0));
        offset.learn(&answer(&[]), at(0), at(0));
        offset.learn(&answer(&[("date", "yesterday")]), at(0), at(0));
        assert_eq!(offset, Offset::default());
    }
}
