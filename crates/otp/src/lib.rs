//! One-time passwords: Yubico OTP, validation protocol 2.0, HOTP and TOTP, without I/O.
//!
//! This crate answers one question: is this the next password of that device? It opens no socket
//! and no file, reads no clock, and makes no random numbers. Time, randomness and whatever has to be
//! remembered come in as arguments, and so does the cryptographic library ([`crypto`]).
//!
//! ```
//! # #[cfg(feature = "ring")] {
//! use std::time::Duration;
//! use countersign_otp::crypto::ring;
//! use countersign_otp::oath::{Code, Enrolment, Secret, Totp};
//! use countersign_otp::Counter;
//!
//! // Enrolment: a secret from your random source, shown once as a QR code.
//! let secret = Secret::from_random([0x5a; 20]);
//! let enrolment = Enrolment::totp("Example", "ada@example.com", Totp::new(secret))?;
//! let _for_the_qr_code = enrolment.to_uri();
//!
//! // Sign-in: the person types six digits. `now` is the time since 1970.
//! let now = Duration::from_secs(1_790_000_000);
//! let totp = enrolment.as_totp().unwrap();
//! let typed = totp.code_at(now, ring::provider()).to_string();
//!
//! let unspent = totp.verify(&Code::parse(&typed)?, now, ring::provider())?;
//! // One compare-and-swap on what is kept for this person: only forward, and only once.
//! let (kept, position) = (0, unspent.position());
//! let outcome = if position > kept { Counter::Moved } else { Counter::Behind };
//! unspent.settle(outcome)?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rooms
//!
//! - [`yubico`]: the 44 letters that a Yubikey types. With the key's own secrets they are checked
//!   here, offline; [`yubico::KeyFile`] reads the files that programmed keys come with, and the
//!   feature `sim` brings a key made of nothing for tests and demonstrations.
//! - [`validation`]: the same letters, checked by validation servers (protocol 2.0), several asked
//!   at once. A machine says what to send and what it means; carrying it is the caller's.
//! - [`oath`]: HOTP (RFC 4226) and TOTP (RFC 6238), the `otpauth` address, Base32.
//!
//! # What holds
//!
//! - A right password comes as an [`Unspent`], which has to be given up together with the outcome of
//!   a compare-and-swap. Two requests with one password cannot both get past it.
//! - Secrets are wiped when dropped, and no `Debug` and no error shows one, nor a password.
//! - Secrets, passwords and signatures are compared in a time that does not depend on where they
//!   differ; every code in a window is computed and compared, also after one was right.
//! - Text from outside is read in one way only. What a keyboard adds (blanks, capital letters,
//!   another layout) is taken off by functions that say so.
//! - No input makes anything here panic.
//!
//! # What is not here
//!
//! Counting failures and locking: six digits are guessed in a million tries, so whoever calls this
//! must limit them. Which device belongs to whom. And any binding of a password to what it confirms:
//! whoever sees an unused one can use it for something else.
//!
//! # Features
//!
//! `ring` (default) and `aws-lc-rs` bring a [`crypto::Crypto`] each; `sim` brings `yubico::sim`.

pub mod crypto;
pub mod oath;
pub mod validation;
pub mod yubico;

mod text;
mod unspent;

pub use unspent::{Counter, Replayed, Unspent};
