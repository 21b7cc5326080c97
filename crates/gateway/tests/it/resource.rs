//! What the gateway says about itself, and what it believes of a proxy in front.

use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{AUDIENCE, Issuer, ROUTES, config, head, start};
use crate::upstream::Upstream;

/// RFC 9728, sections 3.1, 3.3 and 5.1.
#[test]
fn a_stranger_learns_whose_tokens_are_good() {
    let upstream = Upstream::start();
    let table = format!(
        "\n[resource]\nurl = \"{AUDIENCE}\"\nname = \"Stock\"\nscopes = [\"stock:read\"]\n"
    );
    let running = start(&(head(&upstream.url(), "") + ROUTES + &table));
    let refused = running.get("/stock/7", &[]);
    let challenge = refused.header("www-authenticate").unwrap();
    let address = format!("{AUDIENCE}/.well-known/oauth-protected-resource");
    assert!(
        challenge.contains(&format!("resource_metadata=\"{address}\"")),
        "{challenge}"
    );
    let answer = running.get("/.well-known/oauth-protected-resource", &[]);
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["resource"], AUDIENCE);
    assert_eq!(
        document["authorization_servers"],
        json!([Issuer::get().url()])
    );
    assert_eq!(document["resource_name"], "Stock");
    assert_eq!(document["scopes_supported"], json!(["stock:read"]));
    // Neither another method nor another spelling of the path is the document.
    for (method, path, expected) in [
        ("POST", "/.well-known/oauth-protected-resource", 403),
        ("GET", "/.well-known/oauth-protected-resource/", 403),
        ("GET", "/.well-known/./oauth-protected-resource", 400),
    ] {
        assert_eq!(
            running.request(method, path, &[], "").status,
            expected,
            "{path}"
        );
    }
}

/// Whoever is not named is believed nothing, and a configuration that names nobody is refused.
#[test]
fn what_would_be_believed_of_everybody_is_no_configuration() {
    let directory = TempDir::new().unwrap();
    for (table, expected) in [
        (
            "[resource]\nurl = \"https://other.example.com\"",
            "none of its audiences",
        ),
        (
            "[client_certificate]\nheader = \"x-cert\"\nform = \"escaped-pem\"\ntrust = []",
            "from nobody",
        ),
        (
            "[client_certificate]\nheader = \"x-cert\"\nform = \"pem\"\ntrust = [\"::1\"]",
            "escaped-pem",
        ),
        (
            "[aws_load_balancer]\nissuer = \"https://id.example.com\"\nclient_id = \"c\"\nsigner = []\ntrust = [\"::1\"]",
            "from nobody",
        ),
        (
            "[aws_load_balancer]\nissuer = \"https://id.example.com\"\nclient_id = \"c\"\nsigner = \"arn\"\ntrust = [\"everybody\"]",
            "cannot be trusted",
        ),
    ] {
        let text = head("http://127.0.0.1:1", "") + ROUTES + "\n" + table + "\n";
        let problem = config(&text, directory.path()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{table}: {problem}");
    }
}

/// A header from a place that nobody named is no identity: the caller is a stranger.
#[test]
fn a_load_balancers_header_from_elsewhere_is_nothing() {
    let upstream = Upstream::start();
    let arn =
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
    let table = format!(
        "\n[aws_load_balancer]\nissuer = \"https://id.example.com\"\nclient_id = \"c\"\nsigner = \"{arn}\"\ntrust = [\"10.0.0.0/8\"]\n"
    );
    let running = start(&(head(&upstream.url(), "") + ROUTES + &table));
    let answer = running.get("/stock/7", &["x-amzn-oidc-data: a.b.c"]);
    assert_eq!(answer.status, 401, "{answer:?}");
    // With a token of its own it passes, and the header does not go on.
    assert_eq!(running.get_as_ada("/stock/7").status, 200);
}
