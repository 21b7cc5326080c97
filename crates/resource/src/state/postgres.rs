//! What replicas share, in a `PostgreSQL` database.
//!
//! Every question is one statement, whose row count is the answer: a
//! compare-and-swap, and never a look before a write. What has ended is deleted
//! an hour late, so that clocks that differ by less forget nothing too early.
//!
//! Not responsible for backups, nor for a standby that takes over without the
//! last transactions (`synchronous_standby_names`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use countersign_jose::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::remote::{Connection, Link, Remote, unavailable};
use super::{Advance, Attempt, Claim, Issued, Key, SharedState, StateError, StateFuture};
use crate::Error;
use crate::postgres::{Server, failure};

/// How much longer a record stays than it was asked to.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// How often what has ended is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The tables, which are made where they are missing. The lock keeps two
/// replicas that start together from making them twice.
const SCHEMA: &str = "\
    BEGIN;
    SELECT pg_advisory_xact_lock(8628909);
    CREATE TABLE IF NOT EXISTS countersign_claims (
        namespace text NOT NULL, digest bytea NOT NULL, expires bigint NOT NULL,
        PRIMARY KEY (namespace, digest));
    CREATE INDEX IF NOT EXISTS countersign_claims_expires ON countersign_claims (expires);
    CREATE TABLE IF NOT EXISTS countersign_counters (
        namespace text NOT NULL, digest bytea NOT NULL, value bigint NOT NULL,
        PRIMARY KEY (namespace, digest));
    CREATE TABLE IF NOT EXISTS countersign_denials (
        namespace text NOT NULL, digest bytea NOT NULL, issued bigint, expires bigint NOT NULL,
        PRIMARY KEY (namespace, digest));
    CREATE TABLE IF NOT EXISTS countersign_attempts (
        namespace text NOT NULL, digest bytea NOT NULL, count bigint NOT NULL,
        expires bigint NOT NULL, PRIMARY KEY (namespace, digest));
    CREATE TABLE IF NOT EXISTS countersign_grants (
        namespace text NOT NULL, digest bytea NOT NULL, expires bigint NOT NULL,
        PRIMARY KEY (namespace, digest));
    COMMIT;";

const HAS_TABLES: &str = "\
    SELECT to_regclass('countersign_claims') IS NOT NULL
       AND to_regclass('countersign_counters') IS NOT NULL
       AND to_regclass('countersign_denials') IS NOT NULL
       AND to_regclass('countersign_attempts') IS NOT NULL
       AND to_regclass('countersign_grants') IS NOT NULL
       AND NOT pg_is_in_recovery()";

const CLAIM: &str = "\
    INSERT INTO countersign_claims (namespace, digest, expires) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";

const ADVANCE: &str = "\
    INSERT INTO countersign_counters AS kept (namespace, digest, value) VALUES ($1, $2, $3)
    ON CONFLICT (namespace, digest) DO UPDATE SET value = EXCLUDED.value
    WHERE kept.value < EXCLUDED.value";

// No date of issue stands for all of them.
const DENY: &str = "\
    INSERT INTO countersign_denials AS kept (namespace, digest, issued, expires)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (namespace, digest) DO UPDATE SET
        issued = CASE WHEN kept.issued IS NULL OR EXCLUDED.issued IS NULL THEN NULL
                      ELSE greatest(kept.issued, EXCLUDED.issued) END,
        expires = greatest(kept.expires, EXCLUDED.expires)";

const DENIED: &str = "\
    SELECT EXISTS (
        SELECT FROM countersign_denials AS kept
        JOIN unnest($1::text[], $2::bytea[]) AS asked (namespace, digest)
          ON kept.namespace = asked.namespace AND kept.digest = asked.digest
        WHERE kept.expires > $4
          AND (kept.issued IS NULL OR $3::bigint IS NULL OR $3::bigint <= kept.issued))";

// Counts to one more than the limit and no further, so that one answer says
// whether this one was within it, and when the window ends.
const ATTEMPT: &str = "\
    INSERT INTO countersign_attempts AS kept (namespace, digest, count, expires)
    VALUES ($1, $2, 1, $3)
    ON CONFLICT (namespace, digest) DO UPDATE SET
        count = CASE WHEN kept.expires <= $4 THEN 1 ELSE least(kept.count, $5) + 1 END,
        expires = CASE WHEN kept.expires <= $4 THEN EXCLUDED.expires ELSE kept.expires END
    RETURNING count, expires";
const FORGIVE: &str = "DELETE FROM countersign_attempts WHERE namespace = $1 AND digest = $2";

