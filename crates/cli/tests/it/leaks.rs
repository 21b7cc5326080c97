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
fn what_other_programs_ask_for_is_on_standard_output_alone() {
    let desk = Desk::signed_in();
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         git = { hosts = [\"git.example.com\"] }\ndocker = { hosts = [\"git.example.com\"] }\n",
    );
    let question = "protocol=https\nhost=git.example.com\n";
    for (command, question) in [
        ("credential kubernetes", ""),
        ("credential kubernetes --access-token", ""),
        ("credential git get", question),
        ("credential docker get", "git.example.com"),
        ("exec --env API_TOKEN -- env", ""),
    ] {
        let program = desk.program(&format!("-vv {command}"));
        let done = program.stdin(question).run().expect_code(0);
        desk.no_secret_is_in(&done.stderr);
        let given = |secret: &String| done.stdout.contains(secret.as_str());
        assert!(desk.provider.secrets().iter().any(given), "{command}");
    }
    // What comes back is not repeated either, and neither is the secret of a proxy.
    let token = desk.run_silently("token");
    let kept = format!(
        "{{\"ServerURL\":\"x.example\",\"Username\":\"a\",\"Secret\":\"{}\"}}",
        token.trim_end()
    );
    for (command, question) in [
        (
            "credential git erase",
            format!("{question}password={token}"),
        ),
        ("credential docker store", kept),
    ] {
        let done = desk
            .program(&format!("-vv {command}"))
            .stdin(question)
            .run();
        desk.no_secret_is_in(&done.stdout);
        desk.no_secret_is_in(&done.stderr);
    }
    let done = desk
        .program("-vv proxy --until-stdin-ends https://localhost:9/v1")
        .run()
        .expect_code(0);
    let (_, secret) = done.stdout.trim_end().rsplit_once('/').expect("an address");
    assert!(secret.len() > 40 && !done.stderr.contains(secret));
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
