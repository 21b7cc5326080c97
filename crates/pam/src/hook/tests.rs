//! The hooks beside a scripted daemon, under a PAM made of nothing.

use countersign_pam_wire::{Echo, Process, ToModule, Typed};

use super::*;
use crate::pam::Failed;
use crate::testing::{
    Daemon, FakePam, hook_alone, hook_with_daemon, hook_with_silent_daemon, process,
};

const HOOKS: [Hook; 4] = [
    Hook::Authenticate,
    Hook::Account,
    Hook::OpenSession,
    Hook::CloseSession,
];

fn logged(pam: &FakePam) -> String {
    let log = pam.log.borrow();
    let lines: Vec<String> = log
        .iter()
        .map(|(level, line)| format!("{level:?} {line}"))
        .collect();
    lines.join("\n")
}

#[test]
fn each_verdict_means_to_pam_what_it_should() {
    use Code::{AuthenticationFailed, PermissionDenied, SessionFailed, Success, Unavailable};
    let cases = [
        (Verdict::Success, [Success; 4]),
        (
            Verdict::Denied,
            [
                AuthenticationFailed,
                PermissionDenied,
                SessionFailed,
                SessionFailed,
            ],
        ),
        (
            Verdict::Failed,
            [
                AuthenticationFailed,
                PermissionDenied,
                SessionFailed,
                SessionFailed,
            ],
        ),
        (
            Verdict::Unavailable,
            [Unavailable, Unavailable, SessionFailed, SessionFailed],
        ),
    ];
    for (verdict, codes) in cases {
        for (hook, code) in HOOKS.into_iter().zip(codes) {
            let mut pam = FakePam::new();
            let got = hook_with_daemon(hook, &mut pam, |daemon, _| daemon.done(verdict, "Hello."));
            assert_eq!(got, code, "{hook} {verdict:?}");
            let kind = if verdict == Verdict::Success {
                "info"
            } else {
                "error"
            };
            assert_eq!(pam.shown, [(kind, "Hello.".to_owned())]);
            assert!(logged(&pam).contains("reference K7QF2M"), "{pam:?}");
        }
    }
}

#[test]
fn a_login_is_asked_told_and_granted() {
    let mut pam = FakePam::new();
    pam.answers = ["", "hunter2"].map(|text| Ok(Typed::clean(text))).into();
    let code = hook_with_daemon(Hook::Authenticate, &mut pam, |daemon, _| {
        daemon.prompt("Open https://id.example\nthen press Enter: ");
        assert_eq!(daemon.answer(), "");
        daemon.say(&ToModule::Working);
        daemon.say(&ToModule::Info {
            text: Text::default(),
        });
        daemon.say(&ToModule::Prompt {
            text: Text::clean("Code: "),
            echo: Echo::Off,
        });
        assert_eq!(daemon.answer(), "hunter2");
        daemon.done(Verdict::Success, "");
    });
    assert_eq!(code, Code::Success);
    let shown = [
        ("echo on", "Open https://id.example\nthen press Enter: "),
        ("info", ""),
        ("echo off", "Code: "),
    ];
    assert_eq!(pam.shown, shown.map(|(kind, text)| (kind, text.to_owned())));
    assert_eq!(
        logged(&pam),
        "Notice authenticate: granted, reference K7QF2M"
    );
}

#[test]
fn the_daemon_hears_what_pam_knows() {
    let mut pam = FakePam::new();
    pam.items.extend([
        ("ruser", b"eve".to_vec()),
        ("tty", b"ssh".to_vec()),
        // A name that the other side chose.
        ("rhost", b"evil\x1b[2J\xff.example".to_vec()),
    ]);
    pam.variables.extend([
        ("SSH_CONNECTION", b"192.0.2.7 50022 192.0.2.1 22".to_vec()),
        (
            "SSH_AUTH_INFO_0",
            b"publickey ssh-ed25519 AAAA\npassword".to_vec(),
        ),
        ("XDG_SESSION_ID", b"c2".to_vec()),
    ]);
    let login = Login {
        service: Line::clean("sshd"),
        user: Line::clean("ada"),
        ruser: Line::clean("eve"),
        rhost: Line::clean("evil\u{fffd}[2J\u{fffd}.example"),
        tty: Line::clean("ssh"),
        ssh_connection: Line::clean("192.0.2.7 50022 192.0.2.1 22"),
        auth_info: Text::clean("publickey ssh-ed25519 AAAA\npassword"),
        monitor: process(20),
    };
    let opened = Opened {
        login: login.clone(),
        audit_session: Some(7),
        xdg_session: Line::clean("c2"),
    };
    let expected = [
        ToDaemon::Begin(login.clone()),
        ToDaemon::Account(login),
        ToDaemon::Open(opened),
        ToDaemon::Close {
            monitor: process(20),
        },
    ];
    for (hook, expected) in HOOKS.into_iter().zip(expected) {
        let code = hook_with_daemon(hook, &mut pam, |daemon, opening| {
            assert_eq!(opening, expected);
            daemon.done(Verdict::Success, "");
        });
        assert_eq!(code, Code::Success);
    }
}

#[test]
fn where_sshd_is_not_the_caller_the_process_itself_is_the_login() {
    let code = hook_with_daemon(
        Hook::CloseSession,
        &mut FakePam::new(),
        |daemon, opening| {
            let monitor: Process = process(21);
            assert_eq!(opening, ToDaemon::Close { monitor });
            daemon.done(Verdict::Success, "");
        },
    );
    assert_eq!(code, Code::Success);
}

