//! Forward-auth with a real Caddy in between, configured as `docs/gateway/caddy.md` says.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{Answer, Running, exchange, parse, start_in, token};
use crate::stranger::{Stranger, blocks, fill, free, gateway};
use crate::upstream::Upstream;

const GUIDE: &str = include_str!("../../../../docs/gateway/caddy.md");

const MORE: &str = r#"
[[route]]
path = "/written/**"
scopes = ["stock:write"]

[[route]]
path = "/open/**"
public = true
"#;

struct Caddy {
    _process: Stranger,
    address: SocketAddr,
    _gateway: Running,
}

impl Caddy {
    fn start(upstream: &Upstream) -> Self {
        let directory = TempDir::new().unwrap();
        let home = directory.path().to_owned();
        let socket = home.join("caddy.sock");
        let socket = [("/run/countersign/caddy.sock", socket.to_str().unwrap())];
        let gateway = start_in(&gateway(GUIDE, &socket, MORE), directory);
        let address = free();
        let name = format!(
            "http://api.example.com:{} {{\n\tbind 127.0.0.1",
            address.port()
        );
        let service = upstream.url();
        let site = fill(
            &blocks(GUIDE, "caddyfile").remove(0),
            &[
                socket[0],
                ("127.0.0.1:8080", service.strip_prefix("http://").unwrap()),
                ("api.example.com {", &name),
            ],
        );
        let file = home.join("Caddyfile");
        fs::write(
            &file,
            format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}"),
        )
        .unwrap();
        let mut command = Command::new("caddy");
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(file);
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, &home);
        }
        Self {
            _process: Stranger::start(&mut command, &home.join("caddy.log"), address),
            address,
            _gateway: gateway,
        }
    }

    fn send(&self, line: &str, headers: &[&str]) -> Answer {
        let mut text = format!("{line} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n");
        for header in headers {
            text += header;
            text += "\r\n";
        }
        text += "\r\n";
        parse(&exchange(self.address, text.as_bytes()))
    }
}

fn header<'s>(seen: &'s Value, name: &str) -> Option<&'s str> {
    seen["headers"][name][0].as_str()
}

#[test]
fn caddy_asks_and_passes_on_who_calls() {
    let upstream = Upstream::start();
    let caddy = Caddy::start(&upstream);
    let bearer = format!("Authorization: Bearer {}", token());
    let forged = [
        &*bearer,
        "X-Auth-Subject: eve",
        "X-Auth-Scope: eve",
        "X-Countersign-Identity: eve",
        "Remote-User: eve",
        "X-Forwarded-User: eve",
        "X-Forwarded-Uri: /eve",
        "X-Forwarded-For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "DPoP: eve",
    ];
    let answer = caddy.send("GET /stock/7?q=1", &forged);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!(seen["target"], "/stock/7?q=1");
    assert_eq!(header(&seen, "x-auth-subject"), Some("ada"));
    assert_eq!(header(&seen, "x-auth-scope"), Some("stock:read"));
    let assertion = header(&seen, "x-countersign-identity").unwrap();
    assert_eq!(assertion.split('.').count(), 3);
    let text = seen.to_string();
    for word in ["eve", "6.6.6.6", "Bearer"] {
        assert!(!text.contains(word), "{word} is in {text}");
    }
    // A route for anybody tells nothing, whatever was sent.
    let seen = caddy.send("GET /open/x", &forged).json();
    assert_eq!(header(&seen, "x-auth-subject").unwrap_or_default(), "");
    assert!(!seen.to_string().contains("eve"), "{seen}");
}

#[test]
fn caddy_hands_refusals_on_and_no_trick_gets_past_it() {
    let upstream = Upstream::start();
    let caddy = Caddy::start(&upstream);
    let bearer = format!("Authorization: Bearer {}", token());
    let none = caddy.send("GET /stock/7", &[]);
    assert_eq!(none.status, 401, "{none:?}");
    assert!(
        none.header("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    let scope = caddy.send("GET /written/7", &[&bearer]);
    assert_eq!(scope.status, 403);
    assert!(
        scope
            .header("www-authenticate")
            .unwrap()
            .contains("insufficient_scope")
    );
    assert_eq!(caddy.send("DELETE /stock/7", &[&bearer]).status, 405);
    for (line, header) in [
        ("GET /stock/7", "X-Forwarded-Uri: /open/x"),
        (
            "GET /stock/7",
            "X-Forwarded-Uri: /open/x\r\nX-Forwarded-Method: GET",
        ),
        ("GET /stock/7", "X-Original-URI: /open/x"),
        ("GET /stock/7", "X-Original-URL: /open/x"),
        ("GET /open/x", "X-Rewrite-URL: /stock/7"),
        ("GET /open/x", "X-HTTP-Method-Override: PUT"),
        ("GET /open/x", "X_Auth_Subject: ada"),
        ("GET /open/x", "X-Auth_Subject: ada"),
        ("GET /open/x", "x_countersign_identity: ada"),
        ("GET /open/x", "Remote_User: ada"),
        ("GET /stock/7", "User-Agent: kube-probe/1.30"),
        ("GET //stock/7", "X: y"),
        ("GET /open/../stock/7", "X: y"),
        ("GET /open/..;/stock/7", "X: y"),
        ("GET /open/%2e%2e/stock/7", "X: y"),
        ("GET /open%2f..%2fstock/7", "X: y"),
        ("GET /open/%252e%252e/stock/7", "X: y"),
        ("GET /open/x#/stock/7", "X: y"),
        ("GET /stock/7#/open/x", "X: y"),
        ("GET /stock/7?/open/x", "X: y"),
        ("GET /stock/7%3f/open/x", "X: y"),
        ("GET /Open/x", "X: y"),
        ("GET http://api.example.com/stock/7", "X: y"),
    ] {
        let answer = caddy.send(line, &[header]);
        assert!(
            (400..500).contains(&answer.status),
            "{line} {header}: {answer:?}"
        );
    }
    assert_eq!(upstream.requests(), Vec::<Value>::new());
}
