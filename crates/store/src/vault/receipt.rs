//! What a vault answers to a deposit: JSON that only the vault understands.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::VaultError;

/// What leads back to a deposit. It stands in the session's file, and may itself be the secret: so it
/// is wiped when dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Receipt(Zeroizing<String>);

impl Receipt {
    /// The receipt that says `content`.
    pub(crate) fn of(content: &impl Serialize) -> Result<Self, VaultError> {
        // Room at once: a vector that grows leaves unwiped copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(8 * 1024));
        serde_json::to_writer(&mut *json, content).map_err(|_| VaultError::Damaged {
            what: "a receipt that cannot be written",
        })?;
        Ok(Self::from_json(&json))
    }

    /// Text that is JSON already.
    pub(crate) fn from_json(json: &[u8]) -> Self {
        Self(Zeroizing::new(String::from_utf8_lossy(json).into_owned()))
    }

    pub(crate) fn json(&self) -> &str {
        &self.0
    }

    /// What the receipt says, if it is of this shape.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        // The parser's message may quote what it read.
        serde_json::from_str(&self.0).map_err(|_| VaultError::Damaged { what: "receipt" })
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt(****)")
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        Ok(Self(Zeroizing::new(raw.into())))
    }
}
