//! What is true of the file alone; the rest is in the conformance suite.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use countersign_jose::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::core::{
    Authentication, ClientAuthentication, Demands, DeviceState, GrantType, SetupLink,
};
use crate::storage::Store;

fn place() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("issuer.sqlite");
    (directory, file)
}

fn store(path: &Path) -> Store {
    Store::new(Box::new(Sqlite::open(path).unwrap()))
}

fn link(number: u8) -> SetupLink {
    SetupLink {
        token: [number; 32],
        expires_at: Timestamp::from_secs(1),
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_closing_and_opening() {
    let (_directory, path) = place();
    let first = store(&path);
    first
        .write(|records| records.set_setup_link(Some(&link(1))))
        .await
        .unwrap();
    drop(first);
    assert_eq!(
        store(&path).read(|records| records.setup_link()).unwrap(),
        Some(link(1))
    );
}

#[tokio::test]
async fn closing_folds_the_log_into_the_file() {
    let (directory, path) = place();
    let store = store(&path);
    store
        .write(|records| records.set_setup_link(Some(&link(1))))
        .await
        .unwrap();
    store.read(|records| records.setup_link()).unwrap();
    drop(store);
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["issuer.sqlite"]);
}

#[tokio::test]
async fn the_file_and_its_companions_are_private() {
    let (directory, path) = place();
    let store = store(&path);
    store
        .write(|records| records.set_setup_link(Some(&link(1))))
        .await
        .unwrap();
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 3);
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_repairs_it() {
    let (_directory, path) = place();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let StorageError::File(error) = Sqlite::open(&path).unwrap_err() else {
        panic!("a file error");
    };
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_file_from_a_newer_version_is_refused_and_left_alone() {
    let (_directory, path) = place();
    drop(Sqlite::open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Sqlite::open(&path).unwrap_err();
    assert!(
        matches!(
            error,
            StorageError::Newer {
                found: 99,
                known: 4
            }
        ),
        "{error}"
    );
}

#[test]
fn a_file_of_version_1_keeps_what_it_has_and_its_default_client_learns_the_browser() {
    let (_directory, path) = place();
    create_private(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(include_str!("version_1.sql"))
        .unwrap();
    let store = store(&path);
    store
        .read(|records| {
            let account = records.account_named("ada")?.unwrap();
            let grant = records.grant(&[7; 16])?;
            let grant = grant.unwrap();
            assert_eq!(grant.account_id, account.id);
            assert_eq!(grant.rotation.unwrap().generation, 3);
            assert_eq!(grant.dpop_jkt, None);
            let [api, cli, tool] = <[_; 3]>::try_from(records.clients()?).unwrap();
            assert_eq!(cli.grant_types, GrantType::FOR_PEOPLE);
            assert!(
                cli.redirect_uris
                    .contains(&"http://127.0.0.1/callback".to_owned())
            );
            // Whatever somebody has registered stays what it was.
            assert_eq!(
                tool.grant_types,
                [GrantType::DeviceCode, GrantType::RefreshToken]
            );
            assert!(tool.redirect_uris.is_empty() && tool.post_logout_redirect_uris.is_empty());
            assert!(matches!(
                api.authentication,
                ClientAuthentication::Secret(_)
            ));
            assert!(!api.dpop_bound && !api.require_par && api.serves.is_empty());
            Ok(())
        })
        .unwrap();
    drop(store);
    let version: u32 = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 4);
}

/// What was under way while the program was replaced goes on: a browser signed in,
/// a code to be redeemed, terminals that wait for a person and for their tokens.
#[test]
fn a_file_of_version_3_keeps_sign_ins_by_password_and_logins_under_way() {
    let (_directory, path) = place();
    create_private(&path).unwrap();
    let older = Connection::open(&path).unwrap();
    for script in &schema::MIGRATIONS[..3] {
        older.execute_batch(script).unwrap();
    }
    older
        .execute_batch(
            "INSERT INTO sessions VALUES (zeroblob(32), 'ada', 1000, 9000);
             INSERT INTO codes (code, client_id, redirect_uri, code_challenge, scopes, audiences,
                account_id, auth_time, expires_at)
                VALUES (zeroblob(32), 'cli', 'http://127.0.0.1/', zeroblob(32), 'openid', '[]',
                'ada', 1000, 9000);
             INSERT INTO devices VALUES (zeroblob(32), 'BCDFGHJK', 'cli', 'openid', '[]',
                '192.0.2.1', 'box', NULL, 1000, 9000, 'pending', NULL, NULL);
             INSERT INTO devices VALUES (x'0101010101010101010101010101010101010101010101010101010101010101',
                'BCDFGHJL', 'cli', 'openid', '[]', NULL, NULL, 'x', 1000, 9000, 'approved', 'ada', 1000);
             PRAGMA user_version = 3;",
        )
        .unwrap();
    drop(older);
    store(&path)
        .read(|records| {
            let at = Timestamp::from_secs(1);
            let session = records.session(&[0; 32])?.unwrap();
            assert_eq!(session.authenticated_at, at);
            assert_eq!(session.second, None);
            assert!(!session.is_halfway);
            let by_password = Authentication { at, second: None };
            let code = records.code(&[0; 32])?.unwrap();
            assert_eq!(code.authentication, by_password);
            let waiting = records.device_with_user_code("BCDFGHJK")?.unwrap();
            assert_eq!(waiting.state, DeviceState::Pending);
            assert_eq!(waiting.demands, Demands::default());
            assert_eq!(waiting.claimed_host.as_deref(), Some("box"));
            let approved = records.device(&[1; 32])?.unwrap();
            let state = DeviceState::Approved {
                account_id: "ada".to_owned(),
                authentication: by_password,
            };
            assert_eq!(approved.state, state);
            assert_eq!(records.keys()?, []);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_migrated_default_client_is_the_one_that_a_fresh_issuer_makes() {
    let (_directory, path) = place();
    create_private(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(include_str!("version_1.sql"))
        .unwrap();
    let migrated = store(&path)
        .read(|records| records.client("cli"))
        .unwrap()
        .unwrap();
    let keys = crate::core::Keys::generate(countersign_jose::crypto::aws_lc::provider()).unwrap();
    let issuer = countersign_oauth::Issuer::parse("http://127.0.0.1").unwrap();
    let fresh = crate::Core::new(
        Box::new(crate::storage::Memory::new()),
        keys,
        crate::core::Policy::new(issuer),
    );
    fresh
        .ensure_default_client(migrated.created_at)
        .await
        .unwrap();
    assert_eq!(fresh.client("cli").unwrap(), Some(migrated));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (_directory, path) = place();
    fs::write(
        &path,
        "this is not a database, and long enough to be looked at as one".repeat(20),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        Sqlite::open(&path),
        Err(StorageError::Database(_))
    ));
}

#[tokio::test]
async fn another_process_is_seen_with_the_next_look() {
    let (_directory, path) = place();
    let (server, command) = (store(&path), store(&path));
    assert_eq!(server.read(|records| records.setup_link()).unwrap(), None);
    command
        .write(|records| records.set_setup_link(Some(&link(1))))
        .await
        .unwrap();
    assert_eq!(
        server.read(|records| records.setup_link()).unwrap(),
        Some(link(1))
    );
    server
        .write(|records| records.set_setup_link(Some(&link(2))))
        .await
        .unwrap();
    assert_eq!(
        command.read(|records| records.setup_link()).unwrap(),
        Some(link(2))
    );
}

/// Group commit: every one of them is told, and all of it is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_writers_at_once_are_all_answered() {
    let (_directory, path) = place();
    let storage = std::sync::Arc::new(store(&path));
    let writers: Vec<_> = (0..1_000)
        .map(|number: u32| {
            let storage = std::sync::Arc::clone(&storage);
            let until = Timestamp::from_secs(1);
            tokio::spawn(async move {
                storage
                    .write(move |records| records.revoke_token(&number.to_string(), until))
                    .await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    drop(storage);
    let reopened = store(&path);
    for number in 0..1_000 {
        assert!(
            reopened
                .read(|records| records.token_is_revoked(&number.to_string()))
                .unwrap()
        );
    }
}
