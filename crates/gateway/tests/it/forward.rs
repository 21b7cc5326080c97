//! Forward-auth by a plain client: who is believed, what is asked, and what the answer holds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use countersign_jose::{Algorithm, KeySet, Unverified, base64url, crypto};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{
    AUDIENCE, Answer, Issuer, PATIENCE, Running, config, exchange, parse, start, start_in, token,
};

/// The routes of a service that another proxy has.
pub(crate) const ROUTES: &str = r#"
[[route]]
path = "/stock/**"
methods = ["GET", "PUT"]
scopes = ["stock:read"]
identity = ["assertion", "headers"]

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

/// A gateway that answers one proxy and takes no requests itself.
pub(crate) fn file(table: &str) -> String {
    format!(
        r#"
[listen]
admin = "127.0.0.1:0"
workers = 1
drain = "2s"

[[forward_auth]]
address = "127.0.0.1:0"
origin = "https://api.test"
{table}

[[issuer]]
url = "{}"
audience = "{AUDIENCE}"
{ROUTES}"#,
        Issuer::get().url()
    )
}

/// The file for a proxy on this machine.
pub(crate) fn local(preset: &str) -> String {
    file(&format!("preset = \"{preset}\"\ntrust = [\"127.0.0.1\"]"))
}

/// A question as Traefik asks it.
struct Question<'q> {
    method: &'q str,
    uri: &'q str,
    host: &'q str,
    headers: Vec<String>,
}

fn question<'q>(method: &'q str, uri: &'q str) -> Question<'q> {
    Question {
        method,
        uri,
        host: "api.test",
        headers: Vec::new(),
    }
}

impl Question<'_> {
    fn header(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }

    fn by_ada(self) -> Self {
        self.header(format!("Authorization: Bearer {}", token()))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "GET /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Forwarded-Method: {}\r\nX-Forwarded-Uri: \
             {}\r\nX-Forwarded-Host: {}\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n",
            self.method, self.uri, self.host
        );
        for line in &self.headers {
            text += line;
            text += "\r\n";
        }
        text + "\r\n"
    }

    fn ask(&self, running: &Running) -> Answer {
        let address = running.gateway.forward_auth_addresses()[0].parse().unwrap();
        let answer = parse(&exchange(address, self.text().as_bytes()));
        assert_eq!(answer.header("content-length"), Some("0"), "{answer:?}");
        assert_eq!(answer.body, "");
        answer
    }
}

#[test]
fn what_passes_says_who_calls_and_nothing_is_left_to_the_caller() {
    let running = start(&local("traefik"));
    let answer = question("PUT", "/stock/7?x=/open/").by_ada().ask(&running);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-auth-subject"), Some("ada"));
    assert_eq!(answer.header("x-auth-client-id"), Some("cli"));
    assert_eq!(answer.header("x-auth-scope"), Some("stock:read"));
    assert_eq!(answer.header("x-auth-issuer"), Some(&*Issuer::get().url()));
    assert_eq!(answer.header("authorization"), Some(""));
    let assertion = answer.header("x-countersign-identity").unwrap();
    let keys = running.admin("/.well-known/jwks.json").body;
    let keys = KeySet::from_json(keys.as_bytes(), crypto::aws_lc::provider()).unwrap();
    let assertion: Unverified<'_> = Unverified::parse(assertion).unwrap();
    let claims = assertion.verify(&keys, &[Algorithm::Es256]).unwrap();
    // There is no upstream that it could be for, and no other name.
    for (claim, value) in [
        ("iss", "https://api.test"),
        ("aud", "https://api.test"),
        ("sub", "ada"),
    ] {
        assert_eq!(claims.str(claim).unwrap(), Some(value));
    }
    // Also where there is nothing to say.
    let answer = question("GET", "/open/x").by_ada().ask(&running);
    assert_eq!(answer.status, 200);
    for name in [
        "x-countersign-identity",
        "x-auth-subject",
        "x-auth-issuer",
        "x-auth-client-id",
        "x-auth-scope",
        "authorization",
    ] {
        assert_eq!(answer.header(name), Some(""), "{name}");
    }
    let answer = question("GET", "/token/x").by_ada().ask(&running);
    let bearer = answer.header("authorization").unwrap();
    assert!(bearer.starts_with("Bearer ey"), "{answer:?}");
}

