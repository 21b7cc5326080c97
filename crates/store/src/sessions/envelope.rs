//! How a session stands in its file.
//!
//! ```json
//! {"version":2,
//!  "record":{ "access_token":"…", … },
//!  "secrets":{"vault":"keyring","store":"400e…","login":"8f2c…","generation":7,"receipt":{ … }}}
//! ```
//! `secrets` is missing from files that were written before there were vaults; their record holds
//! everything. `"has_others":true` follows where another session may be meant when this one is named.

use ring::digest::{SHA256, digest};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::divided::{Divided, Loaded, LoginName};
use crate::vault::Receipt;
use crate::{StoreError, VaultError, VaultKind};

/// What the file says of the secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// A word, not a kind: a newer program may know more kinds, and its access tokens are good.
    pub(super) vault: String,
    /// The name of the directory at the time of the login. The store may have been moved since; what
    /// a vault has outside of it has kept its name.
    pub(super) store: String,
    pub(super) login: String,
    pub(super) generation: u64,
    pub(super) receipt: Receipt,
}

impl Header {
    pub(super) fn login(&self) -> LoginName {
        LoginName {
            store: self.store.clone(),
            id: self.login.clone(),
        }
    }

    pub(super) fn kind(&self) -> Result<VaultKind, VaultError> {
        self.vault.parse().map_err(|_| VaultError::UnknownKind)
    }
}

/// The clear part of a session as it stands in its file, and what it hashes to.
pub(super) struct Clear {
    pub(super) text: Zeroizing<Vec<u8>>,
    pub(super) digest: [u8; 32],
}

impl Clear {
    pub(super) fn of(text: Zeroizing<Vec<u8>>) -> Self {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, &text).as_ref()) {
            *to = *from;
        }
        Self { text, digest: hash }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    record: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<&'a Header>,
    #[serde(skip_serializing_if = "is_false")]
    has_others: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The bytes of a file.
pub(super) fn bytes(
    version: u32,
    clear: &[u8],
    header: &Header,
    has_others: bool,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unwritable = |_| StoreError::NotSerializable;
    let envelope = Written {
        version,
        record: serde_json::from_slice(clear).map_err(unwritable)?,
        secrets: Some(header),
        has_others,
    };
    let room = clear.len() + header.receipt.json().len() + 512;
    written(&envelope, room)
}

/// The same file, marked or not; `None` when it is so already.
pub(super) fn marked(
    bytes: &[u8],
    has_others: bool,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let unwritable = |_| StoreError::NotSerializable;
    let now: WithText<'_> = serde_json::from_slice(bytes).map_err(unwritable)?;
    if now.has_others == has_others {
        return Ok(None);
    }
    let envelope = Written {
        version: now.version,
        // The very bytes, to which the secrets are bound.
        record: now.record,
        secrets: now.secrets.as_ref(),
        has_others,
    };
    written(&envelope, bytes.len() + 64).map(Some)
}

fn written(envelope: &Written<'_>, room: usize) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *bytes, envelope).map_err(|_| StoreError::NotSerializable)?;
    Ok(bytes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Glanced<T> {
    version: u32,
    record: T,
    secrets: Option<Where>,
    #[serde(default)]
    has_others: bool,
}

/// Enough of a header to say where the secrets are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Where {
    vault: String,
    #[serde(rename = "store")]
    _store: IgnoredAny,
    #[serde(rename = "login")]
    _login: IgnoredAny,
    #[serde(rename = "generation")]
    _generation: IgnoredAny,
    #[serde(rename = "receipt")]
    _receipt: IgnoredAny,
}

/// Reads the clear part in one pass, and skips the rest.
pub(super) fn clear<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<(u32, Loaded<T>)> {
    let read: Glanced<T> = serde_json::from_slice(bytes)?;
    let kept_in = match read.secrets {
        None => Some(VaultKind::File),
        Some(Where { vault, .. }) => vault.parse().ok(),
    };
    Ok((
        read.version,
        Loaded {
            record: read.record,
            kept_in,
            has_others: read.has_others,
        },
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithText<'a> {
    version: u32,
    #[serde(borrow)]
    record: &'a RawValue,
    secrets: Option<Header>,
    #[serde(default)]
    has_others: bool,
}

/// All that a file says.
pub(super) struct Read<T> {
    pub(super) record: T,
    pub(super) clear: Zeroizing<Vec<u8>>,
    pub(super) header: Option<Header>,
}

/// Reads everything, and keeps the very bytes of the clear part, to which the secrets are bound.
pub(super) fn whole<T: Divided>(bytes: &[u8]) -> serde_json::Result<(u32, Read<T>)> {
    let read: WithText<'_> = serde_json::from_slice(bytes)?;
    let text = read.record.get();
    Ok((
        read.version,
        Read {
            record: serde_json::from_str(text)?,
            clear: Zeroizing::new(text.as_bytes().to_vec()),
            header: read.secrets,
        },
    ))
}

/// The header alone, whatever the record is.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    serde_json::from_slice::<WithText<'_>>(bytes).ok()?.secrets
}

/// Whether the file is marked.
pub(super) fn has_others(bytes: &[u8]) -> bool {
    serde_json::from_slice::<WithText<'_>>(bytes).is_ok_and(|read| read.has_others)
}
