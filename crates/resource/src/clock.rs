//! Where the time comes from.
//!
//! The checks themselves read no clock; they are handed `now`. This is the one
//! place of the crate that asks the system.

use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_jose::Timestamp;

/// A source of time, replaceable so that tests cover hours in no time.
pub trait Clock: Send + Sync + 'static {
    /// The time of day, against which `exp`, `nbf` and `iat` and the age of
    /// the keys are measured.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, never going backwards, against which
    /// cooldowns are measured: setting the time of day must neither lengthen
    /// nor shorten one.
    fn monotonic(&self) -> Duration;

    /// Waits until so much time has passed, or about that: whoever sleeps
    /// looks at the clock again.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A machine set before 1970 has no usable time; zero makes every
        // token look issued in the future, which refuses it.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
