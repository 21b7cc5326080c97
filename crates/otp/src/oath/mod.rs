//! HOTP (RFC 4226) and TOTP (RFC 6238), the passwords of six digits, and how they are enrolled.
//!
//! Not responsible for: counting failures. Six digits are soon guessed, so there must be a limit to
//! the attempts (RFC 4226, section 7.3); that is for whoever knows the person.

mod base32;
mod code;
mod hotp;
mod secret;
mod totp;
mod uri;

pub use code::{Code, Digits, MalformedCode};
pub use hotp::{Hotp, HotpMatch};
pub use secret::{Secret, WeakSecret};
pub use totp::{Drift, Totp, TotpMatch};
pub use uri::{Enrolment, Kind, UriProblem};

/// None of the codes that would be right now is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code is not right, or no longer")]
pub struct WrongCode;

impl WrongCode {
    /// A stable name for logs and metrics.
    pub fn code(self) -> &'static str {
        "otp_wrong"
    }
}
