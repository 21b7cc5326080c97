//! Writers killed at any moment, with their secrets in a real gnome-keyring: what a writer has said to
//! be kept is there, or what it was about to keep next.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{APPLICATION, Desktop, Login, key, login, random};
use countersign_client::KeyringProgram;
use countersign_store::{
    Keyring, KeyringVault, Purpose, SealedVault, SessionStore, VaultKind, Vaults,
};

/// What a child process needs to know; absent in the test run itself.
const DIRECTORY: &str = "COUNTERSIGN_STORE_TEST_DIRECTORY";
const PROGRAM: &str = "COUNTERSIGN_STORE_TEST_PROGRAM";
const KIND: &str = "COUNTERSIGN_STORE_TEST_KIND";

/// How many writers are killed in each kind of vault; `cargo xtask prove` asks for more.
fn trials() -> u32 {
    let asked = std::env::var("COUNTERSIGN_TRIALS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(8)
}

/// Not a test of its own: the body of the child processes, which are this same program.
#[test]
fn child() {
    let (Some(directory), Some(program), Ok(kind)) = (
        std::env::var_os(DIRECTORY),
        std::env::var_os(PROGRAM),
        std::env::var(KIND),
    ) else {
        return;
    };
    let program = Arc::new(KeyringProgram::at(program));
    let keyring = Keyring::new(APPLICATION, program, random());
    let vaults = match kind.parse().unwrap() {
        VaultKind::Keyring => Vaults::new(Arc::new(KeyringVault::new(keyring))),
        _ => Vaults::new(Arc::new(SealedVault::with_keyring_key(keyring, random()))),
    };
    let store = SessionStore::new(Path::new(&directory), vaults, random());
    let mut out = std::io::stdout().lock();
    loop {
        let _lock = store.try_lock(&key(), Purpose::Refresh).unwrap().unwrap();
        let opened = store.open_for_update::<Login>(&key()).unwrap().unwrap();
        let next = number(&opened.record) + 1;
        store
            .update(&key(), &opened.origin, &login(&format!("token-{next}")))
            .unwrap();
        writeln!(out, "kept {next}").unwrap();
    }
}

fn number(record: &Login) -> u32 {
    let token = record.refresh.as_deref().unwrap();
    token.strip_prefix("token-").unwrap().parse().unwrap()
}

fn start(desktop: &Desktop, store: &SessionStore, kind: VaultKind) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, store.path())
        .env(PROGRAM, desktop.home().join("countersign-keyring"))
        .env(KIND, kind.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn no_writer_killed_at_any_moment_costs_the_session() {
    let desktop = Desktop::new();
    for (kind, store) in [
        (VaultKind::Keyring, desktop.store()),
        (VaultKind::KeyringKey, desktop.sealed_store()),
    ] {
        store.begin(&key(), &login("token-0")).unwrap();
        let mut recovered = 0;
        for trial in 0..trials() {
            let mut child = start(&desktop, &store, kind);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let kept = |line: String| Some(line.split_once("kept ")?.1.parse::<u32>().unwrap());
            // At least one write, and then somewhere in the next.
            let first = lines.by_ref().find_map(|line| kept(line.unwrap())).unwrap();
            std::thread::sleep(Duration::from_millis(u64::from(trial * 7 % 60)));
            child.kill().unwrap();
            child.wait().unwrap();
            let last = lines
                .filter_map(|line| kept(line.ok()?))
                .last()
                .unwrap_or(first);
            let opened = store.open::<Login>(&key()).unwrap().unwrap();
            let found = number(&opened.record);
            assert!(
                found == last || found == last + 1,
                "{kind}, trial {trial}: {last} was kept, {found} is there"
            );
            recovered += u32::from(opened.origin.is_recovered());
        }
        // The keyring is never behind the file, and sometimes ahead of it.
        assert!(kind == VaultKind::Keyring || recovered == 0);
        store.remove(&key()).unwrap();
    }
}
