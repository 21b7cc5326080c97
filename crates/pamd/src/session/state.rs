//! The directory in which the watch keeps what a daemon after this one has to know.
//!
//! It belongs to root alone and lies in memory (`/run`): a machine that starts again has forgotten all of
//! it, as it has the sessions. Files are replaced whole, so whoever is killed in the middle leaves the old
//! one or the new one.
//!
//! Not responsible for what is in them.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use zeroize::Zeroizing;

use super::record::Tokens;
use crate::Process;

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;
/// More sessions than this are not watched.
const MAX_FILES: usize = 20_000;
/// What file systems in memory are called by the kernel: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// What tells one start of the machine from others.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const LOCK: &str = "lock";
const END: &str = ".json";
const UNFINISHED: &str = ".tmp";
const REFUSED: &str = "refused-";

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} {what}", path.display())]
    Unsafe { path: PathBuf, what: &'static str },
    #[error("another daemon watches the sessions in {}", path.display())]
    Taken { path: PathBuf },
}

impl StateError {
    /// The message and its cause in one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// The directory.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    boot_id: String,
    written: u64,
    lock: Option<File>,
}

/// A file that was found.
pub(crate) struct Found {
    /// Its name, for messages and to put it aside.
    pub(crate) name: String,
    /// Which grant it should be about.
    pub(crate) id: Option<Process>,
    pub(crate) bytes: Result<Zeroizing<Vec<u8>>, StateError>,
}

impl State {
    pub(crate) fn new(path: PathBuf) -> Self {
        let boot_id = fs::read_to_string(BOOT_ID).unwrap_or_default();
        Self {
            path,
            boot_id: boot_id.trim().to_owned(),
            written: 0,
            lock: None,
        }
    }

    /// What tells this start of the machine from others.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Makes this daemon the only one that watches, waiting a while for one that is about to end.
    pub(crate) fn lock(&mut self, wait: Duration) -> Result<(), StateError> {
        // Without it nothing here could be told from what an earlier start of the machine has left.
        if self.boot_id.is_empty() {
            return Err(StateError::Io {
                action: "read",
                path: BOOT_ID.into(),
                source: io::ErrorKind::InvalidData.into(),
            });
        }
        let path = self.path.join(LOCK);
        let io = |source: io::Error| StateError::Io {
            action: "lock",
            path: path.clone(),
            source,
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.open()?, LOCK, flags, Mode::from_raw_mode(0o600));
        let file = File::from(file.map_err(|errno| io(errno.into()))?);
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < wait => {
                    std::thread::sleep(step);
                    waited += step;
                }
                Err(TryLockError::WouldBlock) => {
                    let path = self.path.clone();
                    return Err(StateError::Taken { path });
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        self.lock = Some(file);
        Ok(())
    }

    /// Whether refresh tokens may lie here.
    pub(crate) fn tokens(&self) -> Tokens {
        let system = rustix::fs::statfs(&self.path);
        let kind = system.map(|system| u64::try_from(system.f_type).unwrap_or_default());
        if kind.is_ok_and(|kind| IN_MEMORY.contains(&kind)) {
            Tokens::Keep
        } else {
            Tokens::Withhold
        }
    }

    /// Replaces what is written about a grant.
    pub(crate) fn save(&mut self, id: Process, bytes: &[u8]) -> Result<(), StateError> {
        let name = name_of(id);
        let path = self.path.join(&name);
        let directory = self.open()?;
        self.written += 1;
        let unfinished = format!(
            ".{name}.{}.{}{UNFINISHED}",
            std::process::id(),
            self.written
        );
        let written = create(&directory, &unfinished)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| {
                Ok(rustix::fs::renameat(
                    &directory,
                    &unfinished,
                    &directory,
                    &name,
                )?)
            });
        written.map_err(|source| {
            let _ = rustix::fs::unlinkat(&directory, &unfinished, AtFlags::empty());
            StateError::Io {
                action: "write",
                path,
                source,
            }
        })
    }

