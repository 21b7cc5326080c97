//! The real `countersign-issuer`, used by other people's clients: npm's `openid-client`, and Authlib
//! from Debian. What they accept is judged by their own reading of the specifications.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_e2e::{Issuer, Steps, node, python};
use serde_json::{Value, json};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The next device code, approved by the person.
fn approve(issuer: &Issuer, steps: &mut Steps) {
    let device = steps.expect("device");
    let text = |name: &str| device[name].as_str().unwrap().to_owned();
    let page = issuer.approve(&text("verification_uri_complete"), &text("user_code"));
    assert!(page.text().contains("Approved"), "{}", page.text());
}

fn deny(issuer: &Issuer, steps: &mut Steps) {
    let device = steps.expect("device");
    let text = |name: &str| device[name].as_str().unwrap().to_owned();
    let page = issuer.deny(&text("verification_uri_complete"), &text("user_code"));
    assert!(page.text().contains("Denied"), "{}", page.text());
}

fn includes(list: &Value, value: &str) -> bool {
    list.as_array()
        .is_some_and(|list| list.contains(&json!(value)))
}

/// What the library believed after it had verified the ID token itself.
fn check_claims(issuer: &Issuer, client_id: &str, claims: &Value) {
    assert_eq!(claims["iss"], json!(issuer.issuer()));
    assert!(
        [json!(client_id), json!([client_id])].contains(&claims["aud"]),
        "{claims}"
    );
    assert!(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty()));
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
}

/// Everything that openid-client does, as this client.
fn openid_client(issuer: &Issuer, client_id: &str, secret: &str, token_type: &str) {
    let binding = if token_type == "dpop" { "dpop" } else { "" };
    let script = node("client.mjs").args([issuer.issuer(), client_id, secret, binding]);
    let mut steps = Steps::start(script);

    let metadata = steps.expect("discovery")["metadata"].clone();
    assert_eq!(metadata["issuer"], json!(issuer.issuer()));
    assert!(includes(&metadata["grant_types_supported"], DEVICE_GRANT));

    approve(issuer, &mut steps);
    let token = steps.expect("token");
    check_claims(issuer, client_id, &token["claims"]);
    assert_eq!(token["tokenType"], json!(token_type));
    assert_eq!(token["hasRefreshToken"], json!(true));
    assert!(
        token["expiresIn"]
            .as_i64()
            .is_some_and(|seconds| seconds > 0)
    );
    assert_eq!(steps.expect("code again")["error"], json!("invalid_grant"));

    let userinfo = steps.expect("userinfo")["claims"].clone();
    assert_eq!(userinfo["sub"], token["claims"]["sub"]);
    assert_eq!(userinfo["name"], json!("Ada Lovelace"));
    assert_eq!(userinfo["email"], json!("ada@example.com"));
    let answer = steps.expect("introspection")["answer"].clone();
    assert_eq!(
        (&answer["active"], &answer["client_id"]),
        (&json!(true), &json!(client_id))
    );
    assert_eq!(answer["cnf"]["jkt"].is_string(), token_type == "dpop");

    let refresh = steps.expect("refresh");
    assert_eq!(refresh["rotated"], json!(true));
    assert_eq!(refresh["newAccessToken"], json!(true));
    assert_eq!(refresh["sub"], token["claims"]["sub"]);

    assert_eq!(steps.expect("reuse")["error"], json!("invalid_grant"));
    assert_eq!(steps.expect("after reuse")["error"], json!("invalid_grant"));
    let answer = steps.expect("introspection after reuse")["answer"].clone();
    assert_eq!(answer["active"], json!(false));

    approve(issuer, &mut steps);
    assert_eq!(
        steps.expect("after revocation")["error"],
        json!("invalid_grant")
    );

    deny(issuer, &mut steps);
    assert_eq!(steps.expect("denied")["error"], json!("access_denied"));
    steps.expect("done");
    steps.finish();
}

#[test]
fn openid_client_signs_in_renews_and_revokes() {
    openid_client(&Issuer::start(), "cli", "", "bearer");
}

#[test]
fn openid_client_does_so_with_a_secret_and_rs256() {
    let issuer = Issuer::start();
    issuer.wait_for_rs256();
    let secret = issuer.administer("client add legacy --confidential --signing rs256");
    openid_client(&issuer, "legacy", secret.trim(), "bearer");
}

/// With proofs of a key at every request, and nonces in them from the second on.
#[test]
fn openid_client_does_so_with_a_key_where_nonces_are_required() {
    let issuer = Issuer::start_with(&["--require-dpop-nonce"]);
    openid_client(&issuer, "cli", "", "dpop");
}

#[test]
fn authlib_signs_in_renews_and_revokes() {
    let issuer = Issuer::start();
    let script = python("client.py").args([issuer.issuer(), "cli"]);
    let mut steps = Steps::start(script);
    steps.expect("discovery");

    approve(&issuer, &mut steps);
    let token = steps.expect("token");
    check_claims(&issuer, "cli", &token["claims"]);
    assert_eq!(token["tokenType"], json!("Bearer"));
    let access = steps.expect("access token");
    assert_eq!(access["header"]["typ"], json!("at+jwt"));
    assert_eq!(access["claims"]["sub"], token["claims"]["sub"]);
    assert_eq!(access["claims"]["client_id"], json!("cli"));

    assert_eq!(
        steps.expect("userinfo")["claims"]["sub"],
        token["claims"]["sub"]
    );
    assert_eq!(
        steps.expect("introspection")["answer"]["active"],
        json!(true)
    );
    assert_eq!(steps.expect("refresh")["rotated"], json!(true));
    assert_eq!(steps.expect("reuse")["error"], json!("invalid_grant"));
    assert_eq!(steps.expect("after reuse")["error"], json!("invalid_grant"));

    approve(&issuer, &mut steps);
    assert_eq!(steps.expect("revocation")["status"], json!(200));
    assert_eq!(
        steps.expect("after revocation")["error"],
        json!("invalid_grant")
    );

    deny(&issuer, &mut steps);
    assert_eq!(steps.expect("denied")["error"], json!("access_denied"));
    steps.expect("done");
    steps.finish();
}
