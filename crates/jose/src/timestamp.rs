//! Points in time, as values that are handed in.
//!
//! Nothing in this crate reads a clock. Whoever owns one converts it with
//! [`Timestamp::from_millis`] and passes the result down.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// This is the clock behind every `NumericDate` (RFC 7519, section 2). Arithmetic saturates at
/// both ends, so that an absurd lifetime from outside can neither wrap nor panic. Serialised, it
/// is the number of milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// The point `secs` seconds after (or, when negative, before) the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// The point `millis` milliseconds after (or, when negative, before) the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was at this point; zero when it was not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// This point moved by `duration` into the future, or the last representable point.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_millis(duration)))
    }

    /// This point moved by `duration` into the past, or the first representable point.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_millis(duration)))
    }
}

fn saturating_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        self.saturating_sub(duration)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.as_secs(), self.0.rem_euclid(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last + Duration::from_secs(1), last);
        assert_eq!(last + Duration::MAX, last);
        let first = Timestamp::from_millis(i64::MIN);
        assert_eq!(first - Duration::MAX, first);
        assert_eq!(Timestamp::from_secs(i64::MAX), last);
    }

    #[test]
    fn since_is_zero_when_the_other_point_is_later() {
        let a = Timestamp::from_secs(10);
        let b = Timestamp::from_millis(12_500);
        assert_eq!(b.since(a), Duration::from_millis(2500));
        assert_eq!(a.since(b), Duration::ZERO);
        let span = Timestamp::from_millis(i64::MAX).since(Timestamp::from_millis(i64::MIN));
        assert_eq!(span, Duration::from_millis(u64::MAX));
    }

    #[test]
    fn seconds_round_towards_the_past() {
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
        assert_eq!(Timestamp::from_millis(1999).as_secs(), 1);
        assert_eq!(format!("{:?}", Timestamp::from_millis(-1)), "-1.999");
    }
}
