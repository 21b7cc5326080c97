//! The real program: how it starts, refuses and ends, and its commands.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_jose::{Algorithm, SigningKey, crypto::aws_lc};
use countersign_testkit::{Finished, Program, Running};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tempfile::TempDir;

const PASSWORD: &str = "canary correct horse";

fn program(directory: &Path) -> Program {
    Program::new(env!("CARGO_BIN_EXE_countersign-issuer"))
        .arg("--state-dir")
        .arg(directory)
}

fn serve(directory: &Path) -> Running {
    program(directory)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .start()
}

fn address(server: &Running) -> SocketAddr {
    server.wait_for_stdout(|printed| {
        printed
            .lines()
            .find_map(|line| line.strip_prefix("listening=")?.parse().ok())
    })
}

fn user(directory: &Path, arguments: &[&str]) -> Finished {
    program(directory)
        .arg("user")
        .args(arguments)
        .stdin(format!("{PASSWORD}\n"))
        .run()
}

/// One request over a fresh connection; the whole answer.
fn ask(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A TLS peer that closes without a farewell is an error after the answer.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    ask(TcpStream::connect(address).unwrap(), &request)
}

/// Asks until there is an answer; not for ever.
fn eventually<T>(ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    std::iter::repeat_with(ask)
        .take_while(|_| begun.elapsed() < Duration::from_secs(30))
        .find_map(std::convert::identity)
        .expect("it comes within half a minute")
}

#[test]
fn serving_needs_no_configuration_and_ends_when_it_is_told_to() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("new").join("state");
    let mut server = serve(&state);
    let address = address(&server);
    assert!(address.ip().is_loopback());
    let issuer = format!("issuer=http://{address}");
    server.wait_for_stdout(|printed| printed.lines().any(|line| line == issuer).then_some(()));
    assert!(get(address, "/.well-known/openid-configuration").starts_with("HTTP/1.1 200 OK"));
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("keys.json")), 0o600);
    assert_eq!(mode(&state.join("issuer.sqlite")), 0o600);
    server.signal(rustix::process::Signal::TERM);
    let ended = server.finish().expect_code(0);
    assert!(
        ended.stderr.contains("development issuer"),
        "{}",
        ended.stderr
    );
    // Folded into one file, and no mark of a crash.
    assert!(!state.join("issuer.sqlite-wal").exists());
    assert_eq!(fs::read(state.join("running")).unwrap(), b"");
}

/// A request that is being answered is answered, whatever was signalled.
#[test]
fn a_running_request_is_finished_before_the_server_ends() {
    let directory = TempDir::new().unwrap();
    let mut server = serve(directory.path());
    let address = address(&server);
    let body = "grant_type=refresh_token&client_id=cli&refresh_token=x";
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal(rustix::process::Signal::TERM);
    eventually(|| TcpStream::connect(address).err());
    let answer = ask(stream, body);
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_grant"),
        "{answer}"
    );
    server.finish().expect_code(0);
}

