//! Second factors, as they are written.

use countersign_jose::Timestamp;
use rusqlite::params;

use super::records::Rows;
use super::rows::Millis;
use crate::core::{Digest, Factor, FactorId};
use crate::storage::StorageError;

impl Rows<'_> {
    pub(super) fn write_factor(&self, factor: &Factor) -> Result<(), StorageError> {
        // Not REPLACE, which would also remove another key of that public id.
        self.add(
            "key",
            "INSERT INTO factors
             (id, kind, public_id, account_id, enrolled, secret, position, since, used_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind,
             public_id = excluded.public_id, account_id = excluded.account_id,
             enrolled = excluded.enrolled, secret = excluded.secret,
             position = excluded.position, since = excluded.since, used_at = excluded.used_at",
            params![
                factor.id,
                factor.kind.name(),
                factor.kind.public_id(),
                factor.holder.account_id(),
                factor.holder.is_enrolled(),
                factor.secret.0,
                factor.position.map(column),
                Millis(factor.since),
                factor.used_at.map(Millis),
            ],
        )
    }

    /// One statement, so that what it compares is what it changes.
    pub(super) fn move_factor(
        &self,
        id: &FactorId,
        position: u64,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let position = column(position);
        let moved = self.change(
            "UPDATE factors SET position = ?, used_at = ?
             WHERE id = ? AND (position IS NULL OR position < ?)",
            params![position, Millis(now), id, position],
        )?;
        Ok(moved > 0)
    }

    pub(super) fn replace_recovery_codes(
        &self,
        account_id: &str,
        codes: &[Digest],
    ) -> Result<(), StorageError> {
        self.change(
            "DELETE FROM recovery_codes WHERE account_id = ?",
            [account_id],
        )?;
        for code in codes {
            self.change(
                "INSERT INTO recovery_codes (account_id, code) VALUES (?, ?)",
                params![account_id, code],
            )?;
        }
        Ok(())
    }
}

/// A position fits into 63 bits (`countersign_otp::Unspent`).
fn column(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
