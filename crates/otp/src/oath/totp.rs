//! TOTP: codes that follow the time (RFC 6238).
//!
//! Not responsible for: the time, which comes in as the span since 1970-01-01T00:00:00Z.

use std::time::Duration;

use super::{Code, Digits, Hotp, Secret, WrongCode};
use crate::Unspent;
use crate::crypto::{Crypto, Hash};

/// A step of 30 seconds: "We RECOMMEND a default time-step size of 30 seconds" (RFC 6238, section
/// 5.2).
const DEFAULT_PERIOD: u64 = 30;

/// The longest step: more is a code that hardly changes.
const MAX_PERIOD: u64 = 300;

/// How far the clocks of device and service may be apart, in steps.
///
/// "We RECOMMEND that at most one time step is allowed as the network delay" (RFC 6238, section
/// 5.2): the default is one to either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    behind: u8,
    ahead: u8,
}

impl Drift {
    /// None: the step of now alone.
    pub const NONE: Self = Self {
        behind: 0,
        ahead: 0,
    };

    /// So many steps to either side, at most ten.
    pub const fn steps(steps: u8) -> Self {
        let steps = if steps > 10 { 10 } else { steps };
        Self {
            behind: steps,
            ahead: steps,
        }
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self::steps(1)
    }
}

/// An authenticator that shows another code every half minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totp {
    hotp: Hotp,
    period: u64,
    drift: Drift,
}

/// A code that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpMatch {
    step: u64,
    off: i64,
}

impl TotpMatch {
    /// The time step whose code it was.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How many steps the device is ahead of the service (behind, when negative).
    pub fn off(&self) -> i64 {
        self.off
    }
}

impl Totp {
    /// Six digits, SHA-1, 30 seconds and one step of drift: what every authenticator can do.
    pub fn new(secret: Secret) -> Self {
        Self {
            hotp: Hotp::new(secret),
            period: DEFAULT_PERIOD,
            drift: Drift::default(),
        }
    }

    /// With another number of digits.
    #[must_use]
    pub fn digits(mut self, digits: Digits) -> Self {
        self.hotp = self.hotp.digits(digits);
        self
    }

    /// With another hash. Several authenticators ignore what they are told and use SHA-1.
    #[must_use]
    pub fn hash(mut self, hash: Hash) -> Self {
        self.hotp = self.hotp.hash(hash);
        self
    }

    /// With another step. `None` unless it has 1 to 300 whole seconds.
    #[must_use]
    pub fn period(mut self, seconds: u64) -> Option<Self> {
        self.period = seconds;
        (1..=MAX_PERIOD).contains(&seconds).then_some(self)
    }

    /// With another window.
    #[must_use]
    pub fn drift(mut self, drift: Drift) -> Self {
        self.drift = drift;
        self
    }

    pub(super) fn parts(&self) -> (&Secret, Hash, Digits, u64) {
        let (secret, hash, digits) = self.hotp.parts();
        (secret, hash, digits, self.period)
    }

    /// The step at a time since 1970.
    pub fn step_at(&self, now: Duration) -> u64 {
        now.as_secs() / self.period
    }

    /// How long the code of `now` will still be shown.
    pub fn remaining(&self, now: Duration) -> Duration {
        let end = self.step_at(now).saturating_add(1);
        let end = end.saturating_mul(self.period);
        Duration::from_secs(end).saturating_sub(now)
    }

    /// The code at a time since 1970.
    pub fn code_at(&self, now: Duration, crypto: Crypto) -> Code {
        self.hotp.code_at(self.step_at(now), crypto)
    }

    /// Looks for `code` in the window around `now`.
    ///
    /// "The verifier MUST NOT accept the second attempt of the OTP after the successful validation
    /// has been issued for the first OTP" (RFC 6238, section 5.2): the result has to be
    /// [settled](Unspent::settle) with the step as its position. If a code stands twice in the
    /// window the later step counts, so that it cannot come again.
    ///
    /// # Errors
    /// [`WrongCode`].
    pub fn verify(
        &self,
        code: &Code,
        now: Duration,
        crypto: Crypto,
    ) -> Result<Unspent<TotpMatch>, WrongCode> {
        let middle = self.step_at(now);
        let first = middle.saturating_sub(self.drift.behind.into());
        let last = middle.saturating_add(self.drift.ahead.into());
        let step = self
            .hotp
            .search(code, first, last, crypto)
            .ok_or(WrongCode)?;
        let off = step.wrapping_sub(middle).cast_signed();
        Ok(Unspent::new(step, TotpMatch { step, off }))
    }
}
