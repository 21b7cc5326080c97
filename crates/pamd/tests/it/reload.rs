//! Another file while the daemon runs: told by `countersign-pamd reload`, by SIGHUP, or noticed at the next login.

use std::process::{Command, Output};

use countersign_pam_wire::{ToDaemon, Verdict};
use countersign_testkit::Provider;
use serde_json::Value;

use crate::fixture::{Fixture, Monitor, account, opened, usual};

/// The daemon's own command, asking at its socket of administrators.
fn ask(fixture: &Fixture, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign-pamd"))
        .args(words)
        .arg("--control")
        .arg(fixture.home.path().join("control.sock"))
        .output()
        .unwrap()
}

/// In how many seconds the only session ends.
fn ends_in(fixture: &Fixture) -> u64 {
    let listed = ask(fixture, &["sessions", "--json"]).stdout;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    listed[0]["ends_in_seconds"].as_u64().unwrap()
}

fn limited(limit: &str) -> String {
    format!("max_session = {limit:?}\n{}", usual())
}

#[test]
fn a_shorter_session_counts_at_once_and_a_bad_file_is_told_and_never_used() {
    let fixture = Fixture::with(&limited("12h"));
    let monitor = Monitor::start();
    let login = monitor.login(&account());
    let done = fixture.begin_as(login.clone()).finish();
    assert_eq!(done.verdict, Verdict::Success, "{:#?}", fixture.log());
    let mut module = fixture.module();
    module.say(&opened(login));
    assert_eq!(module.finish().verdict, Verdict::Success);
    assert!(ends_in(&fixture) > 11 * 3600);

    fixture.reconfigure(&limited("2h"));
    let said = ask(&fixture, &["reload"]);
    assert!(said.status.success(), "{said:?}");
    assert!((3600..=7200).contains(&ends_in(&fixture)));

    fixture.reconfigure(&limited("a while"));
    let said = ask(&fixture, &["reload"]);
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{why}");
    assert!(why.contains("what was in force before stays so"), "{why}");
    assert!(why.contains("pam.toml, line 4"), "{why}");
    assert!((3600..=7200).contains(&ends_in(&fixture)));

    fixture.reconfigure(&limited("1h"));
    let hangup = nix::sys::signal::Signal::SIGHUP;
    let daemon = nix::unistd::Pid::from_raw(fixture.pid().cast_signed());
    nix::sys::signal::kill(daemon, hangup).unwrap();
    fixture.wait_until("the limit is an hour", || ends_in(&fixture) <= 3600);

    // Without a word it is noticed by whoever comes next.
    fixture.reconfigure(&limited("30m"));
    let other = Monitor::start();
    let mut module = fixture.begin_as(other.login(&account()));
    module.prompt();
    assert!(ends_in(&fixture) <= 1800);
}

#[test]
fn the_new_file_lets_nobody_in_by_what_the_server_of_the_old_one_says() {
    let fixture = Fixture::start();
    let mut module = fixture.begin();
    module.prompt();
    fixture.reconfigure_at(&Provider::start(), &usual());
    module.enter();
    let done = module.finish();
    assert_eq!(done.verdict, Verdict::Unavailable, "{:#?}", fixture.log());
    fixture.logged(&["elsewhere now", &done.reference]);
}

#[test]
fn a_key_needs_a_sign_in_from_the_moment_that_the_file_says_so() {
    let fixture = Fixture::start();
    let key = Monitor::start();
    let asks = || {
        let mut module = fixture.module();
        module.say(&ToDaemon::Account(key.login(&account())));
        module.finish().verdict
    };
    assert_eq!(asks(), Verdict::Success);
    fixture.reconfigure(&format!("pubkey_needs_grant = true\n{}", usual()));
    assert!(ask(&fixture, &["reload"]).status.success());
    assert_eq!(asks(), Verdict::Denied);
}