    /// Forgets what is written about a grant.
    pub(crate) fn forget(&self, id: Process) -> Result<(), StateError> {
        let name = name_of(id);
        match rustix::fs::unlinkat(self.open()?, &name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(StateError::Io {
                action: "remove",
                path: self.path.join(&name),
                source: errno.into(),
            }),
        }
    }

    /// Puts a file that is refused where it is not read again, for whoever wants to look at it.
    pub(crate) fn put_aside(&self, name: &str) {
        if let Ok(directory) = self.open() {
            let aside = format!("{REFUSED}{name}");
            let _ = rustix::fs::renameat(&directory, name, &directory, &aside);
        }
    }

    /// Everything that is written down. What somebody who was killed left unfinished is removed.
    pub(crate) fn load(&self) -> Result<Vec<Found>, StateError> {
        let directory = self.open()?;
        let list = |errno: rustix::io::Errno| StateError::Io {
            action: "list",
            path: self.path.clone(),
            source: errno.into(),
        };
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(list)? {
            let entry = entry.map_err(list)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if name.starts_with('.') && name.ends_with(UNFINISHED) {
                let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
            }
            let is_ours = name.ends_with(END) && !name.starts_with(['.']);
            if is_ours && !name.starts_with(REFUSED) && found.len() < MAX_FILES {
                found.push(Found {
                    name: name.to_owned(),
                    id: id_of(name),
                    bytes: self.read(&directory, name),
                });
            }
        }
        Ok(found)
    }

    fn read(&self, directory: &File, name: &str) -> Result<Zeroizing<Vec<u8>>, StateError> {
        let path = || self.path.join(name);
        let io = |source: io::Error| StateError::Io {
            action: "read",
            path: path(),
            source,
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, flags, Mode::empty());
        let mut file = File::from(file.map_err(|errno| io(errno.into()))?);
        let about = file.metadata().map_err(io)?;
        let unsafe_for = |what| StateError::Unsafe { path: path(), what };
        if !about.is_file() || about.nlink() != 1 {
            return Err(unsafe_for("is not a file of its own"));
        }
        if about.uid() != own_user() || about.mode() & 0o077 != 0 {
            return Err(unsafe_for("is not private to the daemon's user"));
        }
        if about.len() > MAX_BYTES {
            return Err(unsafe_for("is too large"));
        }
        let room = usize::try_from(about.len()).unwrap_or_default() + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        let limited = Read::by_ref(&mut file).take(MAX_BYTES);
        { limited }.read_to_end(&mut bytes).map_err(io)?;
        Ok(bytes)
    }

    /// The directory, made when it is not there, and looked at each time it is used.
    fn open(&self) -> Result<File, StateError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let io = |action: &'static str, source: io::Error| StateError::Io {
            action,
            path: self.path.clone(),
            source,
        };
        let open = || rustix::fs::open(&self.path, flags, Mode::empty());
        let directory = match open() {
            Err(rustix::io::Errno::NOENT) => {
                make(&self.path).map_err(|error| io("create", error))?;
                open()
            }
            other => other,
        };
        let directory = File::from(directory.map_err(|errno| io("open", errno.into()))?);
        let about = directory.metadata().map_err(|error| io("examine", error))?;
        if about.uid() != own_user() || about.mode() & 0o077 != 0 {
            return Err(StateError::Unsafe {
                path: self.path.clone(),
                what: "is open to others (chown root and chmod 700 repair it)",
            });
        }
        Ok(directory)
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn create(directory: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
    Ok(File::from(file))
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn name_of(id: Process) -> String {
    format!("{}-{}{END}", id.pid, id.start_time)
}

fn id_of(name: &str) -> Option<Process> {
    let (pid, start_time) = name.strip_suffix(END)?.split_once('-')?;
    let id = Process {
        pid: pid.parse().ok()?,
        start_time: start_time.parse().ok()?,
    };
    (name_of(id) == name).then_some(id)
}
