//! One file of a store: what is read is checked first, what is written appears whole.

use std::fs::{File, Metadata};
use std::io::{Read, Seek as _, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::directory::{Directory, check_owner};
use crate::{MAX_RECORD_BYTES, StoreError};

/// How often a temporary name is tried again before giving up.
const ATTEMPTS: u32 = 16;

/// Distinguishes temporary files of one process; the process id distinguishes processes.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Opens a record for reading and refuses everything that is not a private regular file of ours;
/// `None` when there is none.
pub(crate) fn open(directory: &Directory, name: &str) -> Result<Option<File>, StoreError> {
    let Some(file) = directory.open_entry(name, OFlags::RDONLY)? else {
        return Ok(None);
    };
    check_private(directory, name, &file)?;
    Ok(Some(file))
}

/// Refuses an open file that is not regular, not ours, open to others, or too large.
pub(crate) fn check_private(
    directory: &Directory,
    name: &str,
    file: &File,
) -> Result<(), StoreError> {
    let path = || directory.path_of(name);
    let found = file.metadata().map_err(|source| StoreError::Io {
        action: "examine",
        path: path(),
        source,
    })?;
    if !found.is_file() {
        return Err(StoreError::NotAFile { path: path() });
    }
    check_owner(&path(), found.uid())?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::WrongMode {
            path: path(),
            mode,
            expected: 0o600,
        });
    }
    if found.nlink() > 1 {
        return Err(StoreError::HardLink {
            path: path(),
            links: found.nlink(),
        });
    }
    if found.len() > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge {
            path: path(),
            size: found.len(),
        });
    }
    Ok(())
}

/// Reads an opened record. The bytes are wiped when dropped.
pub(crate) fn read(
    directory: &Directory,
    name: &str,
    file: &mut File,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let io = |source| StoreError::Io {
        action: "read",
        path: directory.path_of(name),
        source,
    };
    let before = file.metadata().map_err(io)?;
    let size = before.len().min(MAX_RECORD_BYTES);
    // Room for all of it at once: a vector that grows would leave unwiped copies behind.
    let room = usize::try_from(size).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    // The file may have grown since it was measured.
    let read = file
        .take(MAX_RECORD_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if read as u64 > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge {
            path: directory.path_of(name),
            size: read as u64,
        });
    }
    // We replace files and never change them. Half of what somebody else is writing is not damage.
    let after = file.metadata().map_err(io)?;
    let written = |at: &Metadata| (at.len(), at.mtime(), at.mtime_nsec());
    if written(&before) != written(&after) || read as u64 != after.len() {
        return Err(StoreError::Changed {
            path: directory.path_of(name),
        });
    }
    Ok(bytes)
}

/// A file that is to take the place of `name`: private, and known to `sweep` as having a living owner.
#[derive(Debug)]
pub(crate) struct Temporary {
    file: File,
    temporary: String,
}

impl Temporary {
    /// Makes one beside the record `name`.
    fn create(directory: &Directory, name: &str) -> Result<Self, StoreError> {
        for _ in 0..ATTEMPTS {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let temporary = format!(
                "{}{}.{number}{TEMPORARY_END}",
                temporary_start(name),
                std::process::id()
            );
            if let Some(file) = directory.create_new(&temporary)? {
                // Tells `sweep` in other processes that this file has a living owner. Where locks are
                // not supported the file may be swept, and then the rename says so.
                let _ = file.try_lock();
                return Ok(Self { file, temporary });
            }
            // Left behind by a process that had our id: its name is taken, the next is not.
        }
        Err(StoreError::Io {
            action: "write",
            path: directory.path_of(name),
            source: std::io::ErrorKind::AlreadyExists.into(),
        })
    }

