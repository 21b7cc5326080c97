//! The registry of devices in `PostgreSQL`, for replicas that share one.
//!
//! A connection of its own, so that a change (several statements, one after the
//! other) and the questions of requests do not mix.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement, Transaction};

use super::Person;
use super::device::{
    Device, DeviceId, DeviceKind, Devices, DevicesError, DevicesFuture, MAX_DEVICES, NewSeal,
};
use crate::postgres::{Server, failure};
use crate::state::remote::{Connection, Link, unavailable};
use crate::state::{Remote, StateError};
use crate::{Error, Timestamp};

const SCHEMA: &str = "\
    BEGIN;
    SELECT pg_advisory_xact_lock(8628909);
    CREATE TABLE IF NOT EXISTS countersign_devices (
        id text PRIMARY KEY, issuer text NOT NULL, subject text NOT NULL, kind text NOT NULL,
        label text NOT NULL, public_id text UNIQUE, enrolled_at bigint NOT NULL,
        last_used_at bigint, sealed bytea NOT NULL);
    CREATE INDEX IF NOT EXISTS countersign_devices_owner
        ON countersign_devices (issuer, subject);
    COMMIT;";

const HAS_TABLES: &str = "\
    SELECT to_regclass('countersign_devices') IS NOT NULL AND NOT pg_is_in_recovery()";

const CHANGE_TIME: Duration = Duration::from_secs(60);

/// One change at a time, so that what is counted stays so until it is written.
const ALONE: &str = "SELECT pg_advisory_xact_lock(8628910)";

const OF: &str = "\
    SELECT id, issuer, subject, kind, label, public_id, enrolled_at, last_used_at, sealed
    FROM countersign_devices WHERE issuer = $1 AND subject = $2 ORDER BY enrolled_at, id";
const ALL: &str = "\
    SELECT id, issuer, subject, kind, label, public_id, enrolled_at, last_used_at, sealed
    FROM countersign_devices ORDER BY issuer, subject, enrolled_at, id";
const ADD: &str = "\
    INSERT INTO countersign_devices
        (id, issuer, subject, kind, label, public_id, enrolled_at, last_used_at, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const REMOVE: &str = "DELETE FROM countersign_devices WHERE id = $1";
const RESEAL: &str = "UPDATE countersign_devices SET sealed = $3 WHERE id = $1 AND sealed = $2";
const USED: &str = "\
    UPDATE countersign_devices SET last_used_at = greatest(last_used_at, $2) WHERE id = $1";

/// A [`Devices`] in `PostgreSQL` 12 or newer.
///
/// The table is made at the first connection; a role that may not make tables
/// needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on that of somebody who may.
pub struct PostgresDevices {
    server: Server,
    link: Link<Line>,
}

#[derive(Clone)]
struct Line(Arc<Session>);

struct Session {
    client: Client,
    of: Statement,
    used: Statement,
    alive: Arc<AtomicBool>,
}

impl Connection for Line {
    fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Relaxed)
    }
}

impl PostgresDevices {
    /// The registry at this address. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`], [`Error::StateAddress`].
    pub fn new(remote: Remote) -> Result<Self, Error> {
        Ok(Self {
            link: Link::new(remote.timeout),
            server: Server::new(remote)?,
        })
    }

    async fn connect(&self) -> Result<Line, StateError> {
        let (client, alive) = self.server.connect(HAS_TABLES, SCHEMA).await?;
        let (of, used) = (client.prepare(OF).await, client.prepare(USED).await);
        Ok(Line(Arc::new(Session {
            of: of.map_err(unavailable)?,
            used: used.map_err(unavailable)?,
            client,
            alive,
        })))
    }

