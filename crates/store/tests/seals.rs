//! Secrets that were damaged, exchanged, rolled back or opened with the wrong key; and moves between
//! vaults.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use common::keyring::Fault;
use common::sessions::{
    Bank, EASY, Login, Typist, kinds, login, random, refresh_of, with_passphrase,
};
use common::{chmod, key};
use countersign_store::{
    AskPassphrase, Hardness, Key, PassphraseFor, Place, Receipt, SealedVault, SecretBytes,
    SessionStore, StoreError, Vault, VaultError, VaultKind, Vaults, Withdrawn,
};
use proptest::prelude::*;
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

    fn with(&self, vault: Arc<dyn Vault>) -> SessionStore {
        SessionStore::new(&self.directory(), Vaults::new(vault), random())
    }
}

fn file(store: &SessionStore) -> Vec<u8> {
    std::fs::read(store.path_of(&key())).unwrap()
}

fn put(store: &SessionStore, key: &Key, bytes: &[u8]) {
    std::fs::write(store.path_of(key), bytes).unwrap();
    chmod(&store.path_of(key), 0o600);
}

fn vault_error(store: &SessionStore) -> VaultError {
    match store.open::<Login>(&key()) {
        Err(StoreError::Vault(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn renew(store: &SessionStore, number: u32) {
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    store
        .update(&key(), &opened.origin, &login(number))
        .unwrap();
}

/// Those whose secrets the file does not simply show.
fn guarded() -> Vec<VaultKind> {
    let open = [VaultKind::File, VaultKind::Memory];
    kinds()
        .into_iter()
        .filter(|kind| !open.contains(kind))
        .collect()
}

/// Remembers the session's file as it was right after the last deposit: what a writer leaves that
/// dies at that moment.
#[derive(Debug)]
struct Remembering {
    vault: Arc<dyn Vault>,
    path: PathBuf,
    then: Mutex<Option<Vec<u8>>>,
}

impl Vault for Remembering {
    fn kind(&self) -> VaultKind {
        self.vault.kind()
    }

    fn probe(&self) -> Result<(), VaultError> {
        self.vault.probe()
    }

    fn deposit(&self, place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError> {
        let receipt = self.vault.deposit(place, secrets)?;
        *self.then.lock().unwrap() = std::fs::read(&self.path).ok();
        Ok(receipt)
    }

    fn withdraw(&self, place: &Place<'_>, receipt: &Receipt) -> Result<Withdrawn, VaultError> {
        self.vault.withdraw(place, receipt)
    }

    fn forget(
        &self,
        store: &str,
        key: &Key,
        old: Option<&Receipt>,
        keep: Option<&str>,
    ) -> Result<(), VaultError> {
        self.vault.forget(store, key, old, keep)
    }
}

#[test]
fn a_writer_that_died_between_vault_and_file_costs_nobody_the_session() {
    for kind in [VaultKind::Keyring, VaultKind::Memory] {
        let desk = Desk::new();
        let vault = Arc::new(Remembering {
            vault: desk.bank.vault(kind),
            path: desk.store(kind).path_of(&key()),
            then: Mutex::new(None),
        });
        let store = desk.with(Arc::clone(&vault) as _);
        store.begin(&key(), &login(0)).unwrap();
        for number in 1..8 {
            renew(&store, number);
            let then = vault.then.lock().unwrap().clone().unwrap();
            put(&store, &key(), &then);
            let opened = store.open::<Login>(&key()).unwrap().unwrap();
            assert_eq!(
                opened.record.refresh,
                login(number).refresh,
                "{kind} {number}"
            );
            assert!(opened.origin.is_recovered());
            // Reading changes nothing: the next one finds the same.
            assert_eq!(file(&store), then);
            assert_eq!(refresh_of(&store, &key()), login(number).refresh);
        }
        renew(&store, 8);
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        assert_eq!(opened.record, login(8));
        assert!(!opened.origin.is_recovered());
    }
}

#[test]
fn a_login_that_died_between_vault_and_file_leaves_the_old_session() {
    for kind in kinds() {
        let desk = Desk::new();
        let store = desk.store(kind);
        store.begin(&key(), &login(0)).unwrap();
        let (before, items) = (file(&store), desk.bank.keyring.items());
        store.begin(&key(), &login(10)).unwrap();
        // As it was after the deposit: both logins in the keyring, the file not yet replaced.
        let mut both = desk.bank.keyring.items();
        both.extend(items);
        desk.bank.keyring.set(&both);
        put(&store, &key(), &before);
        if [VaultKind::Memory, VaultKind::KernelKey].contains(&kind) {
            continue; // What they forgot cannot be put back from here.
        }
        assert_eq!(refresh_of(&store, &key()), login(0).refresh, "{kind}");
        renew(&store, 1);
        // The next login sweeps away what the dead one left.
        store.begin(&key(), &login(20)).unwrap();
        assert_eq!(refresh_of(&store, &key()), login(20).refresh, "{kind}");
        assert!(desk.bank.keyring.items().len() <= 1, "{kind}");
    }
}

#[test]
fn an_old_file_put_back_is_noticed_where_the_vault_remembers() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::Keyring);
    store.begin(&key(), &login(0)).unwrap();
    let mut files = vec![file(&store)];
    for number in 1..6 {
        renew(&store, number);
        files.push(file(&store));
    }
    for (number, bytes) in files.iter().enumerate() {
        put(&store, &key(), bytes);
        let opened = store.open::<Login>(&key());
        match number {
            5 => assert_eq!(opened.unwrap().unwrap().record, login(5)),
            // One write ahead is what a death leaves, too.
            4 => assert_eq!(opened.unwrap().unwrap().record.refresh, login(5).refresh),
            _ => assert!(
                matches!(
                    opened,
                    Err(StoreError::Vault(VaultError::RolledBack { .. }))
                ),
                "{number}: {opened:?}"
            ),
        }
    }
}

#[test]
fn an_edited_clear_part_does_not_get_the_refresh_token() {
    for kind in guarded() {
        let desk = Desk::new();
        let store = desk.store(kind);
        store.begin(&key(), &login(0)).unwrap();
        let text = String::from_utf8(file(&store)).unwrap();
        // As somebody would who wants the token sent to another server.
        let edited = text.replace("access-0", "access-X");
        assert_ne!(edited, text);
        put(&store, &key(), edited.as_bytes());
        assert_eq!(vault_error(&store), VaultError::Misplaced, "{kind}");
    }
}

#[test]
fn secrets_of_another_session_login_or_write_do_not_open() {
    for kind in guarded() {
        let desk = Desk::new();
        let store = desk.store(kind);
        let other = Key::new("other").unwrap();
        store.begin(&key(), &login(0)).unwrap();
        store.begin(&other, &login(7)).unwrap();
        let theirs = std::fs::read(store.path_of(&other)).unwrap();
        // The whole file of another session.
        let ours = file(&store);
        put(&store, &key(), &theirs);
        assert_eq!(vault_error(&store), VaultError::Misplaced, "{kind}");
        // The secrets of an earlier write beside the clear part of a later one.
        put(&store, &key(), &ours);
        renew(&store, 1);
        let later = String::from_utf8(file(&store)).unwrap();
        let earlier = String::from_utf8(ours).unwrap();
        let part = |text: &str, name: &str| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value[name].to_string()
        };
        let mixed = format!(
            r#"{{"version":2,"record":{},"secrets":{}}}"#,
            part(&later, "record"),
            part(&earlier, "secrets"),
        );
        put(&store, &key(), mixed.as_bytes());
        assert_eq!(vault_error(&store), VaultError::Misplaced, "{kind}");
    }
}

#[test]
fn a_wrong_passphrase_is_not_damage_and_damage_is_not_a_wrong_passphrase() {
    let desk = Desk::new();
    let right = Typist::new(&["correct horse"]);
    desk.with(with_passphrase(&right))
        .begin(&key(), &login(0))
        .unwrap();
    assert_eq!(right.asked(), 1);

    let wrong = Typist::new(&["battery staple"]);
    let store = desk.with(with_passphrase(&wrong));
    assert_eq!(vault_error(&store), VaultError::WrongPassphrase);
    assert_eq!(wrong.asked(), 3, "a person may mistype twice");
    assert!(VaultError::WrongPassphrase.is_retryable());

    let slips = Typist::new(&["corect horse", "correct hose", "correct horse"]);
    let store = desk.with(with_passphrase(&slips));
    assert_eq!(refresh_of(&store, &key()), login(0).refresh);
    // It is not asked for again, neither to read nor to write.
    renew(&store, 1);
    renew(&store, 2);
    assert_eq!(slips.asked(), 3);

    let text = String::from_utf8(file(&store)).unwrap();
    let at = text.find(r#""text":""#).unwrap() + 10;
    let mut bytes = text.into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    put(&store, &key(), &bytes);
    let typist = Typist::new(&["correct horse"]);
    let store = desk.with(with_passphrase(&typist));
    assert!(matches!(vault_error(&store), VaultError::Damaged { .. }));
    assert_eq!(
        typist.asked(),
        0,
        "nobody types a passphrase that cannot help"
    );
}

#[test]
fn a_passphrase_mistyped_at_the_last_attempt_seals_nothing() {
    let desk = Desk::new();
    desk.with(with_passphrase(&Typist::new(&["right"])))
        .begin(&key(), &login(0))
        .unwrap();
    let typist = Typist::new(&["wrong", "wrong", "wrong", "new"]);
    let store = desk.with(with_passphrase(&typist));
    assert_eq!(vault_error(&store), VaultError::WrongPassphrase);
    store.begin(&key(), &login(1)).unwrap();
    assert_eq!(typist.asked(), 4);
    let store = desk.with(with_passphrase(&Typist::new(&["new"])));
    assert_eq!(refresh_of(&store, &key()), login(1).refresh);
}

#[test]
fn where_nobody_can_be_asked_nothing_is_lost() {
    struct Nobody;
    impl AskPassphrase for Nobody {
        fn ask(&self, _why: PassphraseFor) -> Option<SecretBytes> {
            None
        }
    }
    let desk = Desk::new();
    desk.with(with_passphrase(&Typist::new(&["right"])))
        .begin(&key(), &login(0))
        .unwrap();
    let before = file(&desk.store(VaultKind::File));
    let vault = SealedVault::with_passphrase(Arc::new(Nobody), EASY, random());
    let store = desk.with(Arc::new(vault));
    let error = vault_error(&store);
    assert_eq!(error, VaultError::NoPassphrase);
    assert!(error.is_retryable());
    assert_eq!(
        store.begin(&key(), &login(1)).unwrap_err().code(),
        "passphrase_needed"
    );
    assert_eq!(file(&store), before);
}

#[test]
fn a_file_cannot_make_us_work_for_hours() {
    let desk = Desk::new();
    let typist = Typist::new(&["right"]);
    let store = desk.with(with_passphrase(&typist));
    store.begin(&key(), &login(0)).unwrap();
    let text = String::from_utf8(file(&store)).unwrap();
    for (from, to) in [
        (r#""memory_kib":64"#, r#""memory_kib":4294967295"#),
        (r#""passes":1"#, r#""passes":4294967295"#),
        (r#""lanes":1"#, r#""lanes":16777215"#),
    ] {
        let hostile = text.replace(from, to);
        assert_ne!(hostile, text);
        put(&store, &key(), hostile.as_bytes());
        assert!(
            matches!(vault_error(&store), VaultError::Damaged { .. }),
            "{to}"
        );
    }
}

#[test]
fn the_passphrase_is_changed_by_moving_to_the_new_one() {
    let desk = Desk::new();
    let store = desk.with(with_passphrase(&Typist::new(&["old"])));
    store.begin(&key(), &login(0)).unwrap();
    // Out of the one, into the other: between the two the session is as private as its file.
    store.migrate::<Login>(&key(), VaultKind::File).unwrap();
    let store = desk.with(with_passphrase(&Typist::new(&["new"])));
    store
        .migrate::<Login>(&key(), VaultKind::Passphrase)
        .unwrap();
    let old = desk.with(with_passphrase(&Typist::new(&["old"])));
    assert_eq!(vault_error(&old), VaultError::WrongPassphrase);
    let new = desk.with(with_passphrase(&Typist::new(&["new"])));
    assert_eq!(refresh_of(&new, &key()), login(0).refresh);
}

#[test]
fn the_usual_hardness_is_what_the_rfc_recommends_for_small_machines() {
    // RFC 9106, section 4: "t=3, p=4, m=2^16 (64 MiB of RAM)" as the second choice; p=1 here.
    let usual = Hardness::default();
    assert_eq!((usual.memory_kib, usual.passes), (1 << 16, 3));
}

#[test]
fn a_session_moves_between_any_two_vaults_and_leaves_nothing_in_the_first() {
    for from in kinds() {
        for to in kinds() {
            let desk = Desk::new();
            let store = desk.store(from);
            store.begin(&key(), &login(0)).unwrap();
            renew(&store, 1);
            let moved = store.migrate::<Login>(&key(), to).unwrap().unwrap();
            assert_eq!(
                (moved.from, moved.moved),
                (from, from != to),
                "{from} -> {to}"
            );
            assert!(moved.left_behind.is_none());
            let opened = store.open::<Login>(&key()).unwrap().unwrap();
            assert_eq!(
                (opened.record, opened.origin.kept_in()),
                (login(1), to),
                "{from} -> {to}"
            );
            let in_keyring = desk.bank.keyring.items().len();
            let expected = match to {
                VaultKind::Keyring if from == to => 2,
                VaultKind::Keyring | VaultKind::KeyringKey => 1,
                _ => 0,
            };
            assert_eq!(in_keyring, expected, "{from} -> {to}");
            renew(&store, 2);
            assert_eq!(
                refresh_of(&store, &key()),
                login(2).refresh,
                "{from} -> {to}"
            );
        }
    }
    let desk = Desk::new();
    let nothing = desk
        .store(VaultKind::File)
        .migrate::<Login>(&key(), VaultKind::Keyring);
    assert!(nothing.unwrap().is_none());
}

#[test]
fn a_move_that_fails_changes_nothing() {
    for (fault, from, to) in [
        (Fault::Hangs, VaultKind::File, VaultKind::Keyring),
        (Fault::Forgets, VaultKind::File, VaultKind::KeyringKey),
        (Fault::Locked, VaultKind::Keyring, VaultKind::File),
    ] {
        let desk = Desk::new();
        let store = desk.store(from);
        store.begin(&key(), &login(0)).unwrap();
        let (before, items) = (file(&store), desk.bank.keyring.items());
        desk.bank.keyring.break_with(fault);
        assert!(store.migrate::<Login>(&key(), to).is_err());
        assert_eq!(
            (file(&store), desk.bank.keyring.items()),
            (before, items),
            "{fault:?}"
        );
    }
}

#[test]
fn a_move_that_was_killed_is_finished_by_asking_again() {
    let desk = Desk::new();
    let store = desk.store(VaultKind::Keyring);
    store.begin(&key(), &login(0)).unwrap();
    let items = desk.bank.keyring.items();
    store.migrate::<Login>(&key(), VaultKind::File).unwrap();
    // Killed after the file was replaced and before the keyring was tidied.
    desk.bank.keyring.set(&items);
    assert_eq!(refresh_of(&store, &key()), login(0).refresh);
    let again = store
        .migrate::<Login>(&key(), VaultKind::File)
        .unwrap()
        .unwrap();
    assert!(!again.moved && again.left_behind.is_none());
    assert!(desk.bank.keyring.items().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_changes_in_a_sealed_file_the_secrets_are_whole_or_refused(
        position in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let desk = Desk::new();
        for kind in [VaultKind::KeyringKey, VaultKind::Keyring] {
            let store = desk.store(kind);
            store.begin(&key(), &login(0)).unwrap();
            let mut bytes = file(&store);
            let position = position.index(bytes.len());
            bytes[position] = byte;
            put(&store, &key(), &bytes);
            match store.open::<Login>(&key()) {
                Ok(Some(opened)) => prop_assert_eq!(opened.record, login(0)),
                Err(StoreError::Vault(_) | StoreError::Damaged { .. } | StoreError::FutureVersion { .. }) => {}
                other => prop_assert!(false, "{:?}", other),
            }
            store.begin(&key(), &login(1)).unwrap();
            prop_assert_eq!(refresh_of(&store, &key()), login(1).refresh);
        }
    }
}
