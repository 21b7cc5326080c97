//! A password as text, before anybody knows whether it is right.
//!
//! Not responsible for: what is inside of the block.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, Zeroizing};

use super::modhex;
use crate::crypto::constant_time_eq;

/// Letters of the encrypted block.
const BLOCK: usize = 32;

/// The most letters a public id has.
const MAX_PUBLIC_ID: usize = 16;

/// The part of a password that says whose it is: up to 16 letters of modhex, usually 12.
///
/// It is no secret. A Yubikey can be programmed to have none, which is then empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId(String);

impl PublicId {
    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there are none: such a key cannot be told from others by its passwords.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for PublicId {
    type Err = MalformedOtp;

    fn from_str(text: &str) -> Result<Self, MalformedOtp> {
        if text.len() > MAX_PUBLIC_ID || !text.len().is_multiple_of(2) {
            return Err(MalformedOtp::Length);
        }
        if !modhex::is_modhex(text) {
            return Err(MalformedOtp::Alphabet);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keyboard layout that turned a Yubikey's key strokes into letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyboard {
    /// Any on which modhex comes out as it is: QWERTY, QWERTZ, AZERTY and most others.
    #[default]
    Usual,
    /// US Dvorak. Only where the person or the machine is known to use it: letters of both layouts
    /// overlap, and guessing would give one text two readings.
    Dvorak,
}

/// A Yubico OTP, well-formed and not yet checked.
///
/// Until it was checked it is as good as a password: `Debug` shows the public id alone, it is wiped
/// when dropped, and the letters are reached through [`expose`](Self::expose).
#[derive(Clone)]
pub struct Otp {
    text: String,
    id: PublicId,
    block: [u8; 16],
}

impl Otp {
    /// Reads exactly a password: 32 to 48 lower-case letters of modhex and nothing else.
    ///
    /// # Errors
    /// [`MalformedOtp`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, MalformedOtp> {
        if !(BLOCK..=BLOCK + MAX_PUBLIC_ID).contains(&text.len()) {
            return Err(MalformedOtp::Length);
        }
        if !modhex::is_modhex(text) {
            return Err(MalformedOtp::Alphabet);
        }
        // ASCII throughout, so that no letter is split.
        let (id, block) = text.split_at(text.len() - BLOCK);
        Ok(Self {
            id: id.parse()?,
            block: modhex::decode(block).ok_or(MalformedOtp::Alphabet)?,
            text: text.to_owned(),
        })
    }

    /// Reads what a Yubikey typed into a line. ASCII white space around it is taken off (keys end
    /// with Enter or Tab), capital letters count as small ones (Caps Lock was on), and another
    /// layout is undone if the caller says which.
    ///
    /// # Errors
    /// [`MalformedOtp`] for anything that [`parse`](Self::parse) refuses then.
    pub fn parse_typed(text: &str, keyboard: Keyboard) -> Result<Self, MalformedOtp> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > BLOCK + MAX_PUBLIC_ID {
            return Err(MalformedOtp::Length);
        }
        // With its final size at once, so that no copy stays behind where it grew.
        let mut plain = Zeroizing::new(String::with_capacity(text.len()));
        for byte in text.bytes() {
            let byte = byte.to_ascii_lowercase();
            plain.push(match keyboard {
                Keyboard::Usual if byte.is_ascii() => char::from(byte),
                Keyboard::Dvorak => modhex::from_dvorak(byte).ok_or(MalformedOtp::Alphabet)?,
                Keyboard::Usual => return Err(MalformedOtp::Alphabet),
            });
        }
        Self::parse(&plain)
    }

    /// Whose it says it is. Nothing is known about that before the password was checked.
    pub fn public_id(&self) -> &PublicId {
        &self.id
    }

    /// The letters themselves. Every use in a program is found by searching for this name.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn block(&self) -> [u8; 16] {
        self.block
    }
}

/// In a time that depends on the lengths alone.
impl PartialEq for Otp {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.text.as_bytes(), other.text.as_bytes())
    }
}

impl Eq for Otp {}

impl Drop for Otp {
    fn drop(&mut self) {
        self.text.zeroize();
        self.block.zeroize();
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Otp({} ****)", self.id)
    }
}

/// The text cannot be a Yubico OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedOtp {
    /// Not 32 letters with an even number of up to 16 before them.
    #[error("a Yubico OTP has 32 letters and up to 16 more in front of them, usually 44 in all")]
    Length,
    /// Letters that do not occur in modhex.
    #[error("a Yubico OTP has the letters cbdefghijklnrtuv only")]
    Alphabet,
}

impl MalformedOtp {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        "otp_malformed"
    }

    /// What the person at the keyboard may do.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Length => "touch the Yubikey once, with the cursor in an empty field",
            Self::Alphabet => {
                "check the keyboard layout, and that the key's slot is programmed for Yubico OTP"
            }
        }
    }
}