#[test]
fn keys_and_clients_outlive_the_server() {
    let directory = TempDir::new().unwrap();
    let keys = || {
        let mut server = serve(directory.path());
        let address = address(&server);
        // The RSA key comes a moment after the first answer.
        let keys = eventually(|| {
            let answer = get(address, "/jwks");
            answer
                .contains("RS256")
                .then(|| answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
        });
        server.interrupt();
        server.finish().expect_code(0);
        keys
    };
    assert_eq!(keys(), keys());
}

#[test]
fn without_accounts_a_one_time_link_is_printed_and_only_then() {
    let directory = TempDir::new().unwrap();
    let mut server = serve(directory.path());
    let address = address(&server);
    let link = server.wait_for_stderr(|printed| {
        let start = printed.find("/setup?token=")?;
        printed[start..]
            .split_once('\n')
            .map(|(link, _)| link.to_owned())
    });
    assert!(get(address, &link).starts_with("HTTP/1.1 200 OK"));
    assert!(!get(address, "/setup?token=guess").starts_with("HTTP/1.1 200 OK"));
    server.interrupt();
    // The link is for the person at the terminal, not for a log of stdout.
    assert!(!server.finish().expect_code(0).stdout.contains("token="));
    user(directory.path(), &["add", "ada"]).expect_code(0);
    let mut server = serve(directory.path());
    self::address(&server);
    server.wait_for_stderr(|printed| printed.contains("development issuer").then_some(()));
    server.interrupt();
    assert!(!server.finish().expect_code(0).stderr.contains("/setup"));
}

#[test]
fn a_busy_port_is_named_with_what_to_type() {
    let directory = TempDir::new().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let ended = program(directory.path())
        .args(["serve", "--listen", &address])
        .run()
        .expect_code(1);
    assert!(
        ended
            .stderr
            .contains(&format!("error: {address} is in use")),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("hint: ") && ended.stderr.contains("--listen 127.0.0.1:0"));
    assert_eq!(ended.stdout, "");
}

#[test]
fn other_machines_are_not_let_in_without_a_name_and_tls() {
    let directory = TempDir::new().unwrap();
    for arguments in [
        &["serve", "--listen", "0.0.0.0:0"][..],
        &[
            "serve",
            "--listen",
            "[::]:0",
            "--issuer",
            "https://id.example.com",
        ],
        &["serve", "--issuer", "http://id.example.com"],
    ] {
        let ended = program(directory.path())
            .args(arguments)
            .run()
            .expect_code(1);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("hint: "));
        assert_eq!(ended.stdout, "");
    }
    assert!(
        !directory.path().join("issuer.sqlite").exists(),
        "nothing was made in vain"
    );
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let directory = TempDir::new().unwrap();
    let first = serve(directory.path());
    address(&first);
    let ended = program(directory.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .run()
        .expect_code(1);
    assert!(ended.stderr.contains("another server"), "{}", ended.stderr);
}

#[test]
fn with_memory_nothing_is_left() {
    let directory = TempDir::new().unwrap();
    let mut server = program(directory.path())
        .args(["serve", "--memory", "--listen", "127.0.0.1:0"])
        .start();
    assert!(get(address(&server), "/jwks").starts_with("HTTP/1.1 200 OK"));
    server.interrupt();
    server.finish().expect_code(0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn users_are_added_listed_changed_and_removed_and_no_password_is_printed() {
    let directory = TempDir::new().unwrap();
    let in_turn: [(&[&str], i32); 12] = [
        (
            &[
                "add",
                "Ada",
                "--name",
                "Ada Lovelace",
                "--email",
                "ada@example.com",
            ],
            0,
        ),
        (&["add", "ada"], 1),
        (&["add", "eve", "--group", "a", "--group", "c"], 0),
        (
            &["set", "Eve", "--add-group", "b", "--remove-group", "c"],
            0,
        ),
        (&["set", "eve", "--name", ""], 0),
        (&["set", "eve", "--remove-group", "c"], 1),
        // Nothing to change.
        (&["set", "eve"], 2),
        (&["disable", "ada"], 0),
        (&["list"], 0),
        (&["enable", "ada"], 0),
        (&["password", "ada"], 0),
        (&["remove", "eve"], 0),
    ];
    for (arguments, code) in in_turn {
        let run = user(directory.path(), arguments).expect_code(code);
        let list = "ada\tdisabled\tAda Lovelace\tada@example.com\t\neve\tenabled\t\t\ta,b\n";
        assert_eq!(run.stdout, if arguments == ["list"] { list } else { "" });
        assert!(!run.stderr.contains("canary"));
    }
    let gone = user(directory.path(), &["remove", "eve"]).expect_code(1);
    assert!(gone.stderr.contains("hint: ") && gone.stderr.contains("user list"));
    let short = program(directory.path())
        .args(["user", "add", "x"])
        .stdin("short\n")
        .run();
    assert!(
        short
            .expect_code(1)
            .stderr
            .contains("at least 10 characters")
    );
    let none = program(directory.path())
        .args(["user", "add", "x"])
        .run()
        .expect_code(1);
    assert!(
        none.stderr.contains("no password on standard input"),
        "{}",
        none.stderr
    );
}

#[test]
fn validation_servers_are_named_with_their_key_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("yubico.key");
    fs::write(&key, "AQIDBAUGBwgJCgsMDQ4PEBESExQ=\n").unwrap();
    let serve = |server: &str, more: &[&str], code| {
        let run = program(&directory.path().join("state"))
            .args(["serve", "--listen", "127.0.0.1:0", "--memory"])
            .args(["--validation-server", server])
            .args(more)
            .run();
        run.expect_code(code).stderr
    };
    let url = "https://otp.example.com/wsapi/2.0/verify";
    assert!(serve(url, &[], 2).contains("--validation-client"));
    let whole = [
        "--validation-client",
        "87",
        "--validation-key",
        key.to_str().unwrap(),
    ];
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = serve(url, &whole, 1);
    assert!(said.contains("chmod 600"), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let said = serve("http://otp.example.com/verify", &whole, 1);
    assert!(
        said.contains("a validation server is an https address"),
        "{said}"
    );
    assert!(!said.contains("AQIDBA"), "{said}");
}

/// Two keys, made up.
const KEYS: &str = "\
1,ccccccccbcbb,010203040506,000102030405060708090a0b0c0d0e0f,,2026-01-01T00:00:00,
2,ccccccccbcbc,010203040507,101112131415161718191a1b1c1d1e1f,,2026-01-01T00:00:00,
";

#[test]
fn keys_are_imported_listed_and_removed_and_no_secret_of_them_is_printed() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    user(&state, &["add", "ada"]).expect_code(0);
    let file = directory.path().join("keys.csv");
    fs::write(&file, KEYS).unwrap();
    let file = file.to_str().unwrap();
    let yubikey = |arguments: &[&str], code| {
        let run = program(&state)
            .arg("yubikey")
            .args(arguments)
            .stdin(KEYS.lines().next().unwrap())
            .run()
            .expect_code(code);
        for secret in ["0102030405", "0e0f", "1e1f"] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret));
        }
        run
    };
    let imported = yubikey(&["import", file], 0);
    assert!(
        imported.stderr.contains("2 keys imported"),
        "{}",
        imported.stderr
    );
    assert!(imported.stderr.contains("the file has their secrets"));
    // Once more and for one person, from standard input.
    let imported = yubikey(&["import", "-", "--for", "Ada"], 0);
    assert!(
        imported
            .stderr
            .contains("1 key imported, to be claimed at /factors by Ada")
    );
    assert_eq!(
        yubikey(&["list"], 0).stdout,
        "ccccccccbcbb\treserved\tada\nccccccccbcbc\tfree\t-\n"
    );
    yubikey(&["rm", "CCCCCCCCBCBC"], 0);
    let gone = yubikey(&["remove", "ccccccccbcbc"], 1);
    assert!(gone.stderr.contains("hint: ") && gone.stderr.contains("yubikey list"));
    let nobody = yubikey(&["import", file, "--for", "eve"], 1);
    assert!(
        nobody.stderr.contains("there is no user eve"),
        "{}",
        nobody.stderr
    );
    fs::write(file, KEYS.replace("101112", "x01112")).unwrap();
    let refused = yubikey(&["import", file], 1);
    assert!(
        refused.stderr.contains("line 2: the AES key"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("nothing was imported"));
    assert_eq!(
        yubikey(&["list"], 0).stdout,
        "ccccccccbcbb\treserved\tada\n"
    );
    assert_eq!(mode(&state.join("keys.json")), 0o600);

    let listed = user(&state, &["factors", "list", "ADA"]).expect_code(0);
    assert_eq!(listed.stdout, "recovery codes\t0\n");
    user(&state, &["factors", "reset", "ada"]).expect_code(0);
    let nobody = user(&state, &["factors", "reset", "eve"]).expect_code(1);
    assert!(nobody.stderr.contains("there is no user eve"));
}

