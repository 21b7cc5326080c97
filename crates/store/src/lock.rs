//! Locks between processes, one file each beside the records.

use std::fs::{File, TryLockError};

use rustix::fs::OFlags;

use crate::directory::Directory;
use crate::{Key, StoreError, file};

/// What a lock is for. Locks of one key for different purposes do not exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Held while a record is renewed and rewritten: seconds.
    Refresh,
    /// Held while a person signs in: minutes.
    Login,
}

impl Purpose {
    /// The last part of the lock file's name. It has no dot, so the names for two keys never meet.
    fn suffix(self) -> &'static str {
        match self {
            Self::Refresh => "lock",
            Self::Login => "login-lock",
        }
    }
}

/// A held lock. Dropping it lets go; so does the end of the process, however it ends.
///
/// The lock file itself stays: removing it would let two processes hold "the same" lock.
#[derive(Debug)]
#[must_use = "dropping the lock lets go of it"]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that was being started when the lock was
        // held has a copy of the descriptor until it runs its own program.
        let _ = self.file.unlock();
    }
}

/// Tries once to take the lock; `None` when another process or thread holds it.
pub(crate) fn try_take(
    directory: &Directory,
    key: &Key,
    purpose: Purpose,
) -> Result<Option<Lock>, StoreError> {
    let name = format!("{key}.{}", purpose.suffix());
    let file = open(directory, &name)?;
    file::check_private(directory, &name, &file)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(StoreError::Io {
            action: "lock",
            path: directory.path_of(&name),
            source,
        }),
    }
}

/// Opens the lock file, making it if need be. Another process may make it at the same moment.
fn open(directory: &Directory, name: &str) -> Result<File, StoreError> {
    if let Some(file) = directory.open_entry(name, OFlags::RDWR)? {
        return Ok(file);
    }
    if let Some(file) = directory.create_new(name)? {
        return Ok(file);
    }
    directory
        .open_entry(name, OFlags::RDWR)?
        .ok_or_else(|| StoreError::Io {
            action: "create",
            path: directory.path_of(name),
            source: std::io::ErrorKind::NotFound.into(),
        })
}
