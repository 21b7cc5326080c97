//! A `Step-Up` header field of any bytes, and any text for the challenge in it.
//!
//! The module is taken from the source of `countersign-resource` and not from its crate, which would
//! bring a TLS library along to be built with coverage.

#![no_main]

#[allow(dead_code, reason = "the crate uses the rest")]
#[path = "../../crates/resource/src/step_up/grammar.rs"]
mod grammar;

use grammar::{Answer, LONGEST_CHALLENGE, LONGEST_HEADER, LONGEST_OTP, MAC, NONCE, Parts, VERSION};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Answer::parse(bytes) {
        Ok(answer) => check(bytes, &answer),
        // It is told to whoever sent it.
        Err(problem) => assert!(!problem.to_string().chars().any(char::is_control)),
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(parts) = Parts::parse(text) {
        // There is one way to write it.
        let written = format!(
            "{VERSION}.{}.{}.{}.{}",
            parts.made, parts.expires, parts.nonce, parts.mac
        );
        assert_eq!(written, text);
        assert!(parts.made >= 0 && parts.expires >= 0);
        assert_eq!((parts.nonce.len(), parts.mac.len()), (NONCE, MAC));
        assert!(text.len() <= LONGEST_CHALLENGE);
    }
});

fn check(bytes: &[u8], answer: &Answer<'_>) {
    let Answer {
        challenge,
        method,
        otp,
    } = *answer;
    assert!(bytes.len() <= LONGEST_HEADER);
    assert!((1..=LONGEST_CHALLENGE).contains(&challenge.len()));
    assert!((1..=LONGEST_OTP).contains(&otp.len()) && !method.is_empty());
    assert!(otp.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    assert!(challenge.bytes().all(is_unreserved), "{challenge:?}");
    // A password shorter than this may stand in the rest by chance.
    let shown = format!("{answer:?}");
    let hides = otp.len() < 12 || challenge.contains(otp) || method.contains(otp);
    assert!(hides || !shown.contains(otp), "{shown}");
    // What was read is written, and read again as the same.
    let written = format!("challenge=\"{challenge}\", method={method}, otp=\"{otp}\"");
    if written.len() <= LONGEST_HEADER {
        assert_eq!(Answer::parse(written.as_bytes()), Ok(*answer));
    }
}
