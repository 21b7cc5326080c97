//! One `SQLite` file for a host that has no database: who has which device, and
//! what was used, kept over restarts and kill -9.
//!
//! Several processes may have it open. Every write is one transaction that is on
//! disk before it is answered (`synchronous = FULL`), and is made on a thread
//! that may wait for it. What is kept, [`state`](crate::state) and
//! [`otp`](crate::otp) say; here stands how.
//!
//! Not responsible for a file system that is shared between machines: `SQLite`
//! locks within one.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Error, private};

/// How long a write waits for that of another process.
const BUSY: Duration = Duration::from_secs(2);

/// How long a question waits for all those before it. A disk that takes longer
/// is one that cannot be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Marks the file as ours, so that no other program's database is taken for one.
const APPLICATION: i32 = 0x6373_6f74;

/// One script for each version of the file; never changed, only added to.
const MIGRATIONS: [&str; 1] = [FIRST];

/// Times are milliseconds since 1970.
const FIRST: &str = "
CREATE TABLE claims (
    namespace TEXT NOT NULL, digest BLOB NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_end ON claims (expires);

CREATE TABLE counters (
    namespace TEXT NOT NULL, digest BLOB NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE denials (
    namespace TEXT NOT NULL, digest BLOB NOT NULL, issued INTEGER, expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    namespace TEXT NOT NULL, digest BLOB NOT NULL, count INTEGER NOT NULL,
    expires INTEGER NOT NULL, PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    namespace TEXT NOT NULL, digest BLOB NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    public_id TEXT UNIQUE,
    enrolled_at INTEGER NOT NULL,
    last_used_at INTEGER,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_owner ON devices (issuer, subject);
";

/// A file that is a [`SharedState`](crate::state::SharedState) for the processes
/// of one host, and a registry of [`Devices`](crate::otp::Devices). Cheap to
/// clone.
#[derive(Clone)]
pub struct SqliteFile {
    path: Arc<PathBuf>,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteFile {
    /// Makes the file with mode 0600, or opens the one that is there.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(path: &Path) -> Result<Self, Error> {
        Self::at(path, true)
    }

    /// Opens a file that is there already: a path that was mistyped must not
    /// become an empty registry.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::at(path, false)
    }

    fn at(path: &Path, create: bool) -> Result<Self, Error> {
        let unusable = |source: Failure| Error::File {
            path: path.to_owned(),
            source,
        };
        make(path, create).map_err(|error| unusable(error.into()))?;
        let connection = connect(path).map_err(unusable)?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `act` on a thread that may wait for the disk.
    pub(crate) async fn run<T, E>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Failure>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let work = tokio::task::spawn_blocking(move || {
            // Whoever panicked left no transaction open: it was rolled back
            // when it was dropped.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            act(&mut connection)
        });
        // Dropping the handle ends the waiting and not the work; what was asked
        // may happen still, and nobody is told that it has.
        Ok(tokio::time::timeout(PATIENCE, work).await??)
    }
}

impl fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Why the file gave no answer.
pub(crate) type Failure = Box<dyn StdError + Send + Sync>;

fn connect(path: &Path) -> Result<Connection, Failure> {
    // One thread at a time has it, so that SQLite's own lock would be a second
    // one.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    // In KiB when negative: the rows in use are few.
    connection.pragma_update(None, "cache_size", -256)?;
    let number = |connection: &Connection, name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
    };
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && number(&connection, "application_id")? != APPLICATION {
        return Err("it is the database of another program".into());
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;

    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = usize::try_from(number(&transaction, "user_version")?)?;
    if found > MIGRATIONS.len() {
        return Err("it was written by a newer version of this program".into());
    }
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    if found < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len())?)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// Makes sure that the file is there and nobody else's to read. `SQLite` gives
/// its two companions the same mode.
fn make(path: &Path, create: bool) -> io::Result<()> {
    let mut options = private::options();
    private::check(&options.read(true).write(true).create(create).open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &Path) -> String {
        let Err(Error::File { source, .. }) = SqliteFile::open(path) else {
            panic!("{} was opened", path.display());
        };
        source.to_string()
    }

    #[test]
    fn only_a_file_of_ours_that_nobody_else_reads_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otp.sqlite");
        assert!(why(&path).contains("No such file"), "{}", why(&path));
        drop(SqliteFile::create(&path).unwrap());
        drop(SqliteFile::create(&path).unwrap());
        drop(SqliteFile::open(&path).unwrap());

        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(why(&path).contains("newer"), "{}", why(&path));
        connection.pragma_update(None, "user_version", 1).unwrap();
        let id = "application_id";
        connection.pragma_update(None, id, 7).unwrap();
        assert!(why(&path).contains("another program"), "{}", why(&path));
        connection.pragma_update(None, id, APPLICATION).unwrap();
        drop(SqliteFile::open(&path).unwrap());

        // The last one to close it leaves no log beside it that has the tables still.
        drop(connection);
        std::fs::write(&path, "[state]\nurl = \"…\"\n").unwrap();
        assert!(why(&path).contains("not a database"), "{}", why(&path));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_made_for_its_owner_alone_and_refused_when_others_can_read_it() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otp.sqlite");
        let file = SqliteFile::create(&path).unwrap();
        for entry in fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        }
        drop(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(why(&path).contains("others can read it"), "{}", why(&path));
    }
}
