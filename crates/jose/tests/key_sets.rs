//! Key sets as issuers publish them, and as they should not.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::{key_set, providers, signing_keys};
use countersign_jose::{
    Algorithm, CryptoProvider, Error, JsonError, KeyProblem, KeySet, Part, SigningKey, SkippedKey,
    VerifyingKey, base64url,
};
use serde_json::{Value, json};

fn es256(provider: &'static CryptoProvider) -> Value {
    SigningKey::generate(Algorithm::Es256, provider)
        .unwrap()
        .public_jwk()
}

/// `jwk` with members set, or (by `null`) removed.
fn with(jwk: &Value, members: Value) -> Value {
    let mut jwk = jwk.clone();
    let Value::Object(members) = members else {
        unreachable!()
    };
    for (name, value) in members {
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(&name);
        } else {
            jwk[name] = value;
        }
    }
    jwk
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "kid": "rsa", "n": base64url::encode(n), "e": base64url::encode(e) })
}

/// Why the one key of a set is skipped; `None` when it is not.
fn problem(jwk: &Value, provider: &'static CryptoProvider) -> Option<KeyProblem> {
    let set = key_set(std::slice::from_ref(jwk), provider);
    assert_eq!(set.keys().len() + set.skipped().len(), 1);
    let alone = VerifyingKey::from_json(jwk.to_string().as_bytes(), provider);
    match set
        .skipped()
        .first()
        .map(|skipped| skipped.problem().clone())
    {
        None => assert!(alone.is_ok()),
        Some(problem) => {
            // A key alone is judged like one in a set.
            assert_eq!(alone.unwrap_err(), Error::Key(problem.clone()));
            return Some(problem);
        }
    }
    None
}

#[test]
fn keys_of_other_kinds_are_skipped_and_the_rest_is_used() {
    for provider in providers() {
        let good = es256(provider);
        let others = [
            json!({ "kty": "AKP", "kid": "a", "alg": "ML-DSA-65", "pub": "AAAA" }),
            json!({ "kty": "OKP", "kid": "b", "crv": "X25519", "x": "AAAA" }),
            json!({ "kty": "OKP", "kid": "c", "crv": "Ed448", "x": "AAAA" }),
            json!({ "kty": "EC", "kid": "d", "crv": "secp256k1", "x": "AAAA", "y": "AAAA" }),
            json!({ "kty": "EC", "kid": "e", "crv": "P-257", "x": "AAAA", "y": "AAAA" }),
            json!({ "kty": "EC", "kid": "f" }),
            json!({ "kty": 7, "kid": "g" }),
            json!({ "kid": "h" }),
            json!({}),
            json!(null),
            json!("key"),
            json!([1]),
        ];
        let mut keys = others.to_vec();
        keys.insert(5, good.clone());
        let set = key_set(&keys, provider);
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.keys()[0].kid(), good["kid"].as_str());
        assert_eq!(set.skipped().len(), others.len());
        let indices: Vec<usize> = set.skipped().iter().map(SkippedKey::index).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]);
        let unsupported = KeyProblem::Type("AKP".to_owned());
        assert_eq!(set.skipped()[0].problem(), &unsupported);
        assert_eq!(set.skipped()[0].kid(), Some("a"));
        assert_eq!(set.skipped()[9].problem(), &KeyProblem::NotAnObject);
    }
}

#[test]
fn members_that_are_not_ours_to_read_do_not_matter() {
    for provider in providers() {
        let x5c = json!({ "x5c": "not an array", "x5t": 7, "x5u": [], "x": null, "ext": true });
        let jwk = with(
            &es256(provider),
            json!({ "x5c": x5c["x5c"], "x5t": 7, "ext": true }),
        );
        assert_eq!(problem(&jwk, provider), None);
    }
}

