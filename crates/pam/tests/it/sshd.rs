//! The module in a real sshd, and a real client at a terminal.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use countersign_pam_wire::{Login, Process, ToDaemon, Verdict};
use countersign_testkit::{Release, Sshd, pam_module, pam_module_that_panics};

use crate::daemon::Daemon;

fn stack(module: &Path, daemon: &Daemon, arguments: &str) -> String {
    let module = module.display();
    let socket = daemon.socket();
    let rest = format!("{module} socket={} {arguments}", socket.display());
    format!(
        "auth [success=done default=die] {rest}\naccount required {rest}\nsession required {rest}\n"
    )
}

fn start(release: Release, daemon: &Daemon, options: &[&str]) -> Sshd {
    Sshd::start_of(release, None, &stack(&pam_module(), daemon, ""), options)
}

fn logins(heard: &[ToDaemon]) -> Vec<&Login> {
    heard
        .iter()
        .filter_map(|message| match message {
            ToDaemon::Begin(login) | ToDaemon::Account(login) => Some(login),
            ToDaemon::Open(opened) => Some(&opened.login),
            _ => None,
        })
        .collect()
}

/// The daemon is told of the end after the client has gone.
fn closed(daemon: &Daemon) -> Process {
    let begin = Instant::now();
    loop {
        if let Some(ToDaemon::Close { monitor }) = daemon.heard().last() {
            return *monitor;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "no session was closed"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers of this process and all above it, as the shell on the other side sees them.
const ANCESTRY: &str = "pid=$$; while [ $pid -gt 1 ]; do echo at $pid; \
                        pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done";

#[test]
fn all_hooks_of_a_login_name_the_same_process_and_the_session_runs_under_it() {
    Release::with_both(|release| {
        let daemon = Daemon::that_wants("hunter2");
        let sshd = start(release, &daemon, &[]);
        let client = sshd.client(&[], ANCESTRY).start();
        client.wait_for_stdout(|text| text.contains("Code for").then_some(()));
        client.tell("hunter2");
        let finished = client.finish();
        assert_eq!(finished.code(), Some(0), "{finished:?}\n{}", sshd.log());
        assert!(finished.stdout.contains("Welcome, Ada."), "{finished:?}");

        let monitor = closed(&daemon);
        let heard = daemon.heard();
        assert!(
            matches!(
                &heard[..],
                [
                    ToDaemon::Begin(_),
                    ToDaemon::Account(_),
                    ToDaemon::Open(_),
                    ToDaemon::Close { .. }
                ]
            ),
            "{heard:?}"
        );
        let above = format!("at {}\r\n", monitor.pid);
        assert!(finished.stdout.contains(&above), "{monitor}: {finished:?}");
        assert_ne!(monitor.pid, sshd.id());
        for login in logins(&heard) {
            assert_eq!(login.monitor, monitor);
            assert_eq!(login.user.as_str(), sshd.account());
            assert_eq!(login.rhost.as_str(), "127.0.0.1");
            let connection = login.ssh_connection.as_str();
            assert!(connection.ends_with(&format!("127.0.0.1 {}", sshd.port())));
        }
    });
}

#[test]
fn with_a_key_there_is_no_conversation_and_the_same_process() {
    Release::with_both(|release| {
        let daemon = Daemon::that_wants("hunter2");
        let sshd = start(release, &daemon, &["PubkeyAuthentication yes"]);
        let key = format!("IdentityFile={}", sshd.client_key().display());
        let finished = sshd.client_without_terminal(&[&key], ANCESTRY).run();
        assert_eq!(finished.code(), Some(0), "{finished:?}\n{}", sshd.log());
        let monitor = closed(&daemon);
        let heard = daemon.heard();
        assert!(matches!(
            heard[..],
            [
                ToDaemon::Account(_),
                ToDaemon::Open(_),
                ToDaemon::Close { .. }
            ]
        ));
        for login in logins(&heard) {
            assert_eq!(login.monitor, monitor);
        }
        let opened = logins(&heard)[1];
        assert!(
            opened.auth_info.as_str().contains("publickey ssh-ed25519 "),
            "{opened:?}"
        );
        assert!(finished.stdout.contains(&format!("at {}\n", monitor.pid)));
    });
}

#[test]
fn each_try_of_a_client_names_the_same_process() {
    Release::with_both(|release| {
        let daemon = Daemon::start(|connection, _| connection.done(Verdict::Denied));
        let sshd = start(release, &daemon, &[]);
        let finished = sshd.client(&[], "echo in").run();
        assert_eq!(finished.code(), Some(255), "{finished:?}");
        assert!(!finished.stdout.contains("in\r\n"));
        let heard = daemon.heard();
        let logins = logins(&heard);
        // `NumberOfPasswordPrompts` of the client.
        assert_eq!(logins.len(), 3, "{heard:?}");
        assert!(
            logins
                .iter()
                .all(|login| login.monitor == logins[0].monitor)
        );
    });
}

#[test]
fn a_client_without_a_terminal_answers_nothing() {
    Release::with_both(|release| {
        let daemon = Daemon::that_wants("hunter2");
        let sshd = start(release, &daemon, &[]);
        let finished = sshd.client_without_terminal(&[], "echo in").run();
        assert_eq!(finished.code(), Some(255), "{finished:?}");
        assert_eq!(finished.stdout, "");
    });
}

/// The method `password` has its answer before the question, and takes none that is seen.
#[test]
fn the_method_password_lets_nobody_in_and_costs_no_answer() {
    Release::with_both(|release| {
        let daemon = Daemon::start(|connection, _| {
            connection.prompt("Code: ");
            assert_eq!(connection.hear(), None);
        });
        let options = [
            "PasswordAuthentication yes",
            "KbdInteractiveAuthentication no",
        ];
        let sshd = start(release, &daemon, &options);
        let client = sshd
            .client(&["NumberOfPasswordPrompts=1"], "echo in")
            .start();
        client.wait_for_stdout(|text| text.contains("password:").then_some(()));
        client.tell("hunter2");
        assert_eq!(client.finish().code(), Some(255));
        assert!(
            sshd.log().contains("KbdInteractiveAuthentication yes"),
            "{}",
            sshd.log()
        );
    });
}

#[test]
fn when_the_client_is_gone_the_daemon_knows_at_once() {
    Release::with_both(|release| {
        let (sender, gone) = mpsc::channel();
        let daemon = Daemon::start(move |connection, _| {
            connection.prompt("Code: ");
            // A client whose terminal goes away may answer nothing, and then die.
            while connection.answer().is_some() {
                connection.prompt("Code: ");
            }
            sender.send(Instant::now()).unwrap();
        });
        let sshd = start(release, &daemon, &[]);
        let mut client = sshd.client(&[], "echo in").start();
        client.wait_for_stdout(|text| text.contains("Code: ").then_some(()));
        let killed = Instant::now();
        client.kill();
        let noticed = gone.recv_timeout(Duration::from_secs(20)).unwrap();
        let took = noticed - killed;
        // Some milliseconds where the machine has nothing else to do; never the time of a prompt.
        assert!(took < Duration::from_secs(5), "{took:?}");
        println!("noticed after {took:?}");
    });
}

#[test]
fn a_panic_in_any_hook_leaves_sshd_alive_and_the_login_refused() {
    Release::with_both(|release| {
        for (place, code) in [
            ("authenticate", 255),
            ("connected", 255),
            ("answered", 255),
            ("acct_mgmt", 255),
            ("setcred", 255),
            ("open_session", 254),
        ] {
            let daemon = Daemon::start(|connection, _| connection.done(Verdict::Success));
            let arguments = format!("panic={place}");
            let sshd = Sshd::start_of(
                release,
                None,
                &stack(&pam_module_that_panics(), &daemon, &arguments),
                &[],
            );
            let finished = sshd.client(&[], "echo in").run();
            assert_eq!(
                finished.code(),
                Some(code),
                "{place}: {finished:?}\n{}",
                sshd.log()
            );
            assert!(!finished.stdout.contains("in\r\n"), "{place}");
            assert!(sshd.is_alive(), "{place}");
            let log = sshd.log();
            assert!(
                log.contains("an error of this module at crates/pam/src/hook.rs:"),
                "{log}"
            );
            assert!(
                !log.contains("panicked") && !log.contains("child crash"),
                "{log}"
            );
        }
    });
}
