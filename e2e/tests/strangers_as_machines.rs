//! npm's `openid-client` at the real `countersign-issuer`, as a program that acts for itself, and with
//! keys of its own where the server asks for nonces. What it accepts is judged by its own reading of
//! the specifications.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_e2e::{Issuer, Steps, node};
use serde_json::{Value, json};

#[test]
fn a_client_that_signs_assertions_gets_tokens_in_its_own_name() {
    for more in [&[][..], &["--require-dpop-nonce"]] {
        machine(&Issuer::start_with(more));
    }
}

fn machine(issuer: &Issuer) {
    let made = node("key.mjs").run().expect_code(0).stdout;
    let keys: Value = serde_json::from_str(&made).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys["public"].to_string()).unwrap();
    issuer.administer(&format!(
        "client add robot --client-credentials --scope api.read --audience https://api.example --jwks {}",
        file.path().display()
    ));
    let options = json!({
        "issuer": issuer.issuer(),
        "clientId": "robot",
        "key": keys["private"],
        "scope": "api.read",
    });
    let mut steps = Steps::start(node("machine.mjs").arg(options.to_string()));

    let bearer = steps.expect("bearer");
    assert_eq!(bearer["tokenType"], json!("bearer"));
    assert_eq!(bearer["scope"], json!("api.read"));
    let more = bearer["more"].as_array().unwrap();
    assert!(!more.contains(&json!("refresh_token")) && !more.contains(&json!("id_token")));
    assert_eq!(steps.expect("bound")["tokenType"], json!("dpop"));
    let answer = steps.expect("introspection")["answer"].clone();
    assert_eq!(answer["active"], json!(true));
    assert_eq!(answer["sub"], json!("robot"));
    assert_eq!(answer["client_id"], json!("robot"));
    assert_eq!(answer["aud"], json!(["https://api.example"]));
    assert_eq!(answer["token_type"], json!("DPoP"));
    assert_eq!(answer["cnf"]["jkt"].as_str().unwrap().len(), 43);

    for step in ["another scope", "a scope about people"] {
        assert_eq!(steps.expect(step)["error"], json!("invalid_scope"));
    }

    // The proof was good, and the token is about nobody.
    let presented = steps.expect("presented");
    assert_eq!(presented["status"], json!(403));
    assert_eq!(presented["error"], json!("insufficient_scope"));
    let stolen = steps.expect("presented by another");
    assert_eq!(stolen["status"], json!(401));
    assert_eq!(
        (&stolen["scheme"], &stolen["error"]),
        (&json!("dpop"), &json!("invalid_token"))
    );
    let bearer = steps.expect("presented as a bearer");
    assert_eq!(bearer["status"], json!(401));
    let challenge = bearer["challenge"].as_str().unwrap();
    assert!(
        challenge.starts_with("DPoP ")
            && challenge.contains("algs=\"")
            && challenge.contains("ES256"),
        "{challenge}"
    );

    let again = steps.expect("assertion again");
    assert_eq!(
        (&again["status"], &again["error"]),
        (&json!(401), &json!("invalid_client"))
    );
    let answer = steps.expect("after revocation")["answer"].clone();
    assert_eq!(answer, json!({ "active": false }));
    steps.expect("done");
    steps.finish();
}
