//! The seal on the secrets of devices: AES-256-GCM, with the owner and the
//! device inside of what is authenticated.
//!
//! A registry that is copied shows no secret, and a record that is moved to
//! another owner or another device does not open there. The key lies in a file
//! of its own.
//!
//! Not responsible for what is sealed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use countersign_jose::{base64url, crypto};
use zeroize::Zeroizing;

use super::Person;
use super::device::{Device, DeviceId, DeviceKind};
use crate::private;

/// What a key file begins with.
const HEADER: &str = "countersign-otp-key-1 ";

/// A key file has some 70 bytes.
const MAX_FILE: u64 = 4096;

/// The first byte of what is sealed.
const VERSION: u8 = 1;

const KEY_LEN: usize = 32;
const ID_LEN: usize = 8;

/// A key that seals and opens. Wiped when dropped; `Debug` shows its number.
pub struct SealingKey {
    id: [u8; ID_LEN],
    key: RandomizedNonceKey,
}

impl SealingKey {
    /// The key of these bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::Unusable`].
    pub fn new(bytes: &[u8; KEY_LEN]) -> Result<Self, SealError> {
        let provider = crypto::aws_lc::provider();
        let digest = provider.hmac_sha256(bytes, b"countersign one-time passwords: key number");
        let mut id = [0; ID_LEN];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Unusable)?;
        Ok(Self { id, key })
    }

    /// Makes a key and writes it to a new file with mode 0600.
    ///
    /// # Errors
    ///
    /// [`SealError::File`], also if there is a file already.
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        crypto::aws_lc::provider()
            .fill_random(&mut *bytes)
            .map_err(|_| SealError::Unusable)?;
        let text = Zeroizing::new(base64url::encode(&*bytes));
        let write = || {
            let mut file = private::options().write(true).create_new(true).open(path)?;
            file.write_all(HEADER.as_bytes())?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|error| SealError::file(path, error))?;
        Self::new(&bytes)
    }

    /// Reads a key from a file, which nobody else may read.
    ///
    /// # Errors
    ///
    /// [`SealError::File`], [`SealError::NotAKey`].
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let read = || {
            let file = File::open(path)?;
            private::check(&file)?;
            let mut text = Zeroizing::new(String::new());
            file.take(MAX_FILE).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|error| SealError::file(path, error))?;
        let not_a_key = || SealError::NotAKey(path.to_owned());
        let text = text.trim_end().strip_prefix(HEADER).ok_or_else(not_a_key)?;
        let bytes = base64url::decode(text).map_err(|_| not_a_key())?;
        let bytes = Zeroizing::new(bytes);
        let bytes = <&[u8; KEY_LEN]>::try_from(bytes.as_slice()).map_err(|_| not_a_key())?;
        Self::new(bytes)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({:016x})", u64::from_be_bytes(self.id))
    }
}

/// The keys of a registry: one that seals, and all that open.
#[derive(Debug)]
pub struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    /// One key for both.
    pub fn new(key: SealingKey) -> Self {
        Self {
            first: key,
            others: Vec::new(),
        }
    }

    /// A key that only opens: one that sealed before.
    #[must_use]
    pub fn and(mut self, key: SealingKey) -> Self {
        self.others.push(key);
        self
    }

    /// Seals secrets for a device and its owner.
    pub(super) fn seal(&self, place: &Place<'_>, secrets: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Zeroizing::new(secrets.to_vec());
        let nonce = self
            .first
            .key
            .seal_in_place_append_tag(Aad::from(place.to_bytes()), &mut *sealed)
            .map_err(|_| SealError::Unusable)?;
        let mut record = vec![VERSION];
        record.extend_from_slice(&self.first.id);
        record.extend_from_slice(nonce.as_ref());
        record.extend_from_slice(&sealed);
        Ok(record)
    }

    /// Whether this was sealed with the key that seals now. What is damaged was not.
    pub(super) fn seals_so(&self, record: &[u8]) -> bool {
        record
            .strip_prefix(&[VERSION])
            .is_some_and(|rest| rest.starts_with(&self.first.id))
    }

    /// Opens what was sealed for a device and its owner.
    pub(super) fn open(
        &self,
        place: &Place<'_>,
        record: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let damaged = || SealError::DoesNotOpen;
        let (version, rest) = record.split_first().ok_or_else(damaged)?;
        let (id, rest) = rest.split_at_checked(ID_LEN).ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(damaged());
        }
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys.find(|key| key.id == id).ok_or(SealError::OtherKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut secrets = Zeroizing::new(sealed.to_vec());
        let length = key
            .key
            .open_in_place(nonce, Aad::from(place.to_bytes()), &mut secrets)
            .map_err(|_| damaged())?
            .len();
        secrets.truncate(length);
        Ok(secrets)
    }
}

/// Where sealed secrets belong: what is authenticated with them.
pub(super) struct Place<'a> {
    id: &'a DeviceId,
    owner: Person<'a>,
    kind: DeviceKind,
    public_id: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(super) fn of(device: &'a Device) -> Self {
        Self {
            id: &device.id,
            owner: device.owner(),
            kind: device.kind,
            public_id: device.public_id.as_deref(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let parts = [
            self.id.as_str(),
            self.owner.issuer,
            self.owner.subject,
            self.kind.as_str(),
            self.public_id.unwrap_or_default(),
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Why secrets cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The file of the key cannot be read or written.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the file {} holds no key for one-time passwords", .0.display())]
    NotAKey(PathBuf),
    /// The secrets were sealed with a key that is not among those given.
    #[error("the secrets of this device were sealed with another key file")]
    OtherKey,
    /// The record was changed, or belongs to another owner or device.
    #[error("the secrets of this device do not belong to this record")]
    DoesNotOpen,
    /// The library refused, or this machine gives no random values.
    #[error("this machine cannot seal secrets")]
    Unusable,
}

impl SealError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "seal_key_file",
            Self::NotAKey(_) => "seal_key_malformed",
            Self::OtherKey => "seal_other_key",
            Self::DoesNotOpen => "seal_broken",
            Self::Unusable => "seal_unusable",
        }
    }
}
