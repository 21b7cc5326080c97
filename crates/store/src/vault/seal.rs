//! Sealing: ChaCha20-Poly1305 with a key that is used once.
//!
//! Every seal draws 32 random bytes, and its key is made from those and the vault's key (HKDF-SHA256),
//! so that no key ever seals two things and a nonce need not be counted or drawn. What is sealed is
//! bound to its place: the names of session and login, the number of the write, and the clear part of
//! the file.
//!
//! Three things can be wrong, and are told apart in this order: the bytes changed (a sum that anybody
//! can compute), another key sealed them (a value that only the key's owner can compute), or they were
//! sealed for another place (the authentication fails although both are right).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::digest;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Place, VaultError};
use crate::secret::SealingKey;
use crate::{Random, SecretBytes};

const SALT_LENGTH: usize = 32;
const CHECK_LENGTH: usize = 16;
const SUM_LENGTH: usize = 16;

/// What is written: text, all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    salt: String,
    check: String,
    text: String,
    sum: String,
}

/// Why something did not open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// The bytes are not those that were written.
    Damaged,
    /// Another key sealed them.
    OtherKey,
    /// They were sealed for another place.
    OtherPlace,
}

impl From<Shut> for VaultError {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::Damaged => Self::Damaged { what: "seal" },
            Shut::OtherKey => Self::WrongPassphrase,
            Shut::OtherPlace => Self::Misplaced,
        }
    }
}

/// A length that HKDF makes.
#[derive(Debug, Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// What is made of the vault's key for one seal.
struct OneTime {
    key: LessSafeKey,
    check: [u8; CHECK_LENGTH],
}

impl OneTime {
    fn of(key: &SealingKey, salt: &[u8; SALT_LENGTH]) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, salt).extract(key.expose());
        let mut bytes = Zeroizing::new([0; SealingKey::LENGTH]);
        let mut check = [0; CHECK_LENGTH];
        let expand = |purpose: &[u8], into: &mut [u8]| {
            let length = Length(into.len());
            extracted
                .expand(&[purpose], length)
                .and_then(|made| made.fill(into))
        };
        expand(b"countersign seal 1: key", &mut *bytes).ok()?;
        expand(b"countersign seal 1: check", &mut check).ok()?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*bytes).ok()?;
        Some(Self {
            key: LessSafeKey::new(key),
            check,
        })
    }
}

/// The nonce of a key that is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Seals `secrets` for `place`. `note` says how the key is found again; it is bound, too.
pub(crate) fn seal(
    key: &SealingKey,
    place: &Place<'_>,
    note: &str,
    secrets: &SecretBytes,
    random: &dyn Random,
) -> Result<Sealed, VaultError> {
    let mut salt = [0; SALT_LENGTH];
    random.fill(&mut salt)?;
    let impossible = || VaultError::Damaged { what: "key" };
    let one = OneTime::of(key, &salt).ok_or_else(impossible)?;
    // Room for the tag at once: a vector that grows would leave the clear text behind.
    let tag = CHACHA20_POLY1305.tag_len();
    let mut text = Zeroizing::new(Vec::with_capacity(secrets.expose().len() + tag));
    text.extend_from_slice(secrets.expose());
    one.key
        .seal_in_place_append_tag(nonce(), Aad::from(bound(place, note)), &mut *text)
        .map_err(|_| impossible())?;
    Ok(Sealed {
        sum: STANDARD.encode(sum(note, &salt, &one.check, &text)),
        salt: STANDARD.encode(salt),
        check: STANDARD.encode(one.check),
        text: STANDARD.encode(&*text),
    })
}

/// What of a seal can be judged without a key.
pub(crate) struct Whole {
    salt: [u8; SALT_LENGTH],
    check: [u8; CHECK_LENGTH],
    text: Vec<u8>,
}

impl Sealed {
    /// Whether the bytes are those that were written.
    pub(crate) fn check_sum(&self, note: &str) -> Result<Whole, Shut> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| Shut::Damaged);
        let salt: [u8; SALT_LENGTH] = decode(&self.salt)?.try_into().map_err(|_| Shut::Damaged)?;
        let check: [u8; CHECK_LENGTH] =
            decode(&self.check)?.try_into().map_err(|_| Shut::Damaged)?;
        let text = decode(&self.text)?;
        if decode(&self.sum)? != sum(note, &salt, &check, &text) {
            return Err(Shut::Damaged);
        }
        Ok(Whole { salt, check, text })
    }
}

impl Whole {
    /// Opens it.
    pub(crate) fn open(
        &self,
        key: &SealingKey,
        place: &Place<'_>,
        note: &str,
    ) -> Result<SecretBytes, Shut> {
        let one = OneTime::of(key, &self.salt).ok_or(Shut::Damaged)?;
        // How long this takes may tell somebody the value, and the value tells nothing of the key.
        if one.check != self.check {
            return Err(Shut::OtherKey);
        }
        let mut text = Zeroizing::new(self.text.clone());
        let clear = one
            .key
            .open_in_place(nonce(), Aad::from(bound(place, note)), &mut text)
            .map_err(|_| Shut::OtherPlace)?;
        Ok(SecretBytes::new(clear.to_vec()))
    }
}

/// What a seal is bound to, unambiguously: each part is preceded by its length.
fn bound(place: &Place<'_>, note: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [
        b"countersign seal 1: place".as_slice(),
        place.key.as_str().as_bytes(),
        place.login.as_bytes(),
        &place.generation.to_be_bytes(),
        place.clear,
        note.as_bytes(),
    ] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Tells accidents from everything else. Whoever changes a file on purpose can compute it, and meets
/// the key.
fn sum(note: &str, salt: &[u8], check: &[u8], text: &[u8]) -> [u8; SUM_LENGTH] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [note.as_bytes(), salt, check, text] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut sum = [0; SUM_LENGTH];
    for (to, from) in sum.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    sum
}
