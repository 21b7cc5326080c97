//! What the processes of one host share, in a file.
//!
//! Every question is one statement, as in the other databases, and whole before
//! it is answered. Nothing is forgotten by a restart.

use countersign_jose::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params};

use super::{Advance, Attempt, Claim, Issued, Key, SharedState, StateError, StateFuture};
use crate::sqlite::SqliteFile;

const CLAIM: &str = "\
    INSERT INTO claims (namespace, digest, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const ADVANCE: &str = "\
    INSERT INTO counters (namespace, digest, value) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET value = excluded.value WHERE value < excluded.value";

// No date of issue stands for all of them; the greatest of it and another is it.
const DENY: &str = "\
    INSERT INTO denials (namespace, digest, issued, expires) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET
        issued = max(issued, excluded.issued), expires = max(expires, excluded.expires)";

const DENIED: &str = "\
    SELECT 1 FROM denials WHERE namespace = ?1 AND digest = ?2 AND expires > ?4
        AND (issued IS NULL OR ?3 IS NULL OR ?3 <= issued)";

// Counts to one more than the limit and no further.
const ATTEMPT: &str = "\
    INSERT INTO attempts (namespace, digest, count, expires) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT DO UPDATE SET
        count = CASE WHEN expires <= ?4 THEN 1 ELSE min(count, ?5) + 1 END,
        expires = CASE WHEN expires <= ?4 THEN excluded.expires ELSE expires END
    RETURNING count, expires";
const FORGIVE: &str = "DELETE FROM attempts WHERE namespace = ?1 AND digest = ?2";

const GRANT: &str = "\
    INSERT INTO grants (namespace, digest, expires) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET expires = max(expires, excluded.expires)";
const GRANTED: &str = "\
    SELECT 1 FROM grants WHERE namespace = ?1 AND digest = ?2 AND expires > ?3";

/// What has ended makes room in the wake of a claim or an attempt, a few rows at
/// a time and an hour late, so that a clock that is set back brings nothing
/// back.
const SWEEPS: [&str; 4] = [
    "DELETE FROM claims WHERE (namespace, digest) IN
        (SELECT namespace, digest FROM claims WHERE expires < ?1 LIMIT 100)",
    "DELETE FROM attempts WHERE (namespace, digest) IN
        (SELECT namespace, digest FROM attempts WHERE expires < ?1 LIMIT 100)",
    "DELETE FROM grants WHERE (namespace, digest) IN
        (SELECT namespace, digest FROM grants WHERE expires < ?1 LIMIT 100)",
    "DELETE FROM denials WHERE (namespace, digest) IN
        (SELECT namespace, digest FROM denials WHERE expires < ?1 LIMIT 100)",
];
const SWEEP_AFTER_MILLIS: i64 = 60 * 60 * 1000;

impl SqliteFile {
    async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        self.run(|connection| act(connection))
            .await
            .map_err(StateError::Unavailable)?
            .map_err(failed)
    }

    /// Asks and sweeps in one transaction, which costs the disk nothing more.
    async fn ask_and_sweep<T: Send + 'static>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        self.run(move |connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let answer = act(&transaction)?;
            let before = now.as_millis().saturating_sub(SWEEP_AFTER_MILLIS);
            for sweep in SWEEPS {
                transaction.prepare_cached(sweep)?.execute([before])?;
            }
            transaction.commit()?;
            Ok(answer)
        })
        .await
        .map_err(StateError::Unavailable)?
        .map_err(failed)
    }
}

fn execute(connection: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(parameters)
}

fn failed(error: rusqlite::Error) -> StateError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StateError::Full,
        _ => StateError::Unavailable(error.into()),
    }
}

impl SharedState for SqliteFile {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim> {
        let key = *key;
        Box::pin(async move {
            if expires <= now {
                return Ok(Claim::Again);
            }
            let claim = move |connection: &Connection| {
                let parameters = (key.namespace(), key.digest(), expires.as_millis());
                execute(connection, CLAIM, parameters)
            };
            Ok(match self.ask_and_sweep(now, claim).await? {
                1 => Claim::First,
                _ => Claim::Again,
            })
        })
    }

    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance> {
        let key = *key;
        Box::pin(async move {
            let to = i64::try_from(to)
                .map_err(|_| StateError::Unavailable("the counter is too great".into()))?;
            let advance = move |connection: &Connection| {
                execute(connection, ADVANCE, (key.namespace(), key.digest(), to))
            };
            Ok(match self.ask(advance).await? {
                1 => Advance::Moved,
                _ => Advance::Behind,
            })
        })
    }

    fn deny<'a>(
        &'a self,
        key: &'a Key,
        issued: Issued,
        until: Timestamp,
        _now: Timestamp,
    ) -> StateFuture<'a, ()> {
        let key = *key;
        Box::pin(async move {
            let issued = match issued {
                Issued::Whenever => None,
                Issued::UpTo(moment) => Some(moment.as_millis()),
            };
            self.ask(move |connection| {
                let parameters = (key.namespace(), key.digest(), issued, until.as_millis());
                execute(connection, DENY, parameters)
            })
            .await
            .map(drop)
        })
    }

    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> StateFuture<'a, bool> {
        let keys = keys.to_vec();
        Box::pin(async move {
            self.ask(move |connection| {
                let mut denied = connection.prepare_cached(DENIED)?;
                let issued_at = issued_at.map(Timestamp::as_millis);
                for key in keys {
                    let parameters = (key.namespace(), key.digest(), issued_at, now.as_millis());
                    if denied.exists(parameters)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
        })
    }

    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        let key = *key;
        Box::pin(async move {
            if limit == 0 || until <= now {
                return Ok(Attempt::Exhausted { until });
            }
            let attempt = move |connection: &Connection| {
                let (ends, now) = (until.as_millis(), now.as_millis());
                connection
                    .prepare_cached(ATTEMPT)?
                    .query_row((key.namespace(), key.digest(), ends, now, limit), |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                    })
            };
            let (count, ends) = self.ask_and_sweep(now, attempt).await?;
            Ok(if count <= i64::from(limit) {
                Attempt::Allowed
            } else {
                Attempt::Exhausted {
                    until: Timestamp::from_millis(ends),
                }
            })
        })
    }

    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()> {
        let key = *key;
        Box::pin(async move {
            self.ask(move |connection| {
                execute(connection, FORGIVE, (key.namespace(), key.digest()))
            })
            .await
            .map(drop)
        })
    }

    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, _now: Timestamp) -> StateFuture<'a, ()> {
        let key = *key;
        Box::pin(async move {
            self.ask(move |connection| {
                let parameters = (key.namespace(), key.digest(), until.as_millis());
                execute(connection, GRANT, parameters)
            })
            .await
            .map(drop)
        })
    }

    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool> {
        let key = *key;
        Box::pin(async move {
            self.ask(move |connection| {
                let parameters = (key.namespace(), key.digest(), now.as_millis());
                connection
                    .prepare_cached(GRANTED)?
                    .query_row(parameters, |_| Ok(()))
                    .optional()
            })
            .await
            .map(|found| found.is_some())
        })
    }
}