#[test]
fn a_member_named_twice_spoils_its_key_alone() {
    for provider in providers() {
        let good = es256(provider);
        let text = good.to_string();
        let twice = format!("{},\"kid\":\"other\"}}", &text[..text.len() - 1]);
        let document = format!("{{\"keys\":[{twice},{good}]}}");
        let set = KeySet::from_json(document.as_bytes(), provider).unwrap();
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.skipped()[0].problem(), &KeyProblem::DuplicateMember);
        let error = VerifyingKey::from_json(twice.as_bytes(), provider).unwrap_err();
        assert_eq!(
            error,
            Error::Json {
                part: Part::Key,
                source: JsonError::DuplicateMember
            }
        );
        let document = format!("{{\"keys\":[],\"keys\":[{good}]}}");
        let error = KeySet::from_json(document.as_bytes(), provider).unwrap_err();
        assert_eq!(
            error,
            Error::Json {
                part: Part::KeySet,
                source: JsonError::DuplicateMember
            }
        );
    }
}

#[test]
fn private_and_symmetric_keys_are_refused() {
    for provider in providers() {
        let good = es256(provider);
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            let jwk = with(&good, json!({ name: "AAAA" }));
            assert_eq!(
                problem(&jwk, provider),
                Some(KeyProblem::PrivateMember(name))
            );
        }
        let oct = json!({ "kty": "oct", "alg": "HS256", "kid": "o", "k": "AAAA" });
        assert_eq!(
            problem(&oct, provider),
            Some(KeyProblem::PrivateMember("k"))
        );
    }
}

#[test]
fn use_and_key_ops_are_honoured() {
    let not_for = |name| Some(KeyProblem::NotForVerifying(name));
    let malformed = |name| Some(KeyProblem::Member(name));
    for provider in providers() {
        let good = es256(provider);
        for (members, expected) in [
            (json!({ "use": null }), None),
            (json!({ "use": "sig", "key_ops": ["verify"] }), None),
            (json!({ "key_ops": ["sign", "verify"] }), None),
            (json!({ "use": "enc" }), not_for("use")),
            (json!({ "use": "SIG" }), not_for("use")),
            (json!({ "use": "" }), not_for("use")),
            (json!({ "use": ["sig"] }), malformed("use")),
            (json!({ "key_ops": [] }), not_for("key_ops")),
            (json!({ "key_ops": ["encrypt"] }), not_for("key_ops")),
            (json!({ "key_ops": ["sign"] }), not_for("key_ops")),
            (
                json!({ "use": "enc", "key_ops": ["verify"] }),
                not_for("use"),
            ),
            (
                json!({ "use": "sig", "key_ops": ["wrapKey"] }),
                not_for("key_ops"),
            ),
            (json!({ "key_ops": "verify" }), malformed("key_ops")),
            (json!({ "key_ops": ["verify", 7] }), malformed("key_ops")),
            (
                json!({ "key_ops": ["verify", "verify"] }),
                malformed("key_ops"),
            ),
        ] {
            assert_eq!(
                problem(&with(&good, members.clone()), provider),
                expected,
                "{members}"
            );
        }
    }
}

#[test]
fn alg_is_honoured_and_must_fit_the_key() {
    for (provider, key) in signing_keys() {
        let jwk = key.public_jwk();
        let open = with(&jwk, json!({ "alg": null }));
        let set = key_set(&[open], provider);
        let algorithms: Vec<&str> = set.keys()[0].algorithms().map(Algorithm::name).collect();
        match key.algorithm() {
            Algorithm::Rs256 => {
                assert_eq!(
                    algorithms,
                    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
                );
            }
            algorithm => assert_eq!(algorithms, [algorithm.name()]),
        }
        let set = key_set(std::slice::from_ref(&jwk), provider);
        assert!(set.keys()[0].algorithms().eq([key.algorithm()]));
        for name in [
            "none", "HS256", "RSA-OAEP", "ES256K", "ES384", "ES521", "", "es256",
        ] {
            let expected = Some(KeyProblem::Algorithm(name.to_owned()));
            assert_eq!(
                problem(&with(&jwk, json!({ "alg": name })), provider),
                expected
            );
        }
        assert_eq!(
            problem(&with(&jwk, json!({ "alg": 7 })), provider),
            Some(KeyProblem::Member("alg"))
        );
    }
}

