//! Records in one `SQLite` file.
//!
//! One thread writes. It takes every operation that waits, runs them all in
//! one transaction, each in a savepoint of its own, and tells their outcomes
//! after the one `fsync` that made all of them durable: twenty logins at once
//! cost as much disk time as one. Readers have connections of their own and,
//! thanks to the write-ahead log, wait for nobody.
//!
//! `synchronous = FULL` is what makes an answer a promise: with the write-ahead
//! log's usual `NORMAL`, a power cut could undo a renewal whose answer was sent.
//! Other processes (`countersign-issuer user disable`) may write to the same
//! file; the server sees it with its next look.

mod factors;
mod purge;
mod records;
mod rows;
mod schema;
mod writer;

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Operation, Records, Storage, StorageError};
use records::Rows;
use writer::Writer;

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Reading connections kept for reuse: more than the async threads of a small
/// server, few enough to cost no memory worth counting.
const IDLE_READERS: usize = 8;

/// Storage in one file, and the two that `SQLite` keeps beside it.
pub struct Sqlite {
    path: PathBuf,
    // Closed before the writer, which then is the last one and folds the log
    // into the file.
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Sqlite {
    /// Opens the file, or makes it with mode 0600, and brings its tables up to
    /// date. The file system must be local: `SQLite`'s log needs shared memory.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        create_private(path).map_err(StorageError::File)?;
        let mut connection = open_for_writing(path).map_err(failed)?;
        schema::migrate(&mut connection)?;
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::new(Vec::new()),
            writer: Writer::start(connection).map_err(StorageError::File)?,
        })
    }

    fn reader(&self) -> Result<Connection, StorageError> {
        let idle = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
    }
}

impl Storage for Sqlite {
    fn read(
        &self,
        look: &mut dyn FnMut(&dyn Records) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let connection = self.reader()?;
        // One snapshot for the whole look.
        run(&connection, "BEGIN DEFERRED")?;
        let outcome = look(&Rows(&connection));
        run(&connection, "COMMIT")?;
        // A connection that failed on the way here is closed, not reused.
        self.give_back(connection);
        outcome
    }

    fn submit(&self, operation: Box<dyn Operation>) {
        self.writer.submit(operation);
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Runs a statement without parameters or rows.
fn run(connection: &Connection, sql: &str) -> Result<(), StorageError> {
    let run = || connection.prepare_cached(sql)?.execute([]);
    run().map(drop).map_err(failed)
}

fn open_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Our pool hands a connection to one thread at a time: SQLite's own lock
    // on it would be a second one.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // In KiB when negative. The hot rows are few and the system caches the rest.
    connection.pragma_update(None, "cache_size", -1024)?;
    Ok(connection)
}

/// What is known of a database's error outside of this module.
fn failed(error: rusqlite::Error) -> StorageError {
    StorageError::Database(error.into())
}

/// Makes sure that the file is there and nobody else's to read. `SQLite` gives
/// its two companions the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    crate::private::check(&file, path)
}

#[cfg(test)]
mod tests;
