//! What the tests of the store share.

#![allow(dead_code, reason = "each test program uses some of it")]

pub(crate) mod keyring;
pub(crate) mod sessions;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_store::{FileStore, Key, Record};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) number: i64,
}

impl Record for Note {
    const VERSION: u32 = 3;
}

pub(crate) fn note(text: &str) -> Note {
    Note {
        text: text.to_owned(),
        number: 7,
    }
}

pub(crate) fn key() -> Key {
    Key::new("default").unwrap()
}

/// A store below a fresh directory; it does not exist yet.
pub(crate) fn fresh() -> (TempDir, FileStore) {
    let parent = tempfile::tempdir().unwrap();
    let store = FileStore::open(&parent.path().join("state").join("sessions"));
    (parent, store)
}

/// A store with one record.
pub(crate) fn with_record() -> (TempDir, FileStore) {
    let (parent, store) = fresh();
    store.save(&key(), &note("kept")).unwrap();
    (parent, store)
}

pub(crate) fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Puts `bytes` where the record is, privately.
pub(crate) fn plant(store: &FileStore, bytes: &[u8]) {
    let path = store.path_of(&key());
    std::fs::write(&path, bytes).unwrap();
    chmod(&path, 0o600);
}

/// Every name in the store's directory, hidden ones too, sorted.
pub(crate) fn listing(store: &FileStore) -> Vec<String> {
    listing_of(store.path())
}

pub(crate) fn listing_of(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn path_in(store: &FileStore, name: &str) -> PathBuf {
    store.path().join(name)
}
