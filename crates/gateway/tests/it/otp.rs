//! A route that asks for a one-time password, at the real program: whose password counts, once, and also
//! after kill -9.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use countersign_otp::yubico::Secrets;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_testkit::{Program, Running};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Answer, Issuer, PATIENCE, exchange, head, parse};
use crate::upstream::Upstream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign-gateway");

const ROUTE: &str = r#"
[[route]]
path = "/stock/{name}"
methods = ["DELETE"]
upstream = "stock"
step_up = { otp = ["yubikey", "totp"], action = "delete {last}" }

[step_up]
key_file = "challenges"

[otp]
registry = "otp.sqlite"
key_file = "otp.key"

[audit]
file = "audit.jsonl"
"#;

const KEYS: &str = "\
,cccccccccccb,010101010101,54545454545454545454545454545454,,,,
,cccccccccccd,020202020202,57575757575757575757575757575757,,,,
";

fn key(number: u8) -> SimulatedKey {
    let letter = char::from(b"cbd"[usize::from(number)]);
    let public_id = format!("ccccccccccc{letter}").parse().unwrap();
    SimulatedKey::new(public_id, Secrets::new([number; 6], [number ^ 0x55; 16]))
}

struct Place {
    directory: TempDir,
    _upstream: Upstream,
}

