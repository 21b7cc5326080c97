//! The demo with somebody at the terminal, as most people meet Countersign for the first time: the real
//! thing on a pseudo-terminal, with the person played here.
//!
//! `cargo demo -- --unattended` plays the person itself, with the same programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;

use countersign_testkit::{Browser, Left, Program, Terminal};

use crate::able_to_build;

/// Walks through the demo up to the password, types `reply` with the one that is shown, and sees that
/// nothing stays behind.
fn walked(reply: impl FnOnce(&str) -> String) -> (String, Left) {
    let place = tempfile::tempdir().unwrap();
    let program = Program::new("/usr/bin/setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_countersign-demo")])
        .env("TERM", "xterm")
        .env("TMPDIR", place.path())
        .env("COUNTERSIGN_NO_BROWSER", "1");
    let mut demo = able_to_build(program).at_terminal();

    let mut browser = Browser::new();
    let first = address(&demo, "");
    let shown = demo.text();
    let told = |what: &str| {
        let line = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix(what));
        line.expect("it is said").trim().to_owned()
    };
    let page = browser.get(&first);
    let credentials = [
        ("username", &*told("username")),
        ("password", &*told("password")),
    ];
    let page = browser.submit(&page, &page.form_with("username"), &credentials);
    browser.submit(
        &page,
        &page.form_with("decision"),
        &[("decision", "approve")],
    );

    // The browser is signed in by now: opsctl asks for a yes alone.
    let page = browser.get(&address(&demo, &first));
    browser.submit(
        &page,
        &page.form_with("decision"),
        &[("decision", "approve")],
    );

    let shown = demo.see_that("the prompt", |text| {
        text.ends_with("please enter yubikey OTP:")
    });
    assert!(shown.contains("This one is simulated"), "{shown}");
    let password = shown
        .lines()
        .map(str::trim)
        .find(|line| line.len() == 44 && line.bytes().all(|byte| byte.is_ascii_lowercase()));
    let password = password.expect("the password is shown").to_owned();
    demo.types(&reply(&password));
    let left = demo.end();
    let remains = fs::read_dir(place.path()).unwrap().count();
    assert_eq!(remains, 0, "{}", left.text);
    (password, left)
}

/// The next address that the person is to open, which is not `before`.
fn address(demo: &Terminal, before: &str) -> String {
    let find = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| {
            line.starts_with("http") && line.contains("user_code=") && *line != before
        });
        line.map(str::to_owned)
    };
    let text = demo.see_that("an address", |text| find(text).is_some());
    find(&text).unwrap()
}

#[test]
fn a_person_signs_in_twice_and_types_one_password() {
    let (password, left) = walked(|password| format!("{password}\n"));
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let mut rest = left.written.as_str();
    for words in [
        "signed in as Ada <ada@",
        "resource foobar deleted",
        "401 Unauthorized: the request needs a one-time password",
        ") deleted \"foobar\" with",
        "typed by the demo",
        "That one was used before.",
        "barfoo is still there",
        "That was the main job.",
    ] {
        let (_, after) = rest.split_once(words).unwrap_or_else(|| {
            panic!("{words:?} does not come where it should:\n{}", left.written)
        });
        rest = after;
    }
    // Shown once, to be copied, and never by opsctl or its API.
    assert_eq!(left.written.matches(&password).count(), 1);
}

#[test]
fn ctrl_c_at_the_password_ends_all_of_it() {
    let (_, left) = walked(|_| "\u{3}".to_owned());
    assert_eq!(left.status.code(), Some(130), "{}", left.text);
    assert!(!left.written.contains("resource foobar deleted"));
}
