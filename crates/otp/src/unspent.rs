//! What makes a password a *one-time* password: a place in an order that only ever moves forward.
//!
//! Not responsible for: keeping that place. This crate stores nothing; whoever does moves it with
//! one compare-and-swap and brings the outcome here.

use std::fmt;

/// A password that was right, and of which nobody has yet said that it was not used before.
///
/// There is nothing to read in it but its [`position`](Self::position). To learn what it stands
/// for it has to be given up together with the outcome of the compare-and-swap, so that a check
/// against replays cannot be forgotten, and no value can be looked at twice:
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use countersign_otp::yubico::{Secrets, sim::SimulatedKey};
/// # use countersign_otp::{Counter, Replayed};
/// # let secrets = || Secrets::new([1; 6], [2; 16]);
/// # let mut key = SimulatedKey::new("cccccccccccb".parse().unwrap(), secrets());
/// # let otp = key.press(7);
/// // In a service this is one statement in a database that all replicas share.
/// let mut kept: Option<u64> = None;
/// let mut advance = |to: u64| match kept {
///     Some(kept) if to <= kept => Counter::Behind,
///     _ => { kept = Some(to); Counter::Moved }
/// };
///
/// let unspent = secrets().decrypt(&otp).unwrap();
/// let position = unspent.position();
/// assert_eq!(unspent.settle(advance(position)).unwrap().counter(), 1);
///
/// let again = secrets().decrypt(&otp).unwrap();
/// assert_eq!(again.settle(advance(position)).unwrap_err(), Replayed);
/// # }
/// ```
#[must_use = "a password counts only once its position was moved: `settle` it with the outcome"]
pub struct Unspent<T> {
    position: u64,
    value: T,
}

impl<T> Unspent<T> {
    pub(crate) fn new(position: u64, value: T) -> Self {
        Self { position, value }
    }

    /// Where the password stands in the order of its device. The counter kept for that device has
    /// to be moved here, and only if it stands below. Fits into 63 bits.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What the password stands for, if it was this one that moved the counter.
    ///
    /// # Errors
    /// [`Replayed`] if the counter stood there or further. If it could not be moved because the
    /// memory failed, there is no outcome to bring: drop this and refuse.
    pub fn settle(self, outcome: Counter) -> Result<T, Replayed> {
        match outcome {
            Counter::Moved => Ok(self.value),
            Counter::Behind => Err(Replayed),
        }
    }
}

/// The position alone; the value is not to be seen yet.
impl<T> fmt::Debug for Unspent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unspent")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What became of the counter that is kept for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// It stood below the position (or there was none) and was moved to it.
    Moved,
    /// It stood at the position or beyond, and stands there still.
    Behind,
}

/// The password was right and has been used before, or a later one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this one-time password, or a later one of the same device, has been used before")]
pub struct Replayed;

impl Replayed {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        "otp_replayed"
    }
}
