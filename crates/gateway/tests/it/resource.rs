//! What the gateway says about itself, and what it believes of a proxy in front.

use std::fmt::Write as _;

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

const PARTS: &str = r#"
[[resource]]
url = "https://gateway.test/stock"
name = "Stock"

[[resource]]
url = "https://gateway.test/stock/rare"

[[resource]]
url = "https://other.test"
"#;

/// The routes beneath three resources, at two names.
fn parts(upstream: &str, more: &str) -> String {
    let urls = format!(
        "[\"{AUDIENCE}\", \"https://gateway.test/stock\", \"https://gateway.test/stock/rare\", \"https://other.test\"]"
    );
    let head = head(upstream, "")
        .replace(
            "\"http://gateway.test\"",
            "[\"https://gateway.test\", \"https://other.test\"]",
        )
        .replace(
            &format!("audience = \"{AUDIENCE}\""),
            &format!("audience = {urls}"),
        );
    let routes = "\n[[route]]\npath = \"/else/**\"\nupstream = \"stock\"\n";
    head + ROUTES + routes + PARTS + more
}

/// RFC 9728, section 3.1: a resource with a path has its document beneath the well-known place.
#[test]
fn each_resource_has_its_document_its_challenge_and_its_tokens() {
    let upstream = Upstream::start();
    let running = start(&parts(&upstream.url(), ""));
    let ask = |host: &str, path: &str, token: Option<&str>| {
        let mut text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(audience) = token {
            let token = Issuer::get().token(&json!({ "aud": audience }));
            let _ = write!(text, "Authorization: Bearer {token}\r\n");
        }
        running.raw(text + "\r\n")
    };
    let known = "/.well-known/oauth-protected-resource";
    let (gateway, other) = ("gateway.test", "other.test");
    let (stock, rare) = (
        "https://gateway.test/stock",
        "https://gateway.test/stock/rare",
    );
    let whole = "https://other.test";
    for (host, path, url, place) in [
        (gateway, "/stock/7", stock, "/stock"),
        (gateway, "/stock", stock, "/stock"),
        (gateway, "/stock/rarely", stock, "/stock"),
        (gateway, "/stock/rare", rare, "/stock/rare"),
        (gateway, "/stock/rare/7", rare, "/stock/rare"),
        (other, "/stock/rare/7", whole, ""),
        (other, "/else/x", whole, ""),
    ] {
        let place = format!("{known}{place}");
        let refused = ask(host, path, None);
        let challenge = refused.header("www-authenticate").unwrap();
        let address = format!("resource_metadata=\"https://{host}{place}\"");
        assert!(challenge.contains(&address), "{path}: {challenge}");
        let document = ask(host, &place, None);
        assert_eq!(document.status, 200, "{place}");
        let document = document.json();
        assert_eq!(document["resource"], url);
        assert_eq!(
            document["authorization_servers"],
            json!([Issuer::get().url()])
        );
        // A token passes where it is for, and nowhere else.
        for audience in [AUDIENCE, stock, rare, whole] {
            let answer = ask(host, path, Some(audience));
            let expected = if audience == url { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{host}{path} for {audience}");
            if expected == 401 {
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(
                    challenge.contains("the token is not for this API"),
                    "{challenge}"
                );
            }
        }
    }
    // Beneath none of them, each audience is good, and no document is named.
    for audience in [AUDIENCE, stock, whole] {
        assert_eq!(ask(gateway, "/else/x", Some(audience)).status, 200);
    }
    let refused = ask(gateway, "/else/x", None);
    assert!(!refused.head.contains("resource_metadata"), "{refused:?}");
    // A document of one name is not that of another.
    for (host, place) in [(gateway, ""), (other, "/stock"), (gateway, "/else")] {
        assert_eq!(
            ask(host, &format!("{known}{place}"), None).status,
            403,
            "{host}{place}"
        );
    }
}

#[test]
fn resources_that_nobody_could_use_are_no_configuration() {
    let directory = TempDir::new().unwrap();
    let resource = |url: &str| format!("[[resource]]\nurl = \"{url}\"\n");
    let sign_in = |resource: &str| {
        format!(
            "[sign_in]\nissuer = \"{}\"\nclient_id = \"web\"\ncookie_key_file = \"k\"\nresource = \"{resource}\"\n\
             [[route]]\npath = \"/stock/pages/**\"\nsign_in = true\nupstream = \"stock\"\n",
            Issuer::get().url()
        )
    };
    for (more, expected) in [
        (resource("https://gateway.test/stock"), "there twice"),
        (
            resource("https://gateway.test/stock/"),
            "no issuer gives tokens",
        ),
        (
            resource("https://gateway.test/orders"),
            "no issuer gives tokens",
        ),
        (resource("https://third.test"), "beneath no origin"),
        (resource("https://gateway.test/a//b"), "read in two ways"),
        (resource("https://gateway.test/?x"), "is no resource"),
        (resource("stock"), "is no resource"),
        (
            sign_in("https://other.test"),
            "get no token for https://gateway.test/stock",
        ),
    ] {
        let text = parts("http://127.0.0.1:1", &more);
        let problem = config(&text, directory.path()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{more}: {problem}");
    }
    let text = parts("http://127.0.0.1:1", &sign_in("https://gateway.test/stock"));
    assert!(config(&text, directory.path()).is_ok());
    // Neither both kinds, nor keys that are none.
    for table in [
        "[resource]\nurl = \"x\"",
        "[[resource]]\nurl = \"x\"\nnmae = \"y\"",
    ] {
        let text = parts("http://127.0.0.1:1", table);
        assert!(config(&text, directory.path()).is_err(), "{table}");
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
