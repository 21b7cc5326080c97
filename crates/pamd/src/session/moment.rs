//! The two clocks that sessions are measured by.
//!
//! Whatever is a duration (how long a session may last, how long the provider may be away, when a token
//! is renewed) is counted by the time since the machine started. It goes on while the machine is asleep,
//! nobody can set it, and after a restart of the daemon it still means the same. The time of day is
//! only looked at where a date came from the provider, and then it can make us ask earlier; it never ends
//! a session, and never keeps one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_client::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What both clocks show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the machine started, sleep included.
    pub(crate) boot: Duration,
    /// The time of day. May jump either way.
    pub(crate) wall: Timestamp,
}

/// Tells both times.
pub(crate) trait Moments: Send + Sync {
    /// What both clocks show now.
    fn now(&self) -> Moment;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemMoments;

impl Moments for SystemMoments {
    fn now(&self) -> Moment {
        let boot = clock_gettime(ClockId::Boottime);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            boot: Duration::new(
                u64::try_from(boot.tv_sec).unwrap_or_default(),
                u32::try_from(boot.tv_nsec).unwrap_or_default(),
            ),
            wall: Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}
