//! The tables, and how an older file gets them.
//!
//! `user_version` counts the migrations that a file has seen. Times are
//! milliseconds since the Unix epoch; lists are JSON arrays; what is secret is
//! there as a digest only, or sealed with a key that is not.

use rusqlite::{Connection, TransactionBehavior};

use super::failed;
use crate::storage::StorageError;

/// One script per version; never changed once released, only added to.
pub(super) const MIGRATIONS: [&str; 4] = [
    DEVICE_LOGINS,
    BROWSER_LOGINS,
    TOKEN_EXCHANGE,
    SECOND_FACTORS,
];

const DEVICE_LOGINS: &str = "
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    name TEXT,
    email TEXT,
    groups TEXT NOT NULL,
    password TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- NULL for a public client.
    secret BLOB,
    grant_types TEXT NOT NULL,
    -- NULL for any.
    audiences TEXT,
    signing_algorithm TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    code BLOB PRIMARY KEY,
    user_code TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    audiences TEXT NOT NULL,
    requested_from TEXT,
    claimed_host TEXT,
    claimed_command TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'redeemed')),
    account_id TEXT,
    auth_time INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_end ON devices (expires_at);

CREATE TABLE grants (
    id BLOB PRIMARY KEY,
    account_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    audiences TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- NULL for a grant that cannot be renewed.
    generation INTEGER,
    rotated_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_end ON grants (expires_at);
CREATE INDEX grants_by_account ON grants (account_id);

CREATE TABLE revoked_tokens (
    jti TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    account_id TEXT NOT NULL,
    authenticated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setup_link (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    token BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
";

const BROWSER_LOGINS: &str = r#"
ALTER TABLE clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';
-- The public keys of a client that signs assertions; such a one has no secret.
ALTER TABLE clients ADD COLUMN jwks TEXT;
ALTER TABLE clients ADD COLUMN dpop_bound INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN require_par INTEGER NOT NULL DEFAULT 0;
-- What it may have in its own name.
ALTER TABLE clients ADD COLUMN scopes TEXT NOT NULL DEFAULT '';

-- The default client, if nobody has made it another: what it can do follows the
-- program that made it.
UPDATE clients SET
    grant_types = '["authorization_code","urn:ietf:params:oauth:grant-type:device_code","refresh_token"]',
    redirect_uris = '["http://127.0.0.1/","http://127.0.0.1/callback","http://[::1]/","http://[::1]/callback","http://localhost/","http://localhost/callback"]'
WHERE id = 'cli' AND secret IS NULL AND name = 'Countersign CLI (development)'
    AND grant_types = '["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]';

ALTER TABLE grants ADD COLUMN dpop_jkt TEXT;

CREATE TABLE codes (
    code BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge BLOB NOT NULL,
    nonce TEXT,
    scopes TEXT NOT NULL,
    audiences TEXT NOT NULL,
    account_id TEXT NOT NULL,
    auth_time INTEGER NOT NULL,
    dpop_jkt TEXT,
    expires_at INTEGER NOT NULL,
    -- The grant it was redeemed for; NULL until then.
    redeemed_as BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX codes_by_end ON codes (expires_at);

CREATE TABLE pushed_requests (
    uri BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    parameters TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);

CREATE TABLE used_assertions (
    id BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_assertions_by_end ON used_assertions (until);
"#;

const TOKEN_EXCHANGE: &str = "
-- The resource servers that a client is.
ALTER TABLE clients ADD COLUMN serves TEXT NOT NULL DEFAULT '[]';
";

const SECOND_FACTORS: &str = "
CREATE TABLE factors (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('totp', 'yubikey')),
    public_id TEXT UNIQUE,
    -- NULL for a key that anybody may claim.
    account_id TEXT,
    -- Whether the account proves itself with it; otherwise it may claim it.
    enrolled INTEGER NOT NULL,
    -- Sealed with a key that is not in this file.
    secret BLOB NOT NULL,
    position INTEGER,
    since INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX factors_by_account ON factors (account_id);

CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL,
    code BLOB NOT NULL,
    PRIMARY KEY (account_id, code)
) STRICT, WITHOUT ROWID;

-- NULL for the password alone, which all before this were.
ALTER TABLE sessions ADD COLUMN second_factor TEXT;
ALTER TABLE sessions ADD COLUMN second_at INTEGER;
ALTER TABLE sessions ADD COLUMN is_halfway INTEGER NOT NULL DEFAULT 0;
ALTER TABLE codes ADD COLUMN second_factor TEXT;
ALTER TABLE grants ADD COLUMN second_factor TEXT;

-- A state more than the table's own check allows: a new table.
CREATE TABLE devices_4 (
    code BLOB PRIMARY KEY,
    user_code TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL,
    scopes TEXT NOT NULL,
    audiences TEXT NOT NULL,
    requested_from TEXT,
    claimed_host TEXT,
    claimed_command TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- What it asks of the sign-in: classes, and an age in seconds.
    classes TEXT NOT NULL,
    max_age INTEGER,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'unmet', 'redeemed')),
    account_id TEXT,
    auth_time INTEGER,
    second_factor TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO devices_4
    SELECT code, user_code, client_id, scopes, audiences, requested_from, claimed_host,
        claimed_command, created_at, expires_at, '[]', NULL, state, account_id, auth_time, NULL
    FROM devices;
DROP TABLE devices;
ALTER TABLE devices_4 RENAME TO devices;
CREATE INDEX devices_by_end ON devices (expires_at);
";

/// Brings a file to this program's version; refuses one from the future.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StorageError> {
    // Immediate, so that two programs that open a new file take turns.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found: u32 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StorageError::Newer { found, known });
    }
    for script in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(script).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}
