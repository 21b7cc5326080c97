//! The password that a Yubikey types.
//!
//! It is written in [modhex](Otp): who it is (the public id, up to 16 letters), then one encrypted
//! block of 16 bytes in 32 letters. Inside, little endian: a private id (6 bytes), how often the key
//! was plugged in (2), a clock of 8 Hz (3), how often it was touched since (1), a random number (2)
//! and a checksum (2).
//!
//! With the secrets of a key ([`Secrets`]) its passwords are checked here. Whoever leaves them to a
//! validation server needs [`Otp`] and [`crate::validation`].
//!
//! Not responsible for: whose key it is, and the counter that is kept for it ([`Unspent`]).
//!
//! [`Unspent`]: crate::Unspent

mod key_file;
mod modhex;
mod otp;
mod secrets;
#[cfg(feature = "sim")]
pub mod sim;

pub use key_file::{ImportError, KeyFile, KeyRecord, LineProblem, MAX_KEY_FILE, Problem, Skipped};
pub use otp::{Keyboard, MalformedOtp, Otp, PublicId};
pub use secrets::{Decrypted, NotOfThisKey, Secrets};
