//! What a cached token does not do, watched call by call: it opens no socket, starts no thread and no
//! process, takes no lock, and writes nothing but what it prints.
//!
//! The real program runs under strace, which makes the first call of a forbidden kind fail and kills
//! the program for it. What cannot be told by its name alone (a file that is opened to be written, a
//! lock that is taken by `fcntl`) is found in the record of all calls.

use std::fs;
use std::path::Path;

use countersign_testkit::{Finished, Program};

use crate::desk::Desk;

/// Not one of these is made. `?` before a name: not every processor has it.
const FORBIDDEN: &[&str] = &[
    "%network",
    // Threads and processes. A command that takes our place comes by `execve`, which is allowed.
    "clone,?clone3,?fork,?vfork",
    // Locks.
    "flock",
    // Everything that changes a file or a directory, or waits for the disk.
    "?creat,?rename,?renameat,renameat2,?unlink,unlinkat,?mkdir,mkdirat,?link,linkat,?symlink",
    "symlinkat,truncate,ftruncate,fallocate,?chmod,fchmod,fchmodat,?chown,fchown,fchownat",
    "fsync,fdatasync,sync,syncfs",
];

/// A run, and the calls it made.
struct Watched {
    done: Finished,
    calls: Vec<String>,
}

/// Runs the program, which does not survive a call of this set.
fn watch(desk: &Desk, forbidden: &str, arguments: &str, question: &str) -> Watched {
    let trace = desk.home.path().join("trace");
    let done = Program::new("strace")
        .args(["--follow-forks", "--signal=none", "--quiet=all", "--output"])
        .arg(&trace)
        .arg(format!("--inject={forbidden}:error=EPERM:signal=KILL"))
        .arg(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments.split_ascii_whitespace())
        .home(&desk.home)
        .env("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR", desk.system_dir())
        .env("COUNTERSIGN_TEST_WATCHED", "1")
        .stdin(question)
        .run();
    let text = fs::read_to_string(&trace).expect("strace keeps a record");
    Watched {
        done,
        calls: text.lines().map(call).collect(),
    }
}

/// A line of the record without the number of the process.
fn call(line: &str) -> String {
    line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
        .to_owned()
}

/// The calls among these that the path of a cached token must not make, and whose names do not tell.
fn offences(calls: &[String]) -> Vec<&String> {
    let offends = |call: &&String| {
        let (name, rest) = call.split_once('(').unwrap_or_default();
        match name {
            "open" | "openat" | "openat2" => ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
                .iter()
                .any(|flag| rest.contains(flag)),
            "fcntl" => rest.contains("SETLK"),
            "write" | "writev" | "pwrite64" => !rest.starts_with("1, ") && !rest.starts_with("2, "),
            _ => false,
        }
    };
    calls.iter().filter(offends).collect()
}

/// A desk at which all of these have a cached token to give.
fn desk() -> Desk {
    let desk = Desk::signed_in();
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         [profile.default.git]\nhosts = [\"git.example.com\"]\n\
         [profile.default.docker]\nhosts = [\"registry.example.com\"]\n",
    );
    desk
}

#[test]
fn a_cached_token_opens_no_socket_starts_nothing_and_writes_nothing() {
    let desk = desk();
    let forbidden = FORBIDDEN.join(",");
    let state = contents(&desk.home.state_dir());
    for (arguments, question, expected) in [
        ("token", "", "secret-access"),
        ("token -o json", "", "access_token"),
        ("token -o header", "", "Authorization: Bearer"),
        ("token -o env", "", "COUNTERSIGN_ACCESS_TOKEN="),
        ("token --id-token", "", "eyJ"),
        ("get-token --min-ttl 1m", "", "secret-access"),
        ("-p default token", "", "secret-access"),
        ("credential kubernetes", "", "ExecCredential"),
        ("credential kubernetes --access-token", "", "ExecCredential"),
        (
            "credential git get",
            "protocol=https\nhost=git.example.com\n\n",
            "password=",
        ),
        ("credential docker get", "registry.example.com", "Secret"),
        ("status", "", "signed in"),
        ("status --json", "", "signed-in"),
        ("whoami", "", "Ada"),
        ("whoami --json", "", "subject"),
        (
            "exec --env API_TOKEN -- /usr/bin/printenv API_TOKEN",
            "",
            "secret-access",
        ),
    ] {
        let Watched { done, calls } = watch(&desk, &forbidden, arguments, question);
        assert_eq!(
            (done.code(), done.signal()),
            (Some(0), None),
            "{arguments}: {}\nthe last calls:\n{}",
            done.stderr,
            calls[calls.len().saturating_sub(5)..].join("\n")
        );
        assert!(done.stdout.contains(expected), "{arguments}: {done:?}");
        assert_eq!(offences(&calls), [] as [&String; 0], "{arguments}");
    }
    assert_eq!(contents(&desk.home.state_dir()), state);
}

/// Names, sizes and times of change of all files below a directory.
fn contents(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        let about = fs::symlink_metadata(&path).expect("it can be looked at");
        let changed = about.modified().expect("there is a time");
        found.push(format!("{} {} {changed:?}", path.display(), about.len()));
        if about.is_dir() {
            found.extend(contents(&path));
        }
    }
    found.sort();
    found
}

/// That the test above can fail.
#[test]
fn whoever_does_more_is_caught() {
    const NETWORK: &str = "%network";
    const PROCESSES: &str = "clone,?clone3,?fork,?vfork";
    let desk = desk();
    let all = FORBIDDEN.join(",");
    for (forbidden, arguments, caught_at) in [
        (NETWORK, "status --verify", "socket("),
        (NETWORK, "token --force-refresh", "socket("),
        (PROCESSES, "curl ISSUER/userinfo", "clone"),
        (&*all, "token --force-refresh", "flock("),
    ] {
        let arguments = arguments.replace("ISSUER", &desk.provider.issuer());
        let Watched { done, calls } = watch(&desk, forbidden, &arguments, "");
        assert_eq!(done.signal(), Some(9), "{arguments}: {done:?}");
        // It may have had threads, whose calls are recorded as well.
        let found = calls.iter().any(|call| call.starts_with(caught_at));
        assert!(found, "{arguments}: {calls:?}");
    }
    // What only the record tells.
    let Watched { done, calls } = watch(&desk, "mknodat", "token --force-refresh", "");
    assert_eq!(done.code(), Some(0), "{done:?}");
    assert!(!offences(&calls).is_empty(), "{calls:?}");
}