#[test]
fn the_metadata_say_which_classes_there_are_and_a_bad_name_is_refused() {
    for (arguments, expected) in [
        (&[][..], r#""acr_values_supported":["1","mfa"]"#),
        (
            &["--second-factor", "required", "--mfa-acr", "urn:example:2"],
            r#""acr_values_supported":["1","urn:example:2"]"#,
        ),
        (
            &["--second-factor", "off"],
            r#""acr_values_supported":["1"]"#,
        ),
    ] {
        let directory = TempDir::new().unwrap();
        let server = program(directory.path())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .start();
        let metadata = get(address(&server), "/.well-known/openid-configuration");
        assert!(metadata.contains(expected), "{metadata}");
    }
    for name in ["1", "", "two words", "a\"b", "\u{e9}"] {
        let directory = TempDir::new().unwrap();
        let refused = program(directory.path())
            .args(["serve", "--mfa-acr", name])
            .run()
            .expect_code(2);
        assert!(refused.stderr.contains("--mfa-acr"), "{}", refused.stderr);
    }
}

fn client(directory: &Path, arguments: &[&str]) -> Finished {
    program(directory).arg("client").args(arguments).run()
}

const PUBLIC_KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"one",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

#[test]
fn a_client_is_shown_in_the_words_of_rfc_7591() {
    let directory = TempDir::new().unwrap();
    let keys = directory.path().join("keys.json");
    fs::write(&keys, PUBLIC_KEY).unwrap();
    let keys = keys.to_str().unwrap();
    let added = client(
        directory.path(),
        &[
            "add",
            "robot",
            "--jwks",
            keys,
            "--client-credentials",
            "--serves",
            "https://robot.example",
            "--scope",
            "api.read",
            "--audience",
            "https://api.example",
            "--dpop",
            "--require-par",
            "--redirect-uri",
            "https://robot.example/callback",
            "--redirect-uri",
            "http://127.0.0.1/callback",
            "--post-logout-redirect-uri",
            "https://robot.example/",
        ],
    )
    .expect_code(0);
    assert_eq!(added.stdout, "");
    let shown = client(directory.path(), &["show", "robot"]).expect_code(0);
    let mut shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert!(shown["client_id_issued_at"].take().is_i64());
    let expected = serde_json::json!({
        "client_id": "robot",
        "client_name": "robot",
        "client_id_issued_at": null,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": [
            "client_credentials", "authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "redirect_uris": ["https://robot.example/callback", "http://127.0.0.1/callback"],
        "post_logout_redirect_uris": ["https://robot.example/"],
        "scope": "api.read",
        "audiences": ["https://api.example"],
        "serves": ["https://robot.example"],
        "id_token_signed_response_alg": "ES256",
        "dpop_bound_access_tokens": true,
        "require_pushed_authorization_requests": true,
        "jwks": { "keys": [serde_json::from_str::<serde_json::Value>(PUBLIC_KEY).unwrap()] },
    });
    assert_eq!(shown, expected);
    client(directory.path(), &["rm", "robot"]).expect_code(0);
    let gone = client(directory.path(), &["show", "robot"]).expect_code(1);
    assert!(gone.stderr.contains("there is no client robot"));
}

#[test]
fn a_key_is_made_for_a_client_and_never_replaced() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("robot.pem");
    let add = ["add", "robot", "--new-key", file.to_str().unwrap()];
    let added = client(directory.path(), &add).expect_code(0);
    assert_eq!(added.stdout, "");
    assert_eq!(mode(&file), 0o600);
    let pem = fs::read_to_string(&file).unwrap();
    let body = pem
        .strip_prefix("-----BEGIN PRIVATE KEY-----\n")
        .and_then(|rest| rest.strip_suffix("\n-----END PRIVATE KEY-----\n"))
        .unwrap();
    assert!(body.lines().all(|line| line.len() <= 64));
    let der = STANDARD.decode(body.replace('\n', "")).unwrap();
    let key = SigningKey::from_pkcs8_der(Algorithm::Es256, None, &der, aws_lc::provider());
    let shown = client(directory.path(), &["show", "robot"]).expect_code(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["token_endpoint_auth_method"], "private_key_jwt");
    assert_eq!(shown["jwks"]["keys"][0], key.unwrap().public_jwk());

    let again = client(directory.path(), &add).expect_code(1);
    assert!(again.stderr.contains("hint: a key is never replaced"));
    assert_eq!(fs::read_to_string(&file).unwrap(), pem);
}

