//! No secret comes out where it was not asked for: of every command, at the highest verbosity, with
//! everything going well and with everything that can go wrong.
//!
//! Secrets of every kind are known beforehand and looked for in whatever shape: in both streams, in the
//! arguments and the environment of every process that is started, in files, and in core dumps, of
//! which there are none.

mod canary;
mod commands;
mod world;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign_testkit::{Desktop, Endpoint, Reply};
use rustix::process::Signal;

use self::canary::{Canary, Kind, none_in};
use self::commands::{RUNS, Run, leaves, run};
use self::world::{Client, Fault, World};
use crate::desk::Desk;
use crate::seat::Seat;

const ALONE: fn(Vec<String>) -> Vec<String> = |command| command;

/// A command that is added is added here, or this fails.
#[test]
fn every_command_is_among_those_that_are_run() {
    let found = leaves(&Desk::new());
    assert!(found.len() > 25, "{found:?}");
    let covers = |leaf: &str, run: &Run| {
        let begins = format!("{} ", run.arguments);
        begins.starts_with(&format!("{leaf} "))
    };
    let missing: Vec<&String> = found
        .iter()
        .filter(|leaf| !RUNS.iter().any(|run| covers(leaf, run)))
        .collect();
    assert!(
        missing.is_empty(),
        "in no run of leaks/commands.rs: {missing:?}"
    );
}

/// Runs a command with every process that it starts watched: which are started how, and what is opened
/// for writing.
fn watched(world: &World, run: &Run, record: &Path) {
    let wrap = |command: Vec<String>| {
        let options = "strace -f -qq -v -s 65536 -e trace=execve,execveat,open,openat,creat -o";
        let mut before: Vec<String> = options.split(' ').map(str::to_owned).collect();
        before.push(record.display().to_string());
        before.extend(command);
        before
    };
    let program = world
        .program(run, wrap)
        .env("COUNTERSIGN_TEST_WATCHED", "1");
    let done = program.run();
    world.expect(run, &done);
    world.check(run, &done, "all is well");
    let secrets = world.canary.of(&world.desk);
    let seen = fs::read_to_string(record).expect("it was watched");
    let own = format!("execve(\"{}\"", env!("CARGO_BIN_EXE_countersign"));
    let home = world.desk.home.path().display().to_string();
    for line in seen.lines() {
        let place = format!("{}, a process that it starts", run.arguments);
        if line.contains("exec") && !line.contains(&own) {
            // With `--env` the command gets what was asked for, in a variable; arguments it gets from us.
            let asked_for: &[Kind] = if run.arguments.contains("--env") {
                &[Kind::Access]
            } else {
                &[]
            };
            none_in(&secrets, line.as_bytes(), asked_for, &place);
            let arguments = line.split("], [").next().unwrap_or_default();
            none_in(&secrets, arguments.as_bytes(), &[], &place);
        }
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"]
            .iter()
            .any(|flag| line.contains(flag));
        let path = line.split('"').nth(1).unwrap_or_default();
        if writes && path.starts_with('/') && !line.contains(" = -1 ") {
            // What is open already is a pipe between the two.
            let expected = [home.as_str(), "/dev/null", "/dev/tty", "/dev/fd/", "/proc/"];
            assert!(
                expected.iter().any(|start| path.starts_with(start)),
                "{} writes to {path}",
                run.arguments
            );
        }
    }
}

fn all_goes_well(client: Client) {
    let mut world = World::of(client);
    let record = tempfile::NamedTempFile::new().expect("a temporary file");
    for run in RUNS {
        watched(&world, run, record.path());
        if run.arguments.starts_with("login") {
            world.learn_binding_key();
        }
        if run.arguments == "version" {
            // While the session is still there.
            world.check_files();
        }
    }
    world.check_files();
}

#[test]
fn where_all_goes_well_for_a_client_with_a_secret() {
    all_goes_well(Client::Secret);
}

#[test]
fn where_all_goes_well_for_a_client_with_a_key_and_bound_tokens() {
    all_goes_well(Client::Keys);
}

/// Puts the whole home back as it was when somebody had just signed in.
struct Before(tempfile::TempDir);

impl Before {
    fn take(world: &World) -> Self {
        let copy = tempfile::tempdir().expect("a temporary directory");
        Self::copy(world.desk.home.path(), copy.path());
        Self(copy)
    }

    fn restore(&self, world: &World) {
        Self::copy(self.0.path(), world.desk.home.path());
    }

    fn copy(from: &Path, to: &Path) {
        let mut command = Command::new("cp");
        command.arg("-a").arg(from.join(".")).arg(to);
        assert!(command.status().expect("cp is there").success());
    }
}

fn servers_repeat_what_they_were_sent(client: Client) {
    let mut world = World::of(client);
    world.sign_in_to_a_short_token();
    let before = Before::take(&world);
    for fault in Fault::ALL {
        before.restore(&world);
        world.misbehave(fault);
        for run in RUNS.iter().filter(|run| run.has_secrets()) {
            let done = world.program(run, ALONE).run();
            world.check(run, &done, &format!("{fault:?}"));
        }
        world.misbehave(Fault::None);
        world.check_files();
    }
}

