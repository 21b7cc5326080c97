//! How sign-ins run, from the first message of the module to the last.

use std::fs;
use std::time::{Duration, Instant};

use countersign_pam_wire::{ToDaemon, ToModule, Verdict};
use countersign_testkit::{ClientAuthentication, Endpoint, Provider};

use crate::fixture::{Fixture, Monitor, account, login, opened, usual};

#[test]
fn approved_and_in_the_right_account() {
    let fixture = Fixture::start();
    fixture.provider.pending_polls(1);
    let monitor = Monitor::start();
    let login = monitor.login(&account());
    let done = fixture.begin_as(login.clone()).finish();
    assert_eq!(
        done.verdict,
        Verdict::Success,
        "{done:?} {:#?}",
        fixture.log()
    );
    assert!(
        done.text.starts_with("Welcome, Ada Lovelace."),
        "{}",
        done.text
    );
    assert!(done.text.contains(&done.reference));
    assert!(
        done.prompts[0].contains("Code  WDJB-MJHT"),
        "{:?}",
        done.prompts
    );
    let line = fixture.logged(&["login granted", &done.reference]);
    for part in [
        "user=",
        "sub=ada",
        "rule=ada",
        "rhost=192.0.2.7",
        "service=sshd",
    ] {
        assert!(line.contains(part), "{line}");
    }
    // The other hooks find what this one left.
    for message in [
        ToDaemon::Account(login.clone()),
        opened(login.clone()),
        ToDaemon::Close {
            monitor: login.monitor,
        },
    ] {
        let mut module = fixture.module();
        module.say(&message);
        assert_eq!(module.finish().verdict, Verdict::Success, "{message:?}");
    }
    assert_eq!(
        fixture
            .provider
            .requests(Endpoint::DeviceAuthorization)
            .len(),
        1
    );
}

#[test]
fn a_session_that_nobody_was_let_into_does_not_open() {
    let fixture = Fixture::start();
    let monitor = Monitor::start();
    let mut module = fixture.module();
    module.say(&opened(monitor.login(&account())));
    assert_ne!(module.finish().verdict, Verdict::Success);
}

#[test]
fn three_tries_of_one_connection_are_one_flow() {
    let fixture = Fixture::start();
    let denied = serde_json::json!({ "error": "access_denied" });
    fixture.provider.always(
        Endpoint::Token,
        countersign_testkit::Reply::json(400, &denied),
    );
    let first = fixture.sign_in();
    assert_eq!(first.verdict, Verdict::Denied);
    for _ in 0..2 {
        let again = fixture.sign_in();
        assert_eq!((again.verdict, &again.text), (first.verdict, &first.text));
        assert!(again.prompts.is_empty());
    }
    assert_eq!(
        fixture
            .provider
            .requests(Endpoint::DeviceAuthorization)
            .len(),
        1
    );
    // Another connection may try.
    fixture.provider.behave(Endpoint::Token);
    let monitor = Monitor::start();
    let done = fixture.begin_as(monitor.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Success);
}

#[test]
fn who_cannot_get_in_hears_the_same_whatever_the_reason() {
    let fixture = Fixture::start();
    let cases = [
        ("no-such-account-here", "no such account"),
        ("daemon", "no rule is about the account"),
        ("nobody", "no rule is about the account"),
        ("x/../../root", "no such account"),
        ("", "no such account"),
    ];
    let monitors = cases.map(|_| Monitor::start());
    for ((user, reason), monitor) in cases.iter().zip(&monitors) {
        let done = fixture.begin_as(monitor.login(user)).finish();
        assert_eq!(done.verdict, Verdict::Denied);
        let same = done
            .text
            .replace(&done.reference, "XXXXXX")
            .replace('\n', " ");
        let host = nix::unistd::gethostname().unwrap();
        let host = host.to_string_lossy();
        assert_eq!(
            same.trim(),
            format!(
                "Signing in to {host} as {user} is not possible. Ask the administrator of this host and \
                 name the reference XXXXXX."
            )
        );
        fixture.logged(&[&done.reference, reason]);
    }
    // Another service than those that the file names.
    let monitor = Monitor::start();
    let mut login = monitor.login(&account());
    login.service = countersign_pam_wire::Line::clean("gdm");
    let done = fixture.begin_as(login).finish();
    assert_eq!(done.verdict, Verdict::Denied);
    fixture.logged(&[&done.reference, "no rule is for the service"]);
    assert!(
        fixture
            .provider
            .requests(Endpoint::DeviceAuthorization)
            .is_empty()
    );
}

