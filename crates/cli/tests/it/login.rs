//! Signing in, and every way in which it does not come to that.

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;

fn refusal(error: &str) -> Reply {
    let description = "Because.\u{1b}[2J\u{202e}";
    Reply::json(
        400,
        &json!({ "error": error, "error_description": description }),
    )
}

#[test]
fn a_first_login_makes_a_profile_and_a_session() {
    let mut desk = Desk::new();
    desk.run("login --issuer ISSUER").expect_code(0);
    desk.run("whoami").expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.note("Again, and for a second server under another name");
    desk.run("login").expect_code(0);
    desk.run("-p other login --issuer ISSUER --client-id terminal --scope openid")
        .expect_code(0);
    desk.run("profile list").expect_code(0);
    desk.run("-p other status").expect_code(0);
    desk.check("login");
}

#[test]
fn what_was_asked_for_reaches_the_server() {
    let desk = Desk::with_profile();
    desk.program("login --scope openid --scope stock:read --audience stock --resource https://stock.example/v1 --param tenant=blue")
        .run()
        .expect_code(0);
    let requests = desk.provider.requests(Endpoint::DeviceAuthorization);
    let asked = |name| requests[0].form_value(name);
    assert_eq!(asked("scope").as_deref(), Some("openid stock:read"));
    assert_eq!(asked("audience").as_deref(), Some("stock"));
    assert_eq!(
        asked("resource").as_deref(),
        Some("https://stock.example/v1")
    );
    assert_eq!(asked("tenant").as_deref(), Some("blue"));
    assert_eq!(asked("client_id").as_deref(), Some("cli"));
    assert_eq!(asked("client_secret"), None);
}

#[test]
fn every_way_a_login_fails_has_its_exit_code() {
    let mut desk = Desk::with_profile();
    for (error, code) in [
        ("access_denied", 5),
        ("expired_token", 6),
        ("invalid_client", 7),
        ("invalid_grant", 1),
    ] {
        desk.note(&format!("The server answers {error}."));
        desk.provider.first(Endpoint::Token, [refusal(error)]);
        desk.run("login").expect_code(code);
    }
    desk.note("The client may not use the device grant.");
    desk.provider.first(
        Endpoint::DeviceAuthorization,
        [refusal("unauthorized_client")],
    );
    desk.run("login").expect_code(7);
    desk.note("The server is down.");
    desk.provider
        .first(Endpoint::DeviceAuthorization, [Reply::new(503)]);
    desk.run("login").expect_code(3);
    desk.note("Nobody approves.");
    desk.provider.pending_polls(1000);
    desk.run("login --login-timeout 1s").expect_code(6);
    desk.note("None of this has signed anybody in.");
    desk.run("status").expect_code(4);
    desk.check("login-failures");
}

#[test]
fn a_server_that_cannot_be_found_is_named() {
    let mut desk = Desk::new();
    // Port 9 of this computer is nobody's.
    desk.run("login --issuer http://127.0.0.1:9").expect_code(3);
    desk.note("Not an authorization server");
    desk.provider
        .always(Endpoint::OpenIdConfiguration, Reply::new(404));
    desk.provider
        .always(Endpoint::OauthMetadata, Reply::new(404));
    desk.run("login --issuer ISSUER").expect_code(7);
    desk.note("Not an issuer");
    desk.run("login --issuer http://login.example.com")
        .expect_code(7);
    desk.run("login --issuer login.example.com").expect_code(7);
    desk.note("No profile was made of any of these.");
    desk.run("profile list").expect_code(0);
    desk.check("no-server");
}

#[test]
fn a_login_that_could_not_be_kept_is_not_begun() {
    let mut desk = Desk::with_profile();
    std::fs::write(desk.home.state_dir(), "in the way").unwrap();
    desk.run("login").expect_code(9);
    assert!(
        desk.provider
            .requests(Endpoint::DeviceAuthorization)
            .is_empty()
    );
    desk.check("no-storage");
}

#[test]
fn a_login_is_refused_where_it_would_be_of_no_use() {
    let mut desk = Desk::with_profile();
    desk.note("Another server than the profile's");
    desk.run("login --issuer https://login.example.com")
        .expect_code(2);
    desk.export("COUNTERSIGN_TOKEN", "ready-made");
    desk.run("login").expect_code(2);
    desk.unset("COUNTERSIGN_TOKEN");
    assert!(desk.provider.server().requests().is_empty());
    desk.check("login-refused");
}

#[test]
fn environment_alone_is_enough_and_leaves_no_profile() {
    let mut desk = Desk::new();
    desk.export("COUNTERSIGN_ISSUER", "ISSUER");
    desk.export("COUNTERSIGN_CLIENT_ID", "container");
    desk.run("login").expect_code(0);
    desk.run("status").expect_code(0);
    desk.run("token -o header").expect_code(0);
    desk.run("logout").expect_code(0);
    desk.run("status").expect_code(4);
    desk.run("profile list").expect_code(0);
    desk.check("environment");
}

#[test]
fn a_client_secret_comes_from_a_file_and_goes_to_the_server_alone() {
    let mut desk = Desk::new();
    desk.configure("[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nclient_secret_file = \"secret\"\n");
    desk.run("login").expect_code(7);
    std::fs::write(
        desk.home.config_dir().join("secret"),
        "canary-client-secret\n",
    )
    .unwrap();
    desk.provider
        .edit_id_token(|_, claims| claims["aud"] = "cli".into());
    let done = desk.program("-vv login").run().expect_code(0);
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("canary-client-secret"));
    let requests = desk.provider.requests(Endpoint::Token);
    let last = requests.last().unwrap();
    let sent = last.header("authorization").is_some() || last.form_value("client_secret").is_some();
    assert!(sent, "{last:?}");
    desk.check("client-secret");
}
