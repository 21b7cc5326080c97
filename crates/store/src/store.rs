//! The store itself: keys to records, with a schema version on each.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::directory::Directory;
use crate::file::Reserved;
use crate::{Key, Lock, MAX_RECORD_BYTES, Purpose, StoreError, file, lock};

/// What a store keeps: anything that serde can write and read again, with a version of its shape.
pub trait Record: Serialize + DeserializeOwned {
    /// The version of the shape. Raise it when an older program would misread what is written now.
    const VERSION: u32;
    /// The oldest version that this program still reads. What is older counts as damaged.
    const OLDEST: u32 = Self::VERSION;
}

/// A directory of records.
///
/// Making one touches nothing: a directory that does not exist is an empty store until something is
/// saved. The directory is opened, and its owner and mode checked, by each operation.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    record: &'a T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedEnvelope<T> {
    version: u32,
    record: T,
}

/// Enough of an envelope to learn its version, whatever else a newer program put there.
#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
    #[serde(rename = "record")]
    _record: IgnoredAny,
}

const EXTENSION: &str = ".json";
/// Damaged files kept per key; the last name is used again after that.
const MAX_SET_ASIDE: u32 = 8;

impl FileStore {
    /// The store in the directory `path`.
    pub fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where the records are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file that holds, or would hold, the record of `key`.
    pub fn path_of(&self, key: &Key) -> PathBuf {
        self.path.join(file_name(key))
    }

    /// Reads the record of `key`; `None` when there is none.
    ///
    /// Takes no lock: a record is replaced whole, so what is read is always one that was written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file cannot be understood; it has been set aside, so that the
    /// next call answers `None`. [`StoreError::FutureVersion`] when a newer program wrote it; it is
    /// left alone. Everything else when file or directory are not private, not ours, or unreadable.
    pub fn load<T: Record>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.load_with::<T, T>(key, |bytes| {
            let envelope: OwnedEnvelope<T> = serde_json::from_slice(bytes)?;
            Ok((envelope.version, envelope.record))
        })
    }

    /// Reads the file of `key` with `parse`, which answers the version it found and what it made of it.
    pub(crate) fn load_with<T: Record, R>(
        &self,
        key: &Key,
        parse: impl FnOnce(&[u8]) -> serde_json::Result<(u32, R)>,
    ) -> Result<Option<R>, StoreError> {
        let Some(directory) = Directory::open(&self.path)? else {
            return Ok(None);
        };
        let name = file_name(key);
        let Some(mut open) = file::open(&directory, &name)? else {
            return Ok(None);
        };
        let bytes = file::read(&directory, &name, &mut open)?;
        match judge::<T, R>(&bytes, parse(&bytes)) {
            Ok(read) => Ok(Some(read)),
            Err(Unreadable::Newer(found)) => Err(StoreError::FutureVersion {
                path: directory.path_of(&name),
                found,
                supported: T::VERSION,
            }),
            Err(Unreadable::Damaged(reason)) => Err(StoreError::Damaged {
                path: directory.path_of(&name),
                set_aside: set_aside(&directory, &name, &open),
                reason,
            }),
        }
    }

    /// The file of `key` as it is, if it is there and is ours. Judges nothing and sets nothing aside.
    pub(crate) fn peek(&self, key: &Key) -> Option<Zeroizing<Vec<u8>>> {
        let directory = Directory::open(&self.path).ok()??;
        let name = file_name(key);
        let mut open = file::open(&directory, &name).ok()??;
        file::read(&directory, &name, &mut open).ok()
    }

    /// Writes the record of `key`, replacing the one there is, whole or not at all.
    ///
    /// On return it is on disk: file and directory have been synced. Who reads, changes and writes a
    /// record holds its [`Lock`] meanwhile.
    ///
    /// # Errors
    /// When the directory or what stands in the place of the file is not ours to replace, the disk is
    /// full, or the record is too large. The previous record is then still there.
    pub fn save<T: Record>(&self, key: &Key, record: &T) -> Result<(), StoreError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
        let envelope = Envelope {
            version: T::VERSION,
            record,
        };
        serde_json::to_writer(&mut *bytes, &envelope).map_err(|_| StoreError::NotSerializable)?;
        self.replace(key, &bytes, None)
    }

    /// Refuses what [`replace`](Self::replace) would refuse, before anything is done for it.
    pub(crate) fn check_replaceable(&self, key: &Key) -> Result<(), StoreError> {
        let directory = Directory::open_or_create(&self.path)?;
        file::refuse_obstacle(&directory, &file_name(key))
    }

    /// Takes room on the disk for the next write of `key`: twice what the file has now.
    pub(crate) fn reserve(&self, key: &Key) -> Result<Reserved, StoreError> {
        const LEAST: u64 = 16 * 1024;
        let directory = Directory::open_or_create(&self.path)?;
        let now = std::fs::symlink_metadata(self.path_of(key)).map_or(0, |found| found.len());
        let room = (now * 2).clamp(LEAST, MAX_RECORD_BYTES);
        Reserved::take(directory, &file_name(key), room)
    }

    /// Replaces the file of `key`, whole or not at all, in the room that was reserved for it.
    pub(crate) fn replace(
        &self,
        key: &Key,
        bytes: &[u8],
        reserved: Option<&Reserved>,
    ) -> Result<(), StoreError> {
        if bytes.len() as u64 > MAX_RECORD_BYTES {
            return Err(StoreError::TooLarge {
                path: self.path_of(key),
                size: bytes.len() as u64,
            });
        }
        let directory = Directory::open_or_create(&self.path)?;
        let name = file_name(key);
        match reserved {
            Some(reserved) => reserved.place(bytes)?,
            None => file::replace(&directory, &name, bytes)?,
        }
        // The record is safe. What is left of killed writers can wait for the next one.
        let _ = file::sweep(&directory, &name);
        Ok(())
    }

    /// Removes the record of `key` and everything that may hold a copy of it: damaged files that were
    /// set aside, and what killed writers left. `false` when there was no record.
    pub fn remove(&self, key: &Key) -> Result<bool, StoreError> {
        let Some(directory) = Directory::open(&self.path)? else {
            return Ok(false);
        };
        let name = file_name(key);
        let existed = directory.remove(&name)?;
        let aside = format!("{name}.damaged-");
        for leftover in directory
            .names()?
            .iter()
            .filter(|leftover| leftover.starts_with(&aside))
        {
            directory.remove(leftover)?;
        }
        file::sweep(&directory, &name)?;
        directory.sync()?;
        Ok(existed)
    }

    /// The keys that have a record, sorted.
    pub fn keys(&self) -> Result<Vec<Key>, StoreError> {
        let Some(directory) = Directory::open(&self.path)? else {
            return Ok(Vec::new());
        };
        let mut keys: Vec<Key> = directory
            .names()?
            .iter()
            .filter_map(|name| Key::new(name.strip_suffix(EXTENSION)?).ok())
            .collect();
        keys.sort();
        Ok(keys)
    }

    /// Tries once to take the lock of `key` for `purpose`; `None` when somebody else holds it.
    ///
    /// Never waits. The lock excludes other processes and other calls in this one.
    pub fn try_lock(&self, key: &Key, purpose: Purpose) -> Result<Option<Lock>, StoreError> {
        let directory = Directory::open_or_create(&self.path)?;
        lock::try_take(&directory, key, purpose)
    }

    /// The note that a holder of the lock left last ([`Lock::leave_note`]). Takes no lock, and believes
    /// nothing that it cannot read.
    pub fn lock_note(&self, key: &Key, purpose: Purpose) -> Option<String> {
        let directory = Directory::open(&self.path).ok()??;
        lock::note(&directory, key, purpose)
    }
}

