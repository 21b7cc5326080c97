//! Logins from beginning to end, and each way in which one fails.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use countersign_pam_wire::{Line, ToDaemon, Verdict};

use crate::daemon::{Connection, Daemon};
use crate::driver::{Driver, LOGIN};

/// What PAM's numbers mean (`security/_pam_types.h`; `headers` compares them).
const SUCCESS: i32 = 0;
const PERM_DENIED: i32 = 6;
const AUTH_ERR: i32 = 7;
const AUTHINFO_UNAVAIL: i32 = 9;
const SESSION_ERR: i32 = 14;
const CRED_ERR: i32 = 17;
const AUTHTOK_ERR: i32 = 20;

#[test]
fn a_login_is_granted_and_leaves_everything_as_it_was() {
    let daemon = Daemon::that_wants("hunter2");
    let said = Driver::new(&daemon).argument("debug").call(LOGIN);
    assert_eq!(said.codes(), [SUCCESS; 5]);
    let shown = ["2 Code for ada: ", "4 Welcome, Ada."];
    assert_eq!(said.shown()[..2], shown);
    assert!(said.stdout.contains("alive and unchanged"), "{said:?}");
    assert_eq!(said.stderr, "");

    let heard = daemon.heard();
    let [
        ToDaemon::Begin(login),
        ToDaemon::Account(account),
        ToDaemon::Open(opened),
        ToDaemon::Close { monitor },
    ] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!((account, &opened.login), (login, login));
    assert_eq!(*monitor, login.monitor);
    let fields = [&login.service, &login.user, &login.rhost, &login.tty];
    assert_eq!(
        fields.map(Line::as_str),
        ["probe", "ada", "192.0.2.7", "ssh"]
    );
    assert!(login.monitor.pid > 1 && login.monitor.start_time > 0);
}

#[test]
fn a_wrong_answer_is_denied() {
    let daemon = Daemon::that_wants("hunter2");
    let said = Driver::new(&daemon)
        .answer("hunter3")
        .call(&["authenticate"]);
    assert_eq!(said.codes(), [AUTH_ERR]);
    assert_eq!(said.shown(), ["2 Code for ada: ", "3 No (K7QF2M)."]);
}

#[test]
fn each_verdict_has_its_code_in_each_hook() {
    let cases = [
        (Verdict::Success, [SUCCESS; 4]),
        (
            Verdict::Denied,
            [AUTH_ERR, PERM_DENIED, SESSION_ERR, SESSION_ERR],
        ),
        (
            Verdict::Failed,
            [AUTH_ERR, PERM_DENIED, SESSION_ERR, SESSION_ERR],
        ),
        (
            Verdict::Unavailable,
            [AUTHINFO_UNAVAIL, AUTHINFO_UNAVAIL, SESSION_ERR, SESSION_ERR],
        ),
    ];
    for (verdict, codes) in cases {
        let daemon = Daemon::start(move |connection, _| connection.done(verdict));
        let hooks = ["authenticate", "acct_mgmt", "open_session", "close_session"];
        let said = Driver::new(&daemon).call(&hooks);
        assert_eq!(said.codes(), codes, "{verdict:?}");
    }
}

#[test]
fn no_password_is_changed_here_and_no_credential_set() {
    let daemon = Daemon::start(|_, _| panic!("nobody asks the daemon"));
    let said = Driver::new(&daemon).call(&["chauthtok", "setcred"]);
    assert_eq!(said.codes(), [AUTHTOK_ERR, SUCCESS]);
}

#[test]
fn an_unknown_argument_refuses_everything() {
    let daemon = Daemon::start(|_, _| panic!("nobody asks the daemon"));
    for argument in ["use_first_pass", "panic=authenticate", "timeout=0"] {
        let hooks = [LOGIN, &["chauthtok"]].concat();
        let said = Driver::new(&daemon).argument(argument).call(&hooks);
        let refused = [
            AUTH_ERR,
            PERM_DENIED,
            CRED_ERR,
            SESSION_ERR,
            SESSION_ERR,
            AUTHTOK_ERR,
        ];
        assert_eq!(said.codes(), refused, "{argument}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("pam.sock");
    let call = || {
        let said = Driver::at(&socket).call(&LOGIN[..2]);
        assert!(said.shown()[0].starts_with("3 Sign-in is not available"));
        said.codes()
    };
    assert_eq!(call(), [AUTHINFO_UNAVAIL; 2]);
    // A socket that nobody listens at any more.
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(call(), [AUTHINFO_UNAVAIL; 2]);
}

#[test]
fn what_is_no_socket_is_not_connected_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pam.sock");
    fs::write(&path, "").unwrap();
    assert_eq!(Driver::at(&path).call(&LOGIN[..1]).codes(), [AUTH_ERR]);
    // A link could be turned elsewhere between the look and the step.
    let daemon = Daemon::that_wants("hunter2");
    let link = directory.path().join("link.sock");
    std::os::unix::fs::symlink(daemon.socket(), &link).unwrap();
    assert_eq!(Driver::at(&link).call(&LOGIN[..1]).codes(), [AUTH_ERR]);
}

#[test]
fn a_daemon_that_does_not_accept_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("pam.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // The queue of those that wait to be accepted is filled up: the last one has to wait itself.
    let mut waiting = Vec::new();
    loop {
        let (sender, receiver) = mpsc::channel();
        let path = socket.clone();
        thread::spawn(move || sender.send(UnixStream::connect(path)));
        match receiver.recv_timeout(Duration::from_millis(500)) {
            Ok(stream) => waiting.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    let said = Driver::at(&socket).call(&LOGIN[..1]);
    assert_eq!(said.codes(), [AUTHINFO_UNAVAIL]);
    assert!(!waiting.is_empty());
    drop(listener);
}

type Misdeed = (&'static str, fn(&mut Connection), i32);

#[test]
fn a_daemon_that_fails_midway_lets_nobody_in() {
    let cases: [Misdeed; 6] = [
        ("hangs up at once", |_| {}, AUTHINFO_UNAVAIL),
        (
            "hangs up after the answer",
            |it| {
                it.prompt("Code: ");
                it.answer();
            },
            AUTHINFO_UNAVAIL,
        ),
        (
            "says nothing",
            |it| while it.hear().is_some() {},
            AUTHINFO_UNAVAIL,
        ),
        (
            "speaks another language",
            |it| it.send(b"HTTP/1.1 200 OK\r\n\r\n"),
            AUTH_ERR,
        ),
        (
            "grants with a byte too many",
            |it| it.send(b"\0\0\0\x12\x83\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0x"),
            AUTH_ERR,
        ),
        (
            "asks for ever",
            |it| {
                for _ in 0..100 {
                    it.prompt("Code: ");
                }
                while it.hear().is_some() {}
            },
            AUTH_ERR,
        ),
    ];
    for (name, misdeed, code) in cases {
        let daemon = Daemon::start(move |connection, _| misdeed(connection));
        let said = Driver::new(&daemon).argument("timeout=1").call(&LOGIN[..1]);
        assert_eq!(said.codes(), [code], "{name}: {said:?}");
    }
}