#[test]
fn a_client_that_is_gone_is_waited_for_no_more() {
    let fixture = Fixture::start();
    fixture.provider.pending_polls(1000);
    let mut module = fixture.begin();
    module.prompt();
    let begun = Instant::now();
    drop(module);
    fixture.logged(&["login refused", "nobody waited"]);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // One question may have been on its way.
    let asked = || fixture.provider.requests(Endpoint::Token).len();
    let before = asked();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(asked() <= before + 1, "the polling goes on");
    // And its place is free again.
    fixture.provider.pending_polls(0);
    let monitor = Monitor::start();
    let done = fixture.begin_as(monitor.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Success);
}

#[test]
fn a_second_sign_in_for_an_account_from_the_same_place_has_to_wait() {
    let fixture = Fixture::start();
    fixture.provider.pending_polls(1000);
    let mut first = fixture.begin();
    first.prompt();
    let (same, elsewhere) = (Monitor::start(), Monitor::start());
    let done = fixture.begin_as(same.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Denied);
    fixture.logged(&[&done.reference, "too many sign-ins"]);
    let mut login = elsewhere.login(&account());
    login.ssh_connection = countersign_pam_wire::Line::clean("192.0.2.8 1 192.0.2.1 22");
    fixture.begin_as(login).prompt();
}

#[test]
fn a_changed_file_counts_from_the_next_login_on() {
    let fixture = Fixture::start();
    let try_once = || {
        let monitor = Monitor::start();
        fixture.begin_as(monitor.login(&account())).finish().verdict
    };
    assert_eq!(try_once(), Verdict::Success);
    fixture.reconfigure("isuer = 1\n");
    assert_eq!(try_once(), Verdict::Success);
    fixture.logged(&["configuration failed", "what was in force before stays so"]);
    fixture.reconfigure("min_uid = 0\n");
    assert_eq!(try_once(), Verdict::Denied);
    // Another client is another worker.
    let before = fixture.worker();
    let other = usual().replacen("min_uid", "http_timeout = \"4s\"\nmin_uid", 1);
    fixture.reconfigure(&other);
    assert_eq!(try_once(), Verdict::Success);
    fixture.wait_until("the old worker is gone", || fixture.worker() != before);
}

#[test]
fn a_worker_that_dies_takes_nobody_in_and_another_one_comes() {
    let fixture = Fixture::start();
    fixture.provider.pending_polls(1000);
    let mut module = fixture.begin();
    module.prompt();
    let worker = fixture.worker().expect("there is a worker");
    let worker = rustix::process::Pid::from_raw(worker.cast_signed()).unwrap();
    rustix::process::kill_process(worker, rustix::process::Signal::KILL).unwrap();
    fixture.logged(&["worker failed", "has died"]);
    module.enter();
    let done = module.finish();
    assert_eq!(done.verdict, Verdict::Unavailable);
    assert!(
        done.text.contains("interrupted on this host"),
        "{}",
        done.text
    );
    fixture.provider.pending_polls(0);
    // It is started half a second later, when somebody needs it.
    let served = (0..8).any(|_| {
        std::thread::sleep(Duration::from_millis(300));
        let monitor = Monitor::start();
        let done = fixture.begin_as(monitor.login(&account())).finish();
        done.verdict == Verdict::Success
    });
    assert!(served, "{:#?}", fixture.log());
}

