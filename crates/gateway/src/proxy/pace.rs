//! How slowly a body may come on the whole: one that moves a little now and then has an end as well.
//!
//! A value without a clock; whoever waits says for how long. Only waiting for the sender counts, since what
//! the receiver takes its time for is not the sender's doing. Not responsible for silence, which has a limit
//! of its own.

use std::num::NonZeroU64;
use std::time::Duration;

/// The bytes that came, and the time that was waited for them.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes in a second; any will do without it.
    rate: Option<NonZeroU64>,
    /// What may be waited beyond that.
    grace: Duration,
    received: u64,
    waited: Duration,
}

impl Pace {
    /// At least so many bytes a second, 0 for any, after a time of grace.
    pub(super) fn new(rate: u64, grace: Duration) -> Self {
        Self {
            rate: NonZeroU64::new(rate),
            grace,
            received: 0,
            waited: Duration::ZERO,
        }
    }

    /// How long the next piece may be waited for.
    pub(super) fn left(&self) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::MAX;
        };
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / rate);
        self.grace
            .saturating_add(earned)
            .saturating_sub(self.waited)
    }

    /// A piece of this length came after this time.
    pub(super) fn came(&mut self, length: u64, after: Duration) {
        self.received = self.received.saturating_add(length);
        self.waited = self.waited.saturating_add(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    /// After how much waiting a sender is given up that sends so many bytes each time, so far apart.
    fn ends_after(pace: &mut Pace, piece: u64, apart: Duration) -> Option<Duration> {
        for _ in 0..100_000 {
            if pace.left() < apart {
                return Some(pace.waited + pace.left());
            }
            pace.came(piece, apart);
        }
        None
    }

    #[test]
    fn who_sends_as_fast_as_asked_is_never_given_up() {
        for (piece, apart) in [(256, 1000), (1, 3), (64 * 1024, 29_000), (7680, 30_000)] {
            let apart = Duration::from_millis(apart);
            let ended = ends_after(&mut Pace::new(256, GRACE), piece, apart);
            assert_eq!(ended, None, "{piece} bytes every {apart:?}");
        }
    }

    #[test]
    fn who_is_slower_is_given_up_after_the_grace_and_what_was_earned() {
        for (piece, apart, after) in [
            // One byte before each silence would be too long.
            (1, 29_000, 30_003),
            (0, 1000, 30_000),
            (128, 1000, 60_000),
            (255, 1000, 7_425_000),
        ] {
            let apart = Duration::from_millis(apart);
            let ended = ends_after(&mut Pace::new(256, GRACE), piece, apart);
            let ended = ended.expect("an end").as_millis();
            assert!(ended.abs_diff(after) <= 1500, "{piece}: {ended} ms");
        }
    }

    #[test]
    fn a_receiver_that_takes_its_time_costs_the_sender_nothing() {
        let mut pace = Pace::new(256, GRACE);
        for _ in 0..1000 {
            // It was there when it was asked for.
            pace.came(1, Duration::ZERO);
        }
        assert!(pace.left() > GRACE);
    }

    #[test]
    fn without_a_rate_and_with_numbers_beyond_all_measure_nothing_overflows() {
        let mut any = Pace::new(0, GRACE);
        any.came(u64::MAX, Duration::MAX);
        assert_eq!(any.left(), Duration::MAX);
        let mut pace = Pace::new(u64::MAX, Duration::MAX);
        pace.came(u64::MAX, Duration::MAX);
        pace.came(u64::MAX, Duration::MAX);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
