//! Locks between processes, one file each beside the records.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

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

/// The longest note, in bytes.
const NOTE_BYTES: usize = 128;

impl Lock {
    /// Leaves a note in the lock's file, for whoever comes after and for those who wait: a word on how
    /// it went, in place of the last one.
    ///
    /// A note may be lost or torn, and is put on disk when the system likes. Nothing may depend on it
    /// but how long somebody waits.
    ///
    /// # Errors
    /// When it cannot be written, or is longer than a note may be.
    pub fn leave_note(&self, note: &str) -> std::io::Result<()> {
        if note.len() > NOTE_BYTES {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        self.file.write_all_at(note.as_bytes(), 0)?;
        self.file.set_len(note.len() as u64)
    }
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
    let name = file_name(key, purpose);
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

/// The note that was left in the lock's file last, whoever holds the lock now; `None` when there is none
/// that can be read.
pub(crate) fn note(directory: &Directory, key: &Key, purpose: Purpose) -> Option<String> {
    let name = file_name(key, purpose);
    let file = directory.open_entry(&name, OFlags::RDONLY).ok()??;
    file::check_private(directory, &name, &file).ok()?;
    let mut note = String::new();
    let read = file
        .take(NOTE_BYTES as u64)
        .read_to_string(&mut note)
        .ok()?;
    (read > 0).then_some(note)
}

fn file_name(key: &Key, purpose: Purpose) -> String {
    format!("{key}.{}", purpose.suffix())
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
