//! The real `countersign` at the real `countersign-issuer`, where the issuer asks of a client all that it
//! can ask: signed assertions, pushed requests, tokens bound to a key, and a nonce in every proof.

#![allow(clippy::indexing_slicing, reason = "helpers of tests fail like tests")]

use countersign_e2e::{Cli, Issuer};
use countersign_testkit::{Browser, Finished};

/// What every session can do, whoever it is about.
fn use_session(issuer: &Issuer, cli: &Cli, who: &str) -> Finished {
    let token = cli.run("token").expect_code(0);
    let token = token.stdout.trim().to_owned();
    // Introspection tells `cli` about its own tokens only, and this is none.
    assert_eq!(issuer.introspect(&token)["active"], false);
    let shown = cli.run("whoami").expect_code(0);
    assert!(shown.stdout.contains(who), "{}", shown.stdout);
    let renewed = cli.run("token --force-refresh").expect_code(0);
    assert_ne!(renewed.stdout.trim(), token, "another token");
    let left = cli.run("logout").expect_code(0);
    cli.run("token").expect_code(4);
    left
}

#[test]
fn a_person_signs_in() {
    let issuer = Issuer::start_with(&["--require-dpop-nonce", "--require-par"]);
    let cli = Cli::new();
    let key = cli.home().path().join("key.pem");
    issuer.administer(&format!(
        "client add tool --new-key {} --dpop --redirect-uri http://127.0.0.1/callback \
         --redirect-uri http://127.0.0.1/",
        key.display()
    ));
    let login = cli.start_browser(&format!(
        "--issuer {} --client-id tool --client-key-file {} --dpop",
        issuer.issuer(),
        key.display()
    ));
    assert!(
        login
            .asked("request_uri")
            .starts_with("urn:ietf:params:oauth:request_uri:")
    );
    let page = issuer.authorize(&mut Browser::new(), &login.address, "approve");
    assert!(page.text().contains("signed in"), "{}", page.text());
    login.finish().expect_code(0);
    let verified = cli.run("whoami --verify").expect_code(0);
    assert!(
        verified.stdout.contains("Ada Lovelace"),
        "{}",
        verified.stdout
    );
    let left = use_session(&issuer, &cli, "Ada Lovelace");
    assert!(
        left.stderr.contains("revoked at the server"),
        "{}",
        left.stderr
    );
}

#[test]
fn a_program_signs_in() {
    let issuer = Issuer::start_with(&["--require-dpop-nonce"]);
    let cli = Cli::new();
    let key = cli.home().path().join("key.pem");
    issuer.administer(&format!(
        "client add robot --new-key {} --dpop --client-credentials --scope deploy \
         --audience https://api.example",
        key.display()
    ));
    let login = format!(
        "login --flow client-credentials --issuer {} --client-id robot --client-key-file {} --dpop \
         --scope deploy",
        issuer.issuer(),
        key.display()
    );
    cli.run(&login).expect_code(0);
    use_session(&issuer, &cli, "client robot");
    // What was not registered is refused, and nothing is kept.
    let refused = cli.run(&login.replace("--scope deploy", "--scope admin"));
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("invalid_scope"),
        "{}",
        refused.stderr
    );
}
