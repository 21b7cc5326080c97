//! Routes that ask for a one-time password: what the caller is told, what the upstream gets, and what
//! another request, another gateway or another presentation of the same gets, which is nothing.

mod elsewhere;
mod once;
mod written;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use countersign_gateway::Config;
use countersign_jose::dpop::Proof;
use countersign_jose::{Algorithm, SigningKey, Timestamp, crypto};
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{KeyFile, Secrets};
use countersign_resource::SqliteFile;
use countersign_resource::otp::{NewDevice, OtpService, Person, SealingKey, SealingKeys};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Answer, Issuer, PATIENCE, Running, head, start_in, token};
use crate::upstream::Upstream;

/// What most tests ask.
const ROUTES: &str = r#"
[[route]]
path = "/resources/{name}"
name = "delete resource"
scopes = ["stock:read"]
upstream = "stock"
step_up = { otp = ["yubikey", "totp"], action = "delete resource {last}", body_limit = "1KiB" }

[[route]]
path = "/stock/**"
upstream = "stock"
step_up = { otp = ["yubikey"], per = "5m" }

[[route]]
path = "/open/**"
public = true
upstream = "stock"
"#;

/// Where the devices are; a wrong password too many is another test's business.
pub(crate) const OTP: &str = r#"
[otp]
registry = "otp.sqlite"
key_file = "otp.key"
failures = 100
"#;

const KEY: &str = "\n[step_up]\nkey_file = \"challenges\"\n";

/// Everything that a gateway needs beside its configuration, and Ada's key.
fn place() -> (TempDir, SimulatedKey) {
    let directory = TempDir::new().unwrap();
    let key = furnish(directory.path());
    (directory, key)
}

pub(crate) fn furnish(directory: &Path) -> SimulatedKey {
    let file = SqliteFile::create(&directory.join("otp.sqlite")).unwrap();
    let keys = SealingKeys::new(SealingKey::create(&directory.join("otp.key")).unwrap());
    private(directory, "challenges", &"A".repeat(43));
    let registry = Arc::new(file.clone());
    let service = OtpService::builder(registry, keys, Arc::new(file));
    let service = service.build().unwrap();
    enrol(&service, "ada")
}

