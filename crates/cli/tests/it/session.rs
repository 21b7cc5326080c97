//! A session from its first token to its end: `token`, `status`, `whoami`, `logout`.

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;

#[test]
fn a_token_in_every_format() {
    let mut desk = Desk::signed_in();
    desk.run("token").expect_code(0);
    desk.run("get-token").expect_code(0);
    desk.run("token -o header").expect_code(0);
    desk.run("token -o env").expect_code(0);
    desk.run("token -o json").expect_code(0);
    desk.run("token --id-token").expect_code(0);
    desk.run("token --id-token -o json").expect_code(0);
    desk.check("token");
}

#[test]
fn a_cached_token_costs_no_request() {
    let desk = Desk::signed_in();
    let before = desk.provider.server().connections();
    for arguments in [
        "token",
        "token -o json",
        "token --id-token",
        "credential kubernetes",
        "status",
        "whoami",
    ] {
        desk.program(arguments).run().expect_code(0);
    }
    assert_eq!(desk.provider.server().connections(), before);
}

#[test]
fn a_token_with_too_little_life_left_is_renewed() {
    let desk = Desk::with_profile();
    desk.provider
        .edit(Endpoint::Token, |answer| answer["expires_in"] = json!(100));
    desk.program("login").run().expect_code(0);
    let first = desk.program("token").run().expect_code(0).stdout;
    assert_eq!(desk.program("token").run().expect_code(0).stdout, first);
    desk.provider.behave(Endpoint::Token);
    let forced = desk
        .program("token --force-refresh")
        .run()
        .expect_code(0)
        .stdout;
    assert_ne!(forced, first);
    assert_eq!(
        desk.program("token --min-ttl 2m")
            .run()
            .expect_code(0)
            .stdout,
        forced
    );
}

#[test]
fn a_session_that_the_server_has_ended_asks_for_a_login_and_starts_none() {
    let mut desk = Desk::signed_in();
    let refused = Reply::json(400, &json!({ "error": "invalid_grant" }));
    desk.provider.always(Endpoint::Token, refused);
    desk.run("token --force-refresh").expect_code(4);
    desk.note("The access token is good until it expires.");
    desk.run("token").expect_code(0);
    desk.run("status").expect_code(0);
    desk.provider.always(
        Endpoint::Userinfo,
        Reply::new(401).with_header("www-authenticate", "Bearer error=\"invalid_token\""),
    );
    desk.run("status --verify").expect_code(4);
    desk.run("whoami --verify").expect_code(4);
    desk.check("ended");
}

#[test]
fn a_session_that_has_run_out_asks_for_a_login() {
    let mut desk = Desk::with_profile();
    desk.provider.edit(Endpoint::Token, |answer| {
        answer["expires_in"] = json!(0);
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    desk.program("login").run().expect_code(0);
    desk.run("token").expect_code(4);
    desk.run("status").expect_code(4);
    desk.run("status --json").expect_code(4);
    desk.run("whoami").expect_code(0);
    desk.check("expired");
}

#[test]
fn a_server_that_is_down_ends_no_session() {
    let mut desk = Desk::signed_in();
    desk.provider.always(Endpoint::Token, Reply::new(503));
    desk.provider.always(Endpoint::Userinfo, Reply::new(503));
    desk.run("token --force-refresh").expect_code(3);
    desk.run("status --verify").expect_code(3);
    desk.note("The token is still good.");
    desk.run("token").expect_code(0);
    desk.run("status").expect_code(0);
    desk.check("server-down");
}

#[test]
fn status_and_whoami_tell_people_and_scripts() {
    let mut desk = Desk::signed_in();
    desk.run("status").expect_code(0);
    desk.run("status --json").expect_code(0);
    desk.run("status --verify").expect_code(0);
    desk.run("whoami").expect_code(0);
    desk.run("whoami --json").expect_code(0);
    desk.run("whoami --verify").expect_code(0);
    desk.check("status");
}

#[test]
fn a_server_that_asks_for_a_stronger_login_is_heard() {
    let mut desk = Desk::signed_in();
    // RFC 9470, section 3.
    let challenge = "Bearer error=\"insufficient_user_authentication\", acr_values=\"strong\"";
    let reply = Reply::new(401).with_header("www-authenticate", challenge);
    desk.provider.always(Endpoint::Userinfo, reply);
    desk.run("whoami --verify").expect_code(8);
    desk.check("step-up");
}

#[test]
fn logout_revokes_and_deletes() {
    let mut desk = Desk::signed_in();
    desk.run("logout").expect_code(0);
    let revoked = desk.provider.requests(Endpoint::Revocation);
    let hints: Vec<_> = revoked
        .iter()
        .map(|request| request.form_value("token_type_hint").unwrap())
        .collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
    desk.run("token").expect_code(4);
    desk.run("logout").expect_code(0);
    desk.note("When the server is down, the session is deleted all the same.");
    desk.program("login").run().expect_code(0);
    desk.provider.always(Endpoint::Revocation, Reply::new(503));
    desk.run("logout").expect_code(3);
    desk.run("token").expect_code(4);
    desk.check("logout");
}

#[test]
fn a_server_without_revocation_is_said_to_be_one() {
    let mut desk = Desk::with_profile();
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        desk.provider.edit(endpoint, |metadata| {
            metadata
                .as_object_mut()
                .unwrap()
                .remove("revocation_endpoint");
        });
    }
    desk.program("login").run().expect_code(0);
    desk.run("logout").expect_code(0);
    desk.check("logout-without-revocation");
}

#[test]
fn logout_of_everything_ends_every_session() {
    let mut desk = Desk::signed_in();
    desk.program("-p second login --issuer ISSUER")
        .run()
        .expect_code(0);
    desk.run("profile rm second").expect_code(2);
    desk.run("logout --all").expect_code(0);
    desk.run("logout --all").expect_code(0);
    desk.run("profile rm second").expect_code(0);
    desk.check("logout-all");
}

#[test]
fn a_ready_made_token_wins_over_the_session() {
    let mut desk = Desk::signed_in();
    desk.export("COUNTERSIGN_TOKEN", "ready-made");
    desk.run("token").expect_code(0);
    desk.run("token -o json").expect_code(0);
    desk.run("token --id-token").expect_code(2);
    desk.run("status").expect_code(0);
    desk.run("whoami").expect_code(1);
    desk.run("logout").expect_code(0);
    desk.unset("COUNTERSIGN_TOKEN");
    desk.export("COUNTERSIGN_TOKEN", "two\\ words");
    desk.run("token").expect_code(1);
    desk.check("ready-made-token");
}

#[test]
fn a_damaged_session_is_set_aside_and_blocks_no_login() {
    let mut desk = Desk::signed_in();
    let file = desk.home.state_dir().join("sessions/default.json");
    assert!(file.is_file(), "the session is in {}", file.display());
    std::fs::write(&file, "{ torn").unwrap();
    desk.run("token").expect_code(9);
    desk.run("login").expect_code(0);
    desk.run("status").expect_code(0);
    desk.check("damaged");
}

#[test]
fn a_changed_profile_does_not_get_the_old_servers_token() {
    let mut desk = Desk::signed_in();
    desk.configure("[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"other\"\n");
    desk.run("token").expect_code(4);
    desk.check("changed-profile");
}

#[test]
fn standard_output_that_cannot_be_written_is_an_error() {
    let desk = Desk::signed_in();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("token")
        .envs(desk.home.environment())
        .stdout(full)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
