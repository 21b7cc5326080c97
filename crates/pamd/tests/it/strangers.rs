//! Whom the daemon answers: root, and whoever runs it. Everybody else is kept off by the modes of the sockets,
//! and by what the kernel says of who connects, each by itself.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use countersign_pam_wire::ToDaemon;
use countersign_testkit::Endpoint;

use crate::fixture::{Fixture, account, login};

/// Says what is on standard input to a socket, and prints what comes back first.
const TALK: &str = "import socket, sys\n\
                    it = socket.socket(socket.AF_UNIX)\n\
                    it.settimeout(30)\n\
                    it.connect(sys.argv[1])\n\
                    try:\n\
                    \x20   it.sendall(sys.stdin.buffer.read())\n\
                    \x20   print(len(it.recv(1)))\n\
                    except (BrokenPipeError, ConnectionResetError):\n\
                    \x20   print(0)\n";

/// What another user hears at a socket, or what user 0 does.
fn talks(user: &str, socket: &Path, words: &[u8]) -> Output {
    let mut child = Command::new("setpriv")
        .args(["--reuid", user, "--regid", user, "--clear-groups"])
        .args(["/usr/bin/python3", "-c", TALK])
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who may not even connect reads nothing.
    let _ = child.stdin.take().unwrap().write_all(words);
    child.wait_with_output().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Nobody but root can become somebody else to try.
#[test]
fn another_user_is_heard_at_neither_socket() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::start();
    // Everything above the sockets is open: they have to keep others off by themselves.
    set_mode(fixture.home.path(), 0o755);
    let begin = ToDaemon::Begin(login(&account())).encode().unwrap();
    let control = fixture.home.path().join("control.sock");
    let sockets = [
        (fixture.socket(), begin.expose()),
        (control, b"\"sessions\"\n".as_slice()),
    ];
    for (socket, words) in &sockets {
        let refused = talks("65534", socket, words);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("PermissionError"), "{said}");
        // Somebody has opened the file to all: the daemon knows who it is all the same.
        set_mode(socket, 0o666);
        let heard = |user| {
            let output = talks(user, socket, words);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(heard("65534"), "0\n", "{}", socket.display());
        if socket.ends_with("pam.sock") {
            fixture.logged(&["user 65534 may not connect"]);
            let asked = fixture.provider.requests(Endpoint::DeviceAuthorization);
            assert!(asked.is_empty());
        }
        // Root says the same and hears something.
        assert_eq!(heard("0"), "1\n", "{}", socket.display());
    }
}