/// What the daemon does instead, what of it is in the log, and whether another way may be tried.
type Misdeed = (fn(&mut Daemon), &'static str, Code);

#[test]
fn a_daemon_that_does_not_do_its_part_lets_nobody_in() {
    let away = Code::Unavailable;
    let wrong = Code::AuthenticationFailed;
    let cases: [Misdeed; 11] = [
        (|_| {}, "hung up", away),
        (|it| it.prompt("?"), "hung up", away),
        (|it| it.send(b"\0\0\0\x09\x83\0\0"), "middle", wrong),
        (
            |it| it.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            "too_long",
            wrong,
        ),
        (|it| it.send(b"\0\0\0\x01\x01"), "unknown_kind", wrong),
        // A verdict of zeros.
        (
            |it| it.send(b"\0\0\0\x11\x83\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            "bad_value",
            wrong,
        ),
        (
            |it| it.send(b"\0\0\0\x12\x83\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0x"),
            "trailing_bytes",
            wrong,
        ),
        (
            |it| it.send(b"\0\0\0\x08\x82\0\0\0\x03a\x1bb"),
            "not_text",
            wrong,
        ),
        (|it| while it.hear().is_some() {}, "says nothing", away),
        (
            |it| {
                for _ in 0..40 {
                    it.prompt("again? ");
                }
                while it.hear().is_some() {}
            },
            "too often",
            wrong,
        ),
        (
            |it| {
                let working = ToModule::Working.encode().unwrap();
                it.send(&working.expose().repeat(20_000));
                while it.hear().is_some() {}
            },
            "no end",
            wrong,
        ),
    ];
    for (misdeed, reason, code) in cases {
        let mut pam = FakePam::new();
        let got = hook_with_daemon(Hook::Authenticate, &mut pam, |daemon, _| misdeed(daemon));
        assert_eq!(got, code, "{reason}");
        let log = logged(&pam);
        assert!(log.starts_with("Error authenticate: refused: "), "{log}");
        assert!(log.contains(reason), "{reason}: {log}");
        let told = pam.shown.iter().filter(|(kind, _)| *kind == "error");
        assert_eq!(told.count(), usize::from(code == away), "{reason}");
    }
}

#[test]
fn where_there_is_no_daemon_nobody_is_let_in() {
    let codes = [
        (Hook::Authenticate, Code::Unavailable),
        (Hook::Account, Code::Unavailable),
        (Hook::OpenSession, Code::SessionFailed),
        (Hook::CloseSession, Code::SessionFailed),
        (Hook::SetCredentials, Code::Success),
        (Hook::ChangeToken, Code::TokenFailed),
    ];
    for (hook, code) in codes {
        let mut pam = FakePam::new();
        assert_eq!(hook_alone(hook, &mut pam, &[]), code, "{hook}");
        let told = matches!(hook, Hook::Authenticate | Hook::Account);
        assert_eq!(pam.shown.len(), usize::from(told), "{hook}");
    }
}

#[test]
fn an_argument_that_is_not_understood_refuses_every_hook() {
    let all = [Hook::SetCredentials, Hook::ChangeToken];
    for hook in HOOKS.into_iter().chain(all) {
        let mut pam = FakePam::new();
        let code = hook_alone(hook, &mut pam, &["debug", "try_first_pass"]);
        assert_eq!(code, hook.refusal());
        assert!(logged(&pam).contains("`try_first_pass` is not known"));
    }
}

#[test]
fn nobody_is_asked_outside_of_authenticate() {
    for hook in &HOOKS[1..] {
        let mut pam = FakePam::new();
        let code = hook_with_daemon(*hook, &mut pam, |daemon, _| daemon.prompt("Code: "));
        assert_eq!(code, hook.refusal());
        assert_eq!(pam.shown, []);
    }
}

#[test]
fn a_method_that_takes_no_visible_answer_is_named_and_ends_it_at_once() {
    let mut pam = FakePam::new();
    pam.answers.push_back(Err(Failed::Code(19)));
    let code = hook_with_daemon(Hook::Authenticate, &mut pam, |daemon, _| {
        daemon.prompt("Enter: ");
        assert_eq!(daemon.hear(), None);
    });
    assert_eq!(code, Code::AuthenticationFailed);
    let log = logged(&pam);
    assert!(log.contains("code 19") && log.contains("KbdInteractiveAuthentication yes"));
}

#[test]
fn a_name_is_passed_on_as_it_is_or_not_at_all() {
    for name in [
        &b""[..],
        b"ro\x07ot",
        b"root\n",
        b"r\xc3\x28",
        b"ro\xe2\x80\x8bot",
    ] {
        let mut pam = FakePam::new();
        pam.items.insert("user", name.to_vec());
        for hook in &HOOKS[..3] {
            assert_eq!(hook_alone(*hook, &mut pam, &[]), hook.refusal(), "{name:?}");
        }
    }
    let mut pam = FakePam::new();
    pam.items.remove("user");
    assert_eq!(
        hook_alone(Hook::Authenticate, &mut pam, &[]),
        Code::AuthenticationFailed
    );
}

#[test]
fn what_is_longer_than_it_may_be_is_named() {
    let mut pam = FakePam::new();
    pam.items.insert("rhost", vec![b'a'; 257]);
    let code = hook_with_silent_daemon(Hook::Authenticate, &mut pam);
    assert_eq!(code, Code::AuthenticationFailed);
    assert!(logged(&pam).contains("`rhost` is too long"), "{pam:?}");

    let mut pam = FakePam::new();
    pam.answers = [Ok(Typed::clean(&"7".repeat(5000)))].into();
    let code = hook_with_daemon(Hook::Authenticate, &mut pam, |daemon, _| {
        daemon.prompt("Code: ");
        assert_eq!(daemon.hear(), None);
    });
    assert_eq!(code, Code::AuthenticationFailed);
    let log = logged(&pam);
    assert!(
        log.contains("`answer` is too long") && !log.contains('7'),
        "{log}"
    );
}
