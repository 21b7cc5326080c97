//! How the secrets of factors rest: AES-256-GCM with a key that is used once.
//!
//! Every seal draws 32 random bytes, and its key is made of those and the key
//! that seals refresh tokens (HKDF-SHA256), which lies beside the database. So
//! a copy of the database alone makes no code, and no nonce has to be counted.
//! A secret is bound to its factor and to whose that is: a row that is copied
//! to another account does not open there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use countersign_otp::oath;
use countersign_otp::yubico::Secrets;
use zeroize::Zeroizing;

use super::{Factor, FactorId, FactorKind, Holder, SealedSecret};
use crate::core::{Core, Error};

const SALT_LENGTH: usize = 32;
const PURPOSE: &[u8] = b"countersign second factor v1";

/// What the codes of a factor are checked with.
pub(super) enum FactorSecret {
    Totp(oath::Secret),
    Yubikey(Secrets),
    /// A Yubikey's, which is not here: validation servers have it.
    Elsewhere,
}

impl Core {
    /// Seals a secret for its factor.
    pub(super) fn seal_secret(
        &self,
        id: &FactorId,
        kind: &FactorKind,
        holder: &Holder,
        secret: &FactorSecret,
    ) -> Result<SealedSecret, Error> {
        if let FactorSecret::Elsewhere = secret {
            return Ok(SealedSecret(Vec::new()));
        }
        let mut salt = [0; SALT_LENGTH];
        self.provider.fill_random(&mut salt)?;
        let keys = self.keys();
        let key = one_time(keys.token_key(), &salt).ok_or(Error::SealedFactor)?;
        let mut text = secret.to_bytes();
        key.seal_in_place_append_tag(nonce(), Aad::from(place(id, kind, holder)), &mut *text)
            .map_err(|_| Error::SealedFactor)?;
        Ok(SealedSecret([&salt[..], &text].concat()))
    }

    /// Opens the secret of a factor.
    pub(super) fn open_secret(&self, factor: &Factor) -> Result<FactorSecret, Error> {
        if factor.secret.0.is_empty() && factor.kind.public_id().is_some() {
            return Ok(FactorSecret::Elsewhere);
        }
        let (salt, sealed) = factor
            .secret
            .0
            .split_first_chunk::<SALT_LENGTH>()
            .ok_or(Error::SealedFactor)?;
        let keys = self.keys();
        let key = one_time(keys.token_key(), salt).ok_or(Error::SealedFactor)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let place = place(&factor.id, &factor.kind, &factor.holder);
        let clear = key
            .open_in_place(nonce(), Aad::from(place), &mut text)
            .map_err(|_| Error::SealedFactor)?;
        FactorSecret::from_bytes(&factor.kind, clear).ok_or(Error::SealedFactor)
    }
}

impl FactorSecret {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // With room for the tag, so that no copy stays behind where it grew.
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 + AES_256_GCM.tag_len()));
        match self {
            Self::Totp(secret) => bytes.extend_from_slice(secret.expose()),
            Self::Yubikey(secrets) => {
                let (private_id, aes_key) = secrets.expose();
                bytes.extend_from_slice(private_id);
                bytes.extend_from_slice(aes_key);
            }
            Self::Elsewhere => {}
        }
        bytes
    }

    fn from_bytes(kind: &FactorKind, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            FactorKind::Totp => Self::Totp(oath::Secret::from_bytes(bytes).ok()?),
            FactorKind::Yubikey { .. } => {
                let (private_id, aes_key) = bytes.split_first_chunk::<6>()?;
                Self::Yubikey(Secrets::new(*private_id, aes_key.try_into().ok()?))
            }
        })
    }
}

fn one_time(key: &[u8], salt: &[u8; SALT_LENGTH]) -> Option<LessSafeKey> {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(key);
    let made = extracted.expand(&[PURPOSE], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(made)))
}

/// The nonce of a key that is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// What a secret is bound to. Only the last part has no fixed length or end.
fn place(id: &FactorId, kind: &FactorKind, holder: &Holder) -> Vec<u8> {
    let standing: &[u8] = match holder {
        Holder::Account(_) => b"\0of\0",
        Holder::ReservedFor(_) => b"\0for\0",
        Holder::Anyone => b"\0",
    };
    let mut place = id.to_vec();
    place.extend_from_slice(kind.name().as_bytes());
    place.push(0);
    place.extend_from_slice(kind.public_id().unwrap_or_default().as_bytes());
    place.extend_from_slice(standing);
    place.extend_from_slice(holder.account_id().unwrap_or_default().as_bytes());
    place
}
