//! What holds for every token, and what no input may do.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::{key_set, providers, signing_keys};
use countersign_jose::{
    Algorithm, Claims, Header, Jws, KeySet, SigningKey, Unverified, VerifyingKey, base64url, json,
};
use proptest::prelude::*;
use serde_json::{Value, json as value};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn no_character_of_a_token_can_be_changed() {
    for (provider, key) in signing_keys() {
        let keys = key_set(&[key.public_jwk()], provider);
        let token = key.sign("at+jwt", &value!({ "sub": "ada" })).unwrap();
        let verify = |token: &[u8]| {
            let token: Unverified<'_> = Unverified::parse(std::str::from_utf8(token).unwrap())?;
            token.verify(&keys, &Algorithm::ALL)
        };
        assert!(verify(token.as_bytes()).is_ok());
        let mut bytes = token.clone().into_bytes();
        for at in 0..bytes.len() {
            let original = bytes[at];
            // Every bit that leaves it ASCII, and a neighbour in the alphabet, which decodes.
            let neighbour = ALPHABET.iter().position(|c| *c == original);
            let flips = (0..7).map(|bit| original ^ (1 << bit));
            let swaps = neighbour.into_iter().map(|at| ALPHABET[at ^ 1]);
            for changed in flips.chain(swaps) {
                bytes[at] = changed;
                assert!(verify(&bytes).is_err(), "{} at {at}", char::from(changed));
            }
            bytes[at] = original;
        }
        for len in 0..token.len() {
            assert!(verify(&bytes[..len]).is_err(), "cut to {len}");
        }
        for more in [".", "A", "AA", "AAAA", "=", "\0"] {
            assert!(verify(format!("{token}{more}").as_bytes()).is_err());
        }
    }
}

#[test]
fn no_bit_of_a_signature_or_a_message_can_be_flipped() {
    for (_, key) in signing_keys() {
        let verifying = key.verifying_key().unwrap();
        let token = key.sign("JWT", &value!({ "sub": "ada" })).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let (mut input, mut signature) = (
            input.as_bytes().to_vec(),
            base64url::decode(signature).unwrap(),
        );
        let algorithm = key.algorithm();
        assert!(verifying.verify(algorithm, &input, &signature).is_ok());
        for bit in 0..signature.len() * 8 {
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(
                verifying.verify(algorithm, &input, &signature).is_err(),
                "bit {bit}"
            );
            signature[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..input.len() * 8 {
            input[bit / 8] ^= 1 << (bit % 8);
            assert!(
                verifying.verify(algorithm, &input, &signature).is_err(),
                "bit {bit}"
            );
            input[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

fn one_issuer() -> (SigningKey, KeySet) {
    let provider = providers()[0];
    let key = SigningKey::generate(Algorithm::EdDsa, provider).unwrap();
    let keys = key_set(&[key.public_jwk()], provider);
    (key, keys)
}

proptest! {
    #[test]
    fn any_claims_survive_the_round_trip(
        strings in proptest::collection::btree_map(".{0,20}", ".{0,40}", 0..8),
        numbers in proptest::collection::vec(any::<i64>(), 0..4),
        typ in ".{0,20}",
    ) {
        let (key, keys) = one_issuer();
        let mut claims = value!(strings);
        claims["numbers"] = value!(numbers);
        let token = key.sign(&typ, &claims).unwrap();
        let token: Unverified<'_> = Unverified::parse(&token).unwrap();
        let read = token.verify(&keys, &[Algorithm::EdDsa]).unwrap();
        prop_assert_eq!(serde_json::to_value(&*read).unwrap(), claims);
        prop_assert_eq!(read.header().typ(), Some(typ.as_str()));
    }

    #[test]
    fn any_bytes_survive_the_round_trip(payload: Vec<u8>) {
        let (key, keys) = one_issuer();
        let token = key.sign_bytes("example", &payload).unwrap();
        let jws = Jws::parse(&token).unwrap();
        prop_assert_eq!(jws.verify(&keys, &[Algorithm::EdDsa]).unwrap(), payload.as_slice());
    }

    #[test]
    fn no_text_is_a_token_or_a_panic(text in r#"[A-Za-z0-9_.={}"\PC-]{0,80}"#) {
        let (_, keys) = one_issuer();
        if let Ok(token) = Unverified::<Claims>::parse(&text) {
            let _ = token.unverified_issuer();
            prop_assert!(token.verify(&keys, &Algorithm::ALL).is_err());
        }
    }

    #[test]
    fn no_header_panics(
        alg in "(ES256|EdDSA|RS256|none|[a-zA-Z0-9]{0,6})",
        rest in r#"(,"(kid|typ|crit|jwk|x)":(null|true|7|"[a-z]{0,3}"|\[\]|\{\}|\{"a":1\})){0,4}"#,
    ) {
        let (_, keys) = one_issuer();
        let header = format!(r#"{{"alg":"{alg}"{rest}}}"#);
        if let Ok(header) = Header::from_json(header.as_bytes()) {
            prop_assert!(Algorithm::ALL.contains(&header.algorithm()));
        }
        let token = format!("{}.e30.AAAA", base64url::encode(header.as_bytes()));
        if let Ok(token) = Unverified::<Claims>::parse(&token) {
            prop_assert!(token.verify(&keys, &Algorithm::ALL).is_err());
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Header::from_json(&bytes);
        let _ = json::parse(&bytes, 1 << 20);
        for provider in providers() {
            let _ = KeySet::from_json(&bytes, provider);
            let _ = VerifyingKey::from_json(&bytes, provider);
            for algorithm in Algorithm::ALL {
                let _ = SigningKey::from_pkcs8_der(algorithm, None, &bytes, provider);
            }
        }
    }

    #[test]
    fn no_key_panics(
        kty in "(EC|RSA|OKP|oct)",
        crv in "(P-256|P-384|P-521|Ed25519)",
        numbers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 4),
        signature in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let text = |at: usize| Value::from(base64url::encode(&numbers[at]));
        let jwk = value!({
            "kty": kty, "crv": crv, "x": text(0), "y": text(1), "n": text(2), "e": text(3),
        });
        for provider in providers() {
            let Ok(key) = VerifyingKey::from_json(jwk.to_string().as_bytes(), provider) else {
                continue;
            };
            for algorithm in Algorithm::ALL {
                prop_assert!(key.verify(algorithm, b"message", &signature).is_err());
            }
        }
    }
}
