//! npm's `openid-client` at the real `countersign-issuer` by authorization code and PKCE, as every kind
//! of client there is. What it accepts is judged by its own reading of the specifications.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_e2e::{Issuer, Person, Steps, node};
use countersign_testkit::Browser;
use serde_json::{Value, json};

/// Everything that openid-client does, with these options. `decide` is the person, who is given an
/// address and a decision and comes back to the program.
fn walk_through(issuer: &Issuer, options: &Value, mut decide: impl FnMut(&str, &str)) -> Value {
    let mut all = json!({ "issuer": issuer.issuer(), "clientId": "cli" });
    let members = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(members);
    let client_id = all["clientId"].clone();
    let mut steps = Steps::start(node("code.mjs").arg(all.to_string()));
    let mut person = |steps: &mut Steps, decision: &str| {
        let address = steps.expect("authorize")["url"]
            .as_str()
            .unwrap()
            .to_owned();
        decide(&address, decision);
        address
    };

    let metadata = steps.expect("discovery")["metadata"].clone();
    let address = person(&mut steps, "approve");
    let token = steps.expect("token");
    let claims = &token["claims"];
    assert_eq!(claims["iss"], json!(issuer.issuer()));
    assert_eq!(claims["aud"], client_id);
    assert_eq!(token["hasRefreshToken"], json!(true));
    assert_eq!(steps.expect("userinfo")["claims"]["sub"], claims["sub"]);
    assert_eq!(steps.expect("refresh")["rotated"], json!(true));
    assert_eq!(steps.expect("code again")["error"], json!("invalid_grant"));
    let after = steps.expect("after the code came again");
    assert_eq!(after["error"], json!("invalid_grant"));

    person(&mut steps, "approve");
    let wrong = steps.expect("wrong verifier");
    assert_eq!(wrong["error"], json!("invalid_grant"));
    person(&mut steps, "approve");
    let recent = steps.expect("recent");
    assert!(recent["claims"]["auth_time"].is_i64(), "{recent}");
    person(&mut steps, "deny");
    assert_eq!(steps.expect("denied")["error"], json!("access_denied"));
    steps.expect("done");
    steps.finish();
    json!({ "metadata": metadata, "token": token, "address": address })
}

/// The person at a browser without scripts, by plain HTTP.
fn by_http(issuer: &Issuer) -> impl FnMut(&str, &str) {
    let mut browser = Browser::new();
    move |address, decision| {
        let page = issuer.authorize(&mut browser, address, decision);
        assert_eq!(page.text(), "Back in the program.");
    }
}

#[test]
fn a_public_client_signs_somebody_in() {
    let issuer = Issuer::start();
    let seen = walk_through(&issuer, &json!({}), by_http(&issuer));
    assert_eq!(seen["token"]["tokenType"], json!("bearer"));
    let supported = &seen["metadata"]["code_challenge_methods_supported"];
    assert_eq!(*supported, json!(["S256"]));
}

#[test]
fn a_real_browser_comes_back_to_the_program() {
    let issuer = Issuer::start();
    let person = Person::new();
    walk_through(&issuer, &json!({}), |address, decision| {
        let seen = issuer.authorize_in(&person, address, decision);
        assert_eq!(seen.text.trim(), "Back in the program.");
    });
    person.leave();
}

#[test]
fn a_client_with_a_secret_and_rs256_signs_somebody_in() {
    let issuer = Issuer::start();
    issuer.wait_for_rs256();
    let secret = issuer.administer(
        "client add service --confidential --signing rs256 --redirect-uri http://127.0.0.1/callback",
    );
    let options = json!({ "clientId": "service", "secret": secret.trim() });
    walk_through(&issuer, &options, by_http(&issuer));
}

#[test]
fn a_client_that_signs_assertions_signs_somebody_in() {
    let issuer = Issuer::start();
    let made = node("key.mjs").run().expect_code(0).stdout;
    let keys: Value = serde_json::from_str(&made).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys["public"].to_string()).unwrap();
    issuer.administer(&format!(
        "client add service --redirect-uri http://127.0.0.1/callback --jwks {}",
        file.path().display()
    ));
    let options = json!({ "clientId": "service", "key": keys["private"] });
    walk_through(&issuer, &options, by_http(&issuer));
}

#[test]
fn tokens_are_bound_to_the_key_that_a_client_proves_to_have() {
    let issuer = Issuer::start();
    issuer.administer("client add bound --dpop --redirect-uri http://127.0.0.1/callback");
    let options = json!({ "clientId": "bound", "dpop": true });
    let seen = walk_through(&issuer, &options, by_http(&issuer));
    assert_eq!(seen["token"]["tokenType"], json!("dpop"));
    let algorithms = &seen["metadata"]["dpop_signing_alg_values_supported"];
    assert!(algorithms.as_array().unwrap().contains(&json!("ES256")));
}

#[test]
fn a_client_pushes_its_requests() {
    let issuer = Issuer::start();
    issuer.administer("client add pushing --require-par --redirect-uri http://127.0.0.1/callback");
    let options = json!({ "clientId": "pushing", "par": true });
    let seen = walk_through(&issuer, &options, by_http(&issuer));
    let address = seen["address"].as_str().unwrap();
    assert!(address.contains("request_uri=urn"), "{address}");
    assert!(!address.contains("code_challenge"), "{address}");
}

#[test]
fn a_client_does_everything_at_once() {
    let issuer = Issuer::start();
    let secret = issuer.administer(
        "client add careful --confidential --require-par --dpop --redirect-uri http://127.0.0.1/callback",
    );
    let options = json!({
        "clientId": "careful", "secret": secret.trim(), "par": true, "dpop": true,
    });
    let seen = walk_through(&issuer, &options, by_http(&issuer));
    assert_eq!(seen["token"]["tokenType"], json!("dpop"));
}
