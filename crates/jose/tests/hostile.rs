//! One test for each way in which a token tries to pass for something it is not.
//!
//! The classes are those of the known attack tools and of the holes found in other libraries. All
//! of them run against a key set as an issuer publishes it, over every provider.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::{key_set, providers, signing_keys};
use countersign_jose::{
    Algorithm, CryptoProvider, Error, JsonError, Jws, KeySet, Part, SigningKey, Unverified,
    base64url,
};
use serde_json::{Value, json};

/// An issuer with one ES256 key, and what it published.
struct Issuer {
    provider: &'static CryptoProvider,
    key: SigningKey,
    keys: KeySet,
}

impl Issuer {
    fn all() -> Vec<Self> {
        let issuer = |provider| {
            let key = SigningKey::generate(Algorithm::Es256, provider).unwrap();
            let keys = key_set(&[key.public_jwk()], provider);
            Self {
                provider,
                key,
                keys,
            }
        };
        providers().into_iter().map(issuer).collect()
    }

    fn verify(&self, token: &str) -> Result<(), Error> {
        let token: Unverified = Unverified::parse(token)?;
        token.verify(&self.keys, &Algorithm::ALL).map(drop)
    }

    /// A header that would be fine, with other members set.
    fn header(&self, members: Value) -> String {
        let mut header = json!({ "alg": "ES256", "kid": self.key.kid(), "typ": "at+jwt" });
        let Value::Object(members) = members else {
            unreachable!()
        };
        header.as_object_mut().unwrap().extend(members);
        header.to_string()
    }
}

