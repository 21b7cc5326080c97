//! A session file with any content: it is read or refused, and never blocks the next login.

#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use countersign_store::{FileStore, Key, Record, StoreError};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A shape with the kinds of members that a session has.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    issuer: String,
    expires_at: Option<i64>,
    scopes: Vec<String>,
    claims: serde_json::Map<String, serde_json::Value>,
}

impl Record for Kept {
    const VERSION: u32 = 1;
}

/// A directory for one input; in memory where the system has such a place, because the store waits
/// for the disk at each write.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let directory = directory.expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    directory
}

fuzz_target!(|bytes: &[u8]| {
    let directory = directory();
    let store = FileStore::open(directory.path());
    let key = Key::new("session").expect("a plain name");
    let path = store.path_of(&key);
    fs::write(&path, bytes).expect("room for a small file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    match store.load::<Kept>(&key) {
        Ok(record) => {
            let record = record.expect("the file is there");
            store
                .save(&key, &record)
                .expect("what was read can be written");
            assert_eq!(
                store.load::<Kept>(&key).expect("and read again"),
                Some(record)
            );
        }
        Err(StoreError::Damaged { set_aside, .. }) => {
            assert!(set_aside.is_some_and(|path| fs::read(path).is_ok_and(|kept| kept == bytes)));
            assert_eq!(
                store
                    .load::<Kept>(&key)
                    .expect("nothing is left in the way"),
                None
            );
        }
        Err(StoreError::FutureVersion { found, .. }) => {
            assert!(found > Kept::VERSION);
            assert!(
                fs::read(&path).is_ok_and(|kept| kept == bytes),
                "it was left alone"
            );
        }
        Err(error) => panic!("{error}"),
    }
});
