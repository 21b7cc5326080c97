//! The directory that an issuer's state is in.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use countersign_console::Problem;
use countersign_issuer::storage::{Sqlite, StorageError};
use countersign_jose::Timestamp;

/// Users, clients and logins.
const DATABASE: &str = "issuer.sqlite";
/// The keys.
const KEYS: &str = "keys.json";
/// Held while a server serves; not empty when the last one was killed.
const RUNNING: &str = "running";

/// The state directory: the one asked for, or the user's.
pub(crate) fn directory(asked: Option<PathBuf>) -> Result<PathBuf, Problem> {
    if let Some(directory) = asked {
        return Ok(directory);
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|directory| directory.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")))
        .ok_or_else(|| {
            Problem::new("there is no home directory to keep state in").hint(
                "name one with --state-dir DIR, or forget everything at the end with --memory",
            )
        })?;
    Ok(state.join("countersign-issuer"))
}

/// Opens the database, making it and the directory when they are missing.
pub(crate) fn open_database(directory: &Path) -> Result<Sqlite, Problem> {
    create(directory)?;
    let path = directory.join(DATABASE);
    Sqlite::open(&path).map_err(|error| {
        let problem = Problem::new(format!("{} cannot be opened", path.display()));
        let newer = matches!(error, StorageError::Newer { .. });
        let problem = problem.because(error);
        if newer {
            problem.hint("it was written by a newer countersign-issuer: use that")
        } else {
            problem
        }
    })
}

/// The file that holds the keys.
pub(crate) fn key_file(directory: &Path) -> PathBuf {
    directory.join(KEYS)
}

pub(crate) fn create(directory: &Path) -> Result<(), Problem> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).map_err(|error| {
        Problem::new(format!("{} cannot be made", directory.display())).because(error)
    })
}

/// A server's hold on its state directory, and its sign of life there.
#[derive(Debug)]
pub(crate) struct Running {
    file: File,
    crashed: Option<Timestamp>,
}

impl Running {
    /// Takes the directory, or says that another server has it.
    pub(crate) fn begin(directory: &Path, now: Timestamp) -> Result<Self, Problem> {
        create(directory)?;
        let path = directory.join(RUNNING);
        let failed = |error: io::Error| {
            Problem::new(format!("{} cannot be used", path.display())).because(error)
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("another server is serving from {}", directory.display());
                return Err(Problem::new(what)
                    .hint("end it first, or use another directory: --state-dir DIR"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut mark = String::new();
        file.read_to_string(&mut mark).map_err(failed)?;
        let crashed = match mark.trim() {
            "" => None,
            // An unreadable mark is one all the same; its time is the past's.
            millis => Some(Timestamp::from_millis(millis.parse().unwrap_or(0))),
        };
        let running = Self { file, crashed };
        running.is_alive(now).map_err(failed)?;
        // It is a power cut, above all, that the mark has to outlive.
        running.file.sync_all().map_err(failed)?;
        Ok(running)
    }

    /// The last sign of life of a server that did not end by itself.
    pub(crate) fn crashed(&self) -> Option<Timestamp> {
        self.crashed
    }

    /// Gives a sign of life; to be called now and then.
    pub(crate) fn is_alive(&self, now: Timestamp) -> io::Result<()> {
        // Of one length for the next two hundred years, so in one piece.
        self.file
            .write_all_at(format!("{}\n", now.as_millis()).as_bytes(), 0)
    }

    /// Says that the server ended by itself, all answers sent.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.file.set_len(0)
    }
}
