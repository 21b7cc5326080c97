//! Time, handed in: whoever waits or compares takes a [`Clock`], and tests bring their own.

pub use countersign_client::{Clock, SystemClock};

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use countersign_client::Timestamp;

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
    fn both_clocks_move_together_when_somebody_sleeps() {
        let clock = FakeClock::at(10);
        clock.sleep(Duration::from_secs(5));
        assert_eq!(clock.now().as_secs(), 15);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
        clock.set(3);
        assert_eq!(clock.now().as_secs(), 3);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
