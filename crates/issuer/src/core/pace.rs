//! How fast devices poll (RFC 8628, section 3.5).
//!
//! Kept in memory: pace is a courtesy, and a poll that had to be written down
//! would cost more than one that comes too early.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_jose::Timestamp;

use super::model::Digest;

/// The interval that devices are told.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// What each `slow_down` adds, on both sides (RFC 8628, section 3.5).
const STEP: Duration = Duration::from_secs(5);
/// Where adding ends. A client that adds from a lower base than ours would
/// otherwise never reach our bar.
const SLOWEST: Duration = Duration::from_secs(30);
/// Clocks and networks are not exact.
const TOLERANCE: Duration = Duration::from_millis(500);
/// How many devices are watched; one that is not watched is not slowed.
const MOST: usize = 50_000;

#[derive(Clone, Copy, Debug)]
struct Polls {
    last: Timestamp,
    interval: Duration,
    forget_at: Timestamp,
}

/// The last poll of every pending device login.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<Digest, Polls>>);

/// Whether a poll came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    InTime,
    TooEarly,
}

impl Pace {
    /// Notes a poll of a pending login that ends at `expires_at`. The first
    /// poll is always in time.
    pub(super) fn poll(&self, code: &Digest, expires_at: Timestamp, now: Timestamp) -> Timing {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(polls) = polls.get_mut(code) {
            let early = now.since(polls.last) + TOLERANCE < polls.interval;
            polls.last = now;
            if early {
                polls.interval = (polls.interval + STEP).min(SLOWEST);
                return Timing::TooEarly;
            }
            return Timing::InTime;
        }
        if polls.len() >= MOST {
            polls.retain(|_, polls| now < polls.forget_at);
        }
        if polls.len() < MOST {
            polls.insert(
                *code,
                Polls {
                    last: now,
                    interval: INTERVAL,
                    forget_at: expires_at,
                },
            );
        }
        Timing::InTime
    }

    /// Forgets a login that was decided.
    pub(super) fn forget(&self, code: &Digest) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(code);
    }

    /// Forgets the logins that are over.
    pub(super) fn purge(&self, now: Timestamp) {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        polls.retain(|_, polls| now < polls.forget_at);
        polls.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: Digest = [1; 32];
    const START: Timestamp = Timestamp::from_secs(1_000_000);
    const END: Timestamp = Timestamp::from_secs(1_000_600);

    fn millis(millis: u64) -> Timestamp {
        START + Duration::from_millis(millis)
    }

    #[test]
    fn the_first_poll_is_never_too_early() {
        let pace = Pace::default();
        assert_eq!(pace.poll(&CODE, END, START), Timing::InTime);
    }

    #[test]
    fn half_a_second_of_haste_is_tolerated() {
        let pace = Pace::default();
        pace.poll(&CODE, END, START);
        assert_eq!(pace.poll(&CODE, END, millis(4_500)), Timing::InTime);
        assert_eq!(
            pace.poll(&CODE, END, millis(4_500 + 4_499)),
            Timing::TooEarly
        );
    }

    #[test]
    fn slow_down_adds_five_seconds_and_stays() {
        let pace = Pace::default();
        pace.poll(&CODE, END, START);
        assert_eq!(pace.poll(&CODE, END, millis(1_000)), Timing::TooEarly);
        assert_eq!(pace.poll(&CODE, END, millis(11_000)), Timing::InTime);
        assert_eq!(pace.poll(&CODE, END, millis(20_000)), Timing::TooEarly);
        assert_eq!(pace.poll(&CODE, END, millis(35_000)), Timing::InTime);
    }

    #[test]
    fn the_bar_ends_at_thirty_seconds_so_that_any_client_reaches_it() {
        let pace = Pace::default();
        pace.poll(&CODE, END, START);
        for poll in 1..=20 {
            assert_eq!(pace.poll(&CODE, END, millis(poll * 100)), Timing::TooEarly);
        }
        assert_eq!(
            pace.poll(&CODE, END, millis(2_000 + 30_000)),
            Timing::InTime
        );
    }

    #[test]
    fn a_clock_that_goes_back_slows_nobody_for_long() {
        let pace = Pace::default();
        pace.poll(&CODE, END, millis(60_000));
        assert_eq!(pace.poll(&CODE, END, START), Timing::TooEarly);
        assert_eq!(pace.poll(&CODE, END, millis(10_000)), Timing::InTime);
    }
}
