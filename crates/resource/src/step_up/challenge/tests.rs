//! The bytes of the specification, and a challenge that differs from the request in one thing.

use serde_json::Value;

use super::super::grammar::{Answer, MalformedStepUp};
use super::*;

const T0: Timestamp = Timestamp::from_millis(1_795_219_200_000);
const LIFE: Duration = Duration::from_secs(60);

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../vectors/step-up.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    let digits = digits.map(|pair| std::str::from_utf8(pair).unwrap());
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn digest(text: &str) -> [u8; 32] {
    crypto::aws_lc::provider().sha256(text.as_bytes())
}

/// `docs/step-up.md`, "The code": made by another implementation.
#[test]
fn the_bytes_are_those_of_the_specification() {
    let vectors = vectors();
    for vector in vectors["challenges"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let time = |name: &str| Timestamp::from_millis(vector[name].as_i64().unwrap());
        let token = digest(text("token"));
        let body = vector["body"].as_str().map(digest);
        let bound = Bound {
            realm: text("realm"),
            issuer: text("issuer"),
            subject: text("subject"),
            token: &token,
            method: text("method"),
            target: text("target"),
            body: body.as_ref(),
            rule: text("rule"),
            methods: text("methods"),
        };
        let (made, expires) = (time("made"), time("expires"));
        let nonce = text("nonce");
        let bytes = bound.bytes(made.as_millis(), expires.as_millis(), nonce);
        assert_eq!(bytes, hex(text("bytes")), "{}", text("name"));
        let key = hex(text("key")).try_into().unwrap();
        let sealer = Sealer::new(vec![key]).unwrap();
        let challenge = sealer.seal_with(&bound, made, expires, nonce);
        assert_eq!(challenge, text("challenge"), "{}", text("name"));
        let opened = sealer.open(&challenge, &bound, None, made).unwrap();
        assert_eq!((&*opened.nonce, opened.expires), (nonce, expires));
    }
}

/// `docs/step-up.md`, "The answer".
#[test]
fn the_header_field_is_read_as_the_specification_says() {
    let vectors = vectors();
    for vector in vectors["step_up"]["good"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let answer = Answer::parse(text("field").as_bytes()).unwrap();
        assert_eq!(
            (answer.challenge, answer.method, answer.otp),
            (text("challenge"), text("method"), text("otp"))
        );
    }
    for vector in vectors["step_up"]["malformed"].as_array().unwrap() {
        let field = vector["field"].as_str().unwrap();
        let problem = match Answer::parse(field.as_bytes()).unwrap_err() {
            MalformedStepUp::Dictionary => "dictionary",
            MalformedStepUp::Twice => "twice",
            MalformedStepUp::Unknown => "unknown",
            MalformedStepUp::Missing(_) => "missing",
            MalformedStepUp::Member(_) => "member",
            other => panic!("{other:?} for {field}"),
        };
        assert_eq!(problem, vector["problem"], "{field}");
    }
}

const BODY: [u8; 32] = [1; 32];
const TOKEN: [u8; 32] = [2; 32];

fn request() -> Bound<'static> {
    Bound {
        realm: "https://api.example.com",
        issuer: "https://id.example.com",
        subject: "ada",
        token: &TOKEN,
        method: "DELETE",
        target: "https://api.example.com/resources/foobar",
        body: Some(&BODY),
        rule: "delete",
        methods: "yubikey totp",
    }
}

