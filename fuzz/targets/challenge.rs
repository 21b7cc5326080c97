//! A `WWW-Authenticate` header with any content.

#![no_main]

use countersign_oauth::challenge::{BearerChallenge, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse(text) {
        Ok(challenges) => {
            for challenge in &challenges {
                assert!(!challenge.scheme.is_empty());
                assert!(challenge.is(&challenge.scheme.to_ascii_uppercase()));
                for (name, value) in &challenge.params {
                    assert_eq!(*name, name.to_ascii_lowercase());
                    assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
                }
            }
        }
        Err(malformed) => assert!(!malformed.to_string().chars().any(char::is_control)),
    }
    let Some(bearer) = BearerChallenge::find([text]) else {
        return;
    };
    // What we write is fit for a header, and reads back as what it says.
    let written = bearer.header_value();
    assert!(
        written.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
        "{written:?}"
    );
    let again = BearerChallenge::find([written.as_str()]).expect("our own challenge");
    assert_eq!(again.header_value(), written);
});
