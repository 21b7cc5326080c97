//! An API asks for a stronger or fresher sign-in (RFC 9470), and the real `countersign` gets it: at npm's
//! `oidc-provider` and at the real `countersign-issuer`, by browser and by device grant.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_e2e::{Authenticator, Cli, Issuer, NodeProvider};
use countersign_testkit::{Browser, Finished, HttpServer, Reply};
use serde_json::{Value, json};

/// Plays the person at the page that is shown.
type Approve<'a> = &'a dyn Fn(&str);

/// The same person, who always signs in this way.
fn cli(flow: &str) -> Cli {
    Cli::new().with([
        ("COUNTERSIGN_FLOW", flow.to_owned()),
        ("COUNTERSIGN_NO_BROWSER", "1".to_owned()),
    ])
}

/// Runs a command at a terminal, and approves the sign-in that it asks for.
fn approved(cli: &Cli, issuer: &str, arguments: &str, approve: Approve<'_>) -> Finished {
    let process = cli.command_at_terminal(arguments).start();
    let address = process.wait_for_stdout(|text| {
        let (lines, _) = text.rsplit_once('\n')?;
        let is_page = |line: &&str| line.starts_with(issuer) && !line.contains(' ');
        lines
            .lines()
            .find(is_page)
            .map(|line| line.trim().to_owned())
    });
    approve(&address);
    process.finish()
}

/// What the ID token says of the sign-in.
fn claims(cli: &Cli) -> Value {
    payload(&cli.run("token --id-token").expect_code(0).stdout)
}

fn payload(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Signs in, and calls an API that asks for this before it answers.
fn stepped_up(cli: &Cli, issuer: &str, parameters: &str, approve: Approve<'_>) {
    let login = format!("login --qr never --issuer {issuer} --client-id cli");
    approved(cli, issuer, &login, approve).expect_code(0);
    let before = cli.run("token").expect_code(0).stdout;
    let challenge = format!("Bearer error=\"insufficient_user_authentication\", {parameters}");
    let api = HttpServer::start();
    let refused = Reply::new(401).with_header("www-authenticate", &challenge);
    let done = Reply::json(200, &json!({ "done": true }));
    api.on_sequence("DELETE", "/items/1", [refused, done]);
    let line = format!("curl {} -sS -X DELETE", api.url("/items/1"));
    let done = approved(cli, issuer, &line, approve).expect_code(0);
    assert!(done.stdout.contains("{\"done\":true}"), "{}", done.stdout);
    let after = cli.run("token").expect_code(0).stdout;
    assert_ne!(before, after);
    let bearer = format!("Bearer {}", after.trim_end());
    let requests = api.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("authorization"), Some(bearer.as_str()));
}

#[test]
fn at_oidc_provider_by_browser_and_by_device_grant() {
    for flow in ["browser", "device"] {
        let provider = NodeProvider::start(&json!({ "acr": ["pwd", "mfa"] }));
        let cli = cli(flow);
        let approve = |address: &str| {
            if flow == "device" {
                provider.approve(address, "ada");
            } else {
                provider.authorize(&mut Browser::new(), address, "ada");
            }
        };
        let parameters = "acr_values=\"mfa\", max_age=\"300\"";
        stepped_up(&cli, provider.issuer(), parameters, &approve);
        let claims = claims(&cli);
        assert_eq!(claims["acr"], "mfa", "{flow}");
        assert!(claims["auth_time"].is_i64(), "{flow}");
    }
}

/// It knows the class, and a person who cannot reach it gets a token all the same.
#[test]
fn what_oidc_provider_does_not_reach_is_said() {
    let provider = NodeProvider::start(&json!({ "acr": ["pwd", "mfa"] }));
    let cli = cli("browser");
    let approve = |address: &str| {
        provider.authorize(&mut Browser::new(), address, "ada");
    };
    let issuer = provider.issuer();
    let login = format!("login --qr never --issuer {issuer} --client-id cli");
    approved(&cli, issuer, &login, &approve).expect_code(0);
    let before = cli.run("token").expect_code(0).stdout;
    let done = approved(&cli, issuer, "stepup --acr phr", &approve).expect_code(8);
    assert!(
        done.stdout.contains("`acr` is pwd, expected phr"),
        "{}",
        done.stdout
    );
    assert_eq!(cli.run("token").expect_code(0).stdout, before);
}

