//! Programs that others wrote: `oathtool` computes codes and judges ours, `yubiserver` validates
//! our passwords and signs answers, and Yubico's client library asks a server of this test, which
//! shows that both sides of the protocol are read here as they are there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_otp::Counter;
use countersign_otp::crypto::{Hash, ring};
use countersign_otp::oath::{Code, Digits, Hotp, Secret, Totp};
use countersign_otp::validation::sim::SimulatedServer;
use countersign_otp::validation::{
    ApiKey, BadAnswer, Client, Nonce, Outcome, Server, Status, Step, Trouble,
};
use countersign_otp::yubico::{Otp, Secrets};
use countersign_testkit::Yubiserver;

use crate::common::{API_KEY, Lines, api_key, key, otp, signature};

/// A loaded machine starts programs slowly.
const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (cargo xtask test installs it)"))
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn oathtool_computes_the_same_codes() {
    let secret = Secret::from_random([0x9c; 20]);
    let base32 = secret.to_base32();
    for digits in Digits::ALL {
        let count = digits.count().to_string();
        // Several codes in a row from each place.
        for counter in [0, 1_000_003, u64::from(u32::MAX) - 1] {
            let hotp = Hotp::new(secret.clone()).digits(digits);
            let output = run(
                "oathtool",
                &[
                    "-b",
                    "-d",
                    &count,
                    "-w",
                    "4",
                    "-c",
                    &counter.to_string(),
                    &base32,
                ],
            );
            let theirs = String::from_utf8(output.stdout).unwrap();
            let ours: Vec<String> = (counter..counter + 5)
                .map(|counter| hotp.code_at(counter, ring::provider()).to_string())
                .collect();
            assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
        }
        for (hash, name) in [
            (Hash::Sha1, "--totp=sha1"),
            (Hash::Sha256, "--totp=sha256"),
            (Hash::Sha512, "--totp=sha512"),
        ] {
            let totp = Totp::new(secret.clone()).digits(digits).hash(hash);
            let output = run(
                "oathtool",
                &[
                    name,
                    "-b",
                    "-d",
                    &count,
                    "-N",
                    "2026-11-26 02:22:26 UTC",
                    &base32,
                ],
            );
            let theirs = String::from_utf8(output.stdout).unwrap();
            let ours = totp.code_at(crate::common::NOW, ring::provider());
            assert_eq!(theirs.trim_end(), ours.to_string(), "{name} {digits:?}");
        }
    }
}

#[test]
fn oathtool_takes_our_codes_and_we_take_those_of_oathtool() {
    let secret = Secret::from_random([0x3d; 20]);
    let base32 = secret.to_base32();
    let totp = Totp::new(secret);
    let ours = totp.code_at(now(), ring::provider()).to_string();
    let judged = run("oathtool", &["--totp", "-b", "-w", "2", &base32, &ours]);
    assert!(judged.status.success(), "{judged:?}");

    let theirs = run("oathtool", &["--totp", "-b", &base32]).stdout;
    let code = Code::parse_typed(&String::from_utf8(theirs).unwrap()).unwrap();
    assert!(totp.verify(&code, now(), ring::provider()).is_ok());
}

/// The body of an answer over HTTP/1.0.
fn get(url: &str) -> std::io::Result<Vec<u8>> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In one piece: yubiserver reads once.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    Ok(answer.split_off(end + 4))
}

/// Drives a validation against real servers, one after the other.
fn validate(client: &Client, otp: &Otp, nonce: u8) -> Outcome {
    let nonce = Nonce::from_random([nonce; 16]);
    let mut validation = client.validate(otp, nonce, now(), ring::provider());
    loop {
        match validation.poll(now()) {
            Step::Send(question) => match get(question.url()) {
                Ok(body) => validation.handle(question.server(), &body, now()),
                Err(_) => validation.transport_failed(question.server()),
            },
            Step::WaitUntil(_) => panic!("nothing is under way"),
            Step::Done(outcome) => return outcome,
        }
    }
}

/// It does not sign the counters that it says, so its clients must not ask for them.
fn client(server: &Yubiserver, id: &str, key: ApiKey) -> Client {
    counting(server, id, key).danger_without_counters()
}

