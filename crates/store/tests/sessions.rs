//! Sessions in two parts, in every kind of vault.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::key;
use common::keyring::Fault;
use common::sessions::{Bank, Login, kernel_keeps_keys, kinds, login, random, refresh_of};
use countersign_store::{
    Key, KeyringVault, SessionStore, StoreError, VaultError, VaultKind, Vaults,
};
use tempfile::TempDir;

struct Desk {
    home: TempDir,
    bank: Bank,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let bank = Bank::at(&home.path().join("keyring.json"));
        Self { home, bank }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("sessions")
    }

    fn store(&self, kind: VaultKind) -> SessionStore {
        self.bank.store(&self.directory(), kind)
    }
}

/// All bytes of all files below a directory.
fn everything_in(directory: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&everything_in(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    all
}

#[test]
fn a_session_lives_through_logins_renewals_and_a_logout_in_every_vault() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        let saved = store.begin(&key(), &login(0)).unwrap();
        assert!(saved.fell_back.is_none() && saved.left_behind.is_none());
        assert_eq!(saved.origin.kept_in(), kind);
        let mut origin = saved.origin;
        for number in 1..5 {
            let opened = store.open::<Login>(&key()).unwrap().unwrap();
            assert_eq!(opened.record, login(number - 1), "{kind}");
            assert!(!opened.origin.is_recovered());
            // What a write answers serves the next one as well as what was opened.
            let from = if number % 2 == 0 {
                &origin
            } else {
                &opened.origin
            };
            origin = store.update(&key(), from, &login(number)).unwrap().origin;
        }
        store.begin(&key(), &login(10)).unwrap();
        assert_eq!(refresh_of(&store, &key()), login(10).refresh, "{kind}");
        let removed = store.remove(&key()).unwrap();
        assert!(removed.existed && removed.left_behind.is_none());
        assert!(store.open::<Login>(&key()).unwrap().is_none());
        assert!(desk.bank.keyring.items().is_empty(), "{kind}");
        assert!(!everything_in(&desk.directory()).contains("canary"));
    }
}

#[test]
fn the_access_token_is_read_from_one_file_whatever_became_of_the_vault() {
    for kind in kinds() {
        let desk = Desk::new();
        desk.store(kind).begin(&key(), &login(0)).unwrap();
        let used = desk.bank.keyring.used();
        // A program that has no vault at all, as `countersign token` need not have one.
        let store = SessionStore::new(&desk.directory(), Vaults::default(), random());
        let loaded = store.load::<Login>(&key()).unwrap().unwrap();
        assert_eq!(loaded.record.access, "access-0");
        assert_eq!(loaded.record.refresh, None, "{kind}");
        assert_eq!(loaded.kept_in, Some(kind));
        assert_eq!(desk.bank.keyring.used(), used);
    }
}

#[test]
fn that_there_are_others_is_noted_without_the_vault_and_outlives_every_write() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        assert!(!store.mark(&key(), true).unwrap(), "there is nothing yet");
        store.begin(&key(), &login(0)).unwrap();
        let marked = || store.load::<Login>(&key()).unwrap().unwrap().has_others;
        let plain = everything_in(&desk.directory());
        assert!(!marked() && !plain.contains("has_others"), "{kind}");

        let used = desk.bank.keyring.used();
        assert!(store.mark(&key(), true).unwrap());
        assert!(store.mark(&key(), true).unwrap());
        assert!(marked() && desk.bank.keyring.used() == used, "{kind}");
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        assert_eq!(opened.record, login(0), "{kind}");
        store.update(&key(), &opened.origin, &login(1)).unwrap();
        assert!(marked(), "a renewal keeps it");
        store.begin(&key(), &login(2)).unwrap();
        assert!(marked(), "a login keeps it");
        assert!(store.mark(&key(), false).unwrap());
        assert!(!marked());
        assert_eq!(refresh_of(&store, &key()), login(2).refresh, "{kind}");
    }
}

#[test]
fn a_session_of_the_first_version_is_marked_as_it_stands() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::File);
    store.begin(&key(), &login(0)).unwrap();
    let old = r#"{"version":1,"record":{"access":"a","refresh":"r"}}"#;
    std::fs::write(store.path_of(&key()), old).unwrap();
    assert!(store.mark(&key(), true).unwrap());
    let text = std::fs::read_to_string(store.path_of(&key())).unwrap();
    assert_eq!(text, old.replace("}}", "},\"has_others\":true}"));
    assert_eq!(refresh_of(&store, &key()), Some("r".to_owned()));
}