    async fn query(
        &self,
        statement: impl FnOnce(&Session) -> Option<&Statement> + Send,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Device>, DevicesError> {
        let ask = |line: Line| async move {
            let session = &line.0;
            let rows = match statement(session) {
                Some(prepared) => session.client.query(prepared, parameters).await,
                None => session.client.query(ALL, parameters).await,
            };
            rows.map_err(failure)
        };
        let rows = self.link.ask(|| self.connect(), ask).await?;
        rows.iter().map(read).collect()
    }

    async fn change(&self, old: Option<&DeviceId>, new: &[Device]) -> Result<bool, DevicesError> {
        self.alone(async |transaction| {
            if let Some(old) = old
                && transaction.execute(REMOVE, &[&old.as_str()]).await? == 0
            {
                return Ok(false);
            }
            for device in new {
                insert(transaction, device).await?;
            }
            Ok(true)
        })
        .await
    }

    /// A change, over a connection that nobody else uses. No request waits for
    /// it, and a box of keys takes its time.
    async fn alone<T>(
        &self,
        act: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, DevicesError>,
    ) -> Result<T, DevicesError> {
        let change = async {
            let (mut client, _) = self.server.connect(HAS_TABLES, SCHEMA).await?;
            let transaction = client.transaction().await?;
            transaction.execute(ALONE, &[]).await?;
            let done = act(&transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        tokio::time::timeout(CHANGE_TIME, change)
            .await
            .unwrap_or_else(|elapsed| Err(DevicesError::Unavailable(elapsed.into())))
    }
}

impl Devices for PostgresDevices {
    fn of<'a>(&'a self, who: Person<'a>) -> DevicesFuture<'a, Vec<Device>> {
        Box::pin(async move {
            self.query(|session| Some(&session.of), &[&who.issuer, &who.subject])
                .await
        })
    }

    fn all(&self) -> DevicesFuture<'_, Vec<Device>> {
        Box::pin(self.query(|_| None, &[]))
    }

    fn add(&self, devices: Vec<Device>) -> DevicesFuture<'_, ()> {
        Box::pin(async move { self.change(None, &devices).await.map(drop) })
    }

    fn replace<'a>(&'a self, old: &'a DeviceId, new: Device) -> DevicesFuture<'a, bool> {
        Box::pin(async move { self.change(Some(old), &[new]).await })
    }

    fn reseal(&self, seals: Vec<NewSeal>) -> DevicesFuture<'_, usize> {
        Box::pin(self.alone(async move |transaction| {
            let statement = transaction.prepare(RESEAL).await?;
            let mut resealed = 0;
            for seal in &seals {
                let parameters: [&(dyn ToSql + Sync); 3] =
                    [&seal.id.as_str(), &seal.before, &seal.after];
                resealed += transaction.execute(&statement, &parameters).await?;
            }
            Ok(usize::try_from(resealed).unwrap_or(usize::MAX))
        }))
    }

    fn remove<'a>(&'a self, id: &'a DeviceId) -> DevicesFuture<'a, bool> {
        Box::pin(self.change(Some(id), &[]))
    }

    fn used<'a>(&'a self, id: &'a DeviceId, at: Timestamp) -> DevicesFuture<'a, ()> {
        Box::pin(async move {
            let ask = |line: Line| async move {
                let session = &line.0;
                let parameters: [&(dyn ToSql + Sync); 2] = [&id.as_str(), &at.as_millis()];
                let rows = session.client.execute(&session.used, &parameters).await;
                rows.map_err(failure)
            };
            self.link.ask(|| self.connect(), ask).await?;
            Ok(())
        })
    }
}

/// Within a transaction that has the only right to change something.
async fn insert(transaction: &Transaction<'_>, device: &Device) -> Result<(), DevicesError> {
    if let Some(public_id) = &device.public_id {
        let sql = "SELECT FROM countersign_devices WHERE public_id = $1";
        if transaction.query_opt(sql, &[public_id]).await?.is_some() {
            return Err(DevicesError::Taken(public_id.clone()));
        }
    }
    if device.has_owner() {
        let sql = "SELECT count(*) FROM countersign_devices WHERE issuer = $1 AND subject = $2";
        let row = transaction
            .query_one(sql, &[&device.issuer, &device.subject])
            .await?;
        let owned: i64 = row.try_get(0)?;
        if usize::try_from(owned).unwrap_or(usize::MAX) >= MAX_DEVICES {
            return Err(DevicesError::TooMany);
        }
    }
    let parameters: [&(dyn ToSql + Sync); 9] = [
        &device.id.as_str(),
        &device.issuer,
        &device.subject,
        &device.kind.as_str(),
        &device.label,
        &device.public_id,
        &device.enrolled_at.as_millis(),
        &device.last_used_at.map(Timestamp::as_millis),
        &device.sealed,
    ];
    transaction.execute(ADD, &parameters).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Device, DevicesError> {
    let id: String = row.try_get(0)?;
    let kind: String = row.try_get(3)?;
    Ok(Device {
        id: DeviceId::parse(&id).ok_or(DevicesError::Damaged)?,
        issuer: row.try_get(1)?,
        subject: row.try_get(2)?,
        kind: DeviceKind::parse(&kind).ok_or(DevicesError::Damaged)?,
        label: row.try_get(4)?,
        public_id: row.try_get(5)?,
        enrolled_at: Timestamp::from_millis(row.try_get(6)?),
        last_used_at: row
            .try_get::<_, Option<i64>>(7)?
            .map(Timestamp::from_millis),
        sealed: row.try_get(8)?,
    })
}

impl From<tokio_postgres::Error> for DevicesError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<StateError> for DevicesError {
    fn from(error: StateError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl fmt::Debug for PostgresDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDevices")
            .field("remote", &self.server.remote)
            .finish_non_exhaustive()
    }
}