#[test]
fn nginx_is_told_what_there_is_and_no_more() {
    let running = start(&local("nginx"));
    let told = |uri: &str| {
        let text = question("GET", uri).by_ada().text();
        let text = text
            .replace("X-Forwarded-Method", "X-Original-Method")
            .replace("X-Forwarded-Uri", "X-Original-URI")
            .replace("X-Forwarded-Host", "X-Original-Host");
        let address = running.gateway.forward_auth_addresses()[0].parse().unwrap();
        let answer = parse(&exchange(address, text.as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        let names = [
            "x-countersign-identity",
            "x-auth-subject",
            "authorization",
            "x-request-id",
        ];
        names.map(|name| answer.header(name).is_some())
    };
    assert_eq!(told("/stock/7"), [true, true, false, true]);
    assert_eq!(told("/open/x"), [false, false, false, true]);
    assert_eq!(told("/token/x"), [true, false, true, true]);
}

#[test]
fn refusals_are_those_of_the_gateway_with_their_challenge() {
    let running = start(&local("traefik"));
    let none = question("GET", "/stock/7").ask(&running);
    assert_eq!(none.status, 401);
    let challenge = none.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    // Both schemes in one header, for proxies that hand on one only.
    assert!(challenge.contains(", DPoP "), "{challenge}");
    let scope = question("GET", "/written/7").by_ada().ask(&running);
    assert_eq!(scope.status, 403);
    let challenge = scope.header("www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert_eq!(question("GET", "/else").by_ada().ask(&running).status, 403);
    let method = question("DELETE", "/stock/7").by_ada().ask(&running);
    assert_eq!(
        (method.status, method.header("allow")),
        (405, Some("GET, HEAD, PUT"))
    );
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let running = start(&local("traefik"));
    for uri in [
        "//stock/7",
        "/open//../stock/7",
        "/open/../stock/7",
        "/open/%2e%2e/stock/7",
        "/open/..;/stock/7",
        "/open%2f..%2fstock/7",
        "/open/%252e%252e/stock/7",
        "/open\\..\\stock",
        "/open/x#/stock",
        "/open/x?a#b",
        "/open/\u{1}",
        "/Open/x",
        "http://api.test/open/x",
        "https://evil.test/open/x",
        "*",
        "open/x",
        "?/open/x",
    ] {
        let answer = question("GET", uri).by_ada().ask(&running);
        assert_eq!(answer.status, 400, "{uri}: {answer:?}");
    }
    for (question, status) in [
        // The query is never what a rule is for.
        (question("GET", "/stock/7?/open/x"), 401),
        (question("GET", "/stock/7?x=/open/"), 401),
        (
            question("GET", "/stock/7").header("User-Agent: kube-probe/1.30"),
            401,
        ),
        (
            question("GET", "/stock/7").header("User-Agent: GoogleHC/1.0"),
            401,
        ),
        (
            question("GET", "/stock/7").header("X-Original-Uri: /open/x"),
            400,
        ),
        (
            question("GET", "/stock/7").header("X-Original-Url: /open/x"),
            400,
        ),
        (
            question("GET", "/stock/7").header("X-Rewrite-Url: /open/x"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Http-Method-Override: PUT"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Method-Override: PUT"),
            400,
        ),
        (
            question("GET", "/open/x").header("X_Auth_Subject: eve"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Auth_Subject: eve"),
            400,
        ),
        (
            question("GET", "/open/x").header("x_countersign_identity: eve"),
            400,
        ),
        (question("GET", "/open/x").header("Remote_User: eve"), 400),
        (
            question("GET", "/open/x").header("X_Forwarded_Uri: /stock"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Forwarded-Uri: /stock/7"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Forwarded-Method: PUT"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Forwarded-Host: evil.test"),
            400,
        ),
        (
            question("GET", "/open/x").header("X-Forwarded-For: 192.0.2.8"),
            400,
        ),
        (question("CONNECT", "/open/x"), 405),
        (question("GET /stock", "/open/x"), 400),
    ] {
        let answer = question.ask(&running);
        assert_eq!(answer.status, status, "{}: {answer:?}", question.text());
    }
    let foreign = Question {
        host: "evil.test",
        ..question("GET", "/open/x")
    };
    assert_eq!(foreign.ask(&running).status, 421);
}

#[test]
fn a_question_that_lacks_something_is_refused_and_nothing_takes_its_place() {
    let running = start(&local("traefik"));
    let whole = question("GET", "/open/x").text();
    let address = running.gateway.forward_auth_addresses()[0].parse().unwrap();
    for name in ["Method", "Uri", "Host", "For"] {
        let line = format!("X-Forwarded-{name}: ");
        let text: String = whole
            .split_inclusive("\r\n")
            .filter(|found| !found.starts_with(&line))
            // What other proxies would say it with.
            .map(|found| found.replace("GET /ask", "GET /open/x"))
            .collect();
        let text = text.replace(
            "\r\n\r\n",
            "\r\nX-Real-Ip: 192.0.2.7\r\nForwarded: for=192.0.2.7;host=api.test\r\n\r\n",
        );
        let answer = parse(&exchange(address, text.as_bytes()));
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
    }
}

#[test]
fn nobody_is_believed_unless_the_file_says_so() {
    for table in [
        "preset = \"traefik\"",
        "preset = \"traefik\"\ntrust = [\"10.0.0.0/8\"]",
    ] {
        let running = start(&file(table));
        let answer = question("GET", "/open/x").ask(&running);
        assert_eq!(answer.status, 403, "{table}");
        assert_eq!(answer.header("x-auth-subject"), None);
    }
}

/// RFC 8705, section 3: the connection is the proxy's, so the proxy says whose certificate it saw.
#[test]
fn a_certificate_is_believed_from_the_proxy_and_not_from_where_the_caller_is() {
    let certificate = b"any bytes are one";
    let digest = base64url::encode(&crypto::aws_lc::provider().sha256(certificate));
    let token = Issuer::get().token(&json!({ "cnf": { "x5t#S256": digest } }));
    for (trust, status) in [("127.0.0.1", 200), ("192.0.2.0/24", 401)] {
        let table = format!(
            "[client_certificate]\nheader = \"Client-Cert\"\nform = \"rfc9440\"\ntrust = [\"{trust}\"]\n"
        );
        let running = start(&(local("traefik") + &table));
        // In base64, as the proxy writes it.
        let answer = question("GET", "/stock/7")
            .header(format!("Authorization: Bearer {token}"))
            .header("Client-Cert: :YW55IGJ5dGVzIGFyZSBvbmU=:")
            .ask(&running);
        assert_eq!(answer.status, status, "{trust}: {answer:?}");
    }
}

#[test]
fn a_reload_changes_who_is_believed_and_not_where_it_listens() {
    let running = start(&file("preset = \"traefik\""));
    assert_eq!(question("GET", "/open/x").ask(&running).status, 403);
    let reload = |text: &str| {
        let config = config(text, running.directory.path()).unwrap();
        running.gateway.reload(config)
    };
    reload(&local("traefik")).unwrap();
    assert_eq!(question("GET", "/open/x").ask(&running).status, 200);
    for other in [
        local("caddy"),
        local("traefik")
            .replace("127.0.0.1:0\"\norigin", "unix:x.sock\"\norigin")
            .replace("trust =", "#"),
        local("traefik")
            + "\n[[forward_auth]]\npreset = \"nginx\"\naddress = \"unix:y.sock\"\norigin = \"https://b.test\"\n",
    ] {
        let problem = reload(&other).unwrap_err();
        assert!(
            problem.to_string().contains("restart the gateway"),
            "{problem}"
        );
    }
    assert_eq!(question("GET", "/open/x").ask(&running).status, 200);
}

#[test]
fn a_unix_socket_is_for_its_group_and_one_that_is_left_over_is_replaced() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("forward.sock");
    // As a process leaves it that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let text = file("preset = \"traefik\"").replacen(
        "127.0.0.1:0\"\norigin",
        "unix:forward.sock\"\norigin",
        1,
    );
    let running = start_in(&text, directory);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = question("GET", "/stock/7").by_ada().text();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).status, 200);
    // One that is in use is not taken away.
    let config = config(&text, running.directory.path()).unwrap();
    let problem = countersign_gateway::Gateway::start(config, |_| ()).unwrap_err();
    assert!(problem.to_string().contains("is in use"), "{problem}");
}

#[test]
fn connections_are_kept_whatever_the_answer_is() {
    let running = start(&local("traefik"));
    let address = running.gateway.forward_auth_addresses()[0].parse().unwrap();
    let mut text = String::new();
    let mut wanted = Vec::new();
    for (path, status) in [
        ("/stock/7", 401),
        ("/open/x", 200),
        ("/else", 403),
        ("//", 400),
        ("/open/y", 200),
    ] {
        let question = question("GET", path).text();
        text += &question.replace("Connection: close\r\n", "");
        wanted.push(status);
    }
    text += &question("GET", "/open/x").text();
    let answers = exchange(address, text.as_bytes());
    let answers = String::from_utf8(answers).unwrap();
    let found: Vec<u16> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().unwrap())
        .collect();
    wanted.push(200);
    assert_eq!(found, wanted);
    let metrics = running.admin("/metrics").body;
    assert!(
        metrics.contains("countersign_gateway_connections_accepted_total 1\n"),
        "{metrics}"
    );
}