#[test]
fn the_refresh_token_is_in_no_file_unless_that_is_the_vault() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        store.begin(&key(), &login(0)).unwrap();
        let in_files = everything_in(&desk.directory()).contains("canary");
        assert_eq!(in_files, kind == VaultKind::File, "{kind}");
        let in_keyring = desk
            .bank
            .keyring
            .items()
            .values()
            .any(|value| String::from_utf8_lossy(value).contains("canary"));
        assert_eq!(in_keyring, kind == VaultKind::Keyring, "{kind}");
    }
}

#[test]
fn nothing_of_it_is_shown_by_debug() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        let saved = store.begin(&key(), &login(0)).unwrap();
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        for shown in [
            format!("{store:?}"),
            format!("{saved:?}"),
            format!("{:?}", opened.origin),
        ] {
            assert!(!shown.contains("canary"), "{kind}: {shown}");
        }
    }
}

#[test]
fn a_file_from_before_there_were_vaults_is_read_and_divided_by_the_next_write() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        std::fs::create_dir(desk.directory()).unwrap();
        common::chmod(&desk.directory(), 0o700);
        let old = r#"{"version":1,"record":{"access":"access-0","refresh":"canary-refresh-0"}}"#;
        std::fs::write(store.path_of(&key()), old).unwrap();
        common::chmod(&store.path_of(&key()), 0o600);
        let loaded = store.load::<Login>(&key()).unwrap().unwrap();
        assert_eq!(loaded.record, login(0));
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        assert_eq!(opened.record, login(0));
        // A renewal leaves it where it is; moving is for those who ask.
        let saved = store.update(&key(), &opened.origin, &login(1)).unwrap();
        assert_eq!(saved.origin.kept_in(), VaultKind::File);
        let migrated = store.migrate::<Login>(&key(), kind).unwrap().unwrap();
        assert_eq!(
            (migrated.from, migrated.moved),
            (VaultKind::File, kind != VaultKind::File)
        );
        assert_eq!(refresh_of(&store, &key()), login(1).refresh, "{kind}");
    }
}

#[test]
fn a_vault_that_only_a_newer_version_knows_does_not_hide_the_access_token() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::File);
    store.begin(&key(), &login(0)).unwrap();
    let text = std::fs::read_to_string(store.path_of(&key())).unwrap();
    let text = text.replace(r#""vault":"file""#, r#""vault":"smartcard""#);
    std::fs::write(store.path_of(&key()), &text).unwrap();
    let loaded = store.load::<Login>(&key()).unwrap().unwrap();
    assert_eq!(
        (loaded.record.access.as_str(), loaded.kept_in),
        ("access-0", None)
    );
    assert!(matches!(
        store.open::<Login>(&key()),
        Err(StoreError::Vault(VaultError::UnknownKind))
    ));
    // Nobody loses it for that, and a login replaces it.
    assert_eq!(
        std::fs::read_to_string(store.path_of(&key())).unwrap(),
        text
    );
    store.begin(&key(), &login(1)).unwrap();
    assert_eq!(refresh_of(&store, &key()), login(1).refresh);
}

#[test]
fn a_vault_that_was_not_provided_is_named() {
    let desk = Desk::new();
    desk.store(VaultKind::Keyring)
        .begin(&key(), &login(0))
        .unwrap();
    let store = SessionStore::new(&desk.directory(), Vaults::default(), random());
    let error = store.open::<Login>(&key()).unwrap_err();
    assert!(error.to_string().contains("`keyring`"), "{error}");
    assert_eq!(error.code(), "vault_not_provided");
}

#[test]
fn a_record_without_its_secrets_is_not_saved_over_one_that_has_them() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::Keyring);
    let saved = store.begin(&key(), &login(0)).unwrap();
    let loaded = store.load::<Login>(&key()).unwrap().unwrap().record;
    for error in [
        store.update(&key(), &saved.origin, &loaded).unwrap_err(),
        store.begin(&key(), &loaded).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::WithoutSecrets), "{error:?}");
    }
    assert_eq!(refresh_of(&store, &key()), login(0).refresh);
}

