//! What is true of the file alone; the rest is in the conformance suite.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use countersign_jose::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::core::SetupLink;
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
                known: 1
            }
        ),
        "{error}"
    );
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
