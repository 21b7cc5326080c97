//! The vectors of Project Wycheproof, over every provider.
//!
//! Where this crate decides otherwise than a vector, the case stands in a table below with the
//! reason, and the test fails as well when a listed case no longer differs.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{providers, vectors};
use countersign_jose::{
    Algorithm, CryptoProvider, Error, Jws, KeyProblem, KeySet, VerifyingKey, base64url,
};
use serde_json::{Value, json};

/// Cases of one file that are decided otherwise, and why.
type Deviations = &'static [(std::ops::RangeInclusive<u64>, &'static str)];

const HMAC: &str = "valid only with an HMAC, which does not exist here (RFC 8725, section 2.1)";
const ES521: &str = "the key's alg is ES521, which no registry knows";
const OTHER_ALG: &str = "the token says PS384 and the key PS256: a key has one algorithm";

const SIGNATURE_DEVIATIONS: Deviations = &[
    (1..=1, HMAC),
    (346..=346, OTHER_ALG),
    (347..=347, ES521),
    (348..=348, HMAC),
    (350..=350, OTHER_ALG),
    (351..=351, ES521),
    (352..=352, HMAC),
    (357..=359, HMAC),
    (372..=373, "an HMAC, and a `?` inside of a segment"),
    (376..=377, HMAC),
];
const KEY_DEVIATIONS: Deviations = &[(2..=2, HMAC), (13..=15, HMAC)];
const CRYPTO_DEVIATIONS: Deviations = &[(1..=1, HMAC), (48..=48, HMAC)];

/// What was decided for each case of a file.
#[derive(Default)]
struct Run {
    accepted: BTreeMap<u64, (bool, bool)>,
}

impl Run {
    fn record(&mut self, test: &Value, accepted: bool) {
        let expected = match test["result"].as_str().unwrap() {
            "valid" => true,
            // What the vectors leave open is refused here.
            "invalid" | "acceptable" => false,
            other => panic!("unknown result {other}"),
        };
        let id = test["tcId"].as_u64().unwrap();
        assert!(
            self.accepted.insert(id, (expected, accepted)).is_none(),
            "case {id} twice"
        );
    }

    fn finish(&self, file: &str, provider: &CryptoProvider, cases: usize, listed: Deviations) {
        assert_eq!(self.accepted.len(), cases, "{file}: cases run");
        let listed: BTreeSet<u64> = listed.iter().flat_map(|(ids, _)| ids.clone()).collect();
        let found: BTreeSet<u64> = self
            .accepted
            .iter()
            .filter(|(_, (expected, accepted))| expected != accepted)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(
            found,
            listed,
            "{file} with {}: deviations found and listed",
            provider.name()
        );
    }
}

fn read(file: &str) -> Value {
    serde_json::from_slice(&vectors(&format!("wycheproof/{file}"))).unwrap()
}

fn groups(document: &Value) -> &[Value] {
    document["testGroups"].as_array().unwrap()
}

fn tests(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

/// The keys of a group as a set: published ones where there are, else what the group has.
fn key_set(group: &Value, provider: &'static CryptoProvider) -> KeySet {
    let key = group.get("public").unwrap_or(&group["private"]);
    let document = if key.get("keys").is_some() {
        key.clone()
    } else {
        json!({ "keys": [key] })
    };
    KeySet::from_json(document.to_string().as_bytes(), provider).unwrap()
}

fn check_tokens(file: &str, cases: usize, listed: Deviations) {
    let document = read(file);
    for provider in providers() {
        let mut run = Run::default();
        for group in groups(&document) {
            let keys = key_set(group, provider);
            for test in tests(group) {
                // An encrypted token is not a signed token, whatever its result would be.
                if let Some(jwe) = test.get("jwe") {
                    assert!(Jws::parse(&text(jwe)).is_err(), "{test}");
                    continue;
                }
                let accepted = Jws::parse(&text(&test["jws"]))
                    .and_then(|jws| jws.verify(&keys, &Algorithm::ALL).map(drop))
                    .is_ok();
                run.record(test, accepted);
            }
        }
        run.finish(file, provider, cases, listed);
    }
}

/// A token as text; the JSON serialisation stands in the files as an object.
fn text(token: &Value) -> String {
    token
        .as_str()
        .map_or_else(|| token.to_string(), str::to_owned)
}

#[test]
fn json_web_signatures() {
    check_tokens("json_web_signature_test.json", 401, SIGNATURE_DEVIATIONS);
}

#[test]
fn json_web_keys() {
    check_tokens("json_web_key_test.json", 26, KEY_DEVIATIONS);
}

#[test]
fn json_web_crypto_but_for_encryption() {
    check_tokens("json_web_crypto_test.json", 49, CRYPTO_DEVIATIONS);
}

/// Runs a file of bare signatures; `false` when the provider does not know the algorithm.
fn check_signatures(file: &str, cases: usize, algorithm: Algorithm) {
    let document = read(file);
    for provider in providers() {
        let mut run = Run::default();
        let mut unsupported = 0;
        for group in groups(&document) {
            let jwk = jwk(group, algorithm);
            let key = match VerifyingKey::from_json(jwk.to_string().as_bytes(), provider) {
                Err(Error::Key(KeyProblem::Provider {
                    algorithm: Algorithm::Es512,
                    ..
                })) if provider.name() == "ring" => {
                    unsupported += tests(group).len();
                    continue;
                }
                key => key.unwrap(),
            };
            for test in tests(group) {
                let message = hex(&test["msg"]);
                let accepted = key.verify(algorithm, &message, &hex(&test["sig"])).is_ok();
                run.record(test, accepted);
            }
        }
        run.finish(file, provider, cases - unsupported, &[]);
        assert_eq!(
            unsupported > 0,
            provider.name() == "ring" && algorithm == Algorithm::Es512
        );
    }
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The key of a group as a JWK for `algorithm`. Some groups of curve points bring none.
fn jwk(group: &Value, algorithm: Algorithm) -> Value {
    let published = group.get("publicKeyJwk").or(group.get("keyJwk"));
    let mut jwk = published.cloned().unwrap_or_else(|| {
        let point = hex(&group["publicKey"]["uncompressed"]);
        let (x, y) = point[1..].split_at(point.len() / 2);
        let curve = match algorithm {
            Algorithm::Es256 => "P-256",
            Algorithm::Es384 => "P-384",
            _ => "P-521",
        };
        json!({ "kty": "EC", "crv": curve, "x": base64url::encode(x), "y": base64url::encode(y) })
    });
    jwk["alg"] = algorithm.name().into();
    jwk
}

#[test]
fn ecdsa_on_p256() {
    check_signatures(
        "ecdsa_secp256r1_sha256_p1363_test.json",
        262,
        Algorithm::Es256,
    );
}

#[test]
fn ecdsa_on_p384() {
    check_signatures(
        "ecdsa_secp384r1_sha384_p1363_test.json",
        280,
        Algorithm::Es384,
    );
}

#[test]
fn ecdsa_on_p521() {
    check_signatures(
        "ecdsa_secp521r1_sha512_p1363_test.json",
        318,
        Algorithm::Es512,
    );
}

#[test]
fn ed25519() {
    check_signatures("ed25519_test.json", 151, Algorithm::EdDsa);
}

#[test]
fn rsa_with_pkcs1_padding() {
    check_signatures("rsa_signature_2048_sha256_test.json", 259, Algorithm::Rs256);
}

#[test]
fn rsa_with_pss_padding() {
    check_signatures(
        "rsa_pss_2048_sha256_mgf1_32_test.json",
        108,
        Algorithm::Ps256,
    );
}
