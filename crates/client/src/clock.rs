//! Time, handed in: the driver never asks the operating system itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// Tells the time and waits.
pub trait Clock: Send + Sync {
    /// The time of day. May jump either way: a person sets it, a virtual machine wakes up.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start. Never goes back; may stand still while the machine is asleep.
    fn monotonic(&self) -> Duration;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration);
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The clock of the operating system.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A time that only moves forward, by whichever of the two clocks has moved further.
///
/// A limit must end when the time of day passes it, because the monotonic clock may have stood still
/// while the machine slept, and it must end when the monotonic clock passes it, because the time of
/// day may have been set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    wall: Timestamp,
    monotonic: Duration,
}

impl Span {
    /// Begins now.
    pub(crate) fn begin(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            monotonic: clock.monotonic(),
        }
    }

    /// The later of the time of day and the beginning plus the monotonic time that has passed.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let passed = clock.monotonic().saturating_sub(self.monotonic);
        clock.now().max(self.wall + passed)
    }
}
