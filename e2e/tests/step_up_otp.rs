//! The real gateway asks for a one-time password; a Yubikey that is made of nothing, or an authenticator, makes
//! it; and the real `countersign curl` takes it from its terminal.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_e2e::{Cli, Issuer};
use countersign_otp::crypto::aws_lc;
use countersign_otp::oath::{self, Totp};
use countersign_otp::yubico::Secrets;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_resource::SqliteFile;
use countersign_resource::otp::{NewDevice, OtpService, Person, SealingKey, SealingKeys};
use countersign_testkit::{Finished, HttpServer, Program, Reply, Running, bin};
use serde_json::{Value, json};
use tempfile::TempDir;

const AUDIENCE: &str = "https://api.example.com";
const PROMPT: &str = "please enter yubikey OTP or 6-digit code: ";

/// An API behind the gateway, a person who has signed in, and what they carry in their pocket.
struct Site {
    cli: Cli,
    behind: HttpServer,
    origin: String,
    key: SimulatedKey,
    authenticator: Totp,
    _issuer: Issuer,
    _gateway: Running,
    _directory: TempDir,
}

fn key(id: &str, byte: u8) -> (SimulatedKey, Secrets) {
    let secrets = Secrets::new([byte; 6], [byte; 16]);
    (
        SimulatedKey::new(id.parse().unwrap(), secrets.clone()),
        secrets,
    )
}

/// The person of the session, as the authorization server knows them.
fn subject(cli: &Cli) -> String {
    let token = cli.run("token").expect_code(0).stdout;
    let claims = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sub"].as_str().unwrap().to_owned()
}

/// Registers the two devices of a person, where the gateway will look for them.
fn enrol(directory: &Path, who: Person<'_>, secrets: &Secrets, authenticator: &Totp) {
    let seal = SealingKey::create(&directory.join("otp.key")).unwrap();
    let file = SqliteFile::create(&directory.join("otp.sqlite")).unwrap();
    let service = OtpService::builder(
        Arc::new(file.clone()),
        SealingKeys::new(seal),
        Arc::new(file),
    );
    let service = service.build().unwrap();
    let yubikey = NewDevice::Yubikey("ccccccbcgujh".parse().unwrap(), secrets.clone());
    let totp = NewDevice::Totp(authenticator.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        service.enrol(who, "blue key", yubikey, None).await.unwrap();
        service.enrol(who, "phone", totp, None).await.unwrap();
    });
}

fn site() -> Site {
    let issuer = Issuer::start();
    let cli = Cli::new();
    let waiting = cli.start_device(&format!(
        "--issuer {} --client-id cli --resource {AUDIENCE}",
        issuer.issuer()
    ));
    issuer.approve(&waiting.address, &waiting.code);
    waiting.finish().expect_code(0);

    let directory = TempDir::new().unwrap();
    let (key, secrets) = key("ccccccbcgujh", 7);
    let authenticator = Totp::new(oath::Secret::from_random([9; 20]));
    let subject = subject(&cli);
    let who = Person::new(issuer.issuer(), &subject);
    enrol(directory.path(), who, &secrets, &authenticator);

    let behind = HttpServer::start();
    let deleted = Reply::json(200, &json!({ "deleted": "foobar" }));
    behind.on("DELETE", "/resources/foobar", deleted);
    behind.on("HEAD", "/stock", Reply::new(200));
    behind.on("POST", "/stock", Reply::json(200, &json!({ "stock": 0 })));
    let port = free_port();
    let origin = format!("http://127.0.0.1:{port}");
    let text = format!(
        r#"
[listen]
address = "127.0.0.1:{port}"
origin = "{origin}"
workers = 1

[[issuer]]
url = "{issuer}"
audience = "{AUDIENCE}"

[otp]
registry = "otp.sqlite"
key_file = "otp.key"

[[upstream]]
name = "api"
address = "{behind}"

[[route]]
path = "/resources/{{name}}"
methods = ["DELETE"]
upstream = "api"
step_up = {{ otp = ["yubikey", "totp"], action = "delete resource {{last}}" }}

[[route]]
path = "/stock"
upstream = "api"
step_up = {{ otp = ["yubikey", "totp"], per = "5m" }}
"#,
        issuer = issuer.issuer(),
        behind = behind.origin(),
    );
    let file = directory.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    let gateway = Program::new(bin("countersign-gateway"))
        .arg("run")
        .arg(&file)
        .limit(Duration::from_secs(300))
        .start();
    gateway.wait_for_stdout(|text| text.contains("listening=").then_some(()));
    Site {
        origin,
        cli,
        behind,
        key,
        authenticator,
        _issuer: issuer,
        _gateway: gateway,
        _directory: directory,
    }
}