#[test]
fn where_servers_repeat_the_secrets_of_a_client_with_a_secret() {
    servers_repeat_what_they_were_sent(Client::Secret);
}

#[test]
fn where_servers_repeat_the_secrets_of_a_client_with_a_key_and_bound_tokens() {
    servers_repeat_what_they_were_sent(Client::Keys);
}

/// Every call that makes a write last fails.
#[test]
fn where_the_disk_is_full_or_forbidden() {
    let mut world = World::of(Client::Secret);
    world.sign_in_to_a_short_token();
    let before = Before::take(&world);
    for error in ["ENOSPC", "EACCES"] {
        before.restore(&world);
        for run in RUNS {
            let wrap = |command: Vec<String>| {
                let calls = "fsync,fdatasync,fallocate,rename,renameat,renameat2,unlink,unlinkat";
                let options = format!(
                    "strace -f -qq -e trace={calls} -e inject={calls}:error={error} -o /dev/null"
                );
                let before = options.split(' ').map(str::to_owned);
                before.chain(command).collect()
            };
            let done = world.program(run, wrap).run();
            world.check(run, &done, error);
        }
        world.check_files();
    }
}

/// Those that a person or a machine sends, and those of a crash.
#[test]
fn where_a_signal_ends_it() {
    let mut world = World::of(Client::Secret);
    world.sign_in_to_a_short_token();
    world.desk.provider.pending_polls(1000);
    world.desk.provider.check(Endpoint::Token, |request| {
        let renews = request.form_value("grant_type")? == "refresh_token";
        renews.then(Reply::never)
    });
    for signal in [Signal::TERM, Signal::QUIT, Signal::ABORT, Signal::SYS] {
        for (arguments, asked) in [
            ("login --qr never", "/device_authorization"),
            ("token", "/token"),
        ] {
            let run = run(arguments);
            let server = world.desk.provider.server();
            let so_far = server.requests_to(asked).len();
            let mut running = world.program(&run, ALONE).start();
            let begun = std::time::Instant::now();
            while server.requests_to(asked).len() == so_far {
                assert!(begun.elapsed().as_secs() < 30, "{arguments} asks nothing");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            running.signal(signal);
            let done = running.finish();
            assert!(done.signal().is_some(), "{signal:?}: {done:?}");
            world.check(&run, &done, &format!("{signal:?}"));
        }
    }
    world.check_files();
}

/// What the kernel writes of a process that crashes holds its memory, its arguments and its environment.
#[test]
fn nobody_gets_a_core_dump() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let crash = |script: &str, token: &str| {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("ulimit -c unlimited 2>/dev/null; {script}"),
                "sh",
            ])
            .arg(env!("CARGO_BIN_EXE_countersign"))
            .env("COUNTERSIGN_TOKEN", token)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        shell.spawn().expect("there is a shell")
    };
    // A proxy waits until it is told to end, with the token in its hands.
    let arguments = "proxy --until-stdin-ends https://localhost:9/v1";
    for signal in [Signal::QUIT, Signal::ABORT, Signal::TRAP, Signal::SYS] {
        let mut child = crash(
            // Tests that run in the background have QUIT ignored, and would pass that on.
            &format!("exec env --default-signal=QUIT \"$1\" {arguments}"),
            "canary-ready-made-0f3a",
        );
        let mut address = String::new();
        let stdout = child.stdout.as_mut().expect("it was asked for");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut address)
            .expect("it says where it listens");
        assert!(address.starts_with("http://127.0.0.1:"), "{address}");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("it is ours");
        let status = child.wait().expect("it is ours");
        assert!(status.signal().is_some(), "{status:?}");
        assert!(!status.core_dumped(), "{signal:?} left a core dump");
    }
    let left = fs::read_dir(directory.path()).expect("it is ours").count();
    assert_eq!(left, 0, "there is a file beside it");
    // Otherwise this would show nothing, on a machine that makes one of everybody else.
    let status = crash("kill -QUIT $$", "").wait().expect("it is ours");
    if status.core_dumped() {
        let files = fs::read_dir(directory.path()).expect("it is ours");
        for file in files {
            let _ = fs::remove_file(file.expect("it is ours").path());
        }
    }
}

