//! Forward-auth with a real Envoy in between, configured as `docs/gateway/envoy.md` says, by gRPC and by
//! HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Answer, Running, exchange, parse, start_in, token};
use crate::step_up;
use crate::stranger::{Stranger, blocks, fill, free, gateway};
use crate::upstream::Upstream;

const GUIDE: &str = include_str!("../../../../docs/gateway/envoy.md");

/// Where `cargo xtask test` puts it, from the registry of Python packages.
const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/strangers/envoy/envoy/_bin/envoy"
);

const MORE: &str = r#"
[[route]]
path = "/written/**"
scopes = ["stock:write"]

[[route]]
path = "/token/**"
forward_token = true

[[route]]
path = "/open/**"
public = true
"#;

/// How the gateway is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Grpc,
    Http,
}

struct Envoy {
    _process: Stranger,
    address: SocketAddr,
    gateway: Running,
}

impl Envoy {
    fn start(upstream: &Upstream, by: By) -> Self {
        let (home, guide) = (TempDir::new().unwrap(), |text| text);
        Self::start_with(upstream, by, home, MORE, guide, guide)
    }

    /// With more in the gateway's file, and changes to both files of the guide.
    fn start_with(
        upstream: &Upstream,
        by: By,
        directory: TempDir,
        more: &str,
        ours: impl Fn(String) -> String,
        theirs: impl Fn(String) -> String,
    ) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing; `cargo xtask test` brings it"
        );
        let home = directory.path().to_owned();
        let mut places = vec![("\"127.0.0.1:9180\"", "\"127.0.0.1:0\"")];
        if by == By::Http {
            places.push(("preset = \"envoy-grpc\"", "preset = \"envoy\""));
        }
        let gateway = start_in(&ours(gateway(GUIDE, &places, more)), directory);
        let asked = gateway.gateway.forward_auth_addresses()[0].clone();
        let address = free();
        let file = home.join("envoy.yaml");
        fs::write(&file, theirs(bootstrap(address, &asked, upstream, by))).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "warn", "--config-path"])
            .arg(file);
        Self {
            _process: Stranger::start(&mut command, &home.join("envoy.log"), address),
            address,
            gateway,
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

/// A whole configuration around the parts that the guide gives.
fn bootstrap(address: SocketAddr, asked: &str, upstream: &Upstream, by: By) -> String {
    let [manager, cluster, http] = &blocks(GUIDE, "yaml")[..] else {
        panic!("the guide has three parts");
    };
    let (mut manager, mut cluster) = (manager.clone(), cluster.clone());
    if by == By::Http {
        let (before, rest) = manager.split_once("      grpc_service:\n").unwrap();
        let (_, after) = rest.split_once("        timeout: 1s\n").unwrap();
        manager = format!("{before}{}{after}", indented(http, 6));
        let (before, rest) = cluster
            .split_once("  typed_extension_protocol_options:\n")
            .unwrap();
        let (_, after) = rest.split_once("http2_protocol_options: {} }\n").unwrap();
        cluster = format!("{before}{after}");
    }
    let (_, port) = asked.rsplit_once(':').unwrap();
    let cluster = fill(&cluster, &[("9180", port)]);
    let service = upstream.url();
    let (_, service) = service.rsplit_once(':').unwrap();
    format!(
        r#"
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: front
                route_config:
                  virtual_hosts:
                    - name: service
                      domains: ["*"]
                      routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: service }} }}]
{}
  clusters:
    - name: service
      type: STATIC
      load_assignment:
        cluster_name: service
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {service} }} }} }}
{}
"#,
        address.port(),
        indented(&manager, 16),
        indented(&cluster, 4),
    )
}

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().map(|line| format!("{:by$}{line}\n", ""));
    lines.collect()
}

fn header<'s>(seen: &'s Value, name: &str) -> Option<&'s str> {
    seen["headers"][name][0].as_str()
}

fn envoy_asks_and_passes_on_who_calls(by: By) {
    let upstream = Upstream::start();
    let envoy = Envoy::start(&upstream, by);
    let bearer = format!("Authorization: Bearer {}", token());
    let forged = [
        &*bearer,
        "X-Auth-Subject: eve",
        "X-Auth-Scope: eve",
        "X-Countersign-Identity: eve",
        "Remote-User: eve",
        "X-Forwarded-User: eve",
        "DPoP: eve",
    ];
    let answer = envoy.send("GET /stock/7?q=1", &forged);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!(seen["target"], "/stock/7?q=1");
    assert_eq!(header(&seen, "x-auth-subject"), Some("ada"));
    assert_eq!(header(&seen, "x-auth-scope"), Some("stock:read"));
    let assertion = header(&seen, "x-countersign-identity").unwrap();
    assert_eq!(assertion.split('.').count(), 3);
    let text = seen.to_string();
    for word in ["eve", "Bearer"] {
        assert!(!text.contains(word), "{word} is in {text}");
    }
    // A route for anybody tells nothing, whatever was sent.
    let seen = envoy.send("GET /open/x", &forged).json();
    assert_eq!(header(&seen, "x-auth-subject"), None);
    assert!(!seen.to_string().contains("eve"), "{seen}");
    let seen = envoy.send("GET /token/x", &[&bearer]).json();
    assert!(seen.to_string().contains("Bearer ey"), "{seen}");
}

