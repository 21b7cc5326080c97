//! Points in time, for people and for scripts.
//!
//! Always UTC: a local time would need the time zone's file, and a script could not compare it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_client::Timestamp;

/// The time of day by this computer's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `2026-11-21T09:30:00Z`. Seconds, because no server promises more.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_second(at.as_secs()) {
        Ok(at) => at.to_string(),
        // Outside of the years that have four digits.
        Err(_) => at.as_secs().to_string(),
    }
}

/// The same for a person: `2026-11-21 09:30:00 UTC`.
pub(crate) fn text(at: Timestamp) -> String {
    match rfc3339(at)
        .strip_suffix('Z')
        .and_then(|text| text.split_once('T'))
    {
        Some((date, time)) => format!("{date} {time} UTC"),
        None => rfc3339(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        let at = Timestamp::from_secs(1_794_735_000);
        assert_eq!(rfc3339(at), "2026-11-15T09:30:00Z");
        assert_eq!(text(at), "2026-11-15 09:30:00 UTC");
    }

    #[test]
    fn times_beyond_the_calendar_are_numbers() {
        assert_eq!(
            text(Timestamp::from_secs(i64::MAX / 1000)),
            (i64::MAX / 1000).to_string()
        );
    }
}
