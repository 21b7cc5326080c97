//! kill -9 at every system call of a daemon that lets somebody in, and every such call failing: what it
//! wrote is readable afterwards, whoever was told that a session is open is watched by the next daemon, and
//! nobody is let in of whom the next one would know nothing.
//!
//! The daemon is this program once more, under strace. One run shows which calls it makes; then it is run
//! again for each of them, and killed when it comes to that call (or the call is made to fail). Some of them
//! in the ordinary tests; all of them with `COUNTERSIGN_TRIALS`, which `cargo xtask prove` sets.
//!
//! It brings its own `main`: strace counts the calls of each thread by itself, and the thread that lets
//! people in has to be the first.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]
#![allow(clippy::print_stdout, reason = "this is what a test prints")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_client::{Secret, Timestamp};
use countersign_pamd::session::{Settings, Watch, Watching, Which};
use countersign_pamd::{
    Audit, Event, Grant, Login, Opened, Process, RefreshToken, Renewed, Renewer, Sessions, SignIn,
    Unused, Verdict,
};

/// Says which process a child lets in, and where it writes; absent in the test run itself.
const MONITOR: &str = "COUNTERSIGN_PAMD_TEST_MONITOR";
const HOME: &str = "COUNTERSIGN_PAMD_TEST_HOME";
/// Two paths that do not exist. That a process looks for them can be seen in its trace.
const BEGIN: &str = "/countersign-test-begins";
const END: &str = "/countersign-test-ends";
/// How many calls the ordinary tests try.
const ORDINARY: usize = 12;

/// Nothing comes due while these daemons live.
struct Never;

impl Renewer for Never {
    fn give_back(&self, _: Unused) {}

    fn renew(&self, _: &Grant) -> Renewed {
        Renewed::Unreachable {
            why: "this test renews nothing".to_owned(),
            refresh: None,
        }
    }
}

/// Keeps what is said about records that are refused.
#[derive(Default)]
struct Refusals(Mutex<Vec<String>>);

impl Audit for Refusals {
    fn write(&self, event: &Event) {
        if event.message.contains("is refused") {
            self.0.lock().unwrap().push(event.message.clone());
        }
    }
}

fn watch(home: &Path, refusals: Arc<Refusals>) -> std::io::Result<Watch> {
    Watch::start(Watching {
        settings: Settings::default(),
        directory: home.join("sessions"),
        renewer: Arc::new(Never),
        audit: refusals,
    })
}

fn login(monitor: Process) -> Login {
    Login {
        service: "sshd".to_owned(),
        user: "ada".to_owned(),
        rhost: "192.0.2.7".to_owned(),
        tty: "ssh".to_owned(),
        ssh_connection: String::new(),
        auth_info: String::new(),
        monitor,
    }
}

fn grant() -> Grant {
    Grant {
        issuer: "https://id.example".to_owned(),
        subject: "1815".to_owned(),
        name: "Ada Lovelace".to_owned(),
        sign_in: SignIn::default(),
        account: "ada".to_owned(),
        rule: "staff".to_owned(),
        service: "sshd".to_owned(),
        rhost: "192.0.2.7".to_owned(),
        reference: "KMPRTX".parse().unwrap(),
        granted_at: Timestamp::from_secs(1_790_000_000),
        max_session: Duration::from_secs(12 * 3600),
        access_expires: None,
        refresh: Some(RefreshToken::new(Secret::new("refresh-token"))),
    }
}

/// The body of the child processes, which are this same program: a daemon that takes over, lets somebody
/// in, and ends as it stands, without a farewell.
fn child(pid: u32, home: &Path) {
    let mark = |path: &str| drop(std::fs::metadata(path));
    let monitor = Process::of(pid).unwrap();
    mark(BEGIN);
    let watch = watch(home, Arc::default());
    if let Ok(watch) = &watch {
        let login = login(monitor);
        watch.granted(monitor, grant());
        let opened = Opened {
            audit_session: u32::MAX,
            xdg_session: String::new(),
        };
        // As PAM does: no session without the account phase.
        if watch.account(&login).verdict == Verdict::Success
            && watch.open(&login, &opened).verdict == Verdict::Success
        {
            println!("open");
        }
    }
    mark(END);
    std::process::exit(0);
}

/// A process that stays until it is ended.
struct Monitor(Child);

