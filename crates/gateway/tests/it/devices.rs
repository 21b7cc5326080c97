//! Devices for one-time passwords, by the real program: enrolled, listed, imported, removed, and what it
//! says when that cannot be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use countersign_otp::yubico::Secrets;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_testkit::{Finished, Program};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::PATIENCE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign-gateway");

pub(crate) const FILE: &str = r#"[listen]
address = "127.0.0.1:0"
origin = "https://api.example.com"

[[issuer]]
url = "https://id.example.com"
audience = "https://api.example.com"

[otp]
registry = "otp.sqlite"
key_file = "otp.key"

[audit]
file = "audit.jsonl"
"#;

/// As Yubico's tools write it, the letters of the name being those of the first key.
const KEYS: &str = "\
4711,cccccccccccb,010101010101,54545454545454545454545454545454,000000000000,2026-01-01T00:00:00,,
4712,cccccccccccd,020202020202,57575757575757575757575757575757,000000000000,2026-01-01T00:00:00,,
";

pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// With a configuration, and nothing made yet.
    pub(crate) fn bare(more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(
            directory.path().join("gateway.toml"),
            format!("{FILE}{more}"),
        )
        .unwrap();
        Self { directory }
    }

    pub(crate) fn new() -> Self {
        let place = Self::bare("");
        place.otp(&["init", "gateway.toml"], "").expect_code(0);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        Program::new(PROGRAM)
            .dir(self.directory.path())
            .arg("otp")
            .args(arguments)
            .limit(PATIENCE * 2)
    }

    pub(crate) fn otp(&self, arguments: &[&str], stdin: &str) -> Finished {
        self.program(arguments).stdin(stdin).run()
    }

    fn listed(&self) -> Vec<Value> {
        let listed = self.otp(&["list", "gateway.toml", "--json"], "");
        serde_json::from_str(&listed.expect_code(0).stdout).unwrap()
    }

    pub(crate) fn audited(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn key(number: u8) -> SimulatedKey {
    let letter = char::from(b"cbd"[usize::from(number)]);
    let public_id = format!("ccccccccccc{letter}").parse().unwrap();
    SimulatedKey::new(public_id, Secrets::new([number; 6], [number ^ 0x55; 16]))
}

/// What an authenticator of somebody else shows for this secret.
fn oathtool(secret: &str) -> String {
    let shown = Command::new("oathtool")
        .args(["--totp", "--base32", secret])
        .output()
        .expect("oathtool is installed");
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

fn secret_of(uri: &str) -> String {
    let (_, rest) = uri.split_once("secret=").unwrap();
    rest.split('&').next().unwrap().to_owned()
}

#[test]
fn an_authenticator_is_enrolled_by_its_code_and_then_listed_and_removed() {
    let place = Place::new();
    let arguments = [
        "enrol",
        "totp",
        "gateway.toml",
        "--subject",
        "ada",
        "--label",
        "my phone",
    ];
    let running = place.program(&arguments).listening().start();
    let uri = running.wait_for_stdout(|said| {
        let line = said.lines().find(|line| line.starts_with("otpauth://"))?;
        Some(line.to_owned())
    });
    assert!(
        uri.starts_with("otpauth://totp/api.example.com:ada?secret="),
        "{uri}"
    );
    running.tell(&oathtool(&secret_of(&uri)));
    let said = running.finish().expect_code(0).stdout;
    assert!(
        said.contains("enrolled totp \"my phone\" of ada\n  device  "),
        "{said}"
    );

    let listed = place
        .otp(&["list", "gateway.toml"], "")
        .expect_code(0)
        .stdout;
    let device = place.listed().remove(0);
    let id = device["device"].as_str().unwrap();
    assert!(
        listed.starts_with("ada  (https://id.example.com)\n"),
        "{listed}"
    );
    assert!(
        listed.contains(&format!("  {id}  my phone\n    totp, enrolled 20")),
        "{listed}"
    );
    assert!(listed.lines().all(|line| line.len() <= 80), "{listed}");
    let everything = format!("{listed}{device}{:?}", place.audited());
    assert!(!everything.contains(&secret_of(&uri)), "{everything}");

    let removed = place
        .otp(&["remove", "gateway.toml", &id[..6]], "")
        .expect_code(0);
    assert_eq!(
        removed.stdout,
        format!("removed totp \"my phone\" of ada\n  device  {id}\n")
    );
    assert_eq!(place.listed(), Vec::<Value>::new());
    let audited = place.audited();
    let events: Vec<&str> = audited
        .iter()
        .filter_map(|it| it["event"].as_str())
        .collect();
    assert_eq!(events, ["otp_enrol", "otp_remove"]);
    assert!(
        audited
            .iter()
            .all(|it| it["sub"] == "ada" && it["device"] == *id)
    );
}

/// Enrolled by a program: what the authenticator has to be told comes as JSON, and nothing is asked.
#[test]
fn without_a_person_the_address_comes_as_json() {
    let place = Place::new();
    let arguments = [
        "enrol",
        "totp",
        "gateway.toml",
        "--subject",
        "ada",
        "--no-confirm",
    ];
    let said = place.otp(&arguments, "").expect_code(0);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(value["kind"], "totp");
    let uri = value["uri"].as_str().unwrap();
    assert_eq!(oathtool(&secret_of(uri)).len(), 6);
    assert_eq!(place.listed().len(), 1);
}

#[test]
fn keys_are_imported_by_the_box_and_given_out_by_a_touch() {
    let place = Place::new();
    let imported = place
        .otp(&["import", "gateway.toml", "-"], KEYS)
        .expect_code(0);
    assert!(
        imported.stdout.starts_with("took 2 keys into stock\n"),
        "{}",
        imported.stdout
    );
    let listed = place
        .otp(&["list", "gateway.toml"], "")
        .expect_code(0)
        .stdout;
    assert_eq!(listed, "nobody has a device\nin stock: 2 keys\n");

    let mut first = key(1);
    let otp = first.press(1).expose().to_owned();
    let enrol = |subject, otp: &str| {
        let arguments = ["enrol", "yubikey", "gateway.toml", "--subject", subject];
        place.otp(&arguments, &format!("{otp}\n"))
    };
    let said = enrol("ada", &otp).expect_code(0).stdout;
    assert!(said.contains("key     cccccccccccb"), "{said}");
    // It is hers, and the password that showed it is used up.
    let again = enrol("bob", first.press(1).expose()).expect_code(1).stderr;
    assert!(
        again.contains("why: the key cccccccccccb is not in stock"),
        "{again}"
    );
    let device = place.listed().iter().find(|it| it["sub"] == "ada").unwrap()["device"].clone();
    place
        .otp(&["remove", "gateway.toml", device.as_str().unwrap()], "")
        .expect_code(0);
    fs::write(place.path("keys.csv"), KEYS).unwrap();
    let from_file = |otp: &str| {
        let arguments = [
            "enrol",
            "yubikey",
            "gateway.toml",
            "--subject",
            "bob",
            "--keys",
            "keys.csv",
        ];
        place.otp(&arguments, otp)
    };
    let replayed = from_file(&otp).expect_code(1).stderr;
    assert!(replayed.contains("used before"), "{replayed}");
    from_file(first.press(1).expose()).expect_code(0);
    // A key of the file that was in stock is there no more.
    from_file(key(2).press(1).expose()).expect_code(0);
    assert_eq!(place.listed().len(), 2);
    let said = place.otp(&["remove", "gateway.toml", "--subject", "bob"], "");
    assert_eq!(
        said.expect_code(0)
            .stdout
            .matches("removed yubikey")
            .count(),
        2
    );
}

#[test]
fn what_goes_wrong_is_said_with_what_to_type() {
    let place = Place::bare("");
    let said = |arguments: &[&str], stdin: &str, parts: &[&str]| {
        let stderr = place.otp(arguments, stdin).expect_code(1).stderr;
        for part in parts {
            assert!(stderr.contains(part), "{arguments:?}: {stderr}");
        }
        assert_eq!(place.audited(), Vec::<Value>::new());
    };
    let list = ["list", "gateway.toml"];
    said(
        &list,
        "",
        &[
            "otp.key",
            "hint: make it: countersign-gateway otp init FILE",
        ],
    );
    place.otp(&["init", "gateway.toml"], "").expect_code(0);
    for name in ["otp.key", "otp.sqlite"] {
        let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let open = |mode| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode));
        open(0o640).unwrap();
        said(&list, "", &[name, "others can read it"]);
        open(0o600).unwrap();
    }
    let totp = ["enrol", "totp", "gateway.toml", "--subject", "ada"];
    said(&totp, "", &["no password of the device", "--no-confirm"]);
    said(
        &totp,
        "000000\n",
        &["is not right", "hint: take the next one"],
    );
    said(&totp, "hunter2\n", &["is not right"]);
    let unknown = [
        "list",
        "gateway.toml",
        "--subject",
        "a",
        "--issuer",
        "https://b",
    ];
    said(
        &unknown,
        "",
        &["no issuer of the configuration is https://b"],
    );
    let yubikey = ["enrol", "yubikey", "gateway.toml", "--subject", "ada"];
    said(&yubikey, "not a touch\n", &["hint: touch the Yubikey once"]);
    let otp = key(1).press(1).expose().to_owned();
    said(
        &yubikey,
        &otp,
        &["cccccccccccb is not in stock", "--remote"],
    );
    let remote = [
        "enrol",
        "yubikey",
        "gateway.toml",
        "--subject",
        "ada",
        "--remote",
    ];
    said(&remote, &otp, &["no validation server is configured"]);
    said(
        &["import", "gateway.toml", "-"],
        "hunter2\n",
        &["line 1: expected serial"],
    );
    said(
        &["remove", "gateway.toml", "abcd"],
        "",
        &["no device is called abcd"],
    );
    fs::write(
        place.path("otp.sqlite"),
        "hunter2, and more than a few bytes of it",
    )
    .unwrap();
    said(&list, "", &["otp.sqlite", "not a database"]);
}

/// A registry that was copied to another machine without its key, or with another one.
#[test]
fn another_key_file_is_said_when_the_gateway_starts() {
    let place = Place::new();
    let arguments = [
        "enrol",
        "totp",
        "gateway.toml",
        "--subject",
        "ada",
        "--no-confirm",
    ];
    place.otp(&arguments, "").expect_code(0);
    fs::remove_file(place.path("otp.key")).unwrap();
    place.otp(&["init", "gateway.toml"], "").expect_code(0);
    let running = Program::new(PROGRAM)
        .dir(place.directory.path())
        .args(["run", "gateway.toml"])
        .limit(PATIENCE * 2)
        .start();
    running.wait_for_stderr(|said| {
        said.contains("not every device can be used")
            .then_some(())?;
        said.contains("sealed with another key file").then_some(())
    });
}