/// A port that nobody has a moment ago: challenges are for the gateway's own name, which has to be known
/// before it starts.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Site {
    fn touch(&mut self) -> String {
        self.key.press(0x1234).expose().to_owned()
    }

    /// What the authenticator shows now.
    fn code(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let code = self.authenticator.code_at(now, aws_lc::provider());
        code.to_string()
    }

    /// Runs a command at a terminal, and types these when it asks.
    fn types(&self, arguments: &str, passwords: &[&str]) -> Finished {
        let process = self.cli.command_at_terminal(arguments).start();
        for (round, password) in passwords.iter().enumerate() {
            process.wait_for_stdout(|text| {
                (text.matches(PROMPT).count() > round && text.ends_with(PROMPT)).then_some(())
            });
            process.tell(password);
        }
        let done = process.finish();
        for password in passwords {
            assert!(!done.stdout.contains(password), "{}", done.stdout);
        }
        done
    }

    fn deletes(&self, passwords: &[&str]) -> Finished {
        let line = format!("curl {}/resources/foobar -sS -X DELETE", self.origin);
        self.types(&line, passwords)
    }
}

#[test]
fn a_key_or_an_authenticator_confirms_and_nothing_is_good_twice() {
    let mut site = site();
    let deleted = "{\"deleted\":\"foobar\"}";

    let touch = site.touch();
    let done = site.deletes(&[&touch]).expect_code(0);
    assert!(done.stdout.contains(deleted), "{}", done.stdout);
    let shown = format!("DELETE {}/resources/foobar", site.origin);
    assert!(done.stdout.contains(&shown), "{}", done.stdout);
    let calls = "The API calls that: delete resource foobar";
    assert!(done.stdout.contains(calls), "{}", done.stdout);

    let code = site.code();
    let done = site.deletes(&[&code]).expect_code(0);
    assert!(done.stdout.contains(deleted), "{}", done.stdout);

    // Both were used, and somebody else's key was never good here.
    let (mut stranger, _) = key("cccccccccccd", 8);
    let foreign = stranger.press(1).expose().to_owned();
    let done = site.deletes(&[&touch, &code, &foreign]).expect_code(8);
    // On a slow machine the code may have become too old to be recognised.
    let used = done.stdout.matches("That one was used before.").count();
    assert!((1..=2).contains(&used), "{}", done.stdout);
    assert!(done.stdout.contains("otp_wrong"), "{}", done.stdout);
    let next = site.touch();
    let done = site.deletes(&[&touch, &next]).expect_code(0);
    assert!(done.stdout.contains(deleted), "{}", done.stdout);

    let requests = site.behind.requests();
    assert_eq!(requests.len(), 3, "what is not confirmed stays in front");
    assert!(requests.iter().all(|it| it.header("step-up").is_none()));
}

#[test]
fn ahead_of_time_and_without_a_terminal() {
    let mut site = site();
    let line = format!("curl {}/stock -sS -d n=0", site.origin);
    let program = site.cli.command(&format!("--no-input {line}"));
    let done = program.run().expect_code(8);
    let object: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(object["otp_methods"], json!(["yubikey", "totp"]));

    let touch = site.touch();
    let ahead = format!("stepup {}/stock", site.origin);
    let done = site.types(&ahead, &[&touch]).expect_code(0);
    assert!(
        done.stdout.contains("has taken the one-time password"),
        "{}",
        done.stdout
    );
    // For a while, nobody is asked, whatever the method; and another path is another rule.
    let done = site.cli.run(&format!("--no-input {line}")).expect_code(0);
    assert_eq!(done.stdout, "{\"stock\":0}");
    let other = format!("curl {}/resources/foobar -sS -X DELETE", site.origin);
    site.cli.run(&format!("--no-input {other}")).expect_code(8);
}