fn counting(server: &Yubiserver, id: &str, key: ApiKey) -> Client {
    let address = Server::new(&server.url()).unwrap();
    let client = Client::new(id, key).unwrap().server(address);
    client.time_limit(PATIENCE)
}

fn yubiservers_key() -> ApiKey {
    ApiKey::from_base64(&Yubiserver::api_key()).unwrap()
}

#[test]
fn yubiserver_accepts_the_passwords_of_the_simulated_key_and_its_answers_are_believed() {
    let server = Yubiserver::start();
    let client = client(&server, Yubiserver::CLIENT, yubiservers_key());
    let mut key = key().at(20, 0, 500);
    for at in 0..3 {
        key.let_pass(80);
        let otp = key.press(u16::from(at));
        match validate(&client, &otp, at) {
            Outcome::AcceptedWithoutCounters(accepted) => {
                assert_eq!(accepted.public_id(), otp.public_id());
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn yubiserver_refuses_a_password_that_was_used_and_one_of_another_key() {
    let server = Yubiserver::start();
    let client = client(&server, Yubiserver::CLIENT, yubiservers_key());
    let mut key = key().at(20, 0, 500);
    let first = key.press(1);
    key.replug();
    let second = key.press(2);
    assert!(matches!(
        validate(&client, &second, 1),
        Outcome::AcceptedWithoutCounters(_)
    ));
    let Outcome::Refused(refusal) = validate(&client, &first, 2) else {
        panic!("an earlier password was accepted")
    };
    assert_eq!(refusal.status(), Status::ReplayedOtp);

    let mut foreign = countersign_otp::yubico::sim::SimulatedKey::new(
        "ccccccbchvth".parse().unwrap(),
        Secrets::new([1, 2, 3, 4, 5, 6], [8; 16]),
    );
    let Outcome::Refused(refusal) = validate(&client, &foreign.press(3), 3) else {
        panic!("a password of another key was accepted")
    };
    assert_eq!(refusal.status(), Status::BadOtp);
}

/// "The signature is always over the entire set": what it says beside that may be anybody's. A client
/// that wants counters is not served by this one.
#[test]
fn counters_that_yubiserver_does_not_sign_are_not_believed() {
    let server = Yubiserver::start();
    let client = counting(&server, Yubiserver::CLIENT, yubiservers_key());
    let Outcome::Undecided(undecided) = validate(&client, &key().at(20, 0, 0).press(1), 1) else {
        panic!("counters that anybody can change decided")
    };
    let claimed = Some(Status::Ok);
    assert_eq!(
        undecided.troubles()[0].1,
        Trouble::Answer(BadAnswer::Signature { claimed })
    );
}

#[test]
fn a_client_that_yubiserver_does_not_know_is_told_so() {
    let server = Yubiserver::start();
    let client = client(&server, "9", yubiservers_key());
    let Outcome::Undecided(undecided) = validate(&client, &key().press(1), 1) else {
        panic!("an unsigned answer decided")
    };
    let claimed = Some(Status::NoSuchClient);
    assert_eq!(
        undecided.troubles()[0].1,
        Trouble::Answer(BadAnswer::Unsigned { claimed })
    );
    assert!(undecided.needs_correction());
}

#[test]
fn an_answer_of_yubiserver_is_not_believed_with_another_key() {
    let server = Yubiserver::start();
    let client = client(&server, Yubiserver::CLIENT, api_key());
    let Outcome::Undecided(undecided) = validate(&client, &key().press(1), 1) else {
        panic!("an answer with a wrong signature decided")
    };
    let claimed = Some(Status::Ok);
    assert_eq!(
        undecided.troubles()[0].1,
        Trouble::Answer(BadAnswer::Signature { claimed })
    );
}

/// Asks with Yubico's client library and prints what it makes of the answer. It is given the
/// address, the key and the password over its standard input.
const YKCLIENT: &str = r#"
import ctypes, sys
address, key, otp = (line.strip().encode() for line in sys.stdin)
library = ctypes.CDLL("libykclient.so.3")
library.ykclient_strerror.restype = ctypes.c_char_p
library.ykclient_global_init()
handle = ctypes.c_void_p()
library.ykclient_init(ctypes.byref(handle))
addresses = (ctypes.c_char_p * 1)(address)
library.ykclient_set_url_bases(handle, ctypes.c_size_t(1), addresses)
library.ykclient_set_client_b64(handle, ctypes.c_uint(87), key)
library.ykclient_set_verify_signature(handle, 1)
print(library.ykclient_strerror(library.ykclient_request(handle, otp)).decode())
"#;

/// Yubico's client asks a server that answers with `answer`. Returns its query and its verdict.
fn ykclient(otp: &Otp, answer: impl FnOnce(&str) -> Vec<u8>) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/wsapi/2.0/verify", listener.local_addr().unwrap());
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", YKCLIENT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = format!(
        "{address}\n{}\n{}\n",
        STANDARD.encode(API_KEY),
        otp.expose()
    );
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let child = Running(child);

    listener.set_nonblocking(true).unwrap();
    let start = Instant::now();
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(_) => assert!(start.elapsed() < PATIENCE, "the client does not ask"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut header = String::new();
    while reader.read_line(&mut header).unwrap() > 2 {
        header.clear();
    }
    let query = line.split([' ', '?']).nth(2).unwrap().to_owned();
    let body = answer(&query);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body).unwrap();
    drop((reader, stream));
    let mut verdict = String::new();
    let mut child = child;
    let mut stdout = child.0.stdout.take().unwrap();
    stdout.read_to_string(&mut verdict).unwrap();
    (query, verdict.trim_end().to_owned())
}

fn value(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(it, _)| *it == name);
    found.unwrap().1.to_owned()
}

/// Byte for byte: parameters, their order, the signature and its encoding.
#[test]
fn our_request_is_the_one_that_yubicos_client_makes() {
    let otp = otp();
    let (theirs, verdict) = ykclient(&otp, |query| {
        Lines::new("OK")
            .with("nonce", &value(query, "nonce"))
            .signed()
    });
    assert_eq!(verdict, "Success");
    let nonce = Nonce::parse(&value(&theirs, "nonce")).unwrap();
    let client = Client::new("87", api_key()).unwrap();
    assert_eq!(*client.query(&otp, &nonce, ring::provider()), theirs);
}

#[test]
fn the_simulated_server_serves_yubicos_client() {
    let mut server = SimulatedServer::new("87", api_key())
        .key(key().public_id().clone(), crate::common::secrets());
    let otp = otp();
    for verdict in ["Success", "Yubikey OTP was replayed (REPLAYED_OTP)"] {
        let (_, theirs) = ykclient(&otp, |query| {
            server.answer(query, now(), ring::provider()).into_bytes()
        });
        assert_eq!(theirs, verdict);
    }
}

#[test]
fn yubicos_client_believes_the_answers_that_we_believe() {
    let answers = |query: &str| Lines::new("OK").with("nonce", &value(query, "nonce"));
    for (verdict, make) in [
        (
            "Success",
            &(|lines: Lines| lines.signed()) as &dyn Fn(Lines) -> Vec<u8>,
        ),
        ("Success", &|lines| lines.with("flavour", "a=b").signed()),
        ("Yubikey OTP was replayed (REPLAYED_OTP)", &|lines| {
            lines.with("status", "REPLAYED_OTP").signed()
        }),
        (
            "Server response signature was invalid (BAD_SERVER_SIGNATURE)",
            &|lines| {
                let h = signature(&lines.0, &[9; 20]);
                lines.with("h", &h).unsigned()
            },
        ),
    ] {
        let otp = otp();
        let mut body = Vec::new();
        let (query, theirs) = ykclient(&otp, |query| {
            body = make(answers(query));
            body.clone()
        });
        assert_eq!(theirs, verdict);
        let nonce = Nonce::parse(&value(&query, "nonce")).unwrap();
        let mut validation = Client::new("87", api_key())
            .unwrap()
            .server(Server::new("https://example.com/verify").unwrap())
            .validate(&otp, nonce, crate::common::NOW, ring::provider());
        let Step::Send(question) = validation.poll(crate::common::NOW) else {
            panic!("nothing to ask")
        };
        validation.handle(question.server(), &body, crate::common::NOW);
        let ours = match validation.poll(crate::common::NOW) {
            Step::Done(Outcome::Accepted(unspent)) => unspent.settle(Counter::Moved).is_ok(),
            _ => false,
        };
        assert_eq!(ours, theirs == "Success", "{theirs}");
    }
}
