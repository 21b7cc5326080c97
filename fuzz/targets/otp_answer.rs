//! The answer of a validation server with any content: as it came, and with a right signature.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_otp::crypto::{Hash, ring};
use countersign_otp::validation::{
    Answer, ApiKey, BadAnswer, Client, Nonce, Outcome, Server, Status, Step,
};
use countersign_otp::yubico::Otp;
use libfuzzer_sys::fuzz_target;

const NOW: Duration = Duration::from_secs(1_795_659_746);
const KEY: &[u8] = b"twenty characters!!!";
const OTP: &str = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";
const NONCE: &str = "askjdnkajsndjkasndkjsnad";

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let key = ApiKey::from_base64(&STANDARD.encode(KEY)).expect("a key");
    Client::new("87", key)
        .expect("a client")
        .server(Server::new("https://one.example.com/verify").expect("a server"))
        .server(Server::new("https://two.example.com/verify").expect("a server"))
});

fn check(body: &[u8]) -> Result<Status, BadAnswer> {
    let otp = Otp::parse(OTP).expect("an OTP");
    let nonce = Nonce::parse(NONCE).expect("a nonce");
    let answer = Answer::verify(body, &CLIENT, &otp, &nonce, NOW, ring::provider());
    let text = String::from_utf8_lossy(body);
    match answer {
        Ok(answer) => {
            let status = answer.status();
            assert_eq!(text.matches("status=").count().min(1), 1);
            let accepted = answer.accepted();
            assert_eq!(accepted.is_some(), status == Status::Ok);
            if let Some(accepted) = accepted {
                assert!(text.contains(OTP) && text.contains(NONCE), "{text}");
                assert!(
                    accepted
                        .counters()
                        .is_some_and(|(counter, _)| counter < 0x8000)
                );
            }
            Ok(status)
        }
        Err(bad) => {
            assert!(!bad.code().is_empty());
            let line = bad.to_string();
            assert!(
                !line.is_empty() && !line.chars().any(char::is_control),
                "{line:?}"
            );
            Err(bad)
        }
    }
}

/// The same lines with the signature that belongs to them.
fn signed(text: &str) -> Vec<u8> {
    let mut lines: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_end_matches('\r')))
        .filter(|(name, _)| *name != "h")
        .collect();
    let body: Vec<String> = lines.iter().map(|(k, v)| format!("{k}={v}\r\n")).collect();
    lines.sort_by_key(|(name, _)| *name);
    let line: Vec<String> = lines.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mac = ring::provider().hmac(Hash::Sha1, KEY, line.join("&").as_bytes());
    format!("{}h={}\r\n", body.concat(), STANDARD.encode(mac)).into_bytes()
}

fuzz_target!(|bytes: &[u8]| {
    assert!(check(bytes).is_err(), "an answer that nobody signed");
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let body = signed(text);
    let status = check(&body);
    if let Err(bad) = status {
        assert!(!matches!(
            bad,
            BadAnswer::Unsigned { .. } | BadAnswer::Signature { .. }
        ));
    }

    // Of two servers, one says this and the other nothing.
    let otp = Otp::parse(OTP).expect("an OTP");
    let nonce = Nonce::parse(NONCE).expect("a nonce");
    let mut validation = CLIENT.validate(&otp, nonce, NOW, ring::provider());
    for _ in 0..2 {
        let Step::Send(question) = validation.poll(NOW) else {
            panic!("not asked")
        };
        assert!(question.url().ends_with("%3D"));
    }
    validation.handle(1, &body, NOW);
    validation.transport_failed(0);
    let Step::Done(outcome) = validation.poll(NOW) else {
        panic!("both have spoken")
    };
    match status {
        Ok(Status::Ok) => assert!(matches!(outcome, Outcome::Accepted(_))),
        Ok(Status::BadOtp | Status::ReplayedOtp | Status::DelayedOtp) => {
            assert!(matches!(outcome, Outcome::Refused(_)));
        }
        _ => assert!(matches!(outcome, Outcome::Undecided(_))),
    }
});