/// A person whose browser is signed in at our issuer steps up; what was asked for at the sign-in, and
/// then at the step.
fn at_ours(
    cli: &Cli,
    issuer: &Issuer,
    authenticator: &Authenticator,
    parameters: &str,
) -> Vec<Vec<&'static str>> {
    let browser = RefCell::new(Browser::new());
    let asked = RefCell::new(Vec::new());
    let approve = |address: &str| {
        let mut browser = browser.borrow_mut();
        let this_time = issuer.do_as_asked(&mut browser, address, Some(authenticator));
        asked.borrow_mut().push(this_time);
    };
    stepped_up(cli, issuer.issuer(), parameters, &approve);
    asked.into_inner()
}

#[test]
fn at_our_issuer_the_missing_factor_is_asked_for_by_browser_and_by_device_grant() {
    for flow in ["browser", "device"] {
        let issuer = Issuer::start_with(&["--second-factor", "on-request"]);
        let authenticator = issuer.set_up_authenticator();
        let cli = cli(flow);
        let parameters = "acr_values=\"phr mfa\", max_age=\"300\"";
        let asked = at_ours(&cli, &issuer, &authenticator, parameters);
        assert_eq!(asked, [vec!["password"], vec!["code"]], "{flow}");
        // The API hears it from the access token, and so does whoever asks about that.
        let access = cli.run("token").expect_code(0).stdout;
        for claims in [claims(&cli), payload(&access)] {
            assert_eq!(claims["acr"], "mfa", "{flow}");
            assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]), "{flow}");
            assert!(claims["auth_time"].is_i64(), "{flow}");
        }
        assert_eq!(issuer.introspect(access.trim())["acr"], "mfa", "{flow}");
        // Renewing makes it neither more nor less.
        let renewed = cli.run("token --force-refresh").expect_code(0).stdout;
        for name in ["acr", "auth_time"] {
            assert_eq!(payload(&renewed)[name], payload(&access)[name], "{flow}");
        }
    }
}

#[test]
fn at_our_issuer_a_fresh_sign_in_is_asked_for_by_browser_and_by_device_grant() {
    for flow in ["browser", "device"] {
        let issuer = Issuer::start_with(&["--second-factor", "on-request"]);
        let authenticator = issuer.set_up_authenticator();
        let cli = cli(flow);
        let asked = at_ours(&cli, &issuer, &authenticator, "max_age=\"0\"");
        assert_eq!(asked, [vec!["password"], vec!["password"]], "{flow}");
        assert_eq!(claims(&cli)["acr"], "1", "{flow}");
        assert!(claims(&cli)["auth_time"].is_i64());
    }
}

/// Whoever has a second factor is asked for both where both have to be fresh.
#[test]
fn at_our_issuer_a_fresh_sign_in_with_both_is_asked_for() {
    let issuer = Issuer::start_with(&["--second-factor", "on-request", "--mfa-acr", "urn:x:two"]);
    let authenticator = issuer.set_up_authenticator();
    let cli = cli("device");
    let parameters = "acr_values=\"urn:x:two\", max_age=\"0\"";
    let asked = at_ours(&cli, &issuer, &authenticator, parameters);
    assert_eq!(asked, [vec!["password"], vec!["password", "code"]]);
    assert_eq!(claims(&cli)["acr"], "urn:x:two");
}

/// RFC 9470, section 5: `unmet_authentication_requirements`, and the session is as it was.
#[test]
fn what_a_person_at_our_issuer_cannot_reach_is_said() {
    for flow in ["browser", "device"] {
        let issuer = Issuer::start();
        let cli = cli(flow);
        let browser = RefCell::new(Browser::new());
        let login = format!(
            "login --qr never --issuer {} --client-id cli",
            issuer.issuer()
        );
        let approve = |address: &str| {
            issuer.do_as_asked(&mut browser.borrow_mut(), address, None);
        };
        approved(&cli, issuer.issuer(), &login, &approve).expect_code(0);
        let before = cli.run("token").expect_code(0).stdout;
        let visit = |address: &str| {
            if flow == "device" {
                approve(address);
            } else {
                // The issuer answers for itself, and there is nothing to press.
                browser.borrow_mut().get(address);
            }
        };
        let done = approved(&cli, issuer.issuer(), "stepup --acr mfa", &visit);
        assert_ne!(done.code(), Some(0), "{flow}");
        assert!(
            done.stdout.contains("unmet_authentication_requirements"),
            "{flow}: {}",
            done.stdout
        );
        assert_eq!(cli.run("token").expect_code(0).stdout, before, "{flow}");
    }
}