#[test]
fn every_answer_is_written_down_about_the_request_of_the_caller() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("audit.jsonl");
    let text = local("traefik") + "\n[audit]\nfile = \"audit.jsonl\"\n";
    let running = start_in(&text, directory);
    question("PUT", "/stock/7?q").by_ada().ask(&running);
    question("GET", "/stock/../8").ask(&running);
    question("GET", "/open/x")
        .header("Remote_User: eve")
        .ask(&running);
    let directory = running.directory;
    running.gateway.stop();
    let lines: Vec<serde_json::Value> = fs::read_to_string(log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    drop(directory);
    let told = |at: usize, name: &str| lines[at][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(told(0, "client"), "192.0.2.7");
    assert_eq!(told(0, "method"), "PUT");
    assert_eq!(told(0, "host"), "api.test");
    assert_eq!(told(0, "path"), "/stock/7");
    assert_eq!(told(0, "sub"), "ada");
    assert_eq!(told(0, "decision"), "pass");
    assert_eq!(told(1, "path"), "/stock/../8");
    assert_eq!(told(1, "code"), "path_dot_segment");
    assert_eq!(told(2, "code"), "misleading_header");
    assert_eq!(lines.len(), 3, "{}", json!(lines));
}

#[test]
fn the_gateways_own_door_refuses_routes_without_an_upstream() {
    let text = local("traefik").replace(
        "[listen]",
        "[listen]\naddress = \"127.0.0.1:0\"\norigin = \"http://gateway.test\"",
    );
    let running = start(&text);
    for target in ["/stock/7", "/open/x"] {
        assert_eq!(running.get_as_ada(target).status, 403, "{target}");
    }
    // Nor does it take the word of a proxy.
    let spoofed = running.get("/stock/7", &["X-Forwarded-Uri: /open/x"]);
    assert_eq!(spoofed.status, 401);
}
