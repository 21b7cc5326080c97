//! Time, handed in: the driver never asks the operating system itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_jose::Timestamp;

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
    latest: Timestamp,
}

impl Span {
    /// Begins now.
    pub(crate) fn begin(clock: &dyn Clock) -> Self {
        let wall = clock.now();
        Self {
            wall,
            monotonic: clock.monotonic(),
            latest: wall,
        }
    }

    /// The later of the time of day and the beginning plus the monotonic time that has passed.
    pub(crate) fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let passed = clock.monotonic().saturating_sub(self.monotonic);
        self.latest = self.latest.max(clock.now()).max(self.wall + passed);
        self.latest
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A clock that moves when it is told to, and when somebody sleeps.
    #[derive(Debug)]
    pub(crate) struct FakeClock(Mutex<(Timestamp, Duration)>);

    impl FakeClock {
        pub(crate) fn at(seconds: i64) -> Self {
            Self(Mutex::new((Timestamp::from_secs(seconds), Duration::ZERO)))
        }

        /// Lets time pass on both clocks.
        pub(crate) fn pass(&self, duration: Duration) {
            let mut clocks = self.0.lock().unwrap();
            *clocks = (clocks.0 + duration, clocks.1 + duration);
        }

        /// Sets the time of day; the monotonic clock does not notice.
        pub(crate) fn set(&self, seconds: i64) {
            self.0.lock().unwrap().0 = Timestamp::from_secs(seconds);
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            self.0.lock().unwrap().0
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().1
        }

        fn sleep(&self, duration: Duration) {
            self.pass(duration);
        }
    }

    #[test]
    fn a_span_follows_whichever_clock_moved_further_and_never_goes_back() {
        let clock = FakeClock::at(1000);
        let mut span = Span::begin(&clock);
        clock.pass(Duration::from_secs(10));
        assert_eq!(span.now(&clock).as_secs(), 1010);
        // Set back by an hour: the monotonic clock goes on.
        clock.set(1010 - 3600);
        clock.pass(Duration::from_secs(5));
        assert_eq!(span.now(&clock).as_secs(), 1015);
        // Asleep for an hour: only the time of day noticed.
        clock.set(1015 + 3600);
        assert_eq!(span.now(&clock).as_secs(), 4615);
        clock.set(1015);
        assert_eq!(span.now(&clock).as_secs(), 4615);
    }
}
