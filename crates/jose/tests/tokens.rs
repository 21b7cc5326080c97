//! Tokens from the outside: what is signed comes back, and nothing else does.

mod common;

use common::providers;
use countersign_jose::{Algorithm, Error, KeySet, SigningKey, Unverified};
use serde_json::json;

#[test]
fn what_is_signed_can_be_read_after_verification() {
    for provider in providers() {
        for algorithm in SigningKey::ALGORITHMS {
            let key = match SigningKey::generate(algorithm, provider) {
                Err(Error::Crypto(_)) if provider.name() == "ring" => continue,
                key => key.unwrap(),
            };
            let keys = json!({ "keys": [key.public_jwk()] }).to_string();
            let keys = KeySet::from_json(keys.as_bytes(), provider).unwrap();
            let token = key
                .sign("at+jwt", &json!({ "sub": "ada", "exp": 1_800_000_000 }))
                .unwrap();
            let token = Unverified::<()>::parse(&token).unwrap();
            let claims = token.verify(&keys, &[algorithm]).unwrap();
            assert_eq!(claims.str("sub").unwrap(), Some("ada"));
            assert!(claims.header().is_type("application/at+JWT"));
            let other = Algorithm::ALL
                .into_iter()
                .find(|other| *other != algorithm)
                .unwrap();
            assert_eq!(
                token.verify(&keys, &[other]).unwrap_err(),
                Error::AlgorithmNotAllowed { algorithm }
            );
        }
    }
}