/// A ready-made token is for this program and not for those that it starts.
#[test]
fn a_token_of_the_environment_is_not_handed_on() {
    let world = World::of(Client::Secret);
    let mut canary = Canary::default();
    canary.knows(Kind::Access, "canary-ready-made-token-93bc");
    let secrets = canary.of(&world.desk);
    let record = tempfile::NamedTempFile::new().expect("a temporary file");
    for run in RUNS.iter().filter(|run| !run.arguments.starts_with("exec")) {
        let wrap = |command: Vec<String>| {
            let options = "strace -f -qq -v -s 65536 -e trace=execve,execveat -o";
            let mut before: Vec<String> = options.split(' ').map(str::to_owned).collect();
            before.push(record.path().display().to_string());
            before.extend(command);
            before
        };
        let program = world
            .program(run, wrap)
            .env("COUNTERSIGN_TEST_WATCHED", "1");
        let done = program
            .env("COUNTERSIGN_TOKEN", "canary-ready-made-token-93bc")
            .run();
        none_in(&secrets, done.stderr.as_bytes(), &[], run.arguments);
        none_in(
            &secrets,
            done.stdout.as_bytes(),
            run.asked_for,
            run.arguments,
        );
        let seen = fs::read_to_string(record.path()).expect("it was watched");
        let own = format!("execve(\"{}\"", env!("CARGO_BIN_EXE_countersign"));
        for line in seen.lines().filter(|line| !line.contains(&own)) {
            none_in(&secrets, line.as_bytes(), &[], run.arguments);
        }
    }
}

/// Nobody answers where the password would be used, and the certificate is nobody's.
#[test]
fn where_a_proxy_is_down_or_a_certificate_is_not_trusted() {
    let world = World::of(Client::Secret);
    let mut canary = Canary::default();
    canary.knows(Kind::Own, "canary-proxy-password-20e7");
    let secrets = canary.of(&world.desk);
    let api = crate::https::Https::start(world.desk.home.path(), |_| (500, Vec::new(), Vec::new()));
    for scheme in ["http", "socks5"] {
        for issuer in ["https://id.example.com".to_owned(), api.url("")] {
            for command in [
                "login",
                "doctor",
                "doctor --json",
                "inspect",
                "profile show",
            ] {
                let program = world.desk.program(&format!(
                    "-vv --timeout 5s --issuer {issuer} --client-id x {command}"
                ));
                let proxy = format!("{scheme}://ada:canary-proxy-password-20e7@127.0.0.1:9");
                let done = program.env("HTTPS_PROXY", proxy).run();
                assert_eq!(done.signal(), None);
                none_in(&secrets, done.stdout.as_bytes(), &[], command);
                none_in(&secrets, done.stderr.as_bytes(), &[], command);
            }
        }
    }
}

/// A person at a terminal: a passphrase, a code that is pasted, and the verifier that goes with it; and a
/// one-time password.
#[test]
fn what_a_person_types_and_pastes() {
    let mut world = World::of(Client::Secret);
    world.canary.knows(Kind::Own, "canary correct horse 4471");
    let mut seat = Seat::at(&world.desk)
        .size(200, 50)
        .types("-vv login --store passphrase --flow paste --no-browser --color never");
    for question in ["New passphrase for the session:", "The same once more:"] {
        seat.see(question);
        seat.types_line("canary correct horse 4471");
    }
    let mut browser = countersign_testkit::Browser::new();
    browser.hold("http://127.0.0.1:");
    let answer = String::from(browser.get(&seat.address()).location().as_str());
    seat.types_line(&answer);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let secrets = world.canary.of(&world.desk);
    assert!(secrets.iter().any(|(kind, _)| *kind == Kind::Code));
    // The terminal itself shows what is typed there; a code is good once, with the verifier.
    none_in(&secrets, left.written.as_bytes(), &[Kind::Code], "login");
    world.check_files();

    let mut seat = Seat::at(&world.desk).types("-vv token --force-refresh --color never");
    seat.see("Passphrase of the session:");
    seat.types_line("canary correct horse 4471");
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let secrets = world.canary.of(&world.desk);
    none_in(&secrets, left.written.as_bytes(), &[], "token");

    let touch = "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";
    world.canary.knows(Kind::Own, touch);
    let line = format!("-vv --color never curl {} -v", world.confirmed());
    let mut seat = Seat::at(&world.desk)
        .size(200, 100)
        .env("PATH", "/usr/bin:/bin")
        .controlling()
        .types(&line);
    seat.see("yubikey OTP:");
    seat.types_line(touch);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let secrets = world.canary.of(&world.desk);
    none_in(&secrets, left.written.as_bytes(), &[], "curl");
    world.check_files();
}

/// The keyring goes away, and the program that speaks with it is killed.
#[test]
fn where_a_keyring_fails() {
    let mut world = World::of(Client::Secret);
    let desktop = Desktop::new();
    world
        .desk
        .set("DBUS_SESSION_BUS_ADDRESS", desktop.address());
    world.desk.set("COUNTERSIGN_STORE", "keyring");
    world.sign_in_to_a_short_token();
    let killed = |command: Vec<String>| {
        // It alone sends messages; everything else here writes.
        let options = "strace -f -qq -e trace=sendmsg -e inject=sendmsg:signal=KILL -o /dev/null";
        options
            .split(' ')
            .map(str::to_owned)
            .chain(command)
            .collect()
    };
    let renewal = run("token");
    let done = world.program(&renewal, killed).run().expect_code(9);
    world.check(&renewal, &done, "the program is killed");
    desktop.signal_keyring(Signal::KILL);
    for run in RUNS.iter().filter(|run| run.has_secrets()) {
        let done = world.program(run, ALONE).run();
        world.check(run, &done, "the keyring is gone");
    }
    world.check_files();
}