fn envoy_hands_refusals_on_and_no_trick_gets_past_it(by: By) {
    let upstream = Upstream::start();
    let envoy = Envoy::start(&upstream, by);
    let bearer = format!("Authorization: Bearer {}", token());
    let none = envoy.send("GET /stock/7", &[]);
    assert_eq!(none.status, 401, "{none:?}");
    let challenge = none.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    let scope = envoy.send("GET /written/7", &[&bearer]);
    assert_eq!(scope.status, 403);
    let challenge = scope.header("www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert_eq!(envoy.send("DELETE /stock/7", &[&bearer]).status, 405);
    for (line, header) in [
        ("GET /stock/7", "X-Forwarded-Uri: /open/x"),
        ("GET /stock/7", "X-Envoy-Original-Path: /open/x"),
        ("GET /stock/7", "X-Envoy-Original-Method: GET"),
        ("GET /stock/7", "X-Envoy-Internal: true"),
        ("GET /stock/7", "X-Original-URI: /open/x"),
        ("GET /stock/7", "X-Original-URL: /open/x"),
        ("GET /open/x", "X-Rewrite-URL: /stock/7"),
        ("GET /open/x", "X-HTTP-Method-Override: PUT"),
        ("GET /open/x", "X_Auth_Subject: ada"),
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
        let answer = envoy.send(line, &[header]);
        assert!(
            (400..500).contains(&answer.status),
            "{line} {header}: {answer:?}"
        );
    }
    assert_eq!(upstream.requests(), Vec::<Value>::new());
    // Envoy asks for everything again, so a gateway that is away lets nobody pass.
    let Envoy {
        _process,
        address,
        gateway,
    } = envoy;
    drop(gateway);
    let request = b"GET /open/x HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n";
    let answer = parse(&exchange(address, request));
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(upstream.requests(), Vec::<Value>::new());
}

/// Envoy hands bodies over as the guide says, and a password is for one body only.
fn a_person_confirms_a_request_with_its_body(by: By) {
    let upstream = Upstream::start();
    let home = TempDir::new().unwrap();
    let mut key = step_up::furnish(home.path());
    let more = "\n[[route]]\npath = \"/resources/**\"\nstep_up = { otp = [\"yubikey\"] }\n"
        .to_owned()
        + step_up::OTP;
    let with_bodies = |text: String| fill(&text, &[("origin = ", "body = true\norigin = ")]);
    let filter = GUIDE
        .split('`')
        .find(|text| text.starts_with("with_request_body: {"));
    let filter = filter.expect("the guide says how");
    let theirs = |text: String| {
        let line = text
            .lines()
            .find(|line| line.contains("ext_authz.v3.ExtAuthz"))
            .unwrap();
        let indent = " ".repeat(line.len() - line.trim_start().len());
        fill(&text, &[(line, &format!("{line}\n{indent}{filter}"))])
    };
    let envoy = Envoy::start_with(&upstream, by, home, &more, with_bodies, theirs);
    let bearer = format!("Authorization: Bearer {}", token());
    let put = |lines: &[&str], body: &str| {
        let lines = lines.concat();
        let text = format!(
            "PUT /resources/7 HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n{bearer}\r\n{lines}\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        parse(&exchange(envoy.address, text.as_bytes()))
    };
    let asked = put(&[], "{\"count\":7}");
    let otp = key.press(1);
    let answer = step_up::step_up(step_up::challenge(&asked), otp.expose()) + "\r\n";
    // The caller's word about the body is Envoy's to say.
    let lie = "x-envoy-auth-partial-body: false\r\n";
    let other = put(&[&answer, lie], "{\"count\":8}");
    let told = (other.status, step_up::parameter(&other, "otp_error"));
    assert_eq!(told, (401, Some("expired")), "{other:?}");
    let done = put(&[&answer], "{\"count\":7}");
    assert_eq!(
        (done.status, &done.json()["body"]),
        (200, &json!(11)),
        "{done:?}"
    );
    assert!(!done.body.contains(otp.expose()), "{done:?}");
    // Without a body, which Envoy hands over as nothing.
    let asked = envoy.send("DELETE /resources/7", &[&bearer]);
    let answer = step_up::step_up(step_up::challenge(&asked), key.press(2).expose());
    let done = envoy.send("DELETE /resources/7", &[&bearer, &answer]);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn by_grpc_a_person_confirms_a_request_with_its_body() {
    a_person_confirms_a_request_with_its_body(By::Grpc);
}

#[test]
fn by_http_a_person_confirms_a_request_with_its_body() {
    a_person_confirms_a_request_with_its_body(By::Http);
}

#[test]
fn by_grpc_envoy_asks_and_passes_on_who_calls() {
    envoy_asks_and_passes_on_who_calls(By::Grpc);
}

#[test]
fn by_http_envoy_asks_and_passes_on_who_calls() {
    envoy_asks_and_passes_on_who_calls(By::Http);
}

#[test]
fn by_grpc_envoy_hands_refusals_on_and_no_trick_gets_past_it() {
    envoy_hands_refusals_on_and_no_trick_gets_past_it(By::Grpc);
}

#[test]
fn by_http_envoy_hands_refusals_on_and_no_trick_gets_past_it() {
    envoy_hands_refusals_on_and_no_trick_gets_past_it(By::Http);
}
