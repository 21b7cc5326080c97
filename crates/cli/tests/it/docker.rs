//! `countersign credential docker`, under the name by which docker runs it.

use std::os::unix::fs::symlink;

use countersign_testkit::{Finished, Program};
use serde_json::{Value, json};

use crate::desk::Desk;

const CONFIGURATION: &str = "\
[profile.default]
issuer = \"ISSUER\"
client_id = \"cli\"
[profile.default.docker]
hosts = [\"registry.example.com\", \"localhost:5000\"]
";

/// Asks as docker does.
fn helper(desk: &Desk, operation: &str, question: impl Into<Vec<u8>>) -> Finished {
    let link = desk.home.path().join("docker-credential-countersign");
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_countersign"), &link).expect("the home can be written");
    }
    Program::new(link)
        .home(&desk.home)
        .env("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR", desk.system_dir())
        .arg(operation)
        .stdin(question)
        .run()
}

#[test]
fn docker_gets_the_token_of_the_registrys_profile() {
    let desk = Desk::signed_in();
    desk.configure(CONFIGURATION);
    let token = desk.run_silently("token");
    for server in [
        "registry.example.com",
        "https://registry.example.com/v1/",
        "localhost:5000",
    ] {
        let done = helper(&desk, "get", server).expect_code(0);
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        let expected = json!({
            "ServerURL": server, "Username": "oauth2", "Secret": token.trim_end(),
        });
        assert_eq!(answer, expected);
    }
    let done = helper(&desk, "list", "unix").expect_code(0);
    let all: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        all,
        json!({ "registry.example.com": "oauth2", "localhost:5000": "oauth2" })
    );
}

#[test]
fn a_login_that_brings_the_token_back_is_fine_and_another_secret_is_not_lost_in_silence() {
    let desk = Desk::signed_in();
    desk.configure(CONFIGURATION);
    let token = desk.run_silently("token");
    let kept = |server: &str, secret: &str| {
        json!({ "ServerURL": server, "Username": "oauth2", "Secret": secret }).to_string()
    };
    helper(
        &desk,
        "store",
        kept("registry.example.com", token.trim_end()),
    )
    .expect_code(0);
    for question in [
        kept("registry.example.com", "canary"),
        kept("elsewhere.example", token.trim_end()),
    ] {
        let done = helper(&desk, "store", question).expect_code(1);
        // docker shows standard output.
        assert!(
            done.stdout.contains("keeps no passwords"),
            "{}",
            done.stdout
        );
        assert!(!done.stdout.contains("canary") && !done.stderr.contains("canary"));
    }
    helper(&desk, "store", "{\"Secret\":\"canary\"").expect_code(1);
}

#[test]
fn what_docker_is_told() {
    let mut desk = Desk::with_profile();
    desk.ask("credential docker get", "registry.example.com")
        .expect_code(1);
    desk.configure(CONFIGURATION);
    desk.ask("credential docker get", "registry.example.com")
        .expect_code(4);
    desk.program("login").run().expect_code(0);
    desk.ask("credential docker get", "registry.example.com\n")
        .expect_code(0);
    desk.ask("credential docker get", "elsewhere.example")
        .expect_code(1);
    desk.ask("credential docker get", "http://registry.example.com")
        .expect_code(1);
    desk.ask("credential docker list", "").expect_code(0);
    desk.ask("credential docker erase", "registry.example.com")
        .expect_code(1);
    desk.ask("credential docker erase", "elsewhere.example")
        .expect_code(0);
    desk.ask("credential docker version", "").expect_code(2);
    desk.check("credential-docker");
}