#[test]
fn what_cannot_be_registered_is_answered_with_what_to_type() {
    let directory = TempDir::new().unwrap();
    let private = directory.path().join("private.json");
    fs::write(
        &private,
        PUBLIC_KEY.replace("\"kid\"", "\"d\":\"AAAA\",\"kid\""),
    )
    .unwrap();
    let private = private.to_str().unwrap();
    for (arguments, why) in [
        (
            &["--redirect-uri", "http://app.example/"][..],
            "error: http://app.example/ cannot be a redirect URI: http is for 127.0.0.1, [::1] and localhost\n\
             hint: use https, or for a program on people's machines: --redirect-uri http://127.0.0.1/callback\n",
        ),
        (
            &["--client-credentials"],
            "error: a public client cannot get tokens in its own name\n\
             hint: add --confidential, or --new-key FILE\n",
        ),
        (
            &["--serves", "https://app.example"],
            "error: a public client cannot exchange tokens that others send it\n\
             hint: add --confidential, or --new-key FILE\n",
        ),
        (
            &["--jwks", private],
            "error: the JWK set cannot be used\n  why: key number 1 cannot be used\n  why: ",
        ),
        (
            &["--jwks", private],
            "hint: register the public half; the private key stays with the client alone\n",
        ),
    ] {
        let arguments: Vec<&str> = ["add", "app"].iter().chain(arguments).copied().collect();
        let refused = client(directory.path(), &arguments).expect_code(1);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    // A key that was made for it goes with it.
    let key = directory.path().join("unwanted.pem");
    let unwanted = ["--new-key", key.to_str().unwrap(), "--redirect-uri", "x"];
    let arguments = [&["add", "app"], &unwanted[..]].concat();
    client(directory.path(), &arguments).expect_code(1);
    assert!(!key.exists());
    // An absent file is named.
    let refused = client(directory.path(), &["add", "app", "--jwks", "absent.json"]);
    assert!(refused.expect_code(1).stderr.contains("absent.json"));
}

#[test]
fn a_confidential_client_gets_its_secret_once_and_alone_on_stdout() {
    let directory = TempDir::new().unwrap();
    let client = |arguments: &[&str]| {
        program(directory.path())
            .arg("client")
            .args(arguments)
            .run()
    };
    let added = client(&[
        "add",
        "api",
        "--confidential",
        "--audience",
        "https://api.example",
    ]);
    let added = added.expect_code(0);
    let secret = added.stdout.trim_end();
    assert_eq!(secret.len(), 43);
    let list = client(&["list"]).expect_code(0);
    assert_eq!(
        list.stdout,
        "api\tconfidential\tES256\thttps://api.example\tapi\n\
         cli\tpublic\tES256\tany\tCountersign CLI (development)\n"
    );
    client(&["add", "a b"]).expect_code(1);
    client(&["remove", "api"]).expect_code(0);
    client(&["remove", "api"]).expect_code(1);
    for file in fs::read_dir(directory.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "the secret rests nowhere");
    }
}