    /// Puts `bytes` into it and then into the place of `name`; `false` when it was swept meanwhile. It
    /// is gone or in its place afterwards.
    fn place(&self, directory: &Directory, name: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let written = (&self.file)
            .write_all(bytes)
            .and_then(|()| self.file.set_len(bytes.len() as u64))
            .and_then(|()| self.file.sync_all())
            .map_err(|source| StoreError::Io {
                action: "write",
                path: directory.path_of(name),
                source,
            });
        let placed = written.and_then(|()| directory.rename(&self.temporary, name));
        if placed.is_err() {
            let _ = directory.remove(&self.temporary);
        }
        placed
    }
}

/// Replaces the record `name` by `bytes`, whole or not at all, and durably.
pub(crate) fn replace(directory: &Directory, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    refuse_obstacle(directory, name)?;
    for _ in 0..ATTEMPTS {
        if Temporary::create(directory, name)?.place(directory, name, bytes)? {
            return directory.sync();
        }
        // Swept by another process in the instant before the lock was taken.
    }
    Err(StoreError::Io {
        action: "write",
        path: directory.path_of(name),
        source: std::io::ErrorKind::AlreadyExists.into(),
    })
}

/// Room on the disk for a record that is yet to come: what has to be written then can be written,
/// however full the disk is by that time.
#[derive(Debug)]
pub(crate) struct Reserved {
    directory: Directory,
    name: String,
    temporary: Temporary,
}

impl Reserved {
    /// Takes `room` bytes beside the record `name`.
    pub(crate) fn take(directory: Directory, name: &str, room: u64) -> Result<Self, StoreError> {
        refuse_obstacle(&directory, name)?;
        let reserved = Self {
            temporary: Temporary::create(&directory, name)?,
            name: name.to_owned(),
            directory,
        };
        let action = "reserve room for";
        let path = || reserved.directory.path_of(name);
        reserved.fill(room).map_err(|source| StoreError::Io {
            action,
            path: path(),
            source,
        })?;
        Ok(reserved)
    }

    fn fill(&self, room: u64) -> std::io::Result<()> {
        let mut file = &self.temporary.file;
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, room) {
            // Where the file system cannot, writing takes the room as well.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                std::io::copy(&mut std::io::repeat(0).take(room), &mut file)?;
                file.rewind()
            }
            filled => Ok(filled?),
        }
    }

    /// Puts `bytes` into the place of the record, whole or not at all, and durably.
    pub(crate) fn place(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let Self {
            directory, name, ..
        } = self;
        refuse_obstacle(directory, name)?;
        if self.temporary.place(directory, name, bytes)? {
            directory.sync()
        } else {
            replace(directory, name, bytes)
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // What was placed has another name by now.
        let _ = self.directory.remove(&self.temporary.temporary);
    }
}

/// Removes what writers of `name` that were killed have left behind.
pub(crate) fn sweep(directory: &Directory, name: &str) -> Result<(), StoreError> {
    let start = temporary_start(name);
    for leftover in directory.names()? {
        if !leftover.starts_with(&start) || !leftover.ends_with(TEMPORARY_END) {
            continue;
        }
        let Ok(Some(file)) = directory.open_entry(&leftover, OFlags::RDONLY) else {
            continue;
        };
        // Who is still writing holds the lock. A directory of that name is none of ours.
        let ours = file.metadata().is_ok_and(|found| found.is_file());
        if ours && file.try_lock().is_ok() && directory.still_names(&leftover, &file) {
            directory.remove(&leftover)?;
        }
    }
    Ok(())
}

/// A rename would quietly replace a link or a pipe. Somebody put it there, and should know.
pub(crate) fn refuse_obstacle(directory: &Directory, name: &str) -> Result<(), StoreError> {
    match open(directory, name) {
        // These are repaired by being replaced.
        Ok(_)
        | Err(
            StoreError::TooLarge { .. }
            | StoreError::WrongMode { .. }
            | StoreError::HardLink { .. },
        ) => Ok(()),
        Err(StoreError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

const TEMPORARY_END: &str = ".tmp";

fn temporary_start(name: &str) -> String {
    // The leading dot keeps it out of every listing; no key begins with one.
    format!(".{name}.")
}