impl Monitor {
    fn start() -> Self {
        let sleep = Command::new("sleep")
            .arg("300")
            .stdin(Stdio::null())
            .spawn();
        Self(sleep.unwrap())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the child under strace with these options; whether it said that the session is open.
fn run(monitor: &Monitor, home: &Path, trace: &Path, options: &[String]) -> bool {
    let output = Command::new("strace")
        .args(["--follow-forks", "--quiet=all", "--output"])
        .arg(trace)
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .env(MONITOR, monitor.0.id().to_string())
        .env(HOME, home)
        .stdin(Stdio::null())
        .output()
        .expect("strace is installed");
    String::from_utf8_lossy(&output.stdout).contains("open")
}

/// A system call of the daemon: its name, and the how manieth of that name it is in its thread.
type Call = (String, usize);

/// The calls between the two marks, in order.
fn calls(trace: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(trace).unwrap();
    let marking = text.lines().find(|line| line.contains(BEGIN)).unwrap();
    let (first, _) = marking.split_once(' ').unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut between = false;
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let is_call = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if thread != first || !is_call {
            continue;
        }
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

/// Whatever happened to the daemon before, the next one works, knows whoever was let in, and can end them.
fn check(mut monitor: Monitor, home: &Path, was_opened: bool, when: &str) {
    let refusals = Arc::new(Refusals::default());
    let next = watch(home, Arc::clone(&refusals));
    let next = next.unwrap_or_else(|error| panic!("{when}: {error}"));
    assert_eq!(*refusals.0.lock().unwrap(), [""; 0], "{when}");
    let listed = next.list();
    assert!(listed.len() <= 1, "{when}: {listed:?}");
    let is_known = listed.iter().any(|row| row.open_seconds.is_some());
    assert!(
        is_known || !was_opened,
        "{when}: open, and not watched: {listed:?}"
    );
    let begin = Instant::now();
    let wait = |what: &str| {
        assert!(begin.elapsed() < Duration::from_secs(30), "{when}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    };
    if is_known {
        assert_eq!(next.kill(&Which::All).len(), 1, "{when}");
        while monitor.0.try_wait().unwrap().is_none() {
            wait("the login does not end");
        }
    } else {
        drop(monitor);
    }
    while next.watched() > 0 {
        wait("it is watched for ever");
    }
    drop(next);
    let left = std::fs::read_dir(home.join("sessions")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["lock"], "{when}");
}

/// Runs the daemon once for each of its calls that are wanted. How many runs there were.
fn at_every_call(inject: &str, wanted: fn(&str) -> bool) -> usize {
    // In memory, as /run is.
    let scratch = tempfile::tempdir_in("/dev/shm").unwrap();
    let trace = scratch.path().join("trace");
    let (whole, monitor) = (scratch.path().join("whole"), Monitor::start());
    assert!(run(&monitor, &whole, &trace, &[]));
    let calls = calls(&trace);
    check(monitor, &whole, true, "undisturbed");
    let calls: Vec<Call> = calls.into_iter().filter(|(name, _)| wanted(name)).collect();
    assert!(calls.len() > 20, "{calls:?}");
    let stride = match std::env::var_os("COUNTERSIGN_TRIALS") {
        Some(_) => 1,
        None => calls.len().div_ceil(ORDINARY),
    };
    let mut runs = 0;
    for (name, count) in calls.iter().step_by(stride) {
        let home = scratch.path().join(format!("{name}-{count}"));
        let monitor = Monitor::start();
        let injected = format!("--inject={name}:{inject}:when={count}");
        let was_opened = run(&monitor, &home, &trace, &[injected]);
        let when = format!("{inject} at {name} {count}");
        let text = std::fs::read_to_string(&trace).unwrap();
        let came_there = text.contains("INJECTED") || text.contains("killed by SIGKILL");
        assert!(came_there, "{when}: the run never came to its call");
        check(monitor, &home, was_opened, &when);
        runs += 1;
    }
    runs
}

/// What can fail for a reason outside of the program: everything that names or uses a file.
fn touches_files(name: &str) -> bool {
    [
        "openat",
        "write",
        "renameat",
        "renameat2",
        "unlinkat",
        "getdents64",
        "flock",
        "statx",
        "fstat",
        "read",
        "mkdir",
        "statfs",
    ]
    .contains(&name)
}

/// A proof: its name, what is done to a daemon, and at which calls.
type Proof = (&'static str, &'static str, fn(&str) -> bool);

const PROOFS: [Proof; 2] = [
    (
        "a_daemon_killed_at_any_system_call_loses_nobody_and_keeps_nobody",
        "signal=KILL",
        |_| true,
    ),
    (
        "a_daemon_that_meets_a_full_disk_at_any_call_lets_in_whom_it_can_watch_and_nobody_else",
        "error=ENOSPC",
        touches_files,
    ),
];

fn main() {
    if let (Ok(pid), Some(home)) = (std::env::var(MONITOR), std::env::var_os(HOME)) {
        return child(pid.parse().unwrap(), Path::new(&home));
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
        let proof = std::thread::spawn(move || at_every_call(inject, calls));
        let (word, count) = match proof.join() {
            Ok(runs) => (format!("ok ({runs} runs)"), &mut passed),
            Err(_) => ("FAILED".to_owned(), &mut failed),
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
