//! Disks that are full, or that cannot be written to.
//!
//! Each test is this program once more, in a mount namespace of its own with a small file system of its
//! own; nothing outside sees it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::sessions::{Bank, Login, login, random, refresh_of};
use common::{fresh, key, listing, note};
use countersign_store::{FileStore, Purpose, SessionStore, StoreError, VaultKind, Vaults};

/// The directory of the small file system; absent in the test run itself.
const DISK: &str = "COUNTERSIGN_STORE_TEST_DISK";

/// Runs `test` of this program in a file system of 64 KiB. `None` in the test run itself, which has
/// then waited for it.
fn small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let (parent, _) = fresh();
    let disk = parent.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare
        .args(["--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=64k,mode=700 tmpfs "$1" && shift && exec "$@""#)
        .args(["sh".as_ref(), disk.as_os_str()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DISK, &disk)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{complained}"
    );
    None
}

/// Writes until nothing fits any more. Answers what to remove to have room again.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [4096, 512, 64, 1] {
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    path
}

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if source.kind() == ErrorKind::StorageFull)
}

#[test]
fn a_full_disk_keeps_the_old_record_and_names_the_disk() {
    let Some(disk) = small_disk("a_full_disk_keeps_the_old_record_and_names_the_disk") else {
        return;
    };
    let store = FileStore::open(&disk.join("sessions"));
    store.save(&key(), &note("old")).unwrap();
    let filler = fill(&disk);
    for _ in 0..3 {
        let error = store.save(&key(), &note(&"new".repeat(1000))).unwrap_err();
        assert!(is_full(&error), "{error:?}");
        assert!(error.is_retryable());
        assert!(error.hints()[0].starts_with("df "), "{:?}", error.hints());
        assert_eq!(store.load(&key()).unwrap(), Some(note("old")));
        assert_eq!(listing(&store), ["default.json"]);
    }
    std::fs::remove_file(filler).unwrap();
    store.save(&key(), &note("new")).unwrap();
    assert_eq!(store.load(&key()).unwrap(), Some(note("new")));
}

#[test]
fn a_renewal_finds_out_that_the_disk_is_full_before_the_token_is_spent() {
    let test = "a_renewal_finds_out_that_the_disk_is_full_before_the_token_is_spent";
    let Some(disk) = small_disk(test) else {
        return;
    };
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let bank = Bank::at(&elsewhere.path().join("keyring.json"));
    for kind in [VaultKind::File, VaultKind::KeyringKey, VaultKind::Keyring] {
        let store = bank.store(&disk.join(kind.as_str()), kind);
        store.begin(&key(), &login(0)).unwrap();
        drop(store.try_lock(&key(), Purpose::Refresh).unwrap());
        let filler = fill(&disk);
        let _lock = store.try_lock(&key(), Purpose::Refresh).unwrap().unwrap();
        let error = store.open_for_update::<Login>(&key()).unwrap_err();
        assert!(is_full(&error), "{kind}: {error:?}");
        // What needs no room goes on.
        assert_eq!(refresh_of(&store, &key()), login(0).refresh);
        std::fs::remove_file(&filler).unwrap();
        // And once there was room, it is there, whatever comes in between.
        let opened = store.open_for_update::<Login>(&key()).unwrap().unwrap();
        let filler = fill(&disk);
        store.update(&key(), &opened.origin, &login(1)).unwrap();
        assert_eq!(refresh_of(&store, &key()), login(1).refresh, "{kind}");
        drop(opened);
        assert_eq!(
            common::listing_of(store.path()),
            ["default.json", "default.lock"]
        );
        std::fs::remove_file(filler).unwrap();
    }
}

#[test]
fn a_full_disk_does_not_cost_a_session_whose_secrets_are_elsewhere() {
    let test = "a_full_disk_does_not_cost_a_session_whose_secrets_are_elsewhere";
    let Some(disk) = small_disk(test) else {
        return;
    };
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let bank = Bank::at(&elsewhere.path().join("keyring.json"));
    let store = bank.store(&disk.join("sessions"), VaultKind::Keyring);
    store.begin(&key(), &login(0)).unwrap();
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    let filler = fill(&disk);
    let error = store.update(&key(), &opened.origin, &login(1)).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    // The keyring has what the file could not take.
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    assert!(opened.origin.is_recovered());
    assert_eq!(opened.record.refresh, login(1).refresh);
    std::fs::remove_file(filler).unwrap();
    store.update(&key(), &opened.origin, &login(2)).unwrap();
    assert_eq!(refresh_of(&store, &key()), login(2).refresh);
}

#[test]
fn a_home_that_cannot_be_written_to_still_has_its_cached_token() {
    let test = "a_home_that_cannot_be_written_to_still_has_its_cached_token";
    let Some(disk) = small_disk(test) else {
        return;
    };
    let store = SessionStore::new(&disk.join("sessions"), Vaults::default(), random());
    store.begin(&key(), &login(0)).unwrap();
    drop(store.try_lock(&key(), Purpose::Refresh).unwrap());
    let mounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&disk)
        .status()
        .unwrap();
    assert!(mounted.success());
    let loaded = store.load::<Login>(&key()).unwrap().unwrap();
    assert_eq!(loaded.record.access, "access-0");
    assert_eq!(refresh_of(&store, &key()), login(0).refresh);
    let refused = [
        store.try_lock(&key(), Purpose::Refresh).map(drop),
        store.open_for_update::<Login>(&key()).map(drop),
        store.begin(&key(), &login(1)).map(drop),
        store.remove(&key()).map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, StoreError::Io { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem),
            "{error:?}"
        );
        assert!(!error.hints().is_empty());
    }
}

#[test]
fn a_limit_on_file_sizes_is_an_error_like_any_other() {
    // The shell takes the signal away that would end the process, as some services do.
    if std::env::var_os(DISK).is_none() {
        let (parent, _) = fresh();
        let output = Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f 1; exec "$@""#, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_limit_on_file_sizes_is_an_error_like_any_other",
            ])
            .env(DISK, parent.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let disk = PathBuf::from(std::env::var_os(DISK).unwrap());
    let store = FileStore::open(&disk.join("sessions"));
    store.save(&key(), &note("old")).unwrap();
    let error = store.save(&key(), &note(&"x".repeat(5000))).unwrap_err();
    assert_eq!(error.code(), "store_io");
    assert_eq!(store.load(&key()).unwrap(), Some(note("old")));
    assert_eq!(listing(&store), ["default.json"]);
}
