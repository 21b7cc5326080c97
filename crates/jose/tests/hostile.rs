//! One test for each way in which a token tries to pass for something it is not.
//!
//! The classes are those of the known attack tools and of the holes found in other libraries. All
//! of them run against a key set as an issuer publishes it, over every provider. What is refused
//! for the way it is written stands in `reading.rs`.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::issuer::{Issuer, forge, signed};
use common::{key_set, providers, sign_raw, signing_keys};
use countersign_jose::{Algorithm, Error, Jws, SigningKey, Unverified, base64url};
use serde_json::{Value, json};

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
                let token = sign_raw(&eve, header.as_bytes(), payload, issuer.provider);
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
fn an_algorithm_that_the_caller_does_not_allow_is_refused() {
    for (provider, key) in signing_keys() {
        let keys = key_set(&[key.public_jwk()], provider);
        let token = key.sign("JWT", &json!({})).unwrap();
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
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
            let token: Unverified<'_> = Unverified::parse(&forged).unwrap();
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
        let token = eve.sign("JWT", &json!({})).unwrap();
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
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
        let token = sign_raw(&made[3], br#"{"alg":"ES256"}"#, payload, provider);
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
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
