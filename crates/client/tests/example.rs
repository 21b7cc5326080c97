//! The example is what a program's author copies: it is short, and it works.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use countersign_testkit::{Endpoint, Finished, Home, Program, Provider};

/// The example as a program. `cargo test` builds it before this; it is missing only when somebody
/// asks for this test alone.
fn example() -> PathBuf {
    // This program is target/PROFILE/deps/example-HASH.
    let deps = std::env::current_exe().unwrap();
    let path = deps.ancestors().nth(2).unwrap().join("examples/login");
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--package",
                "countersign-client",
                "--example",
                "login",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success());
    }
    path
}

fn run(home: &Home, issuer: &str) -> Finished {
    Program::new(example())
        .home(home)
        .env("COUNTERSIGN_NO_BROWSER", "1")
        .args([issuer, "rsctl"])
        .run()
}

#[test]
fn a_login_takes_at_most_ten_lines() {
    let source = include_str!("../examples/login.rs");
    let body = source.split_once("fn main()").unwrap().1;
    let lines = body.lines().skip(1).take_while(|line| *line != "}");
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    assert!(lines.len() <= 10, "{} lines", lines.len());
}

#[test]
fn the_example_signs_a_person_in_once_and_then_uses_the_session() {
    let provider = Provider::start();
    let home = Home::new();
    let first = run(&home, &provider.issuer()).expect_code(0);
    let token = first
        .stdout
        .trim_end()
        .strip_prefix("Authorization: Bearer ")
        .unwrap()
        .to_owned();
    assert!(token.starts_with("secret-access-"), "{}", first.stdout);
    assert_eq!(first.stdout.lines().count(), 1);
    assert!(first.stderr.contains("WDJB-MJHT"), "{}", first.stderr);
    assert!(first.stderr.contains("/device"), "{}", first.stderr);
    for secret in provider.secrets() {
        assert!(!first.stderr.contains(&secret), "{}", first.stderr);
    }

    let asked = provider.server().requests().len();
    let second = run(&home, &provider.issuer()).expect_code(0);
    assert_eq!(second.stdout, first.stdout);
    assert_eq!(second.stderr, "");
    assert_eq!(provider.server().requests().len(), asked);
    assert_eq!(provider.requests(Endpoint::DeviceAuthorization).len(), 1);
}

#[test]
fn a_browser_gets_the_address_and_not_our_standard_output() {
    let provider = Provider::start();
    let home = Home::new();
    let (browser, opened) = (home.path().join("browser"), home.path().join("opened"));
    let script = format!(
        "#!/bin/sh\necho canary; echo canary >&2; echo \"$@\" >{}\n",
        opened.display()
    );
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o700)).unwrap();
    let finished = Program::new(example())
        .home(&home)
        .env("BROWSER", &browser)
        .args([&provider.issuer(), "rsctl"])
        .run()
        .expect_code(0);
    assert!(!finished.stdout.contains("canary"), "{}", finished.stdout);
    assert!(!finished.stderr.contains("canary"), "{}", finished.stderr);
    // The login took a second after the browser was started.
    let opened = std::fs::read_to_string(opened).unwrap();
    assert_eq!(
        opened.trim_end(),
        format!("{}/device?user_code=WDJB-MJHT", provider.issuer())
    );
}

#[test]
fn sixty_four_processes_renew_one_session_once() {
    let provider = Provider::start();
    let home = Home::new();
    // The first token has expired when it arrives; those that replace it live on.
    let mut first = true;
    provider.edit(Endpoint::Token, move |answer| {
        if std::mem::take(&mut first) {
            answer["expires_in"] = 0.into();
        }
    });
    let issuer = provider.issuer();
    // Signing in ends with a renewal, because what came with the login is no good.
    run(&home, &issuer).expect_code(0);
    assert_eq!(renewals(&provider), 1);
    // Now everybody at once, with a session that has to be renewed again: this provider accepts a
    // refresh token a single time, so a second request with the same would be refused.
    make_old(&home);
    let example = example();
    let processes: Vec<_> = (0..64)
        .map(|_| {
            Program::new(&example)
                .home(&home)
                .env("COUNTERSIGN_NO_BROWSER", "1")
                .args([&issuer, "rsctl"])
                .start()
        })
        .collect();
    let said: Vec<String> = processes
        .into_iter()
        .map(|process| process.finish().expect_code(0).stdout)
        .collect();
    assert_eq!(renewals(&provider), 2);
    assert!(said.iter().all(|line| *line == said[0]), "{said:?}");
}

fn renewals(provider: &Provider) -> usize {
    let asked = provider.requests(Endpoint::Token);
    let kind = |request: &countersign_testkit::Request| request.form_value("grant_type");
    asked
        .iter()
        .filter(|request| kind(request).as_deref() == Some("refresh_token"))
        .count()
}

/// Makes the access token in the kept session expire in 1970.
fn make_old(home: &Home) {
    let directory = home.path().join(".local/state/rsctl/sessions");
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = entries
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .last()
        .unwrap();
    let mut session: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    session["record"]["access_token_life"]["expires_at"] = 1.into();
    std::fs::write(&file, session.to_string()).unwrap();
}
