//! Started by its socket, and gone when there is nothing to do.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign_pam_wire::{ToDaemon, Verdict};
use countersign_testkit::Provider;

use crate::fixture::{Module, Monitor, account, head, usual};

#[test]
fn a_daemon_that_its_socket_has_started_ends_when_it_is_idle() {
    let provider = Provider::start();
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::write(path("pam.toml"), format!("{}{}", head(&provider), usual())).unwrap();
    let socket = path("pam.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // As the service manager does it: the socket is the fourth descriptor, and two variables say so.
    let mut daemon = Command::new("sh")
        .arg("-c")
        .arg("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_countersign-pamd"))
        .args(["run", "--log-stderr", "--idle", "2", "--config"])
        .arg(path("pam.toml"))
        .arg("--control")
        .arg(path("control.sock"))
        .arg("--state")
        .arg(path("sessions"))
        .stdin(OwnedFd::from(listener.try_clone().unwrap()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let monitor = Monitor::start();
    let mut module = Module::connect(&socket);
    module.say(&ToDaemon::Begin(monitor.login(&account())));
    assert_eq!(module.finish().verdict, Verdict::Success);
    // As long as somebody is logged in, it stays.
    std::thread::sleep(Duration::from_secs(3));
    assert!(daemon.try_wait().unwrap().is_none(), "a login is watched");
    let login = monitor.login(&account());
    let mut module = Module::connect(&socket);
    module.say(&ToDaemon::Close {
        monitor: login.monitor,
    });
    module.finish();
    drop(monitor);
    let begun = Instant::now();
    while daemon.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(daemon.wait().unwrap().success());
    // The socket is still the service manager's, and whoever connects now starts another one.
    assert!(socket.exists());
}