#[test]
fn a_renewal_does_not_overwrite_a_login_that_came_in_between() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        store.begin(&key(), &login(0)).unwrap();
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        // Somebody who could not wait for the lock.
        store.begin(&key(), &login(10)).unwrap();
        let error = store.update(&key(), &opened.origin, &login(1)).unwrap_err();
        assert!(matches!(error, StoreError::Overtaken { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(refresh_of(&store, &key()), login(10).refresh, "{kind}");
        // Nor does it bring back what a logout has removed.
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        store.remove(&key()).unwrap();
        assert!(store.update(&key(), &opened.origin, &login(11)).is_err());
        assert!(store.load::<Login>(&key()).unwrap().is_none());
    }
}

#[test]
fn sessions_and_stores_do_not_see_each_others_secrets() {
    for kind in kinds() {
        let desk = Desk::new();
        let here = desk.store(kind);
        let there = desk.bank.store(&desk.home.path().join("other"), kind);
        let second = Key::new("default2").unwrap();
        here.begin(&key(), &login(1)).unwrap();
        here.begin(&second, &login(2)).unwrap();
        there.begin(&key(), &login(3)).unwrap();
        assert_eq!(refresh_of(&here, &key()), login(1).refresh, "{kind}");
        assert_eq!(refresh_of(&here, &second), login(2).refresh, "{kind}");
        assert_eq!(refresh_of(&there, &key()), login(3).refresh, "{kind}");
        here.remove(&key()).unwrap();
        assert_eq!(refresh_of(&here, &second), login(2).refresh, "{kind}");
        assert_eq!(refresh_of(&there, &key()), login(3).refresh, "{kind}");
    }
}

#[test]
fn a_store_that_was_moved_keeps_its_sessions_and_leaves_nothing_behind() {
    for kind in kinds()
        .into_iter()
        .filter(|kind| *kind != VaultKind::Memory)
    {
        let desk = Desk::new();
        desk.store(kind).begin(&key(), &login(0)).unwrap();
        let elsewhere = desk.home.path().join("elsewhere");
        std::fs::rename(desk.directory(), &elsewhere).unwrap();
        let store = desk.bank.store(&elsewhere, kind);
        assert_eq!(refresh_of(&store, &key()), login(0).refresh, "{kind}");
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        store.update(&key(), &opened.origin, &login(1)).unwrap();
        assert_eq!(refresh_of(&store, &key()), login(1).refresh, "{kind}");
        store.begin(&key(), &login(2)).unwrap();
        store.remove(&key()).unwrap();
        assert!(
            desk.bank.keyring.items().is_empty(),
            "{kind}: {:?}",
            desk.bank.keyring.items()
        );
    }
}

#[test]
fn a_login_goes_into_the_file_when_the_keyring_fails_and_says_why() {
    for (fault, code) in [
        (Fault::NoProgram, "keyring_no_program"),
        (Fault::Hangs, "keyring_timed_out"),
        (Fault::Locked, "keyring_locked"),
        (Fault::NoService, "keyring_no_service"),
        (Fault::Forgets, "keyring_unfaithful"),
        (Fault::CutsOff, "keyring_unfaithful"),
        (Fault::Babbles, "keyring_program_failed"),
        (Fault::OtherVersion, "keyring_program_failed"),
        (Fault::Stops, "keyring_program_failed"),
        (Fault::Escapes, "keyring_refused"),
    ] {
        for kind in [VaultKind::Keyring, VaultKind::KeyringKey] {
            let desk = Desk::new();
            let vaults = desk
                .bank
                .vaults(kind)
                .or_else(desk.bank.vault(VaultKind::File));
            let store = SessionStore::new(&desk.directory(), vaults, random());
            desk.bank.keyring.break_with(fault);
            let saved = store.begin(&key(), &login(0)).unwrap();
            let fell_back = saved.fell_back.unwrap();
            assert_eq!(
                (fell_back.kind, fell_back.why.code()),
                (kind, code),
                "{fault:?}"
            );
            assert!(!fell_back.why.to_string().chars().any(char::is_control));
            assert!(fell_back.why.to_string().len() < 300);
            assert_eq!(saved.origin.kept_in(), VaultKind::File);
            assert_eq!(refresh_of(&store, &key()), login(0).refresh);
            // Whoever may not fall back gets the reason instead, and keeps what there was.
            let strict = desk.store(kind);
            let error = strict.begin(&key(), &login(1)).unwrap_err();
            assert_eq!(error.code(), code);
            assert_eq!(refresh_of(&strict, &key()), login(0).refresh);
        }
    }
}

#[test]
fn a_keyring_that_dies_during_a_renewal_costs_nobody_the_session() {
    let desk = Desk::new();
    let vaults = desk
        .bank
        .vaults(VaultKind::Keyring)
        .or_else(desk.bank.vault(VaultKind::File));
    let store = SessionStore::new(&desk.directory(), vaults, random());
    store.begin(&key(), &login(0)).unwrap();
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    // The server has rotated the token by now: this is the only copy.
    desk.bank.keyring.break_with(Fault::Hangs);
    let used = desk.bank.keyring.used();
    let saved = store.update(&key(), &opened.origin, &login(1)).unwrap();
    assert_eq!(saved.fell_back.unwrap().why.code(), "keyring_timed_out");
    assert_eq!(saved.left_behind.unwrap().code(), "keyring_timed_out");
    assert_eq!(
        desk.bank.keyring.used(),
        used + 1,
        "a hanging keyring is waited for once"
    );
    assert_eq!(refresh_of(&store, &key()), login(1).refresh);
    // It stays there until somebody moves it back.
    desk.bank.keyring.break_with(Fault::None);
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    store.update(&key(), &opened.origin, &login(2)).unwrap();
    store.migrate::<Login>(&key(), VaultKind::Keyring).unwrap();
    assert_eq!(refresh_of(&store, &key()), login(2).refresh);
    assert!(!everything_in(&desk.directory()).contains("canary"));
}

#[test]
fn with_a_key_in_the_keyring_a_renewal_needs_the_keyring_once() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::KeyringKey);
    let saved = store.begin(&key(), &login(0)).unwrap();
    assert_eq!(desk.bank.keyring.items().len(), 1);
    let before = desk.bank.keyring.items();
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    store.update(&key(), &opened.origin, &login(1)).unwrap();
    assert_eq!(desk.bank.keyring.items(), before, "the key is written once");
    drop(saved);
}

