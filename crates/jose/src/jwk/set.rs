//! Sets of keys (RFC 7517, section 5).
//!
//! A set may hold keys that mean nothing to us: for encryption, of a type from a later year, or
//! simply broken. Such a key is skipped and reported with its reason, so that one of them cannot
//! shut out everybody who signs in with another (RFC 7517, section 5).

use serde_json::Value;

use super::VerifyingKey;
use crate::crypto::CryptoProvider;
use crate::error::{Error, KeyProblem, Part};
use crate::json::{self, Element};
use crate::{Algorithm, jwk::optional_str};

/// The longest key set document in bytes.
pub const MAX_KEY_SET_LEN: usize = 256 * 1024;

/// The most keys in a set, usable or not.
pub const MAX_KEYS: usize = 64;

/// The keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<SkippedKey>,
}

/// A key of a set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    index: usize,
    kid: Option<String>,
    problem: KeyProblem,
}

impl SkippedKey {
    /// The position of the key in the `keys` array, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The `kid` of the key, when it has a readable one: text from outside, not safe to print.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it cannot be used.
    pub fn problem(&self) -> &KeyProblem {
        &self.problem
    }
}

impl KeySet {
    /// Reads a JWK set document.
    ///
    /// The document as a whole must be strict JSON of at most [`MAX_KEY_SET_LEN`] bytes with at
    /// most [`MAX_KEYS`] keys. A set without any usable key is not an error here: it may still
    /// explain, by [`KeySet::skipped`], what is wrong.
    ///
    /// Keys that share a `kid` are all skipped: which of them a token means would be a guess.
    pub fn from_json(document: &[u8], provider: &'static CryptoProvider) -> Result<Self, Error> {
        let elements = json::parse_list(document, MAX_KEY_SET_LEN, "keys")
            .map_err(|source| Error::Json {
                part: Part::KeySet,
                source,
            })?
            .ok_or(Error::NotAKeySet)?;
        if elements.len() > MAX_KEYS {
            return Err(Error::TooManyKeys {
                count: elements.len(),
                limit: MAX_KEYS,
            });
        }
        let mut set = Self::default();
        let mut positions = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match read_key(element, provider) {
                Ok(key) => {
                    set.keys.push(key);
                    positions.push(index);
                }
                Err((kid, problem)) => set.skipped.push(SkippedKey {
                    index,
                    kid,
                    problem,
                }),
            }
        }
        set.skip_shared_ids(&positions);
        Ok(set)
    }

    /// Moves every key whose `kid` is not its own to the skipped ones.
    fn skip_shared_ids(&mut self, positions: &[usize]) {
        let ids: Vec<Option<String>> = self.keys.iter().map(|key| key.kid.clone()).collect();
        let shared =
            |kid: &Option<String>| kid.is_some() && ids.iter().filter(|id| *id == kid).count() > 1;
        self.keys.retain(|key| !shared(&key.kid));
        for (kid, index) in ids.iter().zip(positions) {
            if shared(kid) {
                let problem = KeyProblem::DuplicateKeyId;
                self.skipped.push(SkippedKey {
                    index: *index,
                    kid: kid.clone(),
                    problem,
                });
            }
        }
        self.skipped.sort_by_key(|skipped| skipped.index);
    }

    /// The usable keys, in the order of the document.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The keys that cannot be used, with the reason for each.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether every usable key of `older` is still here, under the same `kid` and for the same
    /// algorithms. If not, what `older` verified has to be verified again.
    pub fn keeps(&self, older: &Self) -> bool {
        let same = |key: &VerifyingKey, old: &VerifyingKey| {
            key.kid == old.kid && key.public == old.public && key.algorithms().eq(old.algorithms())
        };
        let mut older = older.keys.iter();
        older.all(|old| self.keys.iter().any(|key| same(key, old)))
    }

    /// The keys that may have signed a token with this header: those with the same `kid` (without
    /// one, all), and of them those that may be used with `algorithm`.
    pub fn candidates<'s>(
        &'s self,
        kid: Option<&'s str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'s VerifyingKey> {
        self.keys
            .iter()
            .filter(move |key| kid.is_none() || key.kid() == kid)
            .filter(move |key| key.allows(algorithm))
    }
}

impl From<VerifyingKey> for KeySet {
    /// A set of one key.
    fn from(key: VerifyingKey) -> Self {
        Self {
            keys: vec![key],
            skipped: Vec::new(),
        }
    }
}

fn read_key(
    element: &Element,
    provider: &'static CryptoProvider,
) -> Result<VerifyingKey, (Option<String>, KeyProblem)> {
    match element {
        Element::Value(Value::Object(members)) => VerifyingKey::from_members(members, provider)
            .map_err(|problem| {
                let kid = optional_str(members, "kid").ok().flatten();
                (kid.map(str::to_owned), problem)
            }),
        Element::Value(_) => Err((None, KeyProblem::NotAnObject)),
        Element::HasDuplicateMember => Err((None, KeyProblem::DuplicateMember)),
    }
}