/// A token with any header and payload, and the signature of a real one.
fn forge(issuer: &Issuer, header: &str, payload: &str) -> String {
    let real = issuer.key.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
    let signature = real.rsplit_once('.').unwrap().1;
    format!(
        "{}.{}.{signature}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    )
}

/// A token with any header and payload that the key of the issuer really signed, so that nothing
/// but the rule under test can refuse it.
fn signed(issuer: &Issuer, header: &str, payload: &[u8]) -> String {
    common::sign_raw(&issuer.key, header.as_bytes(), payload, issuer.provider)
}

#[test]
fn alg_none_is_refused_in_every_spelling() {
    for issuer in Issuer::all() {
        for name in ["none", "None", "NONE", "nOnE", "", " ", "null"] {
            let header = issuer.header(json!({ "alg": name }));
            let token = forge(&issuer, &header, r#"{"sub":"eve"}"#);
            let without = format!("{}.", token.rsplit_once('.').unwrap().0);
            for token in [token, without] {
                let error = issuer.verify(&token).unwrap_err();
                assert_eq!(
                    error,
                    Error::UnsupportedAlgorithm {
                        name: name.to_owned()
                    }
                );
            }
        }
    }
}

#[test]
fn a_missing_or_empty_signature_is_refused() {
    for issuer in Issuer::all() {
        let token = issuer.key.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(issuer.verify(&token), Ok(()));
        assert_eq!(
            issuer.verify(&format!("{input}.")),
            Err(Error::BadSignature)
        );
        assert_eq!(issuer.verify(input), Err(Error::NotCompact));
        let zeros = base64url::encode(&[0; 64]);
        assert_eq!(
            issuer.verify(&format!("{input}.{zeros}")),
            Err(Error::BadSignature)
        );
        let half = &signature[..40];
        assert_eq!(
            issuer.verify(&format!("{input}.{half}")),
            Err(Error::BadSignature)
        );
    }
}

#[test]
fn an_hmac_made_with_the_public_key_or_a_blank_password_is_refused() {
    // CVE-2016-10555: the verifier takes its public key for the secret of an HMAC.
    for issuer in Issuer::all() {
        for name in ["HS256", "HS384", "HS512"] {
            let input = format!(
                "{}.{}",
                base64url::encode(issuer.header(json!({ "alg": name })).as_bytes()),
                base64url::encode(br#"{"sub":"eve"}"#)
            );
            let jwk = issuer.key.public_jwk().to_string();
            for secret in [b"".as_slice(), b"secret", jwk.as_bytes()] {
                let mac = issuer.provider.hmac_sha256(secret, input.as_bytes());
                let token = format!("{input}.{}", base64url::encode(&mac));
                let error = issuer.verify(&token).unwrap_err();
                assert_eq!(
                    error,
                    Error::UnsupportedAlgorithm {
                        name: name.to_owned()
                    }
                );
            }
        }
    }
}

#[test]
fn a_key_or_its_address_inside_of_the_token_is_never_used() {
    // CVE-2018-0114 and its relatives `jku`, `x5u` and `x5c`.
    for issuer in Issuer::all() {
        let eve = SigningKey::generate(Algorithm::Es256, issuer.provider).unwrap();
        for member in ["jwk", "jku", "x5u", "x5c"] {
            let value = match member {
                "jwk" => eve.public_jwk(),
                "x5c" => json!(["MIIB"]),
                _ => json!("https://evil.example/keys"),
            };
            for kid in [issuer.key.kid(), eve.kid()] {
                let header = issuer.header(json!({ member: value, "kid": kid }));
                let payload = br#"{"sub":"eve"}"#;
                let token = common::sign_raw(&eve, header.as_bytes(), payload, issuer.provider);
                assert!(
                    Jws::parse(&token).unwrap().header().carries_key(),
                    "{member}"
                );
                let error = issuer.verify(&token).unwrap_err();
                assert!(matches!(
                    error,
                    Error::BadSignature | Error::UnknownKey { .. }
                ));
            }
            // An honest token may carry it: it changes nothing.
            let header = issuer.header(json!({ member: value }));
            assert_eq!(
                issuer.verify(&signed(&issuer, &header, b"{}")),
                Ok(()),
                "{member}"
            );
        }
    }
}

#[test]
fn a_kid_is_looked_up_letter_for_letter_and_nowhere_else() {
    for issuer in Issuer::all() {
        for kid in [
            "",
            " ",
            "../../../../dev/null",
            "/dev/null",
            "|sleep 10",
            "$(curl evil.example)",
            "' OR 1=1 --",
            "\0",
            "\u{202e}",
            "null",
            "0",
        ] {
            let token = signed(&issuer, &issuer.header(json!({ "kid": kid })), b"{}");
            let error = issuer.verify(&token).unwrap_err();
            assert!(
                matches!(error, Error::UnknownKey { .. }),
                "{kid:?}: {error}"
            );
            assert!(
                error
                    .to_string()
                    .chars()
                    .all(|c| c == ' ' || c.is_ascii_graphic())
            );
        }
        let long = "k".repeat(4000);
        let error = issuer.verify(&signed(
            &issuer,
            &issuer.header(json!({ "kid": long })),
            b"{}",
        ));
        assert!(error.unwrap_err().to_string().len() < 120);
    }
}

#[test]
fn header_members_of_another_type_are_refused() {
    for issuer in Issuer::all() {
        for member in ["alg", "kid", "typ"] {
            for value in [
                json!(null),
                json!(true),
                json!(false),
                json!(0),
                json!([]),
                json!({}),
            ] {
                // `null` is a value of another type too, and not an absent member.
                let token = signed(&issuer, &issuer.header(json!({ member: value })), b"{}");
                assert_eq!(
                    issuer.verify(&token),
                    Err(Error::HeaderMember { member }),
                    "{value}"
                );
            }
        }
        let token = signed(&issuer, r#"{"typ":"at+jwt"}"#, b"{}");
        assert_eq!(
            issuer.verify(&token),
            Err(Error::HeaderMember { member: "alg" })
        );
    }
}

#[test]
fn extensions_are_refused_whatever_they_are() {
    // RFC 7515, section 4.1.11: `crit` itself must not be empty, and what it names must be known.
    for issuer in Issuer::all() {
        for member in ["crit", "b64"] {
            let values = [
                json!([]),
                json!(["exp"]),
                json!(["b64"]),
                json!(["https://example.com/x"]),
                json!("exp"),
                json!(null),
                json!(true),
                json!(false),
                json!({}),
                json!(1),
            ];
            for value in values {
                let token = signed(&issuer, &issuer.header(json!({ member: value })), b"{}");
                assert_eq!(
                    issuer.verify(&token),
                    Err(Error::UnsupportedExtension { member })
                );
            }
        }
        // Members that nobody declared critical are ignored (section 4).
        let token = signed(
            &issuer,
            &issuer.header(json!({ "x": { "y": [1.5, null] } })),
            b"{}",
        );
        assert_eq!(issuer.verify(&token), Ok(()));
    }
}

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
fn an_algorithm_that_the_caller_does_not_allow_is_refused() {
    for (provider, key) in signing_keys() {
        let keys = key_set(&[key.public_jwk()], provider);
        let token: Unverified = Unverified::parse(&key.sign("JWT", &json!({})).unwrap()).unwrap();
        let algorithm = key.algorithm();
        let others: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|a| *a != algorithm)
            .collect();
        let refused = Error::AlgorithmNotAllowed { algorithm };
        assert_eq!(token.verify(&keys, &others).unwrap_err(), refused);
        assert_eq!(token.verify(&keys, &[]).unwrap_err(), refused);
        assert!(token.verify(&keys, &[algorithm]).is_ok());
    }
}

#[test]
fn a_key_verifies_the_algorithm_of_its_alg_and_no_other() {
    for (provider, key) in signing_keys() {
        let input = b"header.payload";
        let token = key.sign_bytes("JWT", b"foo").unwrap();
        let signature = base64url::decode(token.rsplit_once('.').unwrap().1).unwrap();
        let verifying = key.verifying_key().unwrap();
        for algorithm in Algorithm::ALL.into_iter().filter(|a| *a != key.algorithm()) {
            let error = verifying.verify(algorithm, input, &signature).unwrap_err();
            assert_eq!(error, Error::AlgorithmMismatch { algorithm });
            // The same through the set: the header names an algorithm, and the key says no.
            let header = json!({ "alg": algorithm.name(), "kid": key.kid() }).to_string();
            let forged = format!(
                "{}.{}",
                base64url::encode(header.as_bytes()),
                token.split_once('.').unwrap().1
            );
            let keys = key_set(&[key.public_jwk()], provider);
            let token: Unverified = Unverified::parse(&forged).unwrap();
            let error = token.verify(&keys, &Algorithm::ALL).unwrap_err();
            assert_eq!(error, Error::AlgorithmMismatch { algorithm });
        }
    }
}

#[test]
fn an_ecdsa_signature_in_der_is_refused() {
    // RFC 7518, section 3.4: R and S of fixed length, one after the other.
    for issuer in Issuer::all() {
        let token = issuer.key.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature).unwrap();
        let mut der = vec![];
        for number in [&signature[..32], &signature[32..]] {
            let sign = usize::from(number[0] & 0x80 != 0);
            der.extend([2, 32 + u8::try_from(sign).unwrap()]);
            der.extend(std::iter::repeat_n(0, sign));
            der.extend(number);
        }
        let der = [&[0x30, u8::try_from(der.len()).unwrap()], der.as_slice()].concat();
        let token = format!("{input}.{}", base64url::encode(&der));
        assert_eq!(issuer.verify(&token), Err(Error::BadSignature));
        let long = [signature.as_slice(), &[0]].concat();
        let token = format!("{input}.{}", base64url::encode(&long));
        assert_eq!(issuer.verify(&token), Err(Error::BadSignature));
    }
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    for (provider, key) in signing_keys() {
        let Ok(eve) = SigningKey::generate(key.algorithm(), provider) else {
            continue;
        };
        let der = eve.to_pkcs8_der();
        let kid = Some(key.kid().to_owned());
        let eve = SigningKey::from_pkcs8_der(key.algorithm(), kid, der, provider).unwrap();
        let token: Unverified = Unverified::parse(&eve.sign("JWT", &json!({})).unwrap()).unwrap();
        let keys = key_set(&[key.public_jwk()], provider);
        let allowed = [key.algorithm()];
        assert_eq!(
            token.verify(&keys, &allowed).unwrap_err(),
            Error::BadSignature
        );
        let none = key_set(&[], provider);
        let error = token.verify(&none, &allowed).unwrap_err();
        assert!(matches!(error, Error::UnknownKey { .. }) && error.may_be_stale_keys());
    }
}

#[test]
fn a_token_without_kid_tries_few_keys_and_no_more() {
    for provider in providers() {
        let key = |_| SigningKey::generate(Algorithm::Es256, provider).unwrap();
        let made: Vec<SigningKey> = (0..5).map(key).collect();
        let jwks: Vec<Value> = made.iter().map(SigningKey::public_jwk).collect();
        let payload = br#"{"sub":"ada"}"#;
        let token = common::sign_raw(&made[3], br#"{"alg":"ES256"}"#, payload, provider);
        let token: Unverified = Unverified::parse(&token).unwrap();
        let allowed = [Algorithm::Es256];
        assert!(
            token
                .verify(&key_set(&jwks[..4], provider), &allowed)
                .is_ok()
        );
        let error = token
            .verify(&key_set(&jwks[..3], provider), &allowed)
            .unwrap_err();
        assert_eq!(error, Error::BadSignature);
        let error = token
            .verify(&key_set(&jwks, provider), &allowed)
            .unwrap_err();
        assert_eq!(error, Error::AmbiguousKey { candidates: 5 });
    }
}

#[test]
fn the_issuer_is_readable_to_pick_keys_and_nothing_else_is() {
    for issuer in Issuer::all() {
        let parse = |payload: &[u8]| {
            let token = signed(&issuer, &issuer.header(json!({})), payload);
            Unverified::<countersign_jose::Claims>::parse(&token)
                .unwrap()
                .unverified_issuer()
        };
        assert_eq!(
            parse(br#"{"iss":"https://a.example"}"#).unwrap(),
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
            assert!(parse(payload).is_err());
        }
        let token = signed(
            &issuer,
            &issuer.header(json!({})),
            br#"{"sub":"ada-secret"}"#,
        );
        let token: Unverified = Unverified::parse(&token).unwrap();
        assert!(!format!("{token:?}").contains("ada-secret"));
    }
}
