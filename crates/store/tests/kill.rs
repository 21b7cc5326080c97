//! kill -9 at every system call of a writer, and every system call of a writer failing: after each, the
//! session is readable and is the old one or the new one, in every kind of vault.
//!
//! The writer is this program once more, under strace. One run shows which calls it makes; then it is
//! run again for each of them, and killed when it comes to that call (or the call is made to fail).
//! Some of them in the ordinary tests; all of them with `COUNTERSIGN_TRIALS`, which `cargo xtask prove`
//! sets.
//!
//! It brings its own `main`: the usual one runs tests in threads, and strace counts the calls of each
//! thread by itself. A writer that is the only thread there is comes to every call it is meant to.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]
#![allow(clippy::print_stdout, reason = "this is what a test prints")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::sessions::{Bank, Login, kernel_keeps_keys, login};
use common::{key, listing_of};
use countersign_store::{Purpose, SessionStore, StoreError, VaultError, VaultKind};
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Says what a child process does, and where; absent in the test run itself.
const ACT: &str = "COUNTERSIGN_STORE_TEST_ACT";
const HOME: &str = "COUNTERSIGN_STORE_TEST_HOME";
/// Two paths that do not exist. That a process looks for them can be seen in its trace.
const BEGIN: &str = "/countersign-test-begins";
const END: &str = "/countersign-test-ends";

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Login(VaultKind),
    Renew(VaultKind),
    /// The same of a session whose last writer died between vault and file.
    Recover,
    Migrate(VaultKind, VaultKind),
    Logout(VaultKind),
}

impl Act {
    /// The vault that the session is in before.
    fn from(self) -> VaultKind {
        match self {
            Self::Login(kind) | Self::Renew(kind) | Self::Logout(kind) => kind,
            Self::Migrate(from, _) => from,
            Self::Recover => VaultKind::Keyring,
        }
    }

    fn all() -> Vec<Self> {
        use VaultKind::{File, KernelKey, Keyring, KeyringKey, Passphrase};
        let mut all = vec![Self::Recover];
        for kind in [File, Keyring, KeyringKey, Passphrase, KernelKey] {
            all.extend([Self::Login(kind), Self::Renew(kind), Self::Logout(kind)]);
        }
        for (from, to) in [(File, Keyring), (Keyring, KeyringKey), (Passphrase, File)] {
            all.push(Self::Migrate(from, to));
        }
        let needs = |act: &Self, kind| act.from() == kind;
        all.retain(|act| !needs(act, KernelKey) || kernel_keeps_keys());
        all
    }
}

fn store(home: &Path, kind: VaultKind) -> SessionStore {
    Bank::at(&home.join("keyring.json")).store(&home.join("sessions"), kind)
}

/// A home with a session, as `act` finds it.
fn home(act: Act) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path(), act.from());
    store.begin(&key(), &login(0)).unwrap();
    if act == Act::Recover {
        let before = std::fs::read(store.path_of(&key())).unwrap();
        let opened = store.open::<Login>(&key()).unwrap().unwrap();
        store.update(&key(), &opened.origin, &login(0)).unwrap();
        std::fs::write(store.path_of(&key()), before).unwrap();
        assert!(
            store
                .open::<Login>(&key())
                .unwrap()
                .unwrap()
                .origin
                .is_recovered()
        );
    }
    // So that its making is not part of what is watched.
    drop(store.try_lock(&key(), Purpose::Refresh).unwrap());
    home
}

/// The body of the child processes, which are this same program.
fn child(number: &str, home: &Path) {
    let act = Act::all()[number.parse::<usize>().unwrap()];
    let store = store(home, act.from());
    let mark = |path: &str| {
        let _ = accessat(CWD, path, Access::EXISTS, AtFlags::empty());
    };
    mark(BEGIN);
    let done = carry_out(act, &store);
    mark(END);
    // A call that was made to fail is reported, whatever it was: it never is a panic.
    println!(
        "{}",
        done.map_or_else(|error| format!("failed: {error}"), |()| "done".into())
    );
}

fn carry_out(act: Act, store: &SessionStore) -> Result<(), StoreError> {
    let _lock = store.try_lock(&key(), Purpose::Refresh)?;
    match act {
        Act::Login(_) => {
            store.begin(&key(), &login(1))?;
        }
        Act::Renew(_) | Act::Recover => {
            let opened = store.open_for_update::<Login>(&key())?;
            let opened = opened.expect("there is a session");
            store.update(&key(), &opened.origin, &login(1))?;
        }
        Act::Migrate(_, to) => {
            store.migrate::<Login>(&key(), to)?;
        }
        Act::Logout(_) => {
            store.remove(&key())?;
        }
    }
    Ok(())
}

