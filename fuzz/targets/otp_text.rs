//! One-time passwords and what enrols them, as text with any content: read in one way, or refused.

#![no_main]

use countersign_otp::oath::{Code, Enrolment, Secret};
use countersign_otp::yubico::{KeyFile, Keyboard, Otp, Secrets};
use libfuzzer_sys::fuzz_target;

fn check_line(line: &str) {
    assert!(!line.is_empty());
    assert!(
        !line.chars().any(|c| c.is_control() && c != '\n'),
        "{line:?}"
    );
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let typed = [Keyboard::Usual, Keyboard::Dvorak].map(|it| Otp::parse_typed(text, it));
    for otp in typed.into_iter().chain([Otp::parse(text)]) {
        match otp {
            Ok(otp) => {
                assert_eq!(Otp::parse(otp.expose()).as_ref(), Ok(&otp));
                assert!((32..=48).contains(&otp.expose().len()));
                assert!(otp.expose().starts_with(otp.public_id().as_str()));
                // No input is long enough a search to hit a private id of 48 bits.
                let secrets = Secrets::new(*b"secret", *b"a key of 16 byte");
                assert!(secrets.decrypt(&otp).is_err());
            }
            Err(error) => check_line(&error.to_string()),
        }
    }
    for code in [Code::parse(text), Code::parse_typed(text)] {
        match code {
            Ok(code) => assert!((6..=8).contains(&code.to_string().len())),
            Err(error) => check_line(&error.to_string()),
        }
    }
    if let Ok(secret) = Secret::from_base32(text) {
        assert_eq!(
            Secret::from_base32(&secret.to_base32()).as_ref(),
            Ok(&secret)
        );
    }
    match Enrolment::parse(text) {
        Ok(enrolment) => {
            assert!(!enrolment.account().is_empty());
            let written = enrolment.to_uri();
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(Enrolment::parse(&written).as_ref(), Ok(&enrolment));
        }
        Err(error) => check_line(&error.to_string()),
    }
    let lines = text.lines().count();
    match KeyFile::parse(text) {
        Ok(file) => {
            assert!(!file.records().is_empty());
            assert!(file.records().len() + file.skipped().len() <= lines);
            for record in file.records() {
                assert!((1..=lines).contains(&record.line));
                assert!(!record.public_id.is_empty());
            }
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(error.problems().iter().all(|it| it.line <= lines.max(1)));
            check_line(&error.to_string());
        }
    }
});
