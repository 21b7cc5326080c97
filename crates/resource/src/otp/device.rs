//! What is known of a device, and where it is kept.
//!
//! Not responsible for its secrets, which are sealed before they come here, nor
//! for its counter, which stands in the shared state.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;

use super::{Method, Person};
use crate::Timestamp;

/// The most devices that one person has.
pub const MAX_DEVICES: usize = 16;

/// The longest label, in characters.
pub const MAX_LABEL: usize = 64;

/// The name of a device in the registry: 32 hexadecimal digits, chosen at
/// random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(String);

impl DeviceId {
    /// From random bytes that were made just now.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random)))
    }

    /// Reads one back. `None` for anything that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a device is, and who can tell whether its passwords are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A Yubikey whose AES key is here.
    Yubikey,
    /// A Yubikey whose AES key is at validation servers.
    RemoteYubikey,
    /// An authenticator that follows the time.
    Totp,
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Yubikey, Self::RemoteYubikey, Self::Totp];

    /// Its name in a registry and in what is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yubikey => "yubikey",
            Self::RemoteYubikey => "remote-yubikey",
            Self::Totp => "totp",
        }
    }

    /// Reads a name back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What its passwords are called on the wire.
    pub fn method(self) -> Method {
        match self {
            Self::Yubikey | Self::RemoteYubikey => Method::Yubikey,
            Self::Totp => Method::Totp,
        }
    }
}

/// A device of a person. `Debug` shows no secret: there is none that is not
/// sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name in the registry.
    pub id: DeviceId,
    /// Whose it is: `iss`.
    pub issuer: String,
    /// Whose it is: `sub`.
    pub subject: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What its owner calls it.
    pub label: String,
    /// The letters in front of a Yubikey's passwords. No two devices have the
    /// same.
    pub public_id: Option<String>,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When a password of it was last taken.
    pub last_used_at: Option<Timestamp>,
    /// Its secrets, sealed for it and its owner. Empty where they are
    /// elsewhere.
    pub sealed: Vec<u8>,
}

impl Device {
    /// Whose it is.
    pub fn owner(&self) -> Person<'_> {
        Person::new(&self.issuer, &self.subject)
    }

    /// Whether it is anybody's. A key in stock has neither issuer nor subject,
    /// as no person has.
    pub fn has_owner(&self) -> bool {
        !self.issuer.is_empty() || !self.subject.is_empty()
    }
}

/// Another seal on the secrets of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSeal {
    /// Which device.
    pub id: DeviceId,
    /// Its secrets as they are sealed before.
    pub before: Vec<u8>,
    /// The same secrets, sealed otherwise.
    pub after: Vec<u8>,
}

/// The methods that devices are for, the best first.
pub(super) fn methods(devices: &[Device]) -> Vec<Method> {
    let has = |method: &Method| devices.iter().any(|it| it.kind.method() == *method);
    Method::ALL.into_iter().filter(has).collect()
}

/// The future of every question to a [`Devices`].
pub type DevicesFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, DevicesError>> + Send + 'a>>;

/// A registry of devices. Every future ends by itself in bounded time.
pub trait Devices: Send + Sync + 'static {
    /// The devices of a person, in the order of their enrolment.
    ///
    /// # Errors
    ///
    /// [`DevicesError::Unavailable`], [`DevicesError::Damaged`].
    fn of<'a>(&'a self, who: Person<'a>) -> DevicesFuture<'a, Vec<Device>>;

    /// All devices, by owner and in the order of their enrolment.
    ///
    /// # Errors
    ///
    /// As [`Devices::of`].
    fn all(&self) -> DevicesFuture<'_, Vec<Device>>;

    /// Enrols devices, all of them or none.
    ///
    /// # Errors
    ///
    /// [`DevicesError::Taken`] and [`DevicesError::TooMany`], decided in one
    /// step with the enrolment; [`DevicesError::Unavailable`].
    fn add(&self, devices: Vec<Device>) -> DevicesFuture<'_, ()>;

    /// Puts a device in the place of another, as one step; whether that was
    /// there. It is the only one that may have had the same public id.
    ///
    /// # Errors
    ///
    /// As [`Devices::add`].
    fn replace<'a>(&'a self, old: &'a DeviceId, new: Device) -> DevicesFuture<'a, bool>;

    /// Puts these seals in the place of the ones before, as one step; how many there were. A device
    /// that is gone, or is sealed otherwise by now, is passed over.
    ///
    /// # Errors
    ///
    /// [`DevicesError::Unavailable`].
    fn reseal(&self, seals: Vec<NewSeal>) -> DevicesFuture<'_, usize>;

    /// Removes a device; whether there was one.
    ///
    /// # Errors
    ///
    /// [`DevicesError::Unavailable`].
    fn remove<'a>(&'a self, id: &'a DeviceId) -> DevicesFuture<'a, bool>;

    /// Notes that a password of a device was taken.
    ///
    /// # Errors
    ///
    /// [`DevicesError::Unavailable`].
    fn used<'a>(&'a self, id: &'a DeviceId, at: Timestamp) -> DevicesFuture<'a, ()>;
}

/// Why a registry cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevicesError {
    /// A device with this public id is enrolled, of this person or another.
    #[error("the key {0} is enrolled already")]
    Taken(String),
    /// The person has as many devices as there may be.
    #[error("this person has {MAX_DEVICES} devices, which is the most")]
    TooMany,
    /// A record does not hold what was written.
    #[error("the registry holds a damaged record")]
    Damaged,
    /// It cannot be reached, did not answer in time, or answered nonsense.
    #[error("the registry of devices cannot be reached")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl DevicesError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taken(_) => "device_taken",
            Self::TooMany => "devices_too_many",
            Self::Damaged => "devices_damaged",
            Self::Unavailable(_) => "devices_unavailable",
        }
    }
}