/// Runs the child in `home` under strace with these options; its trace is written to `trace`.
fn run(act: Act, home: &Path, trace: &Path, options: &[String]) -> Output {
    let number = Act::all().iter().position(|one| *one == act).unwrap();
    Command::new("strace")
        .args(["--follow-forks", "--quiet=all", "--output"])
        .arg(trace)
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .env(ACT, number.to_string())
        .env(HOME, home)
        .stdin(Stdio::null())
        .output()
        .expect("strace is installed")
}

/// A system call of the writer: its name, and the how manieth of that name it is in its thread.
type Call = (String, usize);

/// The calls between the two marks, in order.
fn calls(trace: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(trace).unwrap();
    let entered = text.lines().filter_map(|line| {
        let (thread, rest) = line.split_once(' ')?;
        let (name, arguments) = rest.trim_start().split_once('(')?;
        let is_call = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_call.then_some((thread, name, arguments))
    });
    let marking = text.lines().find(|line| line.contains(BEGIN));
    let writer = marking.and_then(|line| line.split_once(' ')).unwrap().0;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut between = false;
    for (_, name, arguments) in entered.filter(|(thread, ..)| *thread == writer) {
        let count = counts.entry(name).or_default();
        *count += 1;
        if arguments.contains(END) {
            break;
        }
        if between {
            found.push((name.to_owned(), *count));
        }
        between |= arguments.contains(BEGIN);
    }
    found
}

/// Whether the ordinary tests leave most of the calls to the long proof.
fn stride(calls: usize) -> usize {
    const ORDINARY: usize = 6;
    if std::env::var_os("COUNTERSIGN_TRIALS").is_some() {
        1
    } else {
        calls.div_ceil(ORDINARY).max(1)
    }
}

/// Runs `act` once for each of its calls that are wanted, with `inject` in the place of what the call
/// would do. Answers how many runs there were.
fn at_every_call(act: Act, inject: &str, wanted: fn(&str) -> bool) -> usize {
    let scratch = tempfile::tempdir().unwrap();
    let trace = scratch.path().join("trace");
    let whole = home(act);
    let output = run(act, whole.path(), &trace, &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("done"), "{act:?}: {said}");
    let calls = calls(&trace);
    let calls: Vec<Call> = calls.into_iter().filter(|(name, _)| wanted(name)).collect();
    assert!(calls.len() > 10, "{act:?}: {calls:?}");
    let mut runs = 0;
    // A different set of calls in each act, so that the sample covers what they share.
    let offset = format!("{act:?}").len();
    let stride = stride(calls.len());
    for (name, count) in calls.iter().skip(offset % stride).step_by(stride) {
        let home = home(act);
        let injected = format!("--inject={name}:{inject}:when={count}");
        run(act, home.path(), &trace, &[injected]);
        runs += 1;
        let when = format!("{act:?} at {name} {count}");
        let text = std::fs::read_to_string(&trace).unwrap();
        let came_there = text.contains(BEGIN)
            && (text.contains("INJECTED") || text.contains("killed by SIGKILL"));
        assert!(came_there, "{when}: the run never came to its call");
        is_whole(act, home.path(), &when);
    }
    runs
}

