//! HOTP: codes that are counted (RFC 4226).
//!
//! Not responsible for: keeping the counter. It comes in, and the caller moves it.

use super::{Code, Digits, Secret, WrongCode};
use crate::Unspent;
use crate::crypto::{Crypto, Hash};

/// The most codes that one check computes, whatever the caller asks for.
const MAX_LOOK_AHEAD: u32 = 1000;

/// The last counter: the memories that keep it have 63 bits.
const MAX_COUNTER: u64 = i64::MAX.cast_unsigned();

/// A device that shows the next code at each press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hotp {
    secret: Secret,
    hash: Hash,
    digits: Digits,
}

/// A counted code that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotpMatch {
    counter: u64,
}

impl HotpMatch {
    /// The counter of the code that was right. The device will show later ones only.
    pub fn counter(&self) -> u64 {
        self.counter
    }
}

impl Hotp {
    /// Six digits and SHA-1, as RFC 4226 has it.
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            hash: Hash::default(),
            digits: Digits::default(),
        }
    }

    /// With another number of digits.
    #[must_use]
    pub fn digits(mut self, digits: Digits) -> Self {
        self.digits = digits;
        self
    }

    /// With another hash, which some devices have although RFC 4226 knows SHA-1 alone.
    #[must_use]
    pub fn hash(mut self, hash: Hash) -> Self {
        self.hash = hash;
        self
    }

    pub(super) fn parts(&self) -> (&Secret, Hash, Digits) {
        (&self.secret, self.hash, self.digits)
    }

    /// The code that belongs to a counter.
    pub fn code_at(&self, counter: u64, crypto: Crypto) -> Code {
        let mac = crypto.hmac(self.hash, self.secret.expose(), &counter.to_be_bytes());
        Code::truncate(&mac, self.digits)
    }

    /// Looks for `code` at `next` and up to `look_ahead` counters beyond (RFC 4226, section 7.4).
    ///
    /// `next` is the counter after the last one that was accepted, or the first of the device. Of
    /// the rare codes that stand twice in that window the later counts, so that neither can come
    /// again.
    ///
    /// # Errors
    /// [`WrongCode`].
    pub fn verify(
        &self,
        code: &Code,
        next: u64,
        look_ahead: u32,
        crypto: Crypto,
    ) -> Result<Unspent<HotpMatch>, WrongCode> {
        let last = next.saturating_add(u64::from(look_ahead.min(MAX_LOOK_AHEAD)));
        self.search(code, next, last, crypto)
            .map(|counter| Unspent::new(counter, HotpMatch { counter }))
            .ok_or(WrongCode)
    }

    /// Finds a device again that was pressed too often in a pocket: two codes in a row, within
    /// `window` counters (at most 1000) from `next` (RFC 4226, section 7.4). One code alone would
    /// make a wide window a wide target.
    ///
    /// # Errors
    /// [`WrongCode`].
    pub fn resynchronize(
        &self,
        first: &Code,
        second: &Code,
        next: u64,
        window: u32,
        crypto: Crypto,
    ) -> Result<Unspent<HotpMatch>, WrongCode> {
        let last = next.saturating_add(u64::from(window.min(MAX_LOOK_AHEAD)));
        let mut found = None;
        for counter in next..=last.min(MAX_COUNTER - 1) {
            let is_first = self.code_at(counter, crypto).is(first);
            let is_second = self.code_at(counter + 1, crypto).is(second);
            if is_first & is_second {
                found = Some(counter + 1);
            }
        }
        found
            .map(|counter| Unspent::new(counter, HotpMatch { counter }))
            .ok_or(WrongCode)
    }

    /// The last counter in a window whose code it is. All of them are looked at in any case.
    pub(super) fn search(&self, code: &Code, first: u64, last: u64, crypto: Crypto) -> Option<u64> {
        let mut found = None;
        for counter in first..=last.min(MAX_COUNTER) {
            if self.code_at(counter, crypto).is(code) {
                found = Some(counter);
            }
        }
        found
    }
}
