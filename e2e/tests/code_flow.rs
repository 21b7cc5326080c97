//! The real `countersign` signs in through a browser at the real `countersign-issuer` and at npm's
//! `oidc-provider`: through a real Chromium, and by plain HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_e2e::{Cli, Desktop, Issuer, NodeProvider, Person, Visiting};
use countersign_testkit::{Browser, Finished, HttpServer, Reply};
use serde_json::json;

/// Signed in, known, renewed, and signed out.
fn use_session(cli: &Cli, done: &Finished) {
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    let token = cli.run("token").expect_code(0).stdout;
    assert_eq!(token.lines().count(), 1);
    cli.run("whoami --verify").expect_code(0);
    let renewed = cli.run("token --force-refresh").expect_code(0).stdout;
    assert_ne!(renewed, token);
    let left = cli.run("logout").expect_code(0);
    assert!(
        left.stderr.contains("revoked at the server"),
        "{}",
        left.stderr
    );
    cli.run("token").expect_code(4);
}

fn at(issuer: &str) -> String {
    format!("--issuer {issuer} --client-id cli")
}

#[test]
fn at_our_issuer_by_plain_http() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(issuer.issuer()));
    let page = issuer.authorize(&mut Browser::new(), &login.address, "approve");
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    assert!(page.text().contains("Ada Lovelace"), "{}", page.text());
    use_session(&cli, &login.finish());
}

/// The address reaches the browser as it does for people: `countersign` sits at a terminal and
/// starts the browser's command itself.
#[test]
fn at_our_issuer_in_a_real_browser() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = Desktop::new().login(&cli, &at(issuer.issuer()));
    let person = Person::new();
    let seen = issuer.authorize_in(&person, &login.address, "approve");
    assert_eq!(seen.heading, "You are signed in");
    assert!(seen.text.contains("Ada Lovelace"), "{}", seen.text);
    person.looks_right("loopback-signed-in");
    person.leave();
    let done = login.process.finish().expect_code(0);
    assert!(
        done.stdout.contains("Welcome, Ada Lovelace."),
        "{}",
        done.stdout
    );
    cli.run("whoami --verify").expect_code(0);
}

#[test]
fn at_oidc_provider_by_plain_http() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let login = cli.start_browser(&at(provider.issuer()));
    let page = provider.authorize(&mut Browser::new(), &login.address, "ada");
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    use_session(&cli, &login.finish());
}

#[test]
fn at_oidc_provider_in_a_real_browser() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let login = cli.start_browser(&at(provider.issuer()));
    let person = Person::among_strangers();
    let seen = provider.authorize_in(&person, &login.address, "ada");
    assert_eq!(seen.heading, "You are signed in");
    person.leave();
    use_session(&cli, &login.finish());
}

#[test]
fn at_oidc_provider_with_pushed_requests_and_bound_tokens() {
    let provider = NodeProvider::start(&json!({ "par": true, "dpop": true }));
    let cli = Cli::new();
    let login = cli.start_browser(&format!("{} --dpop=required", at(provider.issuer())));
    assert!(login.asked("request_uri").starts_with("urn:"));
    assert!(
        !login.address.contains("code_challenge"),
        "{}",
        login.address
    );
    provider.authorize(&mut Browser::new(), &login.address, "ada");
    let done = login.finish();
    assert_eq!(
        done.code(),
        Some(0),
        "{}{}",
        done.stderr,
        provider.complaints()
    );
    let token = cli.run("token").expect_code(0).stdout;
    let bound = provider.introspect(token.trim());
    assert!(bound["cnf"]["jkt"].is_string(), "{bound}");
    use_session(&cli, &done);
}

#[test]
fn at_our_issuer_with_bound_tokens() {
    let issuer = Issuer::start();
    issuer.administer("client add bound --dpop --redirect-uri http://127.0.0.1/callback");
    let cli = Cli::new();
    let login = cli.start_browser(&format!(
        "--issuer {} --client-id bound --dpop",
        issuer.issuer()
    ));
    issuer.authorize(&mut Browser::new(), &login.address, "approve");
    use_session(&cli, &login.finish());
}

fn denied(login: Visiting) {
    let done = login.finish().expect_code(5);
    assert!(
        done.stderr.contains("code: access_denied"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("\nhint: "), "{}", done.stderr);
}

#[test]
fn who_denies_at_our_issuer_is_told_in_both_places() {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let login = cli.start_browser(&at(issuer.issuer()));
    let person = Person::new();
    let seen = issuer.authorize_in(&person, &login.address, "deny");
    assert_eq!(seen.heading, "The sign-in was refused");
    assert!(seen.text.contains("access_denied"), "{}", seen.text);
    person.looks_right("loopback-denied");
    person.leave();
    denied(login);
}

#[test]
fn who_cancels_at_oidc_provider_is_told_in_both_places() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let login = cli.start_browser(&at(provider.issuer()));
    let page = provider.cancel(&mut Browser::new(), &login.address);
    assert!(page.text().contains("access_denied"), "{}", page.text());
    denied(login);
}

/// `docs/callback` behind a redirect URI, and what it shows carried to the terminal by hand: the code
/// from the page, or the address where the browser runs no scripts.
#[test]
fn a_page_that_shows_the_code_is_enough_to_paste_from() {
    let issuer = Issuer::start();
    let host = HttpServer::start();
    let page = include_str!("../../docs/callback/index.html");
    host.on("GET", "/callback", Reply::text(200, "text/html", page));
    let arguments = format!(
        "login --flow paste --redirect-uri {} {}",
        host.url("/callback"),
        at(issuer.issuer())
    );
    for person in [Person::with_scripts(), Person::new()] {
        let cli = Cli::new();
        let login = Visiting::start(cli.command(&arguments).listening());
        let seen = issuer.authorize_in(&person, &login.address, "approve");
        assert_eq!(seen.heading, "One step left");
        let code = seen.text.split_whitespace().find(|word| word.len() == 43);
        login.process.tell(code.unwrap_or(&seen.url));
        assert_eq!(code.is_none(), seen.url.contains("code="), "{}", seen.url);
        login.finish().expect_code(0);
        cli.run("whoami --verify").expect_code(0);
        person.leave();
    }
}
