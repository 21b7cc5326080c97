//! A token is read in one way: other spellings, sizes and shapes are refused.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::issuer::{Issuer, signed};
use countersign_jose::{Algorithm, Error, JsonError, Jws, Part, Unverified};
use serde_json::json;

#[test]
fn members_named_twice_are_refused_in_header_and_payload_at_every_level() {
    for issuer in Issuer::all() {
        let kid = issuer.key.kid();
        let duplicate = |part| {
            Err(Error::Json {
                part,
                source: JsonError::DuplicateMember,
            })
        };
        for header in [
            format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"ES256","kid":"{kid}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"ES256","kid":"{kid}","\u0061lg":"ES256"}}"#),
            format!(r#"{{"alg":"ES256","kid":"{kid}","x":[{{"y":1,"y":1}}]}}"#),
        ] {
            let token = signed(&issuer, &header, b"{}");
            assert_eq!(issuer.verify(&token), duplicate(Part::Header), "{header}");
        }
        for payload in [
            r#"{"sub":"ada","sub":"eve"}"#,
            r#"{"aud":"a","exp":1,"aud":"b"}"#,
            r#"{"custom":{"role":"user","role":"admin"}}"#,
            r#"{"list":[[{"a":1,"a":1}]]}"#,
        ] {
            let token = signed(&issuer, &issuer.header(json!({})), payload.as_bytes());
            assert_eq!(issuer.verify(&token), duplicate(Part::Payload), "{payload}");
        }
    }
}

#[test]
fn a_payload_that_is_no_json_object_is_refused() {
    for issuer in Issuer::all() {
        for payload in [
            b"".as_slice(),
            b"null",
            b"[]",
            b"\"ada\"",
            b"1",
            b"{",
            b"{}{}",
            b"\xef\xbb\xbf{}",
            b"{\"sub\":\"\xff\"}",
            b"{}\0",
            b"foo",
        ] {
            let token = signed(&issuer, &issuer.header(json!({})), payload);
            let error = issuer.verify(&token).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Json {
                        part: Part::Payload,
                        ..
                    }
                ),
                "{payload:?}"
            );
            // It is a fine JWS all the same.
            let jws = Jws::parse(&token).unwrap();
            assert_eq!(
                jws.verify(&issuer.keys, &[Algorithm::Es256]).unwrap(),
                payload
            );
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
        let error = issuer.verify(&signed(&issuer, &issuer.header(json!({})), deep.as_bytes()));
        let too_deep = Error::Json {
            part: Part::Payload,
            source: JsonError::TooDeep,
        };
        assert_eq!(error, Err(too_deep));
    }
}

#[test]
fn other_spellings_of_a_token_are_refused() {
    for issuer in Issuer::all() {
        let token = issuer
            .key
            .sign("at+jwt", &json!({ "sub": "ada", "n": 1 }))
            .unwrap();
        assert_eq!(issuer.verify(&token), Ok(()));
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!()
        };
        for spelled in [
            format!("{header}=.{payload}.{signature}"),
            format!("{header}==.{payload}.{signature}"),
            format!("{header}.{payload}=.{signature}"),
            format!("{header}.{payload}.{signature}=="),
            format!("{header}.{payload}.{signature}\n"),
            format!(" {token}"),
            format!("\u{feff}{token}"),
            format!("{header}\n.{payload}.{signature}"),
            format!("{header}. {payload}.{signature}"),
            format!("{header}.{payload}.{signature}\0"),
            format!("Bearer {token}"),
            token.replace('-', "+").replace('_', "/") + "/",
        ] {
            let error = issuer.verify(&spelled).unwrap_err();
            assert!(
                matches!(error, Error::Base64Url { .. }),
                "{spelled:?}: {error}"
            );
        }
        // 64 bytes leave four bits unused in the last character; they are zero in one spelling only.
        let last = signature.chars().last().unwrap();
        for other in ('A'..='Z')
            .chain('a'..='z')
            .chain('0'..='9')
            .filter(|c| *c != last)
        {
            let spelled = format!("{}{other}", &token[..token.len() - 1]);
            assert!(issuer.verify(&spelled).is_err(), "{other}");
        }
    }
}

#[test]
fn anything_but_three_segments_is_refused() {
    for issuer in Issuer::all() {
        let token = issuer.key.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts[..] else {
            panic!()
        };
        for shape in [
            String::new(),
            ".".to_owned(),
            "....".to_owned(),
            header.to_owned(),
            format!("{header}.{payload}"),
            format!("{token}."),
            format!(".{token}"),
            format!("{header}..{payload}.{signature}"),
            format!("{token}.{signature}.{signature}"),
            json!({ "protected": header, "payload": payload, "signature": signature }).to_string(),
        ] {
            assert_eq!(issuer.verify(&shape), Err(Error::NotCompact), "{shape:?}");
        }
        for empty in ["..".to_owned(), format!(".{payload}.{signature}")] {
            assert!(matches!(
                issuer.verify(&empty),
                Err(Error::Json {
                    part: Part::Header,
                    ..
                })
            ));
        }
        let swapped = format!("{payload}.{header}.{signature}");
        assert!(issuer.verify(&swapped).is_err());
    }
}

#[test]
fn a_token_of_more_than_16_kib_is_refused_unread() {
    for issuer in Issuer::all() {
        let sized = |len: usize| {
            issuer
                .key
                .sign("at+jwt", &json!({ "pad": "x".repeat(len) }))
                .unwrap()
        };
        let base = sized(0).len();
        let fits = sized((16 * 1024 - base) / 4 * 3);
        assert!(fits.len() <= 16 * 1024 && fits.len() > 16 * 1024 - 8);
        assert_eq!(issuer.verify(&fits), Ok(()));
        let large = sized(400_000);
        let limit = 16 * 1024;
        let error = Error::TokenTooLarge {
            length: large.len(),
            limit,
        };
        assert_eq!(issuer.verify(&large), Err(error));
        let junk = "A".repeat(limit + 1);
        assert_eq!(
            issuer.verify(&junk),
            Err(Error::TokenTooLarge {
                length: limit + 1,
                limit
            })
        );
    }
}

#[test]
fn the_issuer_is_readable_to_pick_keys_and_nothing_else_is() {
    for issuer in Issuer::all() {
        let read = |payload: &[u8]| {
            let token = signed(&issuer, &issuer.header(json!({})), payload);
            let token: Unverified<'_> = Unverified::parse(&token).unwrap();
            token.unverified_issuer().map(str::to_owned)
        };
        assert_eq!(
            read(br#"{"iss":"https://a.example"}"#).unwrap(),
            "https://a.example"
        );
        for payload in [
            br#"{"iss":["https://a.example"]}"#.as_slice(),
            br#"{"iss":7}"#,
            br#"{"iss":null}"#,
            br#"{"iss":{}}"#,
            b"{}",
            b"[]",
            br#"{"iss":"a","iss":"b"}"#,
        ] {
            assert!(read(payload).is_err());
        }
        let token = signed(
            &issuer,
            &issuer.header(json!({})),
            br#"{"sub":"ada-secret"}"#,
        );
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
        assert!(!format!("{token:?}").contains("ada-secret"));
    }
}
