//! What only a key and its owner's service know, and the check that rests on it.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use zeroize::{Zeroize, Zeroizing};

use super::Otp;
use crate::crypto::constant_time_eq;
use crate::{Unspent, text};

/// What is left of the checksum over a whole block that is in order.
const CRC_RESIDUE: u16 = 0xf0b8;

/// Bit 15 of the counter says that Caps Lock was on; the others count.
const COUNTER_MASK: u16 = 0x7fff;

/// The private id and the AES key of one Yubikey. Wiped when dropped; `Debug` shows four stars.
#[derive(Clone)]
pub struct Secrets {
    private_id: [u8; 6],
    aes_key: [u8; 16],
}

impl Secrets {
    /// From the values themselves.
    pub fn new(private_id: [u8; 6], aes_key: [u8; 16]) -> Self {
        Self {
            private_id,
            aes_key,
        }
    }

    /// From hexadecimal text: 12 digits and 32. `None` for anything else.
    pub fn from_hex(private_id: &str, aes_key: &str) -> Option<Self> {
        Some(Self::new(text::hex(private_id)?, text::hex(aes_key)?))
    }

    /// The private id and the AES key, for the one place that stores them encrypted.
    pub fn expose(&self) -> (&[u8; 6], &[u8; 16]) {
        (&self.private_id, &self.aes_key)
    }

    /// Checks that `otp` was made by the key that holds these secrets.
    ///
    /// That is all it says: whether the password was used before shows when the result is
    /// [settled](Unspent::settle). The public id is not looked at; the caller has chosen these
    /// secrets by it.
    ///
    /// # Errors
    /// [`NotOfThisKey`], without a reason: what is wrong with a guess is nobody's business.
    pub fn decrypt(&self, otp: &Otp) -> Result<Unspent<Decrypted>, NotOfThisKey> {
        let mut block = aes::Block::from(otp.block());
        Aes128::new(&self.aes_key.into()).decrypt_block(&mut block);
        let plain: Zeroizing<[u8; 16]> = Zeroizing::new(block.into());
        block.as_mut_slice().zeroize();

        let [
            private_id @ ..,
            c0,
            c1,
            t0,
            t1,
            t2,
            session_use,
            r0,
            r1,
            _,
            _,
        ] = &*plain;
        // Both are looked at in any case, so that a wrong key takes as long as a damaged password.
        let is_own = constant_time_eq(private_id, &self.private_id);
        let is_whole = crc16(&*plain) == CRC_RESIDUE;
        if !(is_own & is_whole) {
            return Err(NotOfThisKey);
        }
        let counter = u16::from_le_bytes([*c0, *c1]);
        let decrypted = Decrypted {
            counter: counter & COUNTER_MASK,
            session_use: *session_use,
            timestamp: u32::from_le_bytes([*t0, *t1, *t2, 0]),
            random: u16::from_le_bytes([*r0, *r1]),
            caps_lock: counter & !COUNTER_MASK != 0,
        };
        Ok(Unspent::new(decrypted.position(), decrypted))
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.private_id.zeroize();
        self.aes_key.zeroize();
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(****)")
    }
}

/// In constant time.
impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.private_id, &other.private_id)
            & constant_time_eq(&self.aes_key, &other.aes_key)
    }
}

impl Eq for Secrets {}

/// What a key said in a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decrypted {
    counter: u16,
    session_use: u8,
    timestamp: u32,
    random: u16,
    caps_lock: bool,
}

impl Decrypted {
    /// How often the key was plugged in and then used; 15 bits. A key whose counter has come to its
    /// end makes no more passwords.
    pub fn counter(&self) -> u16 {
        self.counter
    }

    /// Which password it is since the key was plugged in. After 255 the counter goes on by one.
    pub fn session_use(&self) -> u8 {
        self.session_use
    }

    /// A clock of about 8 Hz with 24 bits, which starts at a random value when the key is plugged
    /// in. Two passwords of one session tell by it how far apart they were made.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// A random number without meaning.
    pub fn random(&self) -> u16 {
        self.random
    }

    /// Whether Caps Lock was on at the computer. It does not count as a part of the counter.
    pub fn caps_lock(&self) -> bool {
        self.caps_lock
    }

    /// Counter and use as one number, in the order in which the key makes its passwords.
    fn position(&self) -> u64 {
        (u64::from(self.counter) << 8) | u64::from(self.session_use)
    }
}

/// The password was not made by the key with these secrets, or was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the one-time password is not of this Yubikey")]
pub struct NotOfThisKey;

impl NotOfThisKey {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        "otp_wrong"
    }
}

/// CRC-16 of ISO 13239, without its last complement. A check against damage: it authenticates
/// nothing, which is what the private id is for.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x8408
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yubico, `tests/selftest.c` of yubico-c.
    #[test]
    fn the_published_checksums_come_out() {
        assert_eq!(crc16(&[0xfe]), 4470);
        assert_eq!(crc16(&[0x55, 0xaa, 0, 0xff]), 52149);
        assert_eq!(
            crc16(&[
                0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x30, 0x75, 0x00, 0x09, 0x3d, 0xfa, 0x60, 0xea
            ]),
            35339
        );
    }

    #[test]
    fn secrets_cannot_be_printed() {
        let secrets = Secrets::new([0xab; 6], [0xcd; 16]);
        assert_eq!(format!("{secrets:?}"), "Secrets(****)");
    }
}
