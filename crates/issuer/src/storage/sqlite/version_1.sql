-- A database as version 1 of the schema left it: one account, a login that can be
-- renewed, the default client, a client with a secret and one without.
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
INSERT INTO "accounts" VALUES('dAqkEPHjMdSTEuuVlcAuLg','ada','Ada','ada@example.com','["eng"]','$argon2id$v=19$…',0,1795644597583);
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
INSERT INTO "clients" VALUES('api','api',X'1B77F78642FA60E098B54DA36BFCA1F271D244BD6B719331F8F814B421F70883','[]','["https://api.example"]','ES256',1795644597636);
INSERT INTO "clients" VALUES('cli','Countersign CLI (development)',NULL,'["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]',NULL,'ES256',1795644597635);
INSERT INTO "clients" VALUES('tool','tool',NULL,'["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]',NULL,'ES256',1795644597663);
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
INSERT INTO "grants" VALUES(X'07070707070707070707070707070707','dAqkEPHjMdSTEuuVlcAuLg','cli','offline_access openid','[]',1795644598000,1795644599000,1798236599000,3,1795644600000);
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
CREATE INDEX devices_by_end ON devices (expires_at);
CREATE INDEX grants_by_end ON grants (expires_at);
CREATE INDEX grants_by_account ON grants (account_id);
PRAGMA user_version = 1;