fn private(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn enrol(service: &OtpService, subject: &str) -> SimulatedKey {
    let line = "1,cccccccccccb,000000000001,000102030405060708090a0b0c0d0e0f,000000000000,,,\n";
    let record = KeyFile::parse(line).unwrap().into_records().remove(0);
    let secrets = || {
        let (id, key) = record.secrets.expose();
        Secrets::new(*id, *key)
    };
    let issuer = Issuer::get().url();
    let new = NewDevice::Yubikey(record.public_id.clone(), secrets());
    let who = Person::new(&issuer, subject);
    let enrolling = service.enrol(who, "the key at her belt", new, None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(enrolling).unwrap();
    SimulatedKey::new(record.public_id.clone(), secrets())
}

/// A gateway with the usual routes.
fn start(upstream: &Upstream) -> (Running, SimulatedKey) {
    let (directory, key) = place();
    let text = head(&upstream.url(), "h2c = true")
        + ROUTES
        + OTP
        + KEY
        + "\n[audit]\nfile = \"audit.jsonl\"\n";
    (start_in(&text, directory), key)
}

/// The parameters of the challenge of an answer.
pub(crate) fn parameter<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let challenge = answer.header("www-authenticate")?;
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

pub(crate) fn challenge(answer: &Answer) -> &str {
    assert_eq!(answer.status, 401, "{answer:?}");
    parameter(answer, "otp_challenge").unwrap_or_else(|| panic!("no challenge: {answer:?}"))
}

/// `Step-Up` as a line.
pub(crate) fn step_up(challenge: &str, otp: &str) -> String {
    format!("Step-Up: challenge=\"{challenge}\", method=yubikey, otp=\"{otp}\"")
}

fn bearer() -> String {
    format!("Authorization: Bearer {}", token())
}

#[test]
fn a_password_lets_one_request_through_with_its_body_and_stays_here() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let bearer = bearer();
    let asked = gateway.request("PUT", "/resources/foobar?x=1", &[&bearer], "{\"count\":7}");
    assert_eq!(asked.body, "");
    assert!(challenge(&asked).starts_with("v1."));
    for (name, value) in [
        ("error", "insufficient_user_authentication"),
        ("otp_methods", "yubikey"),
        ("otp_expires_in", "60"),
        ("otp_action", "delete resource foobar"),
    ] {
        assert_eq!(parameter(&asked, name), Some(value));
    }
    let otp = key.press(1);
    let answer = step_up(challenge(&asked), otp.expose());
    let done = gateway.request(
        "PUT",
        "/resources/foobar?x=1",
        &[&bearer, &answer],
        "{\"count\":7}",
    );
    assert_eq!(done.status, 200, "{done:?}");
    let seen = done.json();
    assert_eq!(
        (&seen["target"], &seen["body"]),
        (&json!("/resources/foobar?x=1"), &json!(11))
    );
    assert!(!done.body.contains(otp.expose()), "{seen}");
    // Byte for byte the same again.
    let again = gateway.request(
        "PUT",
        "/resources/foobar?x=1",
        &[&bearer, &answer],
        "{\"count\":7}",
    );
    assert_eq!(again.status, 401, "{again:?}");
    assert_eq!(upstream.requests().len(), 1);
    // It stays here where nobody asks for it, too.
    let open = gateway.get("/open/x", &[&answer]);
    assert_eq!(
        (open.status, open.json()["headers"]["step-up"].is_null()),
        (200, true)
    );

    let metrics = gateway.admin("/metrics").body;
    assert!(metrics.contains("otp_needed"), "{metrics}");
    let log = gateway.directory.path().join("audit.jsonl");
    gateway.gateway.stop();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains(otp.expose()), "{log}");
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<_> = lines
        .iter()
        .map(|line| line["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes[..2], ["otp_needed", "pass"]);
    assert!(
        ["otp_challenge_used", "otp_replayed"].contains(&codes[2]),
        "{codes:?}"
    );
    for line in &lines[..3] {
        assert_eq!(line["sub"], "ada", "{line}");
    }
    assert_eq!(
        (&lines[1]["otp"], &lines[1]["device"]),
        (&json!("yubikey"), &json!("the key at her belt"))
    );
}

/// A body whose length nobody says before, and one that comes over HTTP/2.
#[test]
fn a_body_is_bound_however_it_comes() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let bearer = bearer();
    let chunked = |step_up: &str, body: &str| {
        gateway.raw(format!(
            "POST /resources/a HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{bearer}\r\n{step_up}\
             Transfer-Encoding: chunked\r\n\r\n2\r\n{body}\r\n1\r\n!\r\n0\r\n\r\n"
        ))
    };
    let asked = chunked("", "hi");
    let otp = key.press(1);
    let answer = step_up(challenge(&asked), otp.expose()) + "\r\n";
    let other = chunked(&answer, "ho");
    assert_eq!(
        (other.status, parameter(&other, "otp_error")),
        (401, Some("expired"))
    );
    let done = chunked(&answer, "hi");
    assert_eq!(
        (done.status, &done.json()["body"]),
        (200, &json!(3)),
        "{done:?}"
    );

    let h2 = |step_up: Option<&str>, body: &str| {
        let mut lines = vec![bearer.as_str()];
        lines.extend(step_up);
        http2(gateway.address, "/resources/a", &lines, body)
    };
    let (status, challenge) = h2(None, "hi!");
    assert_eq!(status, 401);
    let answer = step_up(&challenge.unwrap(), key.press(1).expose());
    assert_eq!(h2(Some(&answer), "ho!").0, 401);
    assert_eq!(h2(Some(&answer), "hi!").0, 200);
    let seen = upstream.requests().pop().unwrap();
    assert_eq!(seen["headers"]["step-up"], json!(null));
}

/// A POST over HTTP/2: its status, and the challenge if there is one.
fn http2(address: SocketAddr, path: &str, lines: &[&str], body: &str) -> (u16, Option<String>) {
    let mut request = http::Request::post(format!("http://gateway.test{path}"));
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned())));
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request.unwrap()).await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let response =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await.unwrap() });
    let told = response.headers().get("www-authenticate");
    let told = told.map(|value| value.to_str().unwrap());
    let challenge = told.and_then(|told| {
        let (_, rest) = told.split_once("otp_challenge=\"")?;
        Some(rest.split('"').next()?.to_owned())
    });
    (response.status().as_u16(), challenge)
}

