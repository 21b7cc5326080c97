//! The examples of RFC 7520, RFC 7797, RFC 8037, RFC 7515 and RFC 7638, over every provider.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::{key_set, providers, vectors};
use countersign_jose::{
    Algorithm, Error, Header, Jws, KeyProblem, SigningKey, Unverified, VerifyingKey, base64url,
};
use serde_json::{Value, json};

fn read(file: &str) -> Value {
    serde_json::from_slice(&vectors(&format!("cookbook/{file}"))).unwrap()
}

/// The public part of a key; the examples print private keys.
fn public(key: &Value) -> Value {
    let mut key = key.clone();
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        key.as_object_mut().unwrap().remove(name);
    }
    key
}

fn check_signed(file: &str, algorithm: Algorithm) {
    let example = read(file);
    let token = example["output"]["compact"].as_str().unwrap();
    for provider in providers() {
        let keys = key_set(&[public(&example["input"]["key"])], provider);
        let jws = Jws::parse(token).unwrap();
        assert_eq!(jws.header().algorithm(), algorithm);
        let result = jws.verify(&keys, &[algorithm]);
        if algorithm == Algorithm::Es512 && provider.name() == "ring" {
            let problem = KeyProblem::Provider {
                algorithm,
                provider: "ring",
            };
            assert_eq!(keys.skipped()[0].problem(), &problem);
            assert_eq!(result.unwrap_err(), Error::Key(problem));
        } else {
            let payload = example["input"]["payload"].as_str().unwrap();
            assert_eq!(result.unwrap(), payload.as_bytes());
        }
    }
}

#[test]
fn rfc_7520_section_4_1_rsa_signature() {
    check_signed("jws__4_1.rsa_v15_signature.json", Algorithm::Rs256);
}

#[test]
fn rfc_7520_section_4_2_rsa_pss_signature() {
    check_signed("jws__4_2.rsa-pss_signature.json", Algorithm::Ps384);
}

#[test]
fn rfc_7520_section_4_3_ecdsa_signature() {
    check_signed("jws__4_3.ecdsa_signature.json", Algorithm::Es512);
}

#[test]
fn rfc_8037_appendix_a_4_and_5_ed25519_signature() {
    check_signed("curve25519__jws.json", Algorithm::EdDsa);
}

#[test]
fn examples_with_an_hmac_are_refused_by_their_algorithm() {
    for file in [
        "jws__4_4.hmac-sha2_integrity_protection.json",
        "jws__4_5.signature_with_detached_content.json",
    ] {
        let example = read(file);
        let error = Jws::parse(example["output"]["compact"].as_str().unwrap()).unwrap_err();
        assert_eq!(
            error,
            Error::UnsupportedAlgorithm {
                name: "HS256".to_owned()
            },
            "{file}"
        );
    }
}

#[test]
fn examples_with_an_unencoded_payload_are_refused_as_the_extension_demands() {
    // RFC 7797, section 6: who does not know `b64` must refuse the token.
    for file in [
        "rfc7797__4.2.hmac-sha2_b64_false.json",
        "rfc7797__hmac-sha2_b64_false.json",
    ] {
        let example = read(file);
        // One of the files prints its header in base64url with a misprint; the JSON is right.
        let header = example["signing"]["protected"].to_string();
        let error = Header::from_json(header.as_bytes()).unwrap_err();
        assert!(
            matches!(error, Error::UnsupportedExtension { .. }),
            "{file}: {error}"
        );
    }
}

#[test]
fn examples_in_json_serialisation_are_refused() {
    for file in [
        "jws__4_6.protecting_specific_header_fields.json",
        "jws__4_7.protecting_content_only.json",
        "jws__4_8.multiple_signatures.json",
    ] {
        let example = read(file);
        assert!(example["output"].get("compact").is_none(), "{file}");
        for form in ["json", "json_flat"] {
            if let Some(token) = example["output"].get(form) {
                let error = Jws::parse(&token.to_string()).unwrap_err();
                assert_eq!(error, Error::NotCompact, "{file}");
            }
        }
    }
}

