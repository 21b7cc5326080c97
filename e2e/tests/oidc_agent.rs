//! Debian's `oidc-agent` obtains tokens from the real `countersign-issuer`, by both flows. It is
//! written in C and checks little; what it does send is judged by our own server.

use std::net::{Ipv4Addr, TcpListener};

use countersign_e2e::{Issuer, OidcAgent};
use countersign_testkit::Browser;
use serde_json::json;

/// The account is there: it gives tokens, renews them, and is gone at the server once it is deleted.
fn use_account(agent: &OidcAgent, issuer: &Issuer) {
    let first = agent.token(&[]).expect_code(0).stdout;
    let answer = issuer.introspect(first.trim());
    assert_eq!(answer.get("active"), Some(&json!(true)));
    let second = agent.token(&["--force-new"]).expect_code(0).stdout;
    assert_ne!(first, second, "a renewal brings another token");
    agent.sign_out().expect_code(0);
    let answer = issuer.introspect(second.trim());
    assert_eq!(answer, json!({ "active": false }), "revoked at the server");
}

#[test]
fn oidc_agent_signs_in_by_device_code() {
    let issuer = Issuer::start();
    let agent = OidcAgent::start();
    let signing = agent.sign_in(issuer.issuer(), "cli", "device", &[]);
    let address = signing.address(issuer.issuer());
    let code = signing.code();
    issuer.approve(&format!("{address}?user_code={code}"), &code);
    signing.finish().expect_code(0);
    use_account(&agent, &issuer);
}

#[test]
fn oidc_agent_signs_in_by_authorization_code() {
    let issuer = Issuer::start();
    let agent = OidcAgent::start();
    let back = format!("--redirect-uri=http://localhost:{}/callback", free_port());
    let signing = agent.sign_in(issuer.issuer(), "cli", "code", &[&back]);
    let address = signing.address(issuer.issuer());
    let page = issuer.authorize(&mut Browser::new(), &address, "approve");
    assert!(page.text().contains("Success"), "{}", page.text());
    signing.finish().expect_code(0);
    use_account(&agent, &issuer);
}

/// It does not take just any port.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("it is bound").port()
}