#[test]
fn what_was_asked_for_one_request_does_not_do_for_another() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let bearer = bearer();
    let asked = gateway.request("DELETE", "/resources/foobar", &[&bearer], "");
    let otp = key.press(1);
    let answer = step_up(challenge(&asked), otp.expose());
    let others = Issuer::get().token(&json!({ "jti": "j2" }));
    let others = format!("Authorization: Bearer {others}");
    for (method, target, bearer, body) in [
        ("DELETE", "/resources/other", &bearer, ""),
        ("DELETE", "/resources/foobar?all", &bearer, ""),
        // The same resource, written in another way.
        ("DELETE", "/resources/foob%61r", &bearer, ""),
        ("PUT", "/resources/foobar", &bearer, ""),
        ("DELETE", "/resources/foobar", &bearer, "{}"),
        ("DELETE", "/resources/foobar", &others, ""),
        // Another rule.
        ("DELETE", "/stock/foobar", &bearer, ""),
    ] {
        let refused = gateway.request(method, target, &[bearer, &answer], body);
        let told = (refused.status, parameter(&refused, "otp_error"));
        assert_eq!(told, (401, Some("expired")), "{method} {target} {body}");
    }
    let done = gateway.request("DELETE", "/resources/foobar", &[&bearer, &answer], "");
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(upstream.requests().len(), 1);
}

/// The challenge is told in the scheme of the token, and each request brings a proof of its own.
#[test]
fn a_token_that_is_bound_to_a_key_is_asked_in_its_own_scheme() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let holder = SigningKey::generate(Algorithm::Es256, crypto::aws_lc::provider()).unwrap();
    let token = Issuer::get().token(&json!({ "cnf": { "jkt": holder.thumbprint() } }));
    let send = |nonce: Option<&str>, step_up: Option<&str>| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let proof = Proof {
            htm: "DELETE",
            htu: "http://gateway.test/resources/7",
            access_token: Some(&token),
            nonce,
        };
        let now = Timestamp::from_secs(now.as_secs().try_into().unwrap());
        let proof = proof.sign(&holder, now).unwrap();
        let lines = [
            format!("Authorization: DPoP {token}"),
            format!("DPoP: {proof}"),
        ];
        let lines = lines.iter().map(String::as_str);
        let lines: Vec<&str> = lines.chain(step_up).collect();
        gateway.request("DELETE", "/resources/7", &lines, "")
    };
    let bare = send(None, None);
    let nonce = bare.header("dpop-nonce");
    let asked = send(nonce, None);
    let told = asked.header("www-authenticate").unwrap();
    assert!(told.starts_with("DPoP error="), "{told}");
    let answer = step_up(challenge(&asked), key.press(1).expose());
    let done = send(nonce, Some(&answer));
    assert_eq!(done.status, 200, "{done:?}");
}

#[test]
fn one_password_counts_for_a_while_where_the_rule_says_so() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let bearer = bearer();
    let asked = gateway.get("/stock/7", &[&bearer]);
    let answer = step_up(challenge(&asked), key.press(1).expose());
    assert_eq!(gateway.get("/stock/7", &[&bearer, &answer]).status, 200);
    for target in ["/stock/7", "/stock/8?x"] {
        assert_eq!(gateway.request("PUT", target, &[&bearer], "x").status, 200);
    }
    challenge(&gateway.get("/resources/7", &[&bearer]));
    let other = Issuer::get().token(&json!({ "jti": "j2" }));
    challenge(&gateway.get("/stock/7", &[&format!("Authorization: Bearer {other}")]));
}

