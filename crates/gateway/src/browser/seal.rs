//! What a browser keeps for us without being able to read or change it: AES-256-GCM with a key that is
//! used once.
//!
//! Every seal draws 32 random bytes, and its key is made of those and a key of the configuration
//! (HKDF-SHA256), so no nonce has to be counted or drawn. What is sealed is bound to what it is for and
//! to where: a sign-in under way is no session, and a session of one origin none of another.
//!
//! Not responsible for whether what was sealed is still good.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use countersign_console::Problem;
use countersign_jose::{base64url, crypto};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::live::read_secret;

const SALT_LENGTH: usize = 32;
const PURPOSE: &[u8] = b"countersign gateway cookie 1";

/// Seals and opens. The first key seals, all of them open.
pub(super) struct Seals {
    keys: Vec<[u8; 32]>,
}

impl Seals {
    /// Reads the keys.
    pub(super) fn load(paths: &[PathBuf]) -> Result<Self, Problem> {
        let keys = paths.iter().map(|path| load(path));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// Seals a value for this purpose and place. Nothing only when the system has no randomness.
    pub(super) fn seal<T: Serialize>(&self, place: &[&str], value: &T) -> Option<String> {
        let mut salt = [0; SALT_LENGTH];
        crypto::aws_lc::provider().fill_random(&mut salt).ok()?;
        let key = one_time(self.keys.first()?, &salt)?;
        let mut text = serde_json::to_vec(value).ok()?;
        key.seal_in_place_append_tag(nonce(), Aad::from(bound(place)), &mut text)
            .ok()?;
        Some(base64url::encode(&[&salt[..], &text].concat()))
    }

    /// Opens what was sealed for this purpose and place, by any of the keys.
    pub(super) fn open<T: DeserializeOwned>(&self, place: &[&str], text: &str) -> Option<T> {
        let sealed = base64url::decode(text).ok()?;
        let (salt, sealed) = sealed.split_first_chunk::<SALT_LENGTH>()?;
        self.keys.iter().find_map(|key| {
            let mut text = sealed.to_vec();
            let clear = one_time(key, salt)?
                .open_in_place(nonce(), Aad::from(bound(place)), &mut text)
                .ok()?;
            serde_json::from_slice(clear).ok()
        })
    }
}

fn load(path: &Path) -> Result<[u8; 32], Problem> {
    let name = path.display();
    let make =
        format!("make one: (umask 077; openssl rand 32 | basenc --base64url | tr -d = > {name})");
    if !path.exists() {
        return Err(Problem::new(format!("{name}, the key for cookies, is not there")).hint(make));
    }
    let text = read_secret(path)?;
    let key = base64url::decode(&text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    key.ok_or_else(|| Problem::new(format!("{name} is no key for cookies")).hint(make))
}

fn one_time(key: &[u8; 32], salt: &[u8; SALT_LENGTH]) -> Option<LessSafeKey> {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(key);
    let made = extracted.expand(&[PURPOSE], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(made)))
}

/// The nonce of a key that is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// What a seal is bound to, unambiguously: each part is preceded by its length.
fn bound(place: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in place {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals")
            .field("keys", &self.keys.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals(keys: &[u8]) -> Seals {
        Seals {
            keys: keys.iter().map(|byte| [*byte; 32]).collect(),
        }
    }

    #[test]
    fn the_first_key_seals_and_all_of_them_open() {
        let (old, both, new) = (seals(&[1]), seals(&[2, 1]), seals(&[2]));
        let open = |seals: &Seals, text: &str| seals.open::<String>(&["session"], text);
        let before = old.seal(&["session"], &"ada").unwrap();
        let after = both.seal(&["session"], &"ada").unwrap();
        assert_eq!(open(&both, &before).as_deref(), Some("ada"));
        assert_eq!(open(&new, &after).as_deref(), Some("ada"));
        assert_eq!(open(&new, &before), None);
        assert_eq!(open(&old, &after), None);
    }

    #[test]
    fn a_seal_opens_for_its_own_place_only_and_not_when_a_byte_was_changed() {
        let seals = seals(&[1]);
        let text = seals
            .seal(&["session", "https://a.example"], &"ada")
            .unwrap();
        let open = |place: &[&str], text: &str| seals.open::<String>(place, text);
        assert!(open(&["session", "https://a.example"], &text).is_some());
        for place in [
            &["attempt", "https://a.example"][..],
            &["session", "https://b.example"],
            &["session"],
            &["sessionhttps://a.example"],
        ] {
            assert_eq!(open(place, &text), None, "{place:?}");
        }
        let bytes = base64url::decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = base64url::encode(&changed);
            assert_eq!(open(&["session", "https://a.example"], &changed), None);
        }
        for short in ["", "AAAA", &text[..40]] {
            assert_eq!(open(&["session", "https://a.example"], short), None);
        }
    }
}