const GRANT: &str = "\
    INSERT INTO countersign_grants AS kept (namespace, digest, expires) VALUES ($1, $2, $3)
    ON CONFLICT (namespace, digest) DO UPDATE SET
        expires = greatest(kept.expires, EXCLUDED.expires)";
const GRANTED: &str = "\
    SELECT EXISTS (SELECT FROM countersign_grants
                   WHERE namespace = $1 AND digest = $2 AND expires > $3)";

const SWEEP: &str = "\
    DELETE FROM countersign_claims WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM countersign_claims WHERE expires < $1 LIMIT 10000))";
const SWEEP_DENIALS: &str = "DELETE FROM countersign_denials WHERE expires < $1";
const SWEEP_ATTEMPTS: &str = "DELETE FROM countersign_attempts WHERE expires < $1";
const SWEEP_GRANTS: &str = "DELETE FROM countersign_grants WHERE expires < $1";

/// A [`SharedState`] in `PostgreSQL` 12 or newer.
///
/// One connection for all requests, made when it is needed, and made anew when
/// it is lost. The tables are made at the first connection; a role that may not
/// make tables needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on those of
/// somebody who may. A standby is refused.
pub struct PostgresState {
    server: Server,
    link: Link<Line>,
    next_sweep: AtomicI64,
}

#[derive(Clone)]
struct Line(Arc<Session>);

struct Session {
    client: Client,
    claim: Statement,
    advance: Statement,
    deny: Statement,
    denied: Statement,
    attempt: Statement,
    forgive: Statement,
    grant: Statement,
    granted: Statement,
    alive: Arc<AtomicBool>,
}

impl Connection for Line {
    fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Relaxed)
    }
}

impl PostgresState {
    /// The memory at this address. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`], [`Error::StateAddress`].
    pub fn new(remote: Remote) -> Result<Self, Error> {
        Ok(Self {
            link: Link::new(remote.timeout),
            server: Server::new(remote)?,
            next_sweep: AtomicI64::new(0),
        })
    }

    /// Asks whether the database can be used, for a readiness check and for a
    /// start that wants to know.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`] with the reason.
    pub async fn ping(&self) -> Result<(), StateError> {
        let ask = |line: Line| async move {
            let answer = line.0.client.simple_query("SELECT 1").await;
            answer.map(|_| ()).map_err(failure)
        };
        self.link.ask(|| self.connect(), ask).await
    }

