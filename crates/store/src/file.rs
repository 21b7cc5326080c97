//! One file of a store: what is read is checked first, what is written appears whole.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
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
    let size = file.metadata().map_err(io)?.len().min(MAX_RECORD_BYTES);
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
    Ok(bytes)
}

/// Replaces the record `name` by `bytes`, whole or not at all, and durably.
pub(crate) fn replace(directory: &Directory, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    refuse_obstacle(directory, name)?;
    for _ in 0..ATTEMPTS {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(
            "{}{}.{number}{TEMPORARY_END}",
            temporary_start(name),
            std::process::id()
        );
        let Some(mut file) = directory.create_new(&temporary)? else {
            // Left behind by a process that had our id: its name is taken, the next is not.
            continue;
        };
        // Tells `sweep` in other processes that this file has a living owner. Where locks are not
        // supported the file may be swept, and then the rename says so.
        let _ = file.try_lock();
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(source) = written {
            let _ = directory.remove(&temporary);
            return Err(StoreError::Io {
                action: "write",
                path: directory.path_of(name),
                source,
            });
        }
        match directory.rename(&temporary, name) {
            Ok(true) => return directory.sync(),
            // Swept by another process in the instant before the lock was taken.
            Ok(false) => {}
            Err(error) => {
                let _ = directory.remove(&temporary);
                return Err(error);
            }
        }
    }
    Err(StoreError::Io {
        action: "write",
        path: directory.path_of(name),
        source: std::io::ErrorKind::AlreadyExists.into(),
    })
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
        Ok(_) | Err(StoreError::TooLarge { .. } | StoreError::WrongMode { .. }) => Ok(()),
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