fn file_name(key: &Key) -> String {
    format!("{key}{EXTENSION}")
}

enum Unreadable {
    Newer(u32),
    Damaged(String),
}

/// What to make of a file of which this was parsed.
fn judge<T: Record, R>(
    bytes: &[u8],
    parsed: serde_json::Result<(u32, R)>,
) -> Result<R, Unreadable> {
    let failure = match parsed {
        Ok((version, read)) if (T::OLDEST..=T::VERSION).contains(&version) => return Ok(read),
        Ok((version, _)) if version > T::VERSION => return Err(Unreadable::Newer(version)),
        Ok((version, _)) => return Err(Unreadable::Damaged(format!("schema {version}"))),
        Err(failure) => failure,
    };
    // A newer record need not parse as ours at all; its version still must be believed.
    match serde_json::from_slice::<VersionOnly>(bytes) {
        Ok(newer) if newer.version > T::VERSION => Err(Unreadable::Newer(newer.version)),
        // The parser's own message may quote what it read, which may be a token: place only.
        _ => Err(Unreadable::Damaged(format!(
            "unreadable at line {} column {}",
            failure.line(),
            failure.column()
        ))),
    }
}

/// Moves a damaged file out of the way, keeping it for whoever wants to know what happened.
///
/// Answers the new path, or `None` when it could not be moved or was replaced in the meantime.
fn set_aside(directory: &Directory, name: &str, open: &File) -> Option<PathBuf> {
    // Another process may have signed in since this file was opened; its record must stay.
    if !directory.still_names(name, open) {
        return None;
    }
    let aside = |number: u32| format!("{name}.damaged-{number}");
    for number in 1..MAX_SET_ASIDE {
        if directory.rename_aside(name, &aside(number)).ok()? {
            return Some(directory.path_of(&aside(number)));
        }
    }
    let last = aside(MAX_SET_ASIDE);
    directory
        .rename(name, &last)
        .ok()?
        .then(|| directory.path_of(&last))
}
