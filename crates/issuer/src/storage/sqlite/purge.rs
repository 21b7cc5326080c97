//! What is over goes.

use countersign_jose::Timestamp;
use rusqlite::params;

use super::records::Rows;
use super::rows::Millis;
use crate::core::{AuthorizationCode, Device, PushedRequest};
use crate::storage::StorageError;

impl Rows<'_> {
    pub(super) fn forget(&self, now: Timestamp, limit: u32) -> Result<u64, StorageError> {
        let mut gone = 0;
        for (sql, before) in [
            (
                "DELETE FROM devices WHERE code IN
                 (SELECT code FROM devices WHERE expires_at < ? LIMIT ?)",
                Device::forgotten_if_expired_before(now),
            ),
            (
                "DELETE FROM codes WHERE code IN
                 (SELECT code FROM codes WHERE expires_at < ? LIMIT ?)",
                AuthorizationCode::forgotten_if_expired_before(now),
            ),
            (
                "DELETE FROM pushed_requests WHERE uri IN
                 (SELECT uri FROM pushed_requests WHERE expires_at < ? LIMIT ?)",
                PushedRequest::forgotten_if_expired_before(now),
            ),
            (
                "DELETE FROM grants WHERE id IN
                 (SELECT id FROM grants WHERE expires_at < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM revoked_tokens WHERE jti IN
                 (SELECT jti FROM revoked_tokens WHERE until < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM used_assertions WHERE id IN
                 (SELECT id FROM used_assertions WHERE until < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM sessions WHERE id IN
                 (SELECT id FROM sessions WHERE expires_at < ? LIMIT ?)",
                now,
            ),
            (
                "DELETE FROM setup_link WHERE one IN
                 (SELECT one FROM setup_link WHERE expires_at < ? LIMIT ?)",
                now,
            ),
        ] {
            gone += self.change(sql, params![Millis(before), limit])? as u64;
        }
        Ok(gone)
    }
}
