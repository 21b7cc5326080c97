//! The registry of devices in the file of one host.

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::Person;
use super::device::{
    Device, DeviceId, DeviceKind, Devices, DevicesError, DevicesFuture, MAX_DEVICES, NewSeal,
};
use crate::Timestamp;
use crate::sqlite::SqliteFile;

const COLUMNS: &str = "SELECT id, issuer, subject, kind, label, public_id, enrolled_at, \
    last_used_at, sealed FROM devices";

impl SqliteFile {
    async fn registry<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Connection) -> Result<T, DevicesError> + Send + 'static,
    ) -> Result<T, DevicesError> {
        self.run(act).await.map_err(DevicesError::Unavailable)?
    }
}

impl Devices for SqliteFile {
    fn of<'a>(&'a self, who: Person<'a>) -> DevicesFuture<'a, Vec<Device>> {
        let (issuer, subject) = (who.issuer.to_owned(), who.subject.to_owned());
        Box::pin(self.registry(move |connection| {
            let sql =
                format!("{COLUMNS} WHERE issuer = ?1 AND subject = ?2 ORDER BY enrolled_at, id");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([issuer, subject])?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.push(read(row)?);
            }
            Ok(devices)
        }))
    }

    fn all(&self) -> DevicesFuture<'_, Vec<Device>> {
        Box::pin(self.registry(|connection| {
            let sql = format!("{COLUMNS} ORDER BY issuer, subject, enrolled_at, id");
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.push(read(row)?);
            }
            Ok(devices)
        }))
    }

    fn add(&self, devices: Vec<Device>) -> DevicesFuture<'_, ()> {
        Box::pin(self.registry(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for device in &devices {
                insert(&transaction, device)?;
            }
            Ok(transaction.commit()?)
        }))
    }

    fn replace<'a>(&'a self, old: &'a DeviceId, new: Device) -> DevicesFuture<'a, bool> {
        let old = old.clone();
        Box::pin(self.registry(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if transaction.execute("DELETE FROM devices WHERE id = ?1", [old.as_str()])? == 0 {
                return Ok(false);
            }
            insert(&transaction, &new)?;
            transaction.commit()?;
            Ok(true)
        }))
    }

    fn reseal(&self, seals: Vec<NewSeal>) -> DevicesFuture<'_, usize> {
        Box::pin(self.registry(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut resealed = 0;
            for seal in &seals {
                let sql = "UPDATE devices SET sealed = ?3 WHERE id = ?1 AND sealed = ?2";
                resealed += transaction.prepare_cached(sql)?.execute(params![
                    seal.id.as_str(),
                    seal.before,
                    seal.after
                ])?;
            }
            transaction.commit()?;
            // What the old key opens is not to lie about in free space, nor in the log. It is sealed anew
            // already, so that a file that others keep busy is no failure.
            let _ = connection.execute_batch("VACUUM");
            let _ = connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
            Ok(resealed)
        }))
    }

    fn remove<'a>(&'a self, id: &'a DeviceId) -> DevicesFuture<'a, bool> {
        let id = id.clone();
        Box::pin(self.registry(move |connection| {
            let removed = connection.execute("DELETE FROM devices WHERE id = ?1", [id.as_str()])?;
            Ok(removed > 0)
        }))
    }

    fn used<'a>(&'a self, id: &'a DeviceId, at: Timestamp) -> DevicesFuture<'a, ()> {
        let id = id.clone();
        Box::pin(self.registry(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE devices SET last_used_at = max(coalesce(last_used_at, ?2), ?2) \
                     WHERE id = ?1",
                )?
                .execute(params![id.as_str(), at.as_millis()])?;
            Ok(())
        }))
    }
}

/// Within a transaction that has the only right to write.
fn insert(connection: &Connection, device: &Device) -> Result<(), DevicesError> {
    if let Some(public_id) = &device.public_id {
        let sql = "SELECT 1 FROM devices WHERE public_id = ?1";
        let taken = connection
            .query_row(sql, [public_id], |_| Ok(()))
            .optional()?;
        if taken.is_some() {
            return Err(DevicesError::Taken(public_id.clone()));
        }
    }
    if device.has_owner() {
        let sql = "SELECT count(*) FROM devices WHERE issuer = ?1 AND subject = ?2";
        let owned: i64 =
            connection.query_row(sql, [&device.issuer, &device.subject], |row| row.get(0))?;
        if usize::try_from(owned).unwrap_or(usize::MAX) >= MAX_DEVICES {
            return Err(DevicesError::TooMany);
        }
    }
    connection.execute(
        "INSERT INTO devices (id, issuer, subject, kind, label, public_id, enrolled_at, \
         last_used_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            device.id.as_str(),
            device.issuer,
            device.subject,
            device.kind.as_str(),
            device.label,
            device.public_id,
            device.enrolled_at.as_millis(),
            device.last_used_at.map(Timestamp::as_millis),
            device.sealed,
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Device, DevicesError> {
    let id: String = row.get(0)?;
    let kind: String = row.get(3)?;
    Ok(Device {
        id: DeviceId::parse(&id).ok_or(DevicesError::Damaged)?,
        issuer: row.get(1)?,
        subject: row.get(2)?,
        kind: DeviceKind::parse(&kind).ok_or(DevicesError::Damaged)?,
        label: row.get(4)?,
        public_id: row.get(5)?,
        enrolled_at: Timestamp::from_millis(row.get(6)?),
        last_used_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        sealed: row.get(8)?,
    })
}

impl From<rusqlite::Error> for DevicesError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
