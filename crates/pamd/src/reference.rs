//! Six characters by which a person and an administrator speak of the same login.

use std::fmt;
use std::str::FromStr;

use countersign_jose::crypto::ring;
use serde::{Deserialize, Serialize};

/// Without vowels, so that no words come out, and without what is mistaken for something else.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 6;

/// The reference of one login: shown to the person, and written into every event about it.
///
/// It finds an entry and opens nothing; two logins may share one, once in 64 million.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(String);

impl Reference {
    /// A new one. Where the system gives no randomness, all of them are the same, and of no use.
    pub fn random() -> Self {
        let mut bytes = [0; LENGTH];
        // No decision depends on it, so a login is not refused for want of it.
        let _ = ring::provider().fill_random(&mut bytes);
        let letter = |byte: &u8| {
            let place = usize::from(*byte) % ALPHABET.len();
            ALPHABET.get(place).copied().map_or('X', char::from)
        };
        Self(bytes.iter().map(letter).collect())
    }

    /// The six characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It is not six characters of those that references are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a reference such as KMPRTX")]
pub struct InvalidReference;

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let is_one = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
        is_one
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidReference)
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_differ_and_can_be_read_back() {
        let (one, other) = (Reference::random(), Reference::random());
        assert_ne!(one, other);
        assert_eq!(one.as_str().parse(), Ok(one.clone()));
        for text in ["", "KMPRT", "KMPRTXX", "kmprtx", "KMPRTA", "KMPRT\n"] {
            assert_eq!(text.parse::<Reference>(), Err(InvalidReference), "{text:?}");
        }
    }
}