#[test]
fn a_person_is_asked_only_when_the_keyring_is_locked() {
    let desk = Desk::new();
    for (fault, requests) in [(Fault::None, 1), (Fault::Hangs, 1), (Fault::Locked, 2)] {
        desk.bank.keyring.break_with(fault);
        let vault = KeyringVault::new(desk.bank.keyring().asking());
        let used = desk.bank.keyring.used();
        let store = SessionStore::new(&desk.directory(), Vaults::new(Arc::new(vault)), random());
        let opened = store.open::<Login>(&key());
        assert!(matches!(opened, Ok(None)));
        let _ = store.begin(&key(), &login(0));
        // One to write, and when that has worked, one to tidy up.
        let tidying = u32::from(fault == Fault::None);
        assert_eq!(
            desk.bank.keyring.used() - used,
            requests + tidying,
            "{fault:?}"
        );
        store.remove(&key()).unwrap();
    }
}

#[test]
fn a_locked_keyring_is_no_reason_to_sign_in_again_and_a_lost_one_is() {
    let desk = Desk::new();
    for kind in [VaultKind::Keyring, VaultKind::KeyringKey] {
        let store = desk.store(kind);
        desk.bank.keyring.break_with(Fault::None);
        store.begin(&key(), &login(0)).unwrap();
        desk.bank.keyring.break_with(Fault::Locked);
        let Err(StoreError::Vault(locked)) = store.open::<Login>(&key()) else {
            panic!("{kind}");
        };
        assert!(locked.is_retryable() && !locked.is_final());
        desk.bank.keyring.break_with(Fault::None);
        desk.bank.keyring.set(&std::collections::BTreeMap::new());
        let Err(StoreError::Vault(lost)) = store.open::<Login>(&key()) else {
            panic!("{kind}");
        };
        assert_eq!(lost, VaultError::Missing { kind });
        assert!(lost.is_final() && !lost.is_retryable());
        assert_eq!(lost.hints(), ["log in again"]);
        store.begin(&key(), &login(1)).unwrap();
        assert_eq!(refresh_of(&store, &key()), login(1).refresh);
    }
}