#[test]
fn rfc_7520_section_3_public_keys_are_usable_and_the_others_are_not() {
    let private = |name| Err(Error::Key(KeyProblem::PrivateMember(name)));
    for provider in providers() {
        for (file, expected) in [
            (
                "jwk__3_1.ec_public_key.json",
                Ok("bilbo.baggins@hobbiton.example"),
            ),
            ("jwk__3_2.ec_private_key.json", private("d")),
            (
                "jwk__3_3.rsa_public_key.json",
                Ok("bilbo.baggins@hobbiton.example"),
            ),
            ("jwk__3_4.rsa_private_key.json", private("d")),
            ("jwk__3_5.symmetric_key_mac_computation.json", private("k")),
            ("jwk__3_6.symmetric_key_encryption.json", private("k")),
        ] {
            let jwk = vectors(&format!("cookbook/{file}"));
            match (VerifyingKey::from_json(&jwk, provider), expected) {
                (Ok(key), Ok(kid)) => assert_eq!(key.kid(), Some(kid), "{file}"),
                (Err(error), Err(expected)) => assert_eq!(error, expected, "{file}"),
                (
                    Err(Error::Key(KeyProblem::Provider {
                        provider: "ring", ..
                    })),
                    Ok(_),
                ) => {
                    assert_eq!(file, "jwk__3_1.ec_public_key.json", "P-521 is not in ring");
                }
                (result, _) => panic!("{file}: {result:?}"),
            }
        }
    }
}

#[test]
fn rfc_7515_appendix_a_3_ecdsa_token() {
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    for provider in providers() {
        let keys = key_set(std::slice::from_ref(&key), provider);
        let token: Unverified<'_> = Unverified::parse(token).unwrap();
        let claims = token.verify(&keys, &[Algorithm::Es256]).unwrap();
        assert_eq!(claims.str("iss"), Ok(Some("joe")));
        assert_eq!(
            claims.numeric_date("exp").unwrap().unwrap().as_secs(),
            1_300_819_380
        );
        assert_eq!(claims.bool("http://example.com/is_root"), Ok(Some(true)));
    }
}

#[test]
fn rfc_7638_section_3_1_and_rfc_8037_appendix_a_3_thumbprints() {
    let rsa = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS\
              oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65Y\
              GjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdk\
              t-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqD\
              Kgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    });
    let okp = public(&read("curve25519__jws.json")["input"]["key"]);
    for provider in providers() {
        for (key, thumbprint) in [
            (&rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (&okp, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            let key = VerifyingKey::from_json(key.to_string().as_bytes(), provider).unwrap();
            assert_eq!(key.thumbprint(), thumbprint);
        }
    }
}

#[test]
fn rfc_8037_appendix_a_private_key_is_read_and_signs() {
    let example = read("curve25519__jws.json");
    let seed = base64url::decode(example["input"]["key"]["d"].as_str().unwrap()).unwrap();
    // RFC 8410, section 7: the frame around the 32 bytes of an Ed25519 key.
    let frame = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let der = [frame.as_slice(), &seed].concat();
    let mut tokens = Vec::new();
    for provider in providers() {
        let key = SigningKey::from_pkcs8_der(Algorithm::EdDsa, None, &der, provider).unwrap();
        assert_eq!(key.public_jwk()["x"], example["input"]["key"]["x"]);
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let token = key
            .sign_bytes("example", b"Example of Ed25519 signing")
            .unwrap();
        let jws = Jws::parse(&token).unwrap();
        let keys = key_set(&[key.public_jwk()], provider);
        assert_eq!(
            jws.verify(&keys, &[Algorithm::EdDsa]).unwrap(),
            b"Example of Ed25519 signing"
        );
        tokens.push(token);
    }
    // Ed25519 has one signature for one message, whoever makes it.
    assert!(tokens.windows(2).all(|pair| pair[0] == pair[1]));
}