#[test]
fn nonsense_on_the_socket_ends_that_connection_and_nothing_else() {
    let fixture = Fixture::start();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 100],
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, 0x99],
        &[0, 0, 0, 5, 0x01, 0, 0, 0, 0],
    ] {
        let mut module = fixture.module();
        module.send(bytes);
        assert!(module.next().is_none(), "{bytes:?}");
    }
    // An answer that nobody asked for.
    let mut module = fixture.module();
    module.enter();
    assert!(module.next().is_none());
    // Another hook in the middle of a sign-in.
    let mut module = fixture.begin();
    module.prompt();
    module.say(&ToDaemon::Account(login(&account())));
    assert!(module.next().is_none());
    let monitor = Monitor::start();
    let done = fixture.begin_as(monitor.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Success);
}

#[test]
fn a_service_that_shows_text_by_itself_needs_nobody_at_the_keyboard() {
    let fixture = Fixture::with(&format!("auto_continue = true\n{}", usual()));
    fixture.provider.pending_polls(2);
    let mut module = fixture.begin();
    let mut texts = Vec::new();
    let verdict = loop {
        match module.next().unwrap() {
            ToModule::Info { text } => texts.push(text.as_str().to_owned()),
            ToModule::Done { verdict, .. } => break verdict,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(verdict, Verdict::Success);
    assert!(
        texts[0].contains("WDJB-MJHT") && !texts[0].contains('█'),
        "{texts:?}"
    );
    assert!(
        texts.len() > 1 && texts[1..].iter().all(String::is_empty),
        "{texts:?}"
    );
}

#[test]
fn the_worker_has_no_rights_and_the_socket_is_for_its_owner() {
    let fixture = Fixture::start();
    fixture.wait_until_warm();
    let worker = fixture.worker().expect("there is a worker");
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let has = |name: &str, value: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1) == Some(value)
    };
    assert!(has("NoNewPrivs:", "1"), "{status}");
    assert!(has("Seccomp:", "2"), "{status}");
    assert!(
        has("CapEff:", "0000000000000000") || !nix::unistd::geteuid().is_root(),
        "{status}"
    );
    assert!(!has("Uid:", "0"), "{status}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(fixture.socket()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn the_secret_goes_as_the_server_takes_it_and_the_purpose_where_it_is_shown() {
    for (shows, authentication) in [
        (true, ClientAuthentication::SecretPost("hush".to_owned())),
        (false, ClientAuthentication::SecretBasic("hush".to_owned())),
    ] {
        let provider = Provider::start();
        provider.demand_authentication(authentication);
        if shows {
            provider.edit(Endpoint::OpenIdConfiguration, |body| {
                body["countersign_requester_supported"] = true.into();
            });
        }
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        fs::write(&secret, "hush\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&secret, mode).unwrap();
        let config = format!("client_secret_file = {:?}\n{}", secret, usual());
        let fixture = Fixture::at(provider, &config, |_| {});
        let done = fixture.sign_in();
        assert_eq!(
            done.verdict,
            Verdict::Success,
            "{done:?} {:#?}",
            fixture.log()
        );
        let asked = &fixture.provider.requests(Endpoint::DeviceAuthorization)[0];
        let purpose = format!("sshd: log in as {}, from 192.0.2.7", account());
        assert_eq!(
            asked.form_value("countersign_command"),
            shows.then_some(purpose)
        );
        assert_eq!(asked.form_value("countersign_host").is_some(), shows);
    }
}

#[test]
fn a_worker_without_anything_to_do_goes_and_the_next_one_knows_what_it_knew() {
    let provider = Provider::start();
    let fixture = Fixture::at(provider, &usual(), |command| {
        command.args(["--worker-idle", "1"]);
    });
    fixture.wait_until_warm();
    fixture.wait_until("the worker is gone", || fixture.worker().is_none());
    // Longer than it would stay: somebody waits.
    fixture.provider.pending_polls(3);
    assert_eq!(fixture.sign_in().verdict, Verdict::Success);
    let asked = |endpoint| fixture.provider.requests(endpoint).len();
    assert_eq!(
        (asked(Endpoint::OpenIdConfiguration), asked(Endpoint::Jwks)),
        (1, 1)
    );
    fixture.wait_until("the next one is gone", || fixture.worker().is_none());
    assert!(
        !fixture.log().iter().any(|line| line.contains("died")),
        "{:#?}",
        fixture.log()
    );
}