#[test]
fn a_server_with_a_name_and_a_certificate_speaks_tls_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["id.example.com".to_owned()]).unwrap();
    let (cert, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = program(directory.path())
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--issuer",
            "https://id.example.com",
        ])
        .arg("--tls-cert")
        .arg(&cert)
        .arg("--tls-key")
        .arg(&key)
        .start();
    let address = address(&server);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("id.example.com").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = rustls::StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let answer = ask(
        stream,
        "GET /.well-known/openid-configuration HTTP/1.1\r\nhost: id.example.com\r\n\
         connection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("https://id.example.com/token"));
    assert!(!get(address, "/jwks").starts_with("HTTP/1.1"));
    assert!(
        server.stderr().starts_with("issuer https://id.example.com"),
        "{}",
        server.stderr()
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_repairs_it() {
    let directory = TempDir::new().unwrap();
    let mut server = serve(directory.path());
    address(&server);
    server.interrupt();
    server.finish().expect_code(0);
    let keys = directory.path().join("keys.json");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).unwrap();
    let ended = serve(directory.path()).finish().expect_code(1);
    assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&keys, "{}").unwrap();
    let ended = serve(directory.path()).finish().expect_code(1);
    assert!(ended.stderr.contains("damaged"), "{}", ended.stderr);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
