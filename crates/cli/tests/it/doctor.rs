//! `countersign doctor`: what it finds where all is well, and where something is not.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use countersign_testkit::{Endpoint, Reply};
use serde_json::{Value, json};

use crate::desk::Desk;

/// The same kind of place wherever the tests run.
fn desk(mut desk: Desk) -> Desk {
    desk.has_keyring_program();
    desk.export("DISPLAY", ":0");
    desk
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7), so many hours ago.
fn hours_ago(hours: i64) -> String {
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn findings(text: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(text).expect("one JSON object");
    let findings = report.get("findings").and_then(Value::as_array);
    findings.expect("a list").clone()
}

fn level(findings: &[Value], code: &str) -> Option<String> {
    let is = |finding: &&Value| finding.get("code").is_some_and(|known| known == code);
    let level = findings.iter().find(is)?.get("level")?;
    level.as_str().map(str::to_owned)
}

#[test]
fn where_all_is_well_it_says_so() {
    let mut desk = desk(Desk::signed_in());
    desk.provider.deny("login_required", None);
    desk.run("doctor").expect_code(0);
    desk.note("The quiet one says what does not work, the offline one sends nothing.");
    desk.run("doctor -q").expect_code(0);
    let asked = desk.provider.server().requests().len();
    desk.run("doctor --offline").expect_code(0);
    assert_eq!(desk.provider.server().requests().len(), asked);
    desk.check("doctor");
}

#[test]
fn nobody_is_signed_in_or_out_by_it() {
    let desk = desk(Desk::signed_in());
    let before = desk.run_silently("token");
    desk.program("doctor").run().expect_code(0);
    assert_eq!(desk.run_silently("token"), before);
    // A code was asked for, and never redeemed.
    let codes = desk.provider.requests(Endpoint::DeviceAuthorization).len();
    assert_eq!(codes, 2);
    assert_eq!(desk.provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn it_names_what_is_wrong_and_what_to_do() {
    let mut desk = desk(Desk::with_profile());

    desk.note("Another server answers at the profile's issuer.");
    desk.provider
        .edit(Endpoint::OpenIdConfiguration, |document| {
            document["issuer"] = json!("https://other.example.com");
        });
    desk.run("doctor -q").expect_code(7);
    desk.provider.behave(Endpoint::OpenIdConfiguration);

    desk.note("The clock of this computer is three hours ahead.");
    let issuer = desk.provider.issuer();
    let document = json!({
        "issuer": issuer,
        "token_endpoint": desk.provider.url(Endpoint::Token),
        "authorization_endpoint": desk.provider.url(Endpoint::Authorization),
        "device_authorization_endpoint": desk.provider.url(Endpoint::DeviceAuthorization),
        "jwks_uri": desk.provider.url(Endpoint::Jwks),
        "userinfo_endpoint": desk.provider.url(Endpoint::Userinfo),
        "revocation_endpoint": desk.provider.url(Endpoint::Revocation),
    });
    desk.provider.always(
        Endpoint::OpenIdConfiguration,
        Reply::json(200, &document).with_header("date", &hours_ago(3)),
    );
    desk.run("doctor -q").expect_code(1);
    desk.provider.behave(Endpoint::OpenIdConfiguration);

    desk.note("The device grant is switched off for the client.");
    let refusal = json!({
        "error": "unauthorized_client",
        "error_description": "Grant type not allowed for the client.\u{1b}[2J",
    });
    desk.provider
        .always(Endpoint::DeviceAuthorization, Reply::json(400, &refusal));
    desk.run("doctor -q").expect_code(1);
    desk.provider.behave(Endpoint::DeviceAuthorization);

    desk.note("The redirect URI is not registered: the server shows a page.");
    desk.provider.always(
        Endpoint::Authorization,
        Reply::text(400, "text/html", "<title>Callback URL mismatch</title>"),
    );
    desk.run("doctor -q").expect_code(0);
    desk.provider.behave(Endpoint::Authorization);

    desk.note("The server is down.");
    desk.provider
        .always(Endpoint::OpenIdConfiguration, Reply::new(503));
    desk.run("doctor -q").expect_code(3);
    desk.check("doctor-server");
}

#[test]
fn it_names_what_is_wrong_on_this_computer() {
    let mut desk = desk(Desk::with_profile());

    desk.note("Other programs have the registered ports.");
    let taken = [0, 0].map(|_: u8| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [one, two] = taken
        .each_ref()
        .map(|listener| listener.local_addr().expect("it is bound").port());
    let profile = |ports: &str| {
        format!("[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nport = [{ports}]\n")
    };
    desk.hide(&one.to_string(), "PORT-1");
    desk.hide(&two.to_string(), "PORT-2");
    desk.configure(&profile(&format!("{one}, {two}")));
    desk.run("doctor -q --offline").expect_code(1);
    drop(taken);
    desk.run("doctor -q --offline").expect_code(0);

    desk.note("Others can read the sessions.");
    let sessions = desk.home.state_dir().join("sessions");
    fs::create_dir_all(&sessions).expect("the home can be written");
    fs::set_permissions(&sessions, fs::Permissions::from_mode(0o755)).expect("it is ours");
    desk.run("doctor -q --offline").expect_code(1);
    desk.note("Something else stands where they should be.");
    fs::remove_dir(&sessions).expect("it is empty");
    fs::write(&sessions, "").expect("the home can be written");
    desk.run("doctor -q --offline").expect_code(1);
    fs::remove_file(&sessions).expect("it is there");

    desk.note("The secret is everybody's, and the certificate none.");
    let secret = desk.home.path().join("secret");
    fs::write(&secret, "canary-secret").expect("the home can be written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let (secret, ca) = (secret.display(), desk.home.path().join("secret"));
    desk.configure(&format!(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         client_secret_file = \"{secret}\"\nca_cert = [\"{}\"]\n",
        ca.display()
    ));
    let done = desk.run("doctor -q --offline").expect_code(7);
    assert!(!done.stdout.contains("canary"), "{}", done.stdout);

    desk.note("The configuration cannot be read.");
    desk.configure("[profile.default]\nisuer = \"x\"\n");
    desk.run("doctor -q --offline").expect_code(7);
    desk.note("There is none.");
    desk.configure("");
    desk.run("doctor -q --offline").expect_code(7);
    desk.check("doctor-computer");
}

#[test]
fn it_says_whom_the_tokens_are_for() {
    let mut desk = desk(Desk::new());
    desk.note("Auth0 without an audience, before and after the login.");
    desk.configure(
        "[profile.default]\nprovider = \"auth0\"\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n",
    );
    desk.program("login").run().expect_code(0);
    desk.run("doctor -q --offline").expect_code(0);
    desk.check("doctor-audience");
}

#[test]
fn programs_get_one_object_with_codes_that_stay() {
    let desk = desk(Desk::signed_in());
    desk.provider.deny("login_required", None);
    let done = desk.program("doctor --json").run().expect_code(0);
    let report: Value = serde_json::from_str(&done.stdout).expect("one JSON object");
    assert_eq!(report["about"]["profile"], "default");
    assert_eq!(report["about"]["client_id"], "cli");
    assert_eq!(report["about"]["offline"], false);
    assert_ne!(report["worst"], "fault");
    let found = findings(&done.stdout);
    for code in [
        "config_files",
        "profile",
        "browser",
        "loopback_ipv4",
        "store",
        "keyring_program",
        "vault",
        "refresh_token",
        "proxy",
        "tls",
        "discovery",
        "keys",
        "flow_device",
        "flow_code",
        "session",
    ] {
        assert_eq!(
            level(&found, code).as_deref(),
            Some("ok"),
            "{code}: {found:#?}"
        );
    }
    for finding in &found {
        assert!(finding["what"].is_string() && finding["why"].is_array());
        assert!(finding["remedy"].is_array());
    }
}

#[test]
fn a_broken_configuration_is_one_object_too() {
    let desk = desk(Desk::new());
    desk.configure("profile = 3");
    let done = desk.program("doctor --json --offline").run().expect_code(7);
    let found = findings(&done.stdout);
    assert_eq!(level(&found, "config_unusable").as_deref(), Some("fault"));
}