/// One line for each thing that a challenge is bound to.
#[test]
fn a_challenge_is_for_one_request_of_one_token() {
    let sealer = Sealer::new(Vec::new()).unwrap();
    let challenge = sealer.seal(&request(), T0, LIFE).unwrap();
    let open = |bound: &Bound<'_>| sealer.open(&challenge, bound, None, T0);
    assert!(open(&request()).is_ok());
    let same = request();
    for (what, other) in [
        (
            "realm",
            Bound {
                realm: "https://other.example.com",
                ..same
            },
        ),
        (
            "issuer",
            Bound {
                issuer: "https://other.example.com",
                ..same
            },
        ),
        (
            "subject",
            Bound {
                subject: "grace",
                ..same
            },
        ),
        (
            "token",
            Bound {
                token: &[3; 32],
                ..same
            },
        ),
        (
            "method",
            Bound {
                method: "PUT",
                ..same
            },
        ),
        (
            "host",
            Bound {
                target: "https://api.example.org/resources/foobar",
                ..same
            },
        ),
        (
            "path",
            Bound {
                target: "https://api.example.com/resources/bar",
                ..same
            },
        ),
        (
            "query",
            Bound {
                target: "https://api.example.com/resources/foobar?x",
                ..same
            },
        ),
        (
            "body",
            Bound {
                body: Some(&[4; 32]),
                ..same
            },
        ),
        ("no body", Bound { body: None, ..same }),
        (
            "rule",
            Bound {
                rule: "clear",
                ..same
            },
        ),
        (
            "methods",
            Bound {
                methods: "yubikey",
                ..same
            },
        ),
        // Where one part ends and the next begins counts.
        (
            "border",
            Bound {
                rule: "deletey",
                methods: "ubikey totp",
                ..same
            },
        ),
    ] {
        assert_eq!(open(&other), Err(Unfit::Foreign), "{what}");
    }
}

#[test]
fn a_challenge_that_was_touched_is_nobodys() {
    let sealer = Sealer::new(Vec::new()).unwrap();
    let challenge = sealer.seal(&request(), T0, LIFE).unwrap();
    for at in 0..challenge.len() {
        let mut touched = challenge.clone().into_bytes();
        touched[at] = if touched[at] == b'7' { b'8' } else { b'7' };
        let touched = String::from_utf8(touched).unwrap();
        assert_eq!(
            sealer.open(&touched, &request(), None, T0),
            Err(Unfit::Foreign),
            "{touched}"
        );
    }
    for other in ["", "v1", "v1....", &challenge[..challenge.len() - 1]] {
        let opened = sealer.open(other, &request(), None, T0);
        assert_eq!(opened, Err(Unfit::Foreign), "{other}");
    }
}

#[test]
fn a_challenge_has_its_time() {
    let sealer = Sealer::new(Vec::new()).unwrap();
    let challenge = sealer.seal(&request(), T0, LIFE).unwrap();
    let open = |since, now| sealer.open(&challenge, &request(), since, now);
    let last = T0 + LIFE - Duration::from_millis(1);
    assert!(open(None, last).is_ok());
    assert_eq!(open(None, T0 + LIFE), Err(Unfit::Expired));
    // What was made before there was a memory of it may have been used.
    assert!(open(Some(T0), last).is_ok());
    let later = T0 + Duration::from_millis(1);
    assert_eq!(open(Some(later), last), Err(Unfit::Expired));
}

#[test]
fn an_older_key_opens_and_does_not_seal() {
    let (old, new) = ([1; 32], [2; 32]);
    let one = |keys: &[[u8; 32]]| Sealer::new(keys.to_vec()).unwrap();
    let seal = |sealer: &Sealer| sealer.seal(&request(), T0, LIFE).unwrap();
    let is_open =
        |sealer: &Sealer, challenge: &str| sealer.open(challenge, &request(), None, T0).is_ok();
    let both = one(&[new, old]);
    assert!(is_open(&both, &seal(&one(&[old]))));
    assert!(is_open(&one(&[new]), &seal(&both)));
    assert!(!is_open(&one(&[old]), &seal(&both)));
    // A key that nobody gave is nobody else's.
    assert!(!is_open(&one(&[]), &seal(&one(&[]))));
}

#[test]
fn two_challenges_are_never_the_same() {
    let sealer = Sealer::new(vec![[7; 32]]).unwrap();
    let seal = || sealer.seal(&request(), T0, LIFE).unwrap();
    assert_ne!(seal(), seal());
    assert!(!format!("{sealer:?}").contains('7'));
}
