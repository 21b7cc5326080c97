//! The digits that a person types.

use std::fmt;

use zeroize::Zeroize;

use crate::crypto::constant_time_eq;

/// How many digits a code has. "Implementations MUST extract a 6-digit code at a minimum and
/// possibly 7 and 8-digit code" (RFC 4226, section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digits {
    /// Six, which every authenticator can show.
    #[default]
    Six,
    /// Seven.
    Seven,
    /// Eight.
    Eight,
}

impl Digits {
    /// Every number there is.
    pub const ALL: [Self; 3] = [Self::Six, Self::Seven, Self::Eight];

    /// The number itself.
    pub fn count(self) -> usize {
        match self {
            Self::Six => 6,
            Self::Seven => 7,
            Self::Eight => 8,
        }
    }

    fn modulus(self) -> u32 {
        match self {
            Self::Six => 1_000_000,
            Self::Seven => 10_000_000,
            Self::Eight => 100_000_000,
        }
    }
}

/// A code of six to eight digits. Wiped when dropped; `Debug` shows four stars.
#[derive(Clone)]
pub struct Code {
    digits: [u8; 8],
    count: usize,
}

impl Code {
    /// Reads exactly six to eight ASCII digits.
    ///
    /// # Errors
    /// [`MalformedCode`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        if !(6..=8).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MalformedCode);
        }
        let mut code = Self {
            digits: [0; 8],
            count: text.len(),
        };
        for (to, from) in code.digits.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Ok(code)
    }

    /// Reads what a person typed into a line: blanks, tabs and the end of the line are taken out,
    /// because authenticators show `123 456`.
    ///
    /// # Errors
    /// [`MalformedCode`] for anything that [`parse`](Self::parse) refuses then.
    pub fn parse_typed(text: &str) -> Result<Self, MalformedCode> {
        if text.len() > 32 {
            return Err(MalformedCode);
        }
        // With its final size at once, so that no copy stays behind where it grew.
        let mut plain = String::with_capacity(text.len());
        plain.extend(
            text.chars()
                .filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')),
        );
        let code = Self::parse(&plain);
        plain.zeroize();
        code
    }

    /// Dynamic truncation (RFC 4226, section 5.3).
    pub(super) fn truncate(mac: &[u8], digits: Digits) -> Self {
        let offset = usize::from(mac.last().map_or(0, |last| last & 0xf));
        let number = mac
            .iter()
            .skip(offset)
            .take(4)
            .fold(0, |number: u32, byte| (number << 8) | u32::from(*byte))
            & 0x7fff_ffff;
        let mut code = Self {
            digits: [0; 8],
            count: digits.count(),
        };
        let mut rest = number % digits.modulus();
        for digit in code.digits.iter_mut().take(digits.count()).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        code
    }

    /// In constant time, apart from the number of digits.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.count == other.count) & constant_time_eq(&self.digits, &other.digits)
    }
}

/// The digits. This shows the code: it is for those who display one, and for tests.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for digit in self.digits.iter().take(self.count) {
            fmt::Write::write_char(f, char::from(*digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(****)")
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

/// The text is not a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has six to eight digits and nothing else")]
pub struct MalformedCode;

impl MalformedCode {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        "otp_malformed"
    }
}
