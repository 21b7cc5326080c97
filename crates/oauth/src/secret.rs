//! The one type for everything that must not be printed.
//!
//! Not responsible for: secrets inside other crates' buffers (a TLS library, a JSON parser); what is
//! wiped here is our own copy.

use std::fmt;

use countersign_jose::constant_time_eq;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroize;

/// A token, device code, client secret, or anything else that whoever holds it may use.
///
/// It cannot be printed (`Debug` shows four stars, there is no `Display`), is wiped when dropped,
/// is compared without telling by the time taken where two values differ, and is read through
/// [`expose`](Self::expose) alone. It can be read from JSON but is written only by a field that says
/// so: `#[serde(with = "countersign_oauth::secret::exposed")]`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself. Every use of it in a program is found by searching for this name.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

/// In time that depends on the lengths only.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Writes a secret in the clear, for the one file or message that must hold it.
///
/// For fields of type [`Secret`] and `Option<Secret>`; the latter also need `#[serde(default)]` if
/// they may be absent:
/// ```
/// # use countersign_oauth::Secret;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Session {
///     #[serde(with = "countersign_oauth::secret::exposed")]
///     access_token: Secret,
///     #[serde(default, with = "countersign_oauth::secret::exposed")]
///     refresh_token: Option<Secret>,
/// }
/// ```
pub mod exposed {
    use super::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// What this module can write: a secret or an optional one.
    pub trait Expose: sealed::Sealed {
        /// The text to write, if there is one.
        fn exposed(&self) -> Option<&str>;
        /// Whether the absence of a value is part of the type.
        const OPTIONAL: bool;
    }

    impl Expose for Secret {
        fn exposed(&self) -> Option<&str> {
            Some(self.expose())
        }
        const OPTIONAL: bool = false;
    }

    impl Expose for Option<Secret> {
        fn exposed(&self) -> Option<&str> {
            self.as_ref().map(Secret::expose)
        }
        const OPTIONAL: bool = true;
    }

    /// Writes the secret as a string, or as an option of one.
    ///
    /// # Errors
    /// Only those of the serializer.
    pub fn serialize<T: Expose, S: Serializer>(
        secret: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret.exposed() {
            Some(text) if T::OPTIONAL => Some(text).serialize(serializer),
            Some(text) => text.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads what [`serialize`] wrote.
    ///
    /// # Errors
    /// Only those of the deserializer.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Expose + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        T::deserialize(deserializer)
    }

    mod sealed {
        pub trait Sealed {}
        impl Sealed for super::Secret {}
        impl Sealed for Option<super::Secret> {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        #[serde(with = "exposed")]
        one: Secret,
        #[serde(default, with = "exposed")]
        other: Option<Secret>,
    }

    #[test]
    fn debug_shows_four_stars_and_nothing_else() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?}"), "****");
        assert_eq!(format!("{:?}", Some(secret)), "Some(****)");
    }

    #[test]
    fn secrets_are_equal_when_their_text_is() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }

    #[test]
    fn a_field_marked_exposed_survives_a_round_trip() {
        for other in [None, Some(Secret::new("two"))] {
            let record = Record {
                one: Secret::new("one"),
                other,
            };
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        }
        assert_eq!(
            serde_json::from_str::<Record>(r#"{"one":"x"}"#)
                .unwrap()
                .other,
            None
        );
    }
}
