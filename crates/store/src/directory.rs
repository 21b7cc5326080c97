//! The directory of a store: opened once per operation, checked, and used by descriptor from then on.
//!
//! Working relative to an open descriptor means that what was checked is what is used: nobody can put
//! another directory in its place between the check and the use.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::StoreError;

/// The permission bits that matter; the file type is looked at separately.
const PERMISSIONS: u32 = 0o7777;
const DIRECTORY_MODE: u32 = 0o700;

/// An open directory that belongs to us and to nobody else.
#[derive(Debug)]
pub(crate) struct Directory {
    file: File,
    path: PathBuf,
}

impl Directory {
    /// Opens `path`; `None` when there is no such directory.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            // With O_DIRECTORY a link is reported as ENOTDIR on some systems and ELOOP on others.
            Err(errno @ (rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP)) => {
                let path = path.to_owned();
                return Err(match std::fs::symlink_metadata(&path) {
                    Ok(found) if found.is_symlink() => StoreError::Symlink { path },
                    Ok(found) if !found.is_dir() => StoreError::NotADirectory { path },
                    _ => StoreError::Io {
                        action: "open",
                        path,
                        source: errno.into(),
                    },
                });
            }
            Err(errno) => return Err(io_error("open", path, errno)),
        };
        let directory = Self {
            file,
            path: path.to_owned(),
        };
        directory.check()?;
        Ok(Some(directory))
    }

    /// Opens `path`, making it and its missing parents, private to the user.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        if let Some(directory) = Self::open(path)? {
            return Ok(directory);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(|source| StoreError::Io {
                action: "create",
                path: path.to_owned(),
                source,
            })?;
        // A umask can take bits away from the owner, never add any for others: what was just made is
        // private already, but may not be usable.
        let mode = std::fs::Permissions::from_mode(DIRECTORY_MODE);
        std::fs::set_permissions(path, mode).map_err(|source| StoreError::Io {
            action: "create",
            path: path.to_owned(),
            source,
        })?;
        Self::open(path)?.ok_or_else(|| StoreError::Io {
            action: "open",
            path: path.to_owned(),
            source: io::ErrorKind::NotFound.into(),
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        let found = self
            .file
            .metadata()
            .map_err(|source| self.io("examine", source))?;
        check_owner(&self.path, found.uid())?;
        let mode = found.mode() & PERMISSIONS;
        if mode & 0o077 != 0 {
            return Err(StoreError::WrongMode {
                path: self.path.clone(),
                mode,
                expected: DIRECTORY_MODE,
            });
        }
        Ok(())
    }

    /// The path of an entry, for messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens an entry without following a link and without waiting for the other end of a pipe;
    /// `None` when there is none.
    pub(crate) fn open_entry(&self, name: &str, flags: OFlags) -> Result<Option<File>, StoreError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Some(File::from(descriptor))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(rustix::io::Errno::LOOP) => Err(StoreError::Symlink {
                path: self.path_of(name),
            }),
            // A socket, or a directory opened for writing.
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => Err(StoreError::NotAFile {
                path: self.path_of(name),
            }),
            Err(errno) => Err(io_error("open", &self.path_of(name), errno)),
        }
    }

    /// Makes a file that did not exist before, of mode 0600; `None` when the name is taken.
    pub(crate) fn create_new(&self, name: &str) -> Result<Option<File>, StoreError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.file, name, flags, Mode::from_raw_mode(0o600)) {
            Ok(descriptor) => {
                let file = File::from(descriptor);
                // The mode must be right whatever the umask took away, and before the first byte.
                file.set_permissions(std::fs::Permissions::from_mode(0o600))
                    .map_err(|source| StoreError::Io {
                        action: "create",
                        path: self.path_of(name),
                        source,
                    })?;
                Ok(Some(file))
            }
            Err(rustix::io::Errno::EXIST) => Ok(None),
            Err(errno) => Err(io_error("create", &self.path_of(name), errno)),
        }
    }

    /// Renames an entry over another; `false` when `from` is gone.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        match rustix::fs::renameat(&self.file, from, &self.file, to) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(rustix::io::Errno::ISDIR | rustix::io::Errno::NOTEMPTY) => {
                Err(StoreError::NotAFile {
                    path: self.path_of(to),
                })
            }
            Err(errno) => Err(io_error("replace", &self.path_of(to), errno)),
        }
    }

    /// Gives an entry another name, which must be free; `false` when it is taken.
    pub(crate) fn rename_aside(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        let renamed = self.rename_to_free(from, to);
        match renamed {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(errno) => Err(io_error("set aside", &self.path_of(from), errno)),
        }
    }

    fn rename_to_free(&self, from: &str, to: &str) -> rustix::io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            let flags = RenameFlags::NOREPLACE;
            match renameat_with(&self.file, from, &self.file, to, flags) {
                // Some file systems cannot.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
                renamed => return renamed,
            }
        }
        // For a moment it has two names. Who reads it then is told so, and it is damaged anyway.
        rustix::fs::linkat(&self.file, from, &self.file, to, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.file, from, AtFlags::empty())
    }

    /// Removes an entry; `false` when there was none.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, StoreError> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => Err(StoreError::NotAFile {
                path: self.path_of(name),
            }),
            Err(errno) => Err(io_error("remove", &self.path_of(name), errno)),
        }
    }

    /// The names of all entries that are valid UTF-8; ours always are.
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = rustix::fs::Dir::read_from(&self.file)
            .map_err(|errno| io_error("list", &self.path, errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|errno| io_error("list", &self.path, errno))?;
            if let Ok(name) = entry.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether `name` still leads to the file that `file` has open.
    pub(crate) fn still_names(&self, name: &str, file: &File) -> bool {
        let Ok(open) = file.metadata() else {
            return false;
        };
        rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|named| {
            // The widths of these fields differ between systems.
            #[allow(
                clippy::useless_conversion,
                reason = "u64 on Linux, narrower elsewhere"
            )]
            let same = u64::try_from(named.st_ino) == Ok(open.ino())
                && u64::try_from(named.st_dev) == Ok(open.dev());
            same
        })
    }

    /// Makes renames and removals in this directory survive a power loss.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file
            .sync_all()
            .map_err(|source| self.io("sync", source))
    }

    fn io(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }
}

/// Refuses what belongs to another user.
pub(crate) fn check_owner(path: &Path, owner: u32) -> Result<(), StoreError> {
    let expected = rustix::process::geteuid().as_raw();
    if owner == expected {
        Ok(())
    } else {
        Err(StoreError::WrongOwner {
            path: path.to_owned(),
            owner,
            expected,
        })
    }
}

fn io_error(action: &'static str, path: &Path, errno: rustix::io::Errno) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source: errno.into(),
    }
}