#[test]
fn keys_that_share_a_kid_are_all_skipped() {
    for provider in providers() {
        let (a, b, c) = (es256(provider), es256(provider), es256(provider));
        let twin = with(&b, json!({ "kid": a["kid"] }));
        let encryption = with(&c, json!({ "kid": c["kid"], "use": "enc" }));
        let set = key_set(&[a.clone(), c.clone(), twin, encryption], provider);
        // The encryption key is skipped for itself, so it is nobody's twin.
        assert_eq!(set.keys().len(), 1);
        assert_eq!(set.keys()[0].kid(), c["kid"].as_str());
        let skipped: Vec<_> = set
            .skipped()
            .iter()
            .map(|key| (key.index(), key.problem()))
            .collect();
        assert_eq!(
            skipped,
            [
                (0, &KeyProblem::DuplicateKeyId),
                (2, &KeyProblem::DuplicateKeyId),
                (3, &KeyProblem::NotForVerifying("use")),
            ]
        );
        // Keys without a kid do not share one.
        let nameless = [a, b].map(|key| with(&key, json!({ "kid": null })));
        assert_eq!(key_set(&nameless, provider).keys().len(), 2);
    }
}

#[test]
fn a_kid_of_another_type_makes_the_key_unusable() {
    for provider in providers() {
        for kid in [json!(7), json!(true), json!(["a"]), json!({})] {
            let jwk = with(&es256(provider), json!({ "kid": kid }));
            assert_eq!(problem(&jwk, provider), Some(KeyProblem::Member("kid")));
        }
    }
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    for provider in providers() {
        let good = es256(provider);
        let mut y = base64url::decode(good["y"].as_str().unwrap()).unwrap();
        y[31] ^= 1;
        let zero = base64url::encode(&[0; 32]);
        let prime = base64url::encode(&[0xff; 32]);
        for members in [
            json!({ "y": base64url::encode(&y) }),
            json!({ "x": good["y"], "y": good["x"] }),
            json!({ "x": zero, "y": zero }),
            json!({ "x": prime }),
            json!({ "y": prime }),
        ] {
            let jwk = with(&good, members.clone());
            assert_eq!(
                problem(&jwk, provider),
                Some(KeyProblem::NotAPublicKey),
                "{members}"
            );
        }
    }
}

#[test]
fn coordinates_have_their_full_length_and_one_spelling() {
    for provider in providers() {
        let good = es256(provider);
        let x = good["x"].as_str().unwrap();
        for (x, reason) in [
            (format!("{x}="), "padding"),
            (format!("{x}\n"), "line break"),
            (base64url::encode(&[1; 31]), "too short"),
            (base64url::encode(&[0; 33]), "too long"),
            (String::new(), "empty"),
        ] {
            let jwk = with(&good, json!({ "x": x }));
            assert_eq!(
                problem(&jwk, provider),
                Some(KeyProblem::Member("x")),
                "{reason}"
            );
        }
        let jwk = with(&good, json!({ "crv": "P-384", "alg": null }));
        assert_eq!(problem(&jwk, provider), Some(KeyProblem::Member("x")));
        for len in [0, 31, 33, 64] {
            let x = base64url::encode(&vec![1; len]);
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
            assert_eq!(
                problem(&jwk, provider),
                Some(KeyProblem::Member("x")),
                "{len}"
            );
        }
    }
}