#[test]
fn what_cannot_be_bound_or_read_is_refused_by_its_status() {
    let upstream = Upstream::start();
    let (gateway, mut key) = start(&upstream);
    let bearer = bearer();
    for (length, status) in [(1024, 401), (1025, 413)] {
        let body = "x".repeat(length);
        assert_eq!(
            gateway
                .request("PUT", "/resources/a", &[&bearer], &body)
                .status,
            status
        );
        let chunked = format!(
            "PUT /resources/a HTTP/1.1\r\nHost: gateway.test\r\n{bearer}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{body}\r\n0\r\n\r\n\
             GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.raw(&chunked);
        assert_eq!(answer.status, status, "{answer:?}");
        // What is left of a body is never taken for a request.
        assert_eq!(answer.header("connection").is_some(), status == 413);
    }
    let grpc = gateway.request(
        "POST",
        "/resources/a",
        &[&bearer, "Content-Type: application/grpc+proto"],
        "x",
    );
    assert_eq!(grpc.status, 415);
    let asked = gateway.get("/resources/a", &[&bearer]);
    let answer = step_up(challenge(&asked), key.press(1).expose());
    for lines in [
        vec![&*bearer, &answer, &answer],
        vec![&*bearer, "Step-Up: yes"],
        vec![&*bearer, "Step-Up: challenge=\"a\", method=sms, otp=\"1\""],
    ] {
        let refused = gateway.get("/resources/a", &lines);
        let told = (refused.status, parameter(&refused, "error"));
        assert_eq!(told, (400, Some("invalid_request")), "{refused:?}");
    }
    assert_eq!(gateway.get("/resources/a", &[&bearer, &answer]).status, 200);
    let seen = upstream.requests();
    let of_rule = seen.iter().filter(|it| it["target"] == "/resources/a");
    assert_eq!(of_rule.count(), 1);
}

#[test]
fn who_guesses_is_locked_out_and_who_has_no_device_is_told_so() {
    let upstream = Upstream::start();
    let (directory, mut key) = place();
    let otp = OTP.replace("failures = 100", "failures = 3");
    let gateway = start_in(&(head(&upstream.url(), "") + ROUTES + &otp), directory);
    let bearer = bearer();
    let guess = "ccccccbchvthlivuitriujjifivbvtrjkjfirllluurj";
    for _ in 0..3 {
        let asked = gateway.get("/resources/a", &[&bearer]);
        let answer = step_up(challenge(&asked), guess);
        let refused = gateway.get("/resources/a", &[&bearer, &answer]);
        assert_eq!(parameter(&refused, "otp_error"), Some("wrong_otp"));
    }
    let asked = gateway.get("/resources/a", &[&bearer]);
    let answer = step_up(challenge(&asked), key.press(1).expose());
    let locked = gateway.get("/resources/a", &[&bearer, &answer]);
    assert_eq!(
        (locked.status, parameter(&locked, "otp_error")),
        (429, Some("locked"))
    );
    assert!(
        locked.header("retry-after").is_some() && parameter(&locked, "otp_challenge").is_none()
    );
    let grace = Issuer::get().token(&json!({ "sub": "grace" }));
    let none = gateway.get("/resources/a", &[&format!("Authorization: Bearer {grace}")]);
    assert_eq!(
        (none.status, parameter(&none, "otp_error")),
        (403, Some("no_device"))
    );
    assert!(upstream.requests().is_empty());
}

fn config(text: &str) -> Result<Config, String> {
    crate::fixture::config(text, Path::new("/nowhere")).map_err(|problem| problem.to_string())
}
