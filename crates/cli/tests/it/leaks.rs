//! No secret is ever printed where it was not asked for, however much is told.

use countersign_testkit::{Endpoint, Reply};

use crate::desk::Desk;

#[test]
fn at_the_highest_verbosity_no_command_prints_a_secret() {
    let desk = Desk::with_profile();
    let commands = [
        "login",
        "status --verify",
        "status --json --verify",
        "whoami --verify --json",
        "inspect --id-token",
        "inspect --id-token --json",
        "profile show",
        "profile list --json",
        "doctor",
        "doctor --json",
        "logout",
    ];
    for command in commands {
        let done = desk.program(&format!("-vv {command}")).run().expect_code(0);
        desk.no_secret_is_in(&done.stdout);
        desk.no_secret_is_in(&done.stderr);
    }
    let done = desk.program("-vv login").run().expect_code(0);
    assert!(
        done.stderr.contains("POST "),
        "-v tells of requests:\n{}",
        done.stderr
    );
    // What was asked for is on standard output, and there alone.
    let done = desk
        .program("-vv token --force-refresh")
        .run()
        .expect_code(0);
    desk.no_secret_is_in(&done.stderr);
    assert!(
        desk.provider
            .secrets()
            .contains(&done.stdout.trim_end().to_owned())
    );
}

#[test]
fn a_server_that_echoes_secrets_in_its_errors_does_not_make_us_print_them() {
    let desk = Desk::signed_in();
    for (status, body) in [
        (400, "{\"error\":\"TOKEN\"}"),
        (500, "<html>TOKEN</html>"),
        (200, "TOKEN"),
    ] {
        let refresh = desk
            .provider
            .secrets()
            .iter()
            .find(|s| s.starts_with("secret-refresh"))
            .cloned()
            .unwrap();
        let reply = Reply::text(status, "application/json", body.replace("TOKEN", &refresh));
        desk.provider.first(Endpoint::Token, [reply]);
        let done = desk.program("-vv token --force-refresh").run();
        assert_ne!(done.code(), Some(0));
        desk.no_secret_is_in(&done.stdout);
        desk.no_secret_is_in(&done.stderr);
    }
}
