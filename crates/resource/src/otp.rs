//! One-time passwords of people, verified and used up once by this API.
//!
//! Which device belongs to whom stands in a registry ([`Devices`]), the secrets
//! in it sealed by a key that lies elsewhere ([`SealingKeys`]). An
//! [`OtpService`] takes a password that came with a request and says whether it
//! is the next one of a device of that person: by the device's own secrets, or
//! by validation servers ([`ValidationServers`]). What was used, and who guesses
//! too often, stands in a [`SharedState`](crate::state::SharedState).
//!
//! The rules of each kind of password are `countersign-otp`'s. Not responsible
//! for what a password confirms: that binding is the challenge's.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod device;
mod enrol;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod reseal;
mod seal;
mod secrets;
mod servers;
mod service;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error as StdError;
use std::fmt;

use countersign_oauth::Secret;

use crate::Timestamp;
use crate::state::StateError;

pub use device::{
    Device, DeviceId, DeviceKind, Devices, DevicesError, DevicesFuture, MAX_DEVICES, MAX_LABEL,
    NewSeal,
};
pub use enrol::{EnrolError, NewDevice};
pub use memory::MemoryDevices;
#[cfg(feature = "postgres")]
pub use postgres::PostgresDevices;
pub use reseal::ResealError;
pub use seal::{SealError, SealingKey, SealingKeys};
pub use servers::{ValidationServers, ValidationServersBuilder};
pub use service::{OtpLimits, OtpService, OtpServiceBuilder};
// What enrolment is about; see there.
pub use countersign_otp::{oath, yubico};

/// A person, as an issuer knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Person<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`.
    pub subject: &'a str,
}

impl<'a> Person<'a> {
    /// The person whom `issuer` calls `subject`.
    pub fn new(issuer: &'a str, subject: &'a str) -> Self {
        Self { issuer, subject }
    }
}

/// A kind of password, by its word on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// What a touch of a Yubikey types.
    Yubikey,
    /// The digits that an authenticator shows.
    Totp,
}

impl Method {
    /// All of them, the best first.
    pub const ALL: [Self; 2] = [Self::Yubikey, Self::Totp];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yubikey => "yubikey",
            Self::Totp => "totp",
        }
    }

    /// The method of a word. `None` for any other.
    pub fn from_wire(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == word)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A password as it came with a request. `Debug` shows nothing of it.
#[derive(Debug, Clone)]
pub struct Typed {
    method: Method,
    otp: Secret,
}

impl Typed {
    /// What the person says it is, and the text itself.
    pub fn new(method: Method, otp: Secret) -> Self {
        Self { method, otp }
    }

    /// What the person says it is.
    pub fn method(&self) -> Method {
        self.method
    }

    pub(crate) fn otp(&self) -> &Secret {
        &self.otp
    }
}

/// A password was right, and was used up by this call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Confirmed {
    method: Method,
    device: DeviceId,
    label: String,
}

impl Confirmed {
    /// What it was.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The device that made it.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// What its owner calls the device.
    pub fn label(&self) -> &str {
        &self.label
    }
}

/// Why a password does not do. None of these holds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtpError {
    /// It is not the next password of a device of this person, whatever else it
    /// may be.
    #[error("the one-time password is not right")]
    Wrong,
    /// It was right, and was used before.
    #[error("the one-time password was used before")]
    Replayed,
    /// What it was to confirm was confirmed before, or nobody can tell any
    /// more. The password itself was not used up.
    #[error("the challenge was answered before")]
    ChallengeUsed,
    /// There were too many wrong ones.
    #[error("there were too many wrong one-time passwords")]
    Locked {
        /// Until then nothing is looked at.
        until: Timestamp,
    },
    /// The person has no device for this method.
    #[error("no device is enrolled for this person")]
    NoDevice,
    /// Something that has to be asked is away.
    #[error("one-time passwords cannot be verified now")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl OtpError {
    /// A stable name for the wire, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wrong => "wrong_otp",
            Self::Replayed => "replayed_otp",
            Self::ChallengeUsed => "expired",
            Self::Locked { .. } => "locked",
            Self::NoDevice => "no_device",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<StateError> for OtpError {
    fn from(error: StateError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<DevicesError> for OtpError {
    fn from(error: DevicesError) -> Self {
        Self::Unavailable(error.into())
    }
}

#[cfg(test)]
mod tests;