impl Place {
    /// Waits until the audit log has this.
    fn wait_for_line(&self, part: &str) {
        let begin = Instant::now();
        loop {
            let log = fs::read_to_string(self.directory.path().join("audit.jsonl")).unwrap();
            if log.contains(part) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ada has the first key, Bob the second.
    fn new() -> Self {
        let upstream = Upstream::start();
        let directory = TempDir::new().unwrap();
        let path = |name| directory.path().join(name);
        let text = head(&upstream.url(), "") + ROUTE;
        fs::write(path("gateway.toml"), text).unwrap();
        fs::write(path("challenges"), "A".repeat(43)).unwrap();
        fs::set_permissions(path("challenges"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path("keys.csv"), KEYS).unwrap();
        let place = Self {
            directory,
            _upstream: upstream,
        };
        place.otp(&["init", "gateway.toml"]);
        place.otp(&["import", "gateway.toml", "keys.csv"]);
        for (subject, public_id) in [("ada", "cccccccccccb"), ("bob", "cccccccccccd")] {
            place.otp(&[
                "enrol",
                "yubikey",
                "gateway.toml",
                "--no-confirm",
                "--subject",
                subject,
                "--public-id",
                public_id,
            ]);
        }
        place
    }

    fn program(&self) -> Program {
        Program::new(PROGRAM)
            .dir(self.directory.path())
            .limit(PATIENCE * 3)
    }

    fn otp(&self, arguments: &[&str]) -> String {
        let finished = self.program().arg("otp").args(arguments).run();
        finished.expect_code(0).stdout
    }

    fn run(&self) -> Gateway {
        let program = self.program().args(["run", "gateway.toml"]).start();
        let address = program.wait_for_stdout(|said| {
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix("listening="));
            line?.parse().ok()
        });
        Gateway { program, address }
    }
}

struct Gateway {
    program: Running,
    address: SocketAddr,
}

impl Gateway {
    fn delete(&self, token: &str, headers: &str) -> Answer {
        let request = format!(
            "DELETE /stock/7 HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n{headers}\r\n"
        );
        parse(&exchange(self.address, request.as_bytes()))
    }

    /// Answers a fresh challenge with this password.
    fn confirmed(&self, token: &str, method: &str, otp: &str) -> Said {
        let step_up = step_up(&self.delete(token, ""), method, otp);
        let answer = self.delete(token, &step_up);
        Said { answer, step_up }
    }

    fn kill(mut self) {
        self.program.kill();
        let _ = self.program.finish();
    }
}

struct Said {
    answer: Answer,
    step_up: String,
}

/// The header that answers the challenge in this answer.
fn step_up(challenged: &Answer, method: &str, otp: &str) -> String {
    assert_eq!(challenged.status, 401, "{challenged:?}");
    let challenge = parameter(challenged, "otp_challenge").unwrap();
    format!("Step-Up: challenge=\"{challenge}\", method={method}, otp=\"{otp}\"\r\n")
}

fn parameter(answer: &Answer, name: &str) -> Option<String> {
    let header = answer.header("www-authenticate")?;
    let (_, rest) = header.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn error(answer: &Answer) -> Option<String> {
    parameter(answer, "otp_error")
}

fn oathtool(uri: &str) -> String {
    let (_, rest) = uri.split_once("secret=").unwrap();
    let secret = rest.split('&').next().unwrap();
    let shown = Command::new("oathtool")
        .args(["--totp", "--base32", secret])
        .output()
        .expect("oathtool is installed");
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_password_counts_once_also_after_kill_9() {
    let place = Place::new();
    let enrolled = place.otp(&[
        "enrol",
        "totp",
        "gateway.toml",
        "--subject",
        "ada",
        "--no-confirm",
    ]);
    let enrolled: serde_json::Value = serde_json::from_str(&enrolled).unwrap();
    let ada = Issuer::get().token(&json!({}));
    let otp = key(1).press(1).expose().to_owned();
    let code = oathtool(enrolled["uri"].as_str().unwrap());

    let gateway = place.run();
    let mut used = Vec::new();
    for (method, otp) in [("yubikey", &otp), ("totp", &code)] {
        let said = gateway.confirmed(&ada, method, otp);
        assert_eq!(said.answer.status, 200, "{method}: {:?}", said.answer);
        used.push((method, otp, said.step_up));
    }
    // Whoever is killed loses the lines of the last moment.
    place.wait_for_line("\"otp\":\"totp\"");
    gateway.kill();

    let gateway = place.run();
    for (method, otp, step_up) in used {
        // The same answer, whose challenge is used; and a fresh challenge with the same password.
        let again = gateway.delete(&ada, &step_up);
        assert_eq!(again.status, 401, "{method}: {again:?}");
        let replayed = gateway.confirmed(&ada, method, otp).answer;
        assert_eq!(
            error(&replayed).as_deref(),
            Some("replayed_otp"),
            "{method}: {replayed:?}"
        );
    }
    gateway.kill();
    let audited = fs::read_to_string(place.directory.path().join("audit.jsonl")).unwrap();
    assert!(audited.contains("\"otp\":\"yubikey\""), "{audited}");
    assert!(
        !audited.contains(&otp) && !audited.contains(&code),
        "{audited}"
    );
}

/// A confused deputy: the password is right, and of another person's key.
#[test]
fn a_password_of_another_persons_key_is_refused_and_not_used_up() {
    let place = Place::new();
    let gateway = place.run();
    let ada = Issuer::get().token(&json!({}));
    let bob = Issuer::get().token(&json!({ "sub": "bob" }));
    let of_bob = key(2).press(1).expose().to_owned();
    let said = gateway.confirmed(&ada, "yubikey", &of_bob).answer;
    assert_eq!(error(&said).as_deref(), Some("wrong_otp"), "{said:?}");
    let said = gateway.confirmed(&bob, "yubikey", &of_bob).answer;
    assert_eq!(said.status, 200, "{said:?}");

    // Five wrong ones in all, and nothing of hers is looked at; Bob is not concerned.
    for _ in 0..4 {
        let said = gateway.confirmed(&ada, "yubikey", &of_bob).answer;
        assert_eq!(error(&said).as_deref(), Some("wrong_otp"), "{said:?}");
    }
    let right = key(1).press(1).expose().to_owned();
    let locked = gateway.confirmed(&ada, "yubikey", &right).answer;
    assert_eq!(locked.status, 429, "{locked:?}");
    let wait: u64 = locked.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    place.otp(&["unlock", "gateway.toml", "--subject", "ada"]);
    let said = gateway.confirmed(&ada, "yubikey", &right).answer;
    assert_eq!(said.status, 200, "{said:?}");
    gateway.kill();
}
