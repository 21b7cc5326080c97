//! npm's `oidc-provider` as the server: an implementation that shares nothing with ours decides
//! whether `countersign` speaks the protocols.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_e2e::{Cli, NodeProvider};
use serde_json::{Value, json};

fn signed_in(provider: &NodeProvider) -> Cli {
    let cli = Cli::new();
    let waiting = cli.start_login(provider.issuer(), "cli");
    provider.approve(&waiting.address, "ada");
    let done = waiting.finish();
    assert_eq!(
        done.code(),
        Some(0),
        "{}\n{}",
        done.stderr,
        provider.complaints()
    );
    assert_eq!(done.stdout, "");
    cli
}

#[test]
fn a_person_signs_in_is_known_and_signs_out() {
    let provider = NodeProvider::start(&json!({}));
    let cli = signed_in(&provider);

    let token = cli.run("token").expect_code(0);
    assert_eq!(token.stdout.lines().count(), 1);
    assert_eq!(token.stderr, "");
    assert_eq!(
        cli.run("token").expect_code(0).stdout,
        token.stdout,
        "a token is kept"
    );

    let who = cli.run("whoami").expect_code(0);
    assert!(who.stdout.contains("ada"), "{}", who.stdout);
    cli.run("status").expect_code(0);

    cli.run("logout").expect_code(0);
    cli.run("token").expect_code(4);
    assert_eq!(
        provider.introspect(token.stdout.trim()),
        json!({ "active": false })
    );
}

#[test]
fn the_session_is_renewed_with_rotating_refresh_tokens() {
    let provider = NodeProvider::start(&json!({}));
    let cli = signed_in(&provider);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let token = cli.run("token --force-refresh").expect_code(0).stdout;
        assert!(!seen.contains(&token), "the same token again");
        assert_eq!(provider.introspect(token.trim())["active"], json!(true));
        seen.push(token);
    }
    cli.run("whoami").expect_code(0);
}

#[test]
fn a_login_that_the_person_aborts_is_denied() {
    let provider = NodeProvider::start(&json!({}));
    let cli = Cli::new();
    let waiting = cli.start_login(provider.issuer(), "cli");
    provider.deny(&waiting.address);
    let done = waiting.finish().expect_code(5);
    assert!(
        done.stderr.contains("code: access_denied"),
        "{}",
        done.stderr
    );
    cli.run(&format!("token --issuer {}", provider.issuer()))
        .expect_code(4);
}

/// The server signs ID tokens in this way; a login succeeds only if the signature was verified.
fn id_token_signed_with(algorithm: &str) {
    let provider = NodeProvider::start(&json!({ "alg": algorithm }));
    let cli = signed_in(&provider);
    let token = cli.run("token --id-token").expect_code(0).stdout;
    let header = token.split('.').next().unwrap();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["alg"], json!(algorithm));
}

#[test]
fn an_id_token_signed_with_rs256_is_verified() {
    id_token_signed_with("RS256");
}

#[test]
fn an_id_token_signed_with_ps256_is_verified() {
    id_token_signed_with("PS256");
}

#[test]
fn an_id_token_signed_with_eddsa_is_verified() {
    id_token_signed_with("EdDSA");
}
