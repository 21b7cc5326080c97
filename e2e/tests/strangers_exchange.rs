//! Other APIs and token exchange, with strangers on the other side: npm's `openid-client` exchanges a token
//! at `countersign-issuer` (RFC 8693), and `countersign` gets tokens for other APIs from `countersign-issuer`
//! and from npm's `oidc-provider` (RFC 8707).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_e2e::{Cli, Issuer, NodeProvider, Steps, node};
use serde_json::{Value, json};

const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example";

fn claims(token: &str) -> Value {
    let payload = token.trim().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_foreign_client_passes_a_call_on() {
    let issuer = Issuer::start();
    let secret = issuer.administer(&format!(
        "client add orders --confidential --serves {ORDERS} --audience {STOCK}"
    ));
    let cli = Cli::new();
    let login = format!(
        "--issuer {} --client-id cli --resource {ORDERS}",
        issuer.issuer()
    );
    let waiting = cli.start_device(&login);
    issuer.approve(&waiting.address, &waiting.code);
    waiting.finish().expect_code(0);
    let token = cli.run("token").expect_code(0).stdout;
    let options = json!({
        "issuer": issuer.issuer(),
        "clientId": "orders",
        "clientSecret": secret.trim(),
        "subjectToken": token.trim(),
        "resource": STOCK,
    });
    let mut steps = Steps::start(node("exchange.mjs").arg(options.to_string()));
    assert_eq!(steps.expect("metadata")["offered"], json!(true));
    let exchanged = steps.expect("exchanged");
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    assert_eq!(exchanged["type"], json!(kind));
    assert!(
        !exchanged["more"]
            .as_array()
            .unwrap()
            .contains(&json!("refresh_token"))
    );
    let answer = steps.expect("introspection")["answer"].clone();
    assert_eq!(
        (&answer["active"], &answer["aud"]),
        (&json!(true), &json!([STOCK]))
    );
    assert_eq!(answer["act"], json!({ "sub": "orders" }));
    assert_eq!(answer["sub"], claims(&token)["sub"]);
    assert_eq!(
        steps.expect("another resource")["error"],
        json!("invalid_target")
    );
    assert_eq!(
        steps.expect("another scope")["error"],
        json!("invalid_scope")
    );
    steps.expect("its own result");
    steps.expect("done");
    steps.finish();
}

/// RFC 8707, section 2.2, at a server that shares nothing with ours.
#[test]
fn a_foreign_server_narrows_what_was_granted_and_refuses_what_was_not() {
    let provider = NodeProvider::start(&json!({ "resource": ORDERS }));
    let cli = Cli::new();
    let issuer = provider.issuer();
    let login = format!(
        "--issuer {issuer} --client-id cli --resource {ORDERS} \
         --scope openid --scope offline_access --scope read"
    );
    let waiting = cli.start_device(&login);
    provider.approve(&waiting.address, "ada");
    waiting.finish().expect_code(0);
    let own = cli.run("token").expect_code(0).stdout;
    assert_eq!(claims(&own)["aud"], json!(ORDERS));
    let narrow = format!("token --resource {ORDERS} --scope read");
    let narrow = cli.run(&narrow).expect_code(0).stdout;
    assert!(narrow != own);
    assert_eq!(claims(&narrow)["aud"], json!(ORDERS));
    let refused = cli.run(&format!("token --resource {STOCK}")).expect_code(7);
    assert!(
        refused.stderr.contains("code: invalid_target"),
        "{}",
        refused.stderr
    );
    // What was got before is good. (This server spends a rotating refresh token on a request that it
    // refuses, so that its next renewal ends the session: docs/credentials.md.)
    assert_eq!(cli.run("token").expect_code(0).stdout, own);
}