#[test]
fn a_logout_removes_the_file_though_the_keyring_hangs_and_says_what_is_left() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::Keyring);
    store.begin(&key(), &login(0)).unwrap();
    desk.bank.keyring.break_with(Fault::Hangs);
    let removed = store.remove(&key()).unwrap();
    assert!(removed.existed);
    assert_eq!(removed.left_behind.unwrap().code(), "keyring_timed_out");
    assert!(store.load::<Login>(&key()).unwrap().is_none());
    // The next login of that name finds what was left, and sweeps it away.
    desk.bank.keyring.break_with(Fault::None);
    store.begin(&key(), &login(1)).unwrap();
    assert_eq!(desk.bank.keyring.items().len(), 1);
    assert!(!everything_in(desk.home.path()).contains("canary-refresh-0"));
}

#[test]
fn a_key_that_the_kernel_lost_is_named() {
    if !kernel_keeps_keys() {
        return;
    }
    let desk = Desk::new();
    let store = desk.store(VaultKind::KernelKey);
    store.begin(&key(), &login(0)).unwrap();
    assert_eq!(refresh_of(&store, &key()), login(0).refresh);
    // As a restart of the machine would: everything of this test's application is taken away.
    let listed = std::process::Command::new("keyctl")
        .args(["list", "@u"])
        .output()
        .unwrap();
    let text = std::fs::read_to_string(store.path_of(&key())).unwrap();
    let session: serde_json::Value = serde_json::from_str(&text).unwrap();
    let login_id = session["secrets"]["login"].as_str().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = listed.lines().find(|line| line.contains(login_id)).unwrap();
    assert!(line.contains("countersign-store-test:"), "{line}");
    let id = line.trim_start().split(':').next().unwrap();
    let gone = std::process::Command::new("keyctl")
        .args(["invalidate", id])
        .status()
        .unwrap();
    assert!(gone.success());
    let error = store.open::<Login>(&key()).unwrap_err();
    assert_eq!(error.code(), "vault_missing");
    assert!(error.to_string().contains("kernel"), "{error}");
    assert_eq!(
        store.load::<Login>(&key()).unwrap().unwrap().record.access,
        "access-0"
    );
}

#[test]
fn what_memory_keeps_ends_with_the_process() {
    let desk = Desk::new();
    desk.store(VaultKind::Memory)
        .begin(&key(), &login(0))
        .unwrap();
    assert_eq!(
        refresh_of(&desk.store(VaultKind::File), &key()),
        login(0).refresh
    );
    let later = Bank::at(&desk.home.path().join("keyring.json"));
    let store = later.store(&desk.directory(), VaultKind::File);
    let error = store.open::<Login>(&key()).unwrap_err();
    assert_eq!(error.code(), "vault_missing");
    assert!(
        error.to_string().contains("ended with the program"),
        "{error}"
    );
    assert_eq!(
        store.load::<Login>(&key()).unwrap().unwrap().record.access,
        "access-0"
    );
}

#[test]
fn vaults_are_chosen_by_what_stands_its_test() {
    let desk = Desk::new();
    let candidates = || {
        vec![
            desk.bank.vault(VaultKind::KeyringKey),
            desk.bank.vault(VaultKind::File),
        ]
    };
    let (vaults, passed_over) = Vaults::choose(candidates());
    assert_eq!(vaults.unwrap().chosen().kind(), VaultKind::KeyringKey);
    assert!(passed_over.is_empty());
    assert!(desk.bank.keyring.items().is_empty(), "the test cleans up");
    for fault in [
        Fault::Forgets,
        Fault::CutsOff,
        Fault::Hangs,
        Fault::NoProgram,
    ] {
        desk.bank.keyring.break_with(fault);
        let (vaults, passed_over) = Vaults::choose(candidates());
        assert_eq!(
            vaults.unwrap().chosen().kind(),
            VaultKind::File,
            "{fault:?}"
        );
        assert_eq!(passed_over.len(), 1);
        assert_eq!(passed_over[0].kind, VaultKind::KeyringKey);
        // Where a company wants the keyring or nothing, nothing is what there is.
        let (none, passed_over) = Vaults::choose(vec![desk.bank.vault(VaultKind::Keyring)]);
        assert!(none.is_none() && passed_over.len() == 1);
    }
}