    async fn execute(
        &self,
        statement: impl FnOnce(&Session) -> &Statement + Send,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StateError> {
        let ask = |line: Line| async move {
            let session = &line.0;
            let rows = session.client.execute(statement(session), parameters).await;
            rows.map_err(failure)
        };
        self.link.ask(|| self.connect(), ask).await
    }

    async fn connect(&self) -> Result<Line, StateError> {
        let (client, alive) = self.server.connect(HAS_TABLES, SCHEMA).await?;
        self.prepare(client, alive).await.map_err(unavailable)
    }

    async fn prepare(
        &self,
        client: Client,
        alive: Arc<AtomicBool>,
    ) -> Result<Line, tokio_postgres::Error> {
        Ok(Line(Arc::new(Session {
            claim: client.prepare(CLAIM).await?,
            advance: client.prepare(ADVANCE).await?,
            deny: client.prepare(DENY).await?,
            denied: client.prepare(DENIED).await?,
            attempt: client.prepare(ATTEMPT).await?,
            forgive: client.prepare(FORGIVE).await?,
            grant: client.prepare(GRANT).await?,
            granted: client.prepare(GRANTED).await?,
            client,
            alive,
        })))
    }

    /// Deletes what has ended, now and then, in the wake of a claim and without
    /// keeping it waiting.
    fn sweep_when_due(&self, session: Arc<Session>, now: Timestamp) {
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = (now + SWEEP_EVERY).as_secs();
        let is_due = now.as_secs() >= due
            && self
                .next_sweep
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_due {
            return;
        }
        let before = (now - MARGIN).as_secs();
        tokio::spawn(async move {
            // What fails now is tried again in a minute.
            for sweep in [SWEEP, SWEEP_DENIALS, SWEEP_ATTEMPTS, SWEEP_GRANTS] {
                let _ = session.client.execute(sweep, &[&before]).await;
            }
        });
    }
}

impl SharedState for PostgresState {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim> {
        Box::pin(async move {
            if expires <= now {
                return Ok(Claim::Again);
            }
            let ask = |line: Line| async move {
                let session = line.0;
                let parameters: [&(dyn ToSql + Sync); 3] = [
                    &key.namespace(),
                    &key.digest().as_slice(),
                    // A fraction of a second longer, never shorter.
                    &(expires.as_secs() + 1),
                ];
                let rows = session.client.execute(&session.claim, &parameters).await;
                let rows = rows.map_err(failure)?;
                self.sweep_when_due(session, now);
                Ok(rows)
            };
            let rows = self.link.ask(|| self.connect(), ask).await?;
            Ok(if rows == 1 {
                Claim::First
            } else {
                Claim::Again
            })
        })
    }

    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance> {
        Box::pin(async move {
            let to = i64::try_from(to).map_err(|_| unavailable("the counter is too great"))?;
            let parameters: [&(dyn ToSql + Sync); 3] =
                [&key.namespace(), &key.digest().as_slice(), &to];
            let rows = self
                .execute(|session| &session.advance, &parameters)
                .await?;
            Ok(if rows == 1 {
                Advance::Moved
            } else {
                Advance::Behind
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
        Box::pin(async move {
            let issued = match issued {
                Issued::Whenever => None,
                Issued::UpTo(moment) => Some(moment.as_secs()),
            };
            let parameters: [&(dyn ToSql + Sync); 4] = [
                &key.namespace(),
                &key.digest().as_slice(),
                &issued,
                &(until.as_secs() + 1),
            ];
            self.execute(|session| &session.deny, &parameters).await?;
            Ok(())
        })
    }

    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> StateFuture<'a, bool> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(false);
            }
            let ask = |line: Line| async move {
                let session = &line.0;
                let namespaces: Vec<&str> = keys.iter().map(Key::namespace).collect();
                let digests: Vec<&[u8]> = keys.iter().map(|key| &key.digest()[..]).collect();
                let issued_at = issued_at.map(Timestamp::as_secs);
                let parameters: [&(dyn ToSql + Sync); 4] =
                    [&namespaces, &digests, &issued_at, &now.as_secs()];
                let row = session.client.query_one(&session.denied, &parameters).await;
                row.and_then(|row| row.try_get(0)).map_err(failure)
            };
            self.link.ask(|| self.connect(), ask).await
        })
    }

    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        Box::pin(async move {
            if limit == 0 || until <= now {
                return Ok(Attempt::Exhausted { until });
            }
            let limit = i64::from(limit);
            let ask = |line: Line| async move {
                let session = line.0;
                let parameters: [&(dyn ToSql + Sync); 5] = [
                    &key.namespace(),
                    &key.digest().as_slice(),
                    &(until.as_secs() + 1),
                    &now.as_secs(),
                    &limit,
                ];
                let row = session
                    .client
                    .query_one(&session.attempt, &parameters)
                    .await;
                let row = row.map_err(failure)?;
                self.sweep_when_due(session, now);
                let count: i64 = row.try_get(0).map_err(failure)?;
                let ends: i64 = row.try_get(1).map_err(failure)?;
                Ok((count, ends))
            };
            let (count, ends) = self.link.ask(|| self.connect(), ask).await?;
            Ok(if count <= limit {
                Attempt::Allowed
            } else {
                Attempt::Exhausted {
                    until: Timestamp::from_secs(ends),
                }
            })
        })
    }

    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()> {
        Box::pin(async move {
            let parameters: [&(dyn ToSql + Sync); 2] = [&key.namespace(), &key.digest().as_slice()];
            self.execute(|session| &session.forgive, &parameters)
                .await?;
            Ok(())
        })
    }

    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, _now: Timestamp) -> StateFuture<'a, ()> {
        Box::pin(async move {
            let parameters: [&(dyn ToSql + Sync); 3] = [
                &key.namespace(),
                &key.digest().as_slice(),
                // Whole seconds, never longer.
                &until.as_secs(),
            ];
            self.execute(|session| &session.grant, &parameters).await?;
            Ok(())
        })
    }

    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool> {
        Box::pin(async move {
            let ask = |line: Line| async move {
                let session = &line.0;
                let parameters: [&(dyn ToSql + Sync); 3] =
                    [&key.namespace(), &key.digest().as_slice(), &now.as_secs()];
                let row = session
                    .client
                    .query_one(&session.granted, &parameters)
                    .await;
                row.and_then(|row| row.try_get(0)).map_err(failure)
            };
            self.link.ask(|| self.connect(), ask).await
        })
    }
}

impl fmt::Debug for PostgresState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresState")
            .field("remote", &self.server.remote)
            .finish_non_exhaustive()
    }
}