#[test]
fn rsa_keys_have_2048_to_8192_bits_and_a_sane_exponent() {
    let modulus = |len: usize| [&vec![0xa5; len - 1][..], &[0x5b]].concat();
    for provider in providers() {
        for len in [256, 384, 512, 1024] {
            assert_eq!(
                problem(&rsa(&modulus(len), &[1, 0, 1]), provider),
                None,
                "{len}"
            );
        }
        assert_eq!(problem(&rsa(&modulus(256), &[3]), provider), None);
        for len in [64, 128, 255, 1025, 2048] {
            let expected = KeyProblem::RsaModulus(len * 8);
            assert_eq!(
                problem(&rsa(&modulus(len), &[1, 0, 1]), provider),
                Some(expected)
            );
        }
        for e in [
            &[1][..],
            &[2],
            &[1, 0, 0],
            &[1, 0, 0, 0, 0, 1],
            &[0xff; 256],
        ] {
            let expected = Some(KeyProblem::RsaExponent);
            assert_eq!(problem(&rsa(&modulus(256), e), provider), expected, "{e:?}");
        }
        let zero = rsa(&[&[0], modulus(256).as_slice()].concat(), &[1, 0, 1]);
        assert_eq!(problem(&zero, provider), Some(KeyProblem::Member("n")));
    }
}

#[test]
fn documents_that_are_no_key_set_are_refused() {
    for provider in providers() {
        let read = |text: &str| KeySet::from_json(text.as_bytes(), provider).unwrap_err();
        for text in [
            "",
            "<html>",
            "[]",
            "null",
            "{\"keys\":[]",
            "{\"keys\":[]} x",
            "\u{feff}{}",
        ] {
            assert!(
                matches!(
                    read(text),
                    Error::Json {
                        part: Part::KeySet,
                        ..
                    }
                ),
                "{text:?}"
            );
        }
        for text in ["{}", "{\"keys\":null}", "{\"keys\":{}}", "{\"Keys\":[]}"] {
            assert_eq!(read(text), Error::NotAKeySet, "{text:?}");
        }
        let empty = KeySet::from_json(b"{\"keys\":[]}", provider).unwrap();
        assert!(empty.keys().is_empty() && empty.skipped().is_empty());
    }
}

#[test]
fn a_set_has_at_most_64_keys_and_256_kib() {
    for provider in providers() {
        let document = |count: usize| json!({ "keys": vec![json!({}); count] }).to_string();
        let set = KeySet::from_json(document(64).as_bytes(), provider).unwrap();
        assert_eq!(set.skipped().len(), 64);
        let error = KeySet::from_json(document(65).as_bytes(), provider).unwrap_err();
        assert_eq!(
            error,
            Error::TooManyKeys {
                count: 65,
                limit: 64
            }
        );

        let sized = |len: usize| format!("{{\"keys\":[]{}}}", " ".repeat(len - 11));
        assert!(KeySet::from_json(sized(256 * 1024).as_bytes(), provider).is_ok());
        let error = KeySet::from_json(sized(256 * 1024 + 1).as_bytes(), provider).unwrap_err();
        let source = JsonError::TooLarge {
            length: 256 * 1024 + 1,
            limit: 256 * 1024,
        };
        assert_eq!(
            error,
            Error::Json {
                part: Part::KeySet,
                source
            }
        );
    }
}

#[test]
fn a_set_of_64_keys_finds_each_by_its_kid() {
    for provider in providers() {
        let keys: Vec<Value> = (0..64).map(|_| es256(provider)).collect();
        let set = key_set(&keys, provider);
        assert!(set.skipped().is_empty());
        for key in &keys {
            let kid = key["kid"].as_str();
            let found: Vec<_> = set.candidates(kid, Algorithm::Es256).collect();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].thumbprint(), kid.unwrap());
            assert_eq!(set.candidates(kid, Algorithm::Es384).count(), 0);
        }
        assert_eq!(set.candidates(None, Algorithm::Es256).count(), 64);
        assert_eq!(set.candidates(Some("other"), Algorithm::Es256).count(), 0);
    }
}
