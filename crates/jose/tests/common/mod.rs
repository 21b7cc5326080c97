//! What every test of this crate needs: each body runs over both crypto libraries.
#![allow(dead_code, reason = "every test file uses its own part")]

pub(crate) mod issuer;

use std::path::Path;
use std::sync::OnceLock;

use countersign_jose::{Algorithm, CryptoProvider, KeySet, SigningKey, base64url};
use serde_json::{Value, json};

/// All providers: the tests are built with both.
pub(crate) fn providers() -> Vec<&'static CryptoProvider> {
    vec![
        #[cfg(feature = "ring")]
        countersign_jose::crypto::ring::provider(),
        #[cfg(feature = "aws-lc-rs")]
        countersign_jose::crypto::aws_lc::provider(),
    ]
}

/// A key of every kind that signs, for each provider. The RSA key is made by AWS-LC, once for all
/// tests of a file because that takes a while; without AWS-LC there is none.
pub(crate) fn signing_keys() -> Vec<(&'static CryptoProvider, SigningKey)> {
    static RSA: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let generate = |algorithm, provider| {
        SigningKey::generate(algorithm, provider).map(|key| key.to_pkcs8_der().to_vec())
    };
    let rsa = RSA.get_or_init(|| {
        let mut made = providers()
            .into_iter()
            .map(|provider| generate(Algorithm::Rs256, provider));
        made.find_map(Result::ok)
    });
    let mut keys = Vec::new();
    for provider in providers() {
        for algorithm in SigningKey::ALGORITHMS {
            let der = match algorithm {
                Algorithm::Rs256 => rsa.clone(),
                algorithm => Some(generate(algorithm, provider).unwrap()),
            };
            let Some(der) = der else { continue };
            let key = SigningKey::from_pkcs8_der(algorithm, None, &der, provider).unwrap();
            keys.push((provider, key));
        }
    }
    keys
}

/// The set that publishes `keys`.
pub(crate) fn key_set(keys: &[Value], provider: &'static CryptoProvider) -> KeySet {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes(), provider).unwrap()
}

/// A file below `tests/vectors`.
pub(crate) fn vectors(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Signs a token with any header at all. [`SigningKey`] writes its own, so this goes around it: the
/// PKCS#8 bytes are used by the library below.
pub(crate) fn sign_raw(
    key: &SigningKey,
    header: &[u8],
    payload: &[u8],
    provider: &'static CryptoProvider,
) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    let der = key.to_pkcs8_der();
    let signature = match provider.name() {
        #[cfg(feature = "ring")]
        "ring" => {
            use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
            let random = ring::rand::SystemRandom::new();
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random);
            key.unwrap()
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec()
        }
        #[cfg(feature = "aws-lc-rs")]
        "aws-lc-rs" => {
            use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
            let random = aws_lc_rs::rand::SystemRandom::new();
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
            key.unwrap()
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec()
        }
        other => panic!("no provider {other}"),
    };
    format!("{input}.{}", base64url::encode(&signature))
}
