//! A header of a load balancer of any text: it is refused or read, and what was signed stays as it came.
//!
//! The module is taken from the source of `resource` and not from its crate, which would bring a TLS
//! library along to be built with coverage. What it needs of the crate stands below.

#![no_main]

#[path = "../../crates/resource/src/alb/header.rs"]
mod header;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use countersign_jose::{Claims, Timestamp};
use header::SignedHeader;
use libfuzzer_sys::fuzz_target;

/// What is known of a person.
struct AccessToken {
    claims: Claims,
    expires_at: Timestamp,
}

impl AccessToken {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the crate's own looks at more claims"
    )]
    fn of_load_balancer(
        claims: Claims,
        _: &Arc<str>,
        expires_at: Timestamp,
    ) -> Result<Self, Rejection> {
        Ok(Self { claims, expires_at })
    }
}

#[derive(Debug)]
enum Rejection {
    MalformedToken(countersign_jose::Error),
    MalformedClaim(&'static str),
    MissingClaim(&'static str),
}

const HEADER: &str = r#"{"alg":"ES256","kid":"b5e8ef2c-5b0e-4b8f-9c53-0a9a2a2f7d11",
    "iss":"https://id.example.com","client":"web","signer":"arn:aws:x","exp":1795000000}"#;

/// Reads everything, as often as it can be read.
fn read(text: &str) -> Option<(String, Option<Timestamp>, bool)> {
    let header = match SignedHeader::parse(text) {
        Ok(header) => header,
        Err(rejection) => {
            let line = match &rejection {
                Rejection::MalformedToken(error) => error.to_string(),
                Rejection::MalformedClaim(claim) | Rejection::MissingClaim(claim) => {
                    (*claim).to_owned()
                }
            };
            assert!(!line.is_empty() && !line.chars().any(char::is_control));
            return None;
        }
    };
    // What was signed is the text, to the byte.
    let (input, rest) = text.split_at(header.signing_input().len());
    assert_eq!(header.signing_input(), input.as_bytes());
    assert!(rest.starts_with('.') && !rest[1..].contains('.'));
    assert!(header.signature().len() < rest.len());
    // It goes into an address.
    let kid = header.kid().as_str().to_owned();
    assert!(kid.len() == 36 && kid.bytes().all(|byte| b"0123456789abcdef-".contains(&byte)));
    for text in [header.signer(), header.client()].into_iter().flatten() {
        assert!(!text.is_empty());
    }
    let _ = header.issuers().map(Iterator::count);
    let expires_at = header.expires_at().ok();
    let person = header.into_token(&"https://id.example.com".into());
    if let Ok(person) = &person {
        assert_eq!(Some(person.expires_at), expires_at);
        assert!(matches!(person.claims.str("sub"), Ok(Some(sub)) if !sub.is_empty()));
    }
    Some((kid, expires_at, person.is_ok()))
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
    // In each place, padded and not: both say the same.
    let (padded, bare) = (URL_SAFE.encode(bytes), URL_SAFE_NO_PAD.encode(bytes));
    let header = URL_SAFE.encode(HEADER);
    let claims = URL_SAFE.encode(r#"{"sub":"ada"}"#);
    for (left, right) in [
        (
            format!("{padded}.{claims}.AAAA"),
            format!("{bare}.{claims}.AAAA"),
        ),
        (
            format!("{header}.{padded}.AAAA"),
            format!("{header}.{bare}.AAAA"),
        ),
        (
            format!("{header}.{claims}.{padded}"),
            format!("{header}.{claims}.{bare}"),
        ),
    ] {
        assert_eq!(read(&left), read(&right));
    }
    assert!(read(&format!("{header}.{claims}.{padded}")).is_some());
});