/// The session is there, whole, and can be worked with.
fn is_whole(act: Act, home: &Path, when: &str) {
    let store = store(home, act.from());
    if let Act::Logout(_) = act {
        return is_whole_or_gone(&store, when);
    }
    let loaded = store.load::<Login>(&key());
    let loaded = loaded
        .unwrap_or_else(|error| panic!("{when}: {error}"))
        .unwrap();
    let opened = store.open::<Login>(&key());
    let opened = opened
        .unwrap_or_else(|error| panic!("{when}: {error}"))
        .unwrap();
    assert_eq!(loaded.record.access, opened.record.access, "{when}");
    let is_old = opened.record == login(0);
    // Secrets that are ahead of their file are those that the server gave last.
    let is_ahead = opened.record.access == "access-0"
        && opened.record.refresh == login(1).refresh
        && opened.origin.is_recovered();
    let is_new = opened.record == login(1);
    match act {
        Act::Login(_) => assert!(is_old || is_new, "{when}: {:?}", opened.record),
        Act::Migrate(from, to) => {
            assert!(is_old, "{when}: {:?}", opened.record);
            assert!([from, to].contains(&opened.origin.kept_in()), "{when}");
            let again = store.migrate::<Login>(&key(), to).unwrap().unwrap();
            assert!(again.left_behind.is_none(), "{when}: {again:?}");
            let opened = store.open::<Login>(&key()).unwrap().unwrap();
            assert_eq!(
                (opened.record, opened.origin.kept_in()),
                (login(0), to),
                "{when}"
            );
        }
        _ => assert!(is_old || is_ahead || is_new, "{when}: {:?}", opened.record),
    }
    // Life goes on, and what the dead one left is swept away.
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    store.update(&key(), &opened.origin, &login(2)).unwrap();
    let opened = store.open::<Login>(&key()).unwrap().unwrap();
    assert_eq!(opened.record, login(2), "{when}");
    let names = listing_of(&home.join("sessions"));
    assert_eq!(names, ["default.json", "default.lock"], "{when}");
}

/// A logout that died may have left the file and not the secrets. Asked again, it leaves nothing.
fn is_whole_or_gone(store: &SessionStore, when: &str) {
    match store.open::<Login>(&key()) {
        Ok(None) | Err(StoreError::Vault(VaultError::Missing { .. })) => {}
        Ok(Some(opened)) => assert_eq!(opened.record, login(0), "{when}"),
        Err(error) => panic!("{when}: {error}"),
    }
    store.remove(&key()).unwrap();
    assert!(store.load::<Login>(&key()).unwrap().is_none());
    assert_eq!(listing_of(store.path()), ["default.lock"], "{when}");
    let keyring = store.path().with_file_name("keyring.json");
    let items = std::fs::read_to_string(keyring).unwrap_or_default();
    assert!(!items.contains("canary"), "{when}: {items}");
}

/// What can fail for a reason outside of the program: everything that names or uses a file.
fn touches_files(name: &str) -> bool {
    [
        "openat",
        "write",
        "fsync",
        "fchmod",
        "renameat",
        "renameat2",
        "unlinkat",
        "linkat",
        "getdents64",
        "flock",
        "statx",
        "fstat",
        "newfstatat",
        "read",
        "mkdir",
        "mkdirat",
        "chmod",
        "rename",
        "fallocate",
        "ftruncate",
    ]
    .contains(&name)
}

/// A proof: its name, what is done to a writer, and at which calls.
type Proof = (&'static str, &'static str, fn(&str) -> bool);

const PROOFS: [Proof; 3] = [
    (
        "a_writer_killed_at_any_system_call_leaves_the_old_session_or_the_new_one",
        "signal=KILL",
        |_| true,
    ),
    (
        "a_writer_that_meets_a_full_disk_at_any_call_leaves_the_old_session_or_the_new_one",
        "error=ENOSPC",
        touches_files,
    ),
    (
        "a_writer_that_meets_a_broken_disk_at_any_call_leaves_the_old_session_or_the_new_one",
        "error=EIO",
        touches_files,
    ),
];

fn main() {
    if let (Ok(number), Some(home)) = (std::env::var(ACT), std::env::var_os(HOME)) {
        return child(&number, Path::new(&home));
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    for (name, inject, calls) in PROOFS {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            left_out += 1;
            continue;
        }
        let outcome = prove(inject, calls);
        let (word, count) = match outcome {
            Ok(runs) => (format!("ok ({runs} runs)"), &mut passed),
            Err(()) => ("FAILED".to_owned(), &mut failed),
        };
        *count += 1;
        println!("test {name} ... {word}");
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} \
         filtered out"
    );
    std::process::exit(i32::from(failed > 0));
}

/// Every act, two at a time. How many runs there were; what failed has been printed by its panic.
fn prove(inject: &str, calls: fn(&str) -> bool) -> Result<usize, ()> {
    let acts = Act::all();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut runs = 0;
        while let Some(act) = acts.get(next.fetch_add(1, Ordering::Relaxed)) {
            runs += at_every_call(*act, inject, calls);
        }
        runs
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        let outcomes = workers.map(std::thread::ScopedJoinHandle::join);
        outcomes.into_iter().sum::<Result<usize, _>>().map_err(drop)
    })
}
