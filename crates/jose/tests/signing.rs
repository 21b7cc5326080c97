//! Making, keeping and using private keys.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::{key_set, providers, signing_keys};
use countersign_jose::{
    Algorithm, CryptoError, Error, KeyProblem, KeySet, SigningKey, Unverified, base64url,
};
use serde_json::json;

#[test]
fn what_is_signed_can_be_read_after_verification_with_either_provider() {
    for (_, key) in signing_keys() {
        let token = key
            .sign("at+jwt", &json!({ "sub": "ada", "exp": 1_800_000_000 }))
            .unwrap();
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
        assert_eq!(token.header().kid(), Some(key.kid()));
        for provider in providers() {
            let keys = key_set(&[key.public_jwk()], provider);
            let claims = token.verify(&keys, &[key.algorithm()]).unwrap();
            assert_eq!(claims.str("sub"), Ok(Some("ada")));
            assert_eq!(claims.header().algorithm(), key.algorithm());
            assert!(claims.header().is_type("at+jwt"));
        }
        let keys = KeySet::from(key.verifying_key().unwrap());
        assert!(token.verify(&keys, &[key.algorithm()]).is_ok());
    }
}

#[test]
fn a_key_made_by_one_provider_is_read_by_the_other() {
    for (_, key) in signing_keys() {
        for provider in providers() {
            let der = key.to_pkcs8_der();
            let read = SigningKey::from_pkcs8_der(key.algorithm(), None, der, provider).unwrap();
            assert_eq!(read.public_jwk(), key.public_jwk());
            assert_eq!(read.to_pkcs8_der(), der);
        }
    }
}

#[test]
fn the_kid_is_the_thumbprint_unless_one_is_given() {
    for (provider, key) in signing_keys() {
        assert_eq!(key.kid(), key.verifying_key().unwrap().thumbprint());
        let der = key.to_pkcs8_der();
        let kid = Some("2026-11 \"quoted\" \u{e9}".to_owned());
        let named =
            SigningKey::from_pkcs8_der(key.algorithm(), kid.clone(), der, provider).unwrap();
        let token = named.sign("JWT", &json!({})).unwrap();
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
        assert_eq!(token.header().kid(), kid.as_deref());
        assert_eq!(named.public_jwk()["kid"], json!(kid));
    }
}

#[test]
fn the_published_key_has_no_private_member() {
    for (provider, key) in signing_keys() {
        let jwk = key.public_jwk();
        let mut names: Vec<&str> = jwk
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        let expected: &[&str] = match key.algorithm() {
            Algorithm::Rs256 => &["alg", "e", "kid", "kty", "n", "use"],
            Algorithm::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
            _ => &["alg", "crv", "kid", "kty", "use", "x", "y"],
        };
        assert_eq!(names, expected);
        assert!(key_set(&[jwk], provider).skipped().is_empty());
    }
}

#[test]
fn debug_shows_no_private_key() {
    for (_, key) in signing_keys() {
        let shown = format!("{key:?} {:?}", key.verifying_key().unwrap());
        assert!(shown.contains(key.kid()));
        assert!(shown.len() < 400, "{shown}");
        assert!(
            !shown.contains("pkcs8") && !shown.contains(&base64url::encode(key.to_pkcs8_der()))
        );
    }
}

#[test]
fn ring_makes_no_rsa_keys_and_says_so() {
    for provider in providers()
        .into_iter()
        .filter(|provider| provider.name() == "ring")
    {
        let error = SigningKey::generate(Algorithm::Rs256, provider).unwrap_err();
        let operation = "making RSA keys";
        assert_eq!(
            error,
            Error::Crypto(CryptoError::Unsupported {
                provider: "ring",
                operation
            })
        );
        assert!(error.hints()[0].contains("aws-lc-rs"));
    }
}

#[test]
fn algorithms_that_only_verify_cannot_sign() {
    let others = Algorithm::ALL
        .into_iter()
        .filter(|a| !SigningKey::ALGORITHMS.contains(a));
    for algorithm in others {
        for provider in providers() {
            let error = SigningKey::generate(algorithm, provider).unwrap_err();
            assert!(matches!(
                error,
                Error::Crypto(CryptoError::Unsupported { .. })
            ));
            let error = SigningKey::from_pkcs8_der(algorithm, None, b"", provider).unwrap_err();
            assert!(matches!(error, Error::Key(KeyProblem::Provider { .. })));
        }
    }
}

#[test]
fn bytes_that_are_no_key_of_the_algorithm_are_refused() {
    let keys = signing_keys();
    for (provider, key) in &keys {
        let der = key.to_pkcs8_der();
        for other in SigningKey::ALGORITHMS
            .into_iter()
            .filter(|a| *a != key.algorithm())
        {
            let error = SigningKey::from_pkcs8_der(other, None, der, provider).unwrap_err();
            assert_eq!(error, Error::Key(KeyProblem::Pkcs8(other)));
        }
        for bytes in [b"".as_slice(), b"0", &der[..der.len() - 1], &der[1..]] {
            let error = SigningKey::from_pkcs8_der(key.algorithm(), None, bytes, provider);
            assert_eq!(
                error.unwrap_err(),
                Error::Key(KeyProblem::Pkcs8(key.algorithm()))
            );
        }
    }
}

#[test]
fn only_json_objects_are_signed_as_claims() {
    for (_, key) in signing_keys() {
        for claims in [json!(null), json!([]), json!("sub"), json!(7)] {
            assert_eq!(key.sign("JWT", &claims), Err(Error::NotAnObject));
        }
    }
}
