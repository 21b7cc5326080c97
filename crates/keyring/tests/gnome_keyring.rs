//! Against a real gnome-keyring, on a bus of our own: what goes in comes out, and whatever is wrong
//! with it, nobody waits for longer than the limit.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Desktop, Login, key, login, program_with, random, request};
use countersign_client::KeyringProgram;
use countersign_store::wire::Unlock;
use countersign_store::{
    FileVault, Keyring, KeyringPort, KeyringVault, PortError, SessionStore, StoreError, Vault,
    VaultError, VaultKind, Vaults,
};
use rustix::process::Signal;

fn refresh_of(store: &SessionStore) -> String {
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    opened.record.refresh.unwrap()
}

fn renew(store: &SessionStore, refresh: &str) {
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    store
        .update(&key(), &opened.origin, &login(refresh))
        .unwrap();
}

fn error_of(store: &SessionStore) -> VaultError {
    match store.open::<Login>(&key()) {
        Err(StoreError::Vault(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The labels of what the keyring has of ours, as its owner sees them.
fn labels(desktop: &Desktop) -> Vec<String> {
    let output = desktop
        .command("secret-tool")
        .args(["search", "--all", "application", "countersign-keyring-test"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let labels = text
        .lines()
        .filter_map(|line| line.strip_prefix("label = "));
    labels.map(str::to_owned).collect()
}

#[test]
fn a_session_lives_in_the_keyring_from_login_to_logout() {
    let desktop = Desktop::new();
    for store in [desktop.store(), desktop.sealed_store()] {
        store.begin(&key(), &login("canary-one")).unwrap();
        assert_eq!(refresh_of(&store), "canary-one");
        for refresh in ["canary-two", "canary-three", "canary-four"] {
            renew(&store, refresh);
            assert_eq!(refresh_of(&store), refresh);
        }
        let file = std::fs::read_to_string(store.path_of(&key())).unwrap();
        assert!(!file.contains("canary"));
        let labels = labels(&desktop);
        assert!(!labels.is_empty());
        assert!(
            labels.iter().all(|label| label.contains("session default")),
            "{labels:?}"
        );
        store.remove(&key()).unwrap();
        assert!(self::labels(&desktop).is_empty());
    }
}

#[test]
fn the_probe_succeeds_and_leaves_nothing() {
    let desktop = Desktop::new();
    KeyringVault::new(desktop.keyring()).probe().unwrap();
    assert!(labels(&desktop).is_empty());
}

#[test]
fn large_secrets_come_back_whole() {
    let desktop = Desktop::new();
    let store = desktop.store();
    store.begin(&key(), &login("small")).unwrap();
    for length in [2560, 20_000, 200_000, 900_000] {
        let large: String = ('a'..='z').cycle().take(length).collect();
        renew(&store, &large);
        assert!(refresh_of(&store) == large, "{length}");
    }
    renew(&store, "small again");
    assert_eq!(refresh_of(&store), "small again");
}

#[test]
fn what_passes_over_the_bus_cannot_be_read_there() {
    let desktop = Desktop::new();
    let mut monitor = desktop
        .command("dbus-monitor")
        .arg("--session")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = [0; 4096];
    let mut out = monitor.stdout.take().unwrap();
    // Its own arrival is the first thing it hears.
    let first = out.read(&mut heard).unwrap();
    let store = desktop.store();
    store.begin(&key(), &login("canary-on-the-bus")).unwrap();
    assert_eq!(refresh_of(&store), "canary-on-the-bus");
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    let all = [&heard[..first], &rest].concat();
    let all = String::from_utf8_lossy(&all);
    assert!(all.contains("CreateItem") && all.contains("countersign-keyring-test"));
    assert!(!all.contains("canary-on-the-bus"));
}

#[test]
fn a_locked_keyring_is_an_answer_and_no_question() {
    let mut desktop = Desktop::new();
    let stores = [desktop.store(), desktop.sealed_store()];
    for store in stores {
        store.begin(&key(), &login("one")).unwrap();
        desktop.lock();
        let begin = Instant::now();
        assert_eq!(error_of(&store), VaultError::Locked);
        assert!(begin.elapsed() < Duration::from_secs(3));
        let error = store.begin(&key(), &login("two")).unwrap_err();
        assert!(
            matches!(error, StoreError::Vault(VaultError::Locked)),
            "{error:?}"
        );
        // The next sign-in to the desktop unlocks it.
        desktop.start_keyring();
        assert_eq!(refresh_of(&store), "one");
        store.remove(&key()).unwrap();
    }
}

#[test]
fn a_question_that_nobody_can_answer_ends_at_the_limit() {
    let desktop = Desktop::new();
    desktop.store().begin(&key(), &login("one")).unwrap();
    desktop.lock();
    let program = desktop
        .program()
        .limits(Duration::from_secs(3), Duration::from_secs(2));
    let keyring = Keyring::new("countersign-keyring-test", Arc::new(program), random()).asking();
    let store = desktop.store_of(Vaults::new(Arc::new(KeyringVault::new(keyring))));
    let begin = Instant::now();
    let error = error_of(&store);
    // There is no window here that could ask; what it says of that is its own affair.
    assert!(
        error.is_retryable() || matches!(error, VaultError::Refused { .. }),
        "{error:?}"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_keyring_that_hangs_is_not_given_the_time_that_a_person_needs() {
    let desktop = Desktop::new();
    let limit = Duration::from_millis(500);
    let program = desktop.program().limits(limit, Duration::from_secs(60));
    let keyring = Keyring::new("countersign-keyring-test", Arc::new(program), random()).asking();
    desktop.signal_keyring(Signal::STOP);
    let begin = Instant::now();
    let error = KeyringVault::new(keyring).probe().unwrap_err();
    assert_eq!(error, VaultError::TimedOut { limit });
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    desktop.signal_keyring(Signal::CONT);
}

#[test]
fn a_hanging_keyring_costs_the_limit_and_nothing_else() {
    let desktop = Desktop::new();
    let limit = Duration::from_millis(700);
    let program = desktop.program().limits(limit, limit);
    let keyring = Keyring::new("countersign-keyring-test", Arc::new(program), random());
    let vaults = Vaults::new(Arc::new(KeyringVault::new(keyring))).or_else(Arc::new(FileVault));
    let store = desktop.store_of(vaults);
    store.begin(&key(), &login("one")).unwrap();
    let opened = store.open::<Login>(&key()).unwrap().unwrap();

    desktop.signal_keyring(Signal::STOP);
    let begin = Instant::now();
    assert_eq!(error_of(&store), VaultError::TimedOut { limit });
    assert!(begin.elapsed() < limit * 3);
    // The cached token does not notice.
    assert!(store.load::<Login>(&key()).unwrap().is_some());
    // A renewal that has been answered by the server is kept, elsewhere.
    let saved = store.update(&key(), &opened.origin, &login("two")).unwrap();
    assert_eq!(saved.fell_back.unwrap().why, VaultError::TimedOut { limit });
    assert_eq!(refresh_of(&store), "two");
    desktop.signal_keyring(Signal::CONT);

    store.migrate::<Login>(&key(), VaultKind::Keyring).unwrap();
    assert_eq!(refresh_of(&store), "two");
}

#[test]
fn a_keyring_that_died_is_named_and_one_that_comes_back_is_used() {
    let mut desktop = Desktop::new();
    let store = desktop.store();
    store.begin(&key(), &login("one")).unwrap();
    desktop.signal_keyring(Signal::KILL);
    let gone = wait_for(|| match error_of(&store) {
        VaultError::NoService => Some(()),
        _ => None,
    });
    assert!(gone.is_some());
    desktop.start_keyring();
    assert_eq!(refresh_of(&store), "one");
}

fn wait_for<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..50 {
        if let Some(done) = attempt() {
            return Some(done);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn a_bus_without_a_keyring_and_no_bus_at_all_are_told_apart() {
    let desktop = Desktop::without_keyring();
    let error = desktop.store().begin(&key(), &login("one")).unwrap_err();
    assert!(
        matches!(error, StoreError::Vault(VaultError::NoService)),
        "{error:?}"
    );

    let missing = desktop.home().join("no-such-socket");
    let file = desktop.home().join("a-file");
    std::fs::write(&file, "").unwrap();
    for variables in [
        String::new(),
        format!(
            "XDG_RUNTIME_DIR={}",
            desktop.home().join("nowhere").display()
        ),
        format!("DBUS_SESSION_BUS_ADDRESS=unix:path={}", missing.display()),
        format!("DBUS_SESSION_BUS_ADDRESS=unix:path={}", file.display()),
        "DBUS_SESSION_BUS_ADDRESS=nonsense".to_owned(),
    ] {
        let program = program_with(desktop.home(), &variables);
        let keyring = Keyring::new("countersign-keyring-test", Arc::new(program), random());
        let begin = Instant::now();
        let error = KeyringVault::new(keyring).probe().unwrap_err();
        assert_eq!(error, VaultError::NoBus, "{variables}");
        assert!(begin.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn a_program_that_is_missing_or_is_another_one_is_named() {
    let home = tempfile::tempdir().unwrap();
    let probe = |program: KeyringProgram| {
        let keyring = Keyring::new("countersign-keyring-test", Arc::new(program), random());
        KeyringVault::new(keyring).probe().unwrap_err()
    };
    let missing = KeyringProgram::at(home.path().join("countersign-keyring"));
    assert_eq!(probe(missing), VaultError::NoProgram);
    for other in ["/bin/true", "/bin/cat", "/"] {
        let error = probe(KeyringProgram::at(other));
        assert!(
            matches!(error, VaultError::ProgramFailed { .. }),
            "{other}: {error:?}"
        );
    }
    let limit = Duration::from_millis(300);
    let yes = KeyringProgram::at("/usr/bin/yes").limits(limit, limit);
    let error = probe(yes);
    assert!(
        matches!(error, VaultError::ProgramFailed { .. }),
        "{error:?}"
    );
}

#[test]
fn applications_do_not_see_each_others_items() {
    let desktop = Desktop::new();
    let ours = r#"[{"write":{"group":"g","name":"n","label":"l","value":"AAAA"}}]"#;
    let read = r#"[{"read":{"group":"g","name":"n"}},{"clear":{"group":"g","keep":null}}]"#;
    let program = desktop.program();
    let ask = |text: &str, application: &str| {
        let asked = String::from_utf8(request(text, "never", 3000).expose().to_vec()).unwrap();
        let asked = asked.replace("countersign-keyring-test", application);
        let asked = countersign_store::SecretBytes::new(asked.into_bytes());
        let reply = program.exchange(&asked, Unlock::Never).unwrap();
        String::from_utf8(reply.expose().to_vec()).unwrap()
    };
    assert!(ask(ours, "one").contains(r#""done""#));
    assert!(ask(read, "two").contains(r#"["absent","done"]"#));
    assert!(ask(read, "one").contains("AAAA"));
    assert!(ask(read, "one").contains("absent"));
}

#[test]
fn it_ends_by_itself_when_nobody_is_left_to_end_it() {
    let desktop = Desktop::new();
    desktop.signal_keyring(Signal::STOP);
    let mut child = desktop
        .command(env!("CARGO_BIN_EXE_countersign-keyring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let asked = request(r#"[{"read":{"group":"g","name":"n"}}]"#, "never", 500);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(asked.expose()).unwrap();
    drop(stdin);
    let begin = Instant::now();
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert!(begin.elapsed() < Duration::from_secs(3));
    desktop.signal_keyring(Signal::CONT);
}

#[test]
fn it_says_nothing_unasked_and_answers_no_nonsense() {
    let desktop = Desktop::without_keyring();
    for nonsense in ["", "{}", "[]", "null", "{\"version\":1", "\u{1b}[2J"] {
        let mut child = desktop
            .command(env!("CARGO_BIN_EXE_countersign-keyring"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(nonsense.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert!(
            output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    let refused = desktop
        .program()
        .exchange(&request("[]", "never", 1), Unlock::Never);
    // An empty request is done at once, or the limit comes first: both are answers.
    assert!(refused.is_ok() || matches!(refused, Err(PortError::Failed { .. })));
}
