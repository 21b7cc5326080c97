//! Proofs of possession (RFC 9449): the published examples, what we sign, and one proof for each rule
//! of section 4.3 that breaks nothing but that rule.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::time::Duration;

use common::issuer::{Issuer, signed};
use common::{providers, signing_keys};
use countersign_jose::dpop::{self, Expected, MAX_JTI, Proof, ProofError};
use countersign_jose::{Algorithm, Error, KeyProblem, SigningKey, Timestamp, base64url};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TOKEN_ENDPOINT: &str = "https://server.example.com/token";

// --- the examples of RFC 9449 -----------------------------------------------------------------

/// Figure 2, section 4.1.
const AT_THE_TOKEN_ENDPOINT: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZ",
    "OXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIs",
    "ImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVy",
    "LmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLb",
    "dLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
);
/// Figure 12, section 7.1.
const AT_A_RESOURCE: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZ",
    "OXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIs",
    "ImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJj",
    "ZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05y",
    "V0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6",
    "Fy1dqd-jfxSYoMxhAJpLjA"
);
const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// Section 6.1.
const THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

#[test]
fn section_4_1_example_at_the_token_endpoint() {
    for provider in providers() {
        let expected = Expected::new("POST", TOKEN_ENDPOINT);
        let now = Timestamp::from_secs(1_562_262_616);
        let proof = dpop::verify(AT_THE_TOKEN_ENDPOINT, &expected, provider, now).unwrap();
        assert_eq!(proof.thumbprint(), THUMBPRINT);
        assert_eq!(proof.jti(), "-BwC3ESc6acc2lTc");
        assert_eq!(proof.iat(), now);
        assert_eq!(proof.fresh_until(), now + Duration::from_secs(120));
    }
}

#[test]
fn section_7_1_example_with_an_access_token() {
    for provider in providers() {
        let resource = "https://resource.example.org/protectedresource";
        let mut expected = Expected::new("GET", resource);
        expected.access_token = Some(ACCESS_TOKEN);
        expected.thumbprint = Some(THUMBPRINT);
        let now = Timestamp::from_secs(1_562_262_618);
        let proof = dpop::verify(AT_A_RESOURCE, &expected, provider, now).unwrap();
        assert_eq!(proof.jti(), "e1j3V_bKic8-LAEB");
        expected.access_token = Some("another");
        let error = dpop::verify(AT_A_RESOURCE, &expected, provider, now).unwrap_err();
        assert_eq!(error, ProofError::AccessToken);
    }
}

// --- what we sign -----------------------------------------------------------------------------

fn proof() -> Proof<'static> {
    Proof {
        htm: "POST",
        htu: TOKEN_ENDPOINT,
        access_token: None,
        nonce: None,
    }
}

#[test]
fn what_is_signed_is_believed_by_either_provider() {
    for (_, key) in signing_keys() {
        let mut proof = proof();
        proof.access_token = Some(ACCESS_TOKEN);
        proof.nonce = Some("n-1");
        let signed = proof.sign(&key, NOW).unwrap();
        let thumbprint = key.thumbprint();
        let mut expected = Expected::new("POST", TOKEN_ENDPOINT);
        expected.access_token = Some(ACCESS_TOKEN);
        expected.nonces = Some(&["n-0", "n-1"]);
        expected.thumbprint = Some(&thumbprint);
        for provider in providers() {
            let verified = dpop::verify(&signed, &expected, provider, NOW).unwrap();
            assert_eq!(verified.thumbprint(), thumbprint);
        }
    }
}

/// Section 4.2: what a proof holds, and no more than that.
#[test]
fn a_proof_holds_the_public_key_and_what_it_is_for() {
    for (_, key) in signing_keys() {
        let mut proof = proof();
        proof.htu = "https://server.example.com/token?secret=1#also";
        let signed = proof.sign(&key, NOW).unwrap();
        let part = |index: usize| -> Value {
            let part = signed.split('.').nth(index).unwrap();
            serde_json::from_slice(&base64url::decode(part).unwrap()).unwrap()
        };
        let mut public = key.public_jwk();
        for name in ["kid", "alg", "use"] {
            public.as_object_mut().unwrap().remove(name);
        }
        let header = json!({ "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": public });
        assert_eq!(part(0), header);
        let jti = part(1)["jti"].as_str().unwrap().to_owned();
        assert_eq!(base64url::decode(&jti).unwrap().len(), 16);
        assert_eq!(
            part(1),
            json!({ "jti": jti, "htm": "POST", "htu": TOKEN_ENDPOINT, "iat": 1_800_000_000 })
        );
        let again = proof.sign(&key, NOW).unwrap();
        assert_ne!(again.split('.').nth(1), signed.split('.').nth(1));
    }
}

#[test]
fn debug_shows_neither_token_nor_nonce() {
    let mut proof = proof();
    proof.access_token = Some("canary");
    proof.nonce = Some("canary");
    proof.htu = "https://server.example.com/token?canary";
    let mut expected = Expected::new("POST", proof.htu);
    expected.access_token = Some("canary");
    expected.nonces = Some(&["canary"]);
    assert!(!format!("{proof:?} {expected:?}").contains("canary"));
}

// --- the rules of section 4.3 -----------------------------------------------------------------

/// Somebody who signs whatever is put before them.
struct Forger(Issuer);

impl Forger {
    fn all() -> Vec<Self> {
        Issuer::all().into_iter().map(Self).collect()
    }

    fn header(&self) -> Value {
        let mut key = self.0.key.public_jwk();
        key.as_object_mut().unwrap().remove("kid");
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key })
    }

    fn claims() -> Value {
        json!({
            "jti": "j-1", "htm": "POST", "htu": TOKEN_ENDPOINT, "iat": 1_800_000_000,
            "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "nonce": "n-1",
        })
    }

    /// Everything is asked for, so that every rule is applied.
    fn verify(&self, header: &Value, claims: &Value) -> Result<(), ProofError> {
        let proof = signed(&self.0, &header.to_string(), claims.to_string().as_bytes());
        self.verify_text(&proof)
    }

    fn verify_text(&self, proof: &str) -> Result<(), ProofError> {
        let thumbprint = self.0.key.thumbprint();
        let mut expected = Expected::new("POST", TOKEN_ENDPOINT);
        expected.access_token = Some(ACCESS_TOKEN);
        expected.nonces = Some(&["n-1"]);
        expected.thumbprint = Some(&thumbprint);
        dpop::verify(proof, &expected, self.0.provider, NOW).map(drop)
    }

    fn with_header(&self, name: &str, value: Value) -> Result<(), ProofError> {
        let mut header = self.header();
        header[name] = value;
        self.verify(&header, &Self::claims())
    }

    fn with_claim(&self, name: &str, value: Value) -> Result<(), ProofError> {
        let mut claims = Self::claims();
        claims[name] = value;
        self.verify(&self.header(), &claims)
    }

    fn without_claim(&self, name: &str) -> Result<(), ProofError> {
        let mut claims = Self::claims();
        claims.as_object_mut().unwrap().remove(name);
        self.verify(&self.header(), &claims)
    }
}

#[test]
fn the_forgers_proof_is_good_before_anything_is_wrong_with_it() {
    for forger in Forger::all() {
        assert_eq!(forger.verify(&forger.header(), &Forger::claims()), Ok(()));
    }
}

#[test]
fn rule_2_a_proof_is_one_well_formed_token() {
    for forger in Forger::all() {
        for text in ["", "a", "a.b", "a.b.c.d", "....", "e30.e30.e30"] {
            let error = forger.verify_text(text).unwrap_err();
            assert!(matches!(error, ProofError::Token(_)), "{text}: {error:?}");
        }
        let twice = r#"{"typ":"dpop+jwt","alg":"ES256","alg":"ES256"}"#;
        let proof = signed(&forger.0, twice, b"{}");
        let error = forger.verify_text(&proof).unwrap_err();
        assert_eq!(error.code(), "jose_json");
        let two = format!("{proof}, {proof}");
        assert!(matches!(
            forger.verify_text(&two),
            Err(ProofError::Token(_))
        ));
    }
}

#[test]
fn rule_3_every_claim_is_there_and_of_its_type() {
    for forger in Forger::all() {
        for name in ["jti", "htm", "htu", "iat", "ath"] {
            let missing = forger.without_claim(name).unwrap_err();
            let name = name.to_owned();
            assert_eq!(missing, ProofError::Claim(Error::ClaimMissing { name }));
        }
        for name in ["jti", "htm", "htu", "iat", "ath", "nonce"] {
            let wrong = forger.with_claim(name, json!(["x"])).unwrap_err();
            assert_eq!(wrong.code(), "dpop_claim", "{name}");
        }
        let empty = forger.with_claim("jti", json!("")).unwrap_err();
        assert_eq!(empty, ProofError::Identifier);
        let long = |length| forger.with_claim("jti", json!("j".repeat(length)));
        assert_eq!(long(MAX_JTI), Ok(()));
        assert_eq!(long(MAX_JTI + 1), Err(ProofError::Identifier));
        let proof = signed(
            &forger.0,
            &forger.header().to_string(),
            br#"{"jti":"a","jti":"b"}"#,
        );
        assert_eq!(forger.verify_text(&proof).unwrap_err().code(), "jose_json");
    }
}

/// An access token or a client assertion that happens to be lying around is no proof.
#[test]
fn rule_4_the_type_is_dpop_jwt() {
    for forger in Forger::all() {
        for typ in ["JWT", "at+jwt", "dpop", "dpop+jwt2", ""] {
            assert_eq!(
                forger.with_header("typ", json!(typ)),
                Err(ProofError::WrongType)
            );
        }
        assert_eq!(
            forger.with_header("typ", json!("application/DPoP+JWT")),
            Ok(())
        );
        let mut header = forger.header();
        header.as_object_mut().unwrap().remove("typ");
        assert_eq!(
            forger.verify(&header, &Forger::claims()),
            Err(ProofError::WrongType)
        );
    }
}

#[test]
fn rule_5_the_algorithm_is_asymmetric_and_allowed() {
    for forger in Forger::all() {
        for alg in ["none", "HS256", "ES256K", "RSA-OAEP"] {
            let error = forger.with_header("alg", json!(alg)).unwrap_err();
            assert_eq!(error.code(), "jose_unsupported_algorithm", "{alg}");
        }
        let proof = proof().sign(&forger.0.key, NOW).unwrap();
        let mut expected = Expected::new("POST", TOKEN_ENDPOINT);
        expected.algorithms = &[Algorithm::EdDsa, Algorithm::Rs256];
        let error = dpop::verify(&proof, &expected, forger.0.provider, NOW).unwrap_err();
        assert_eq!(error.code(), "jose_algorithm_not_allowed");
        // The key decides, not the token.
        let error = forger.with_header("alg", json!("EdDSA")).unwrap_err();
        assert_eq!(error.code(), "jose_algorithm_mismatch");
    }
}

#[test]
fn rule_6_the_signature_is_that_of_the_key_in_the_header() {
    for forger in Forger::all() {
        let stranger = SigningKey::generate(Algorithm::Es256, forger.0.provider).unwrap();
        let error = forger
            .with_header("jwk", stranger.public_jwk())
            .unwrap_err();
        assert_eq!(error, ProofError::Token(Error::BadSignature));
        let sign = || proof().sign(&forger.0.key, NOW).unwrap();
        let (one, other) = (sign(), sign());
        let input = one.rsplit_once('.').unwrap().0;
        let proof = format!("{input}.{}", other.rsplit_once('.').unwrap().1);
        let error = forger.verify_text(&proof).unwrap_err();
        assert_eq!(error, ProofError::Token(Error::BadSignature));
    }
}

#[test]
fn rule_7_the_key_is_there_public_and_usable() {
    for forger in Forger::all() {
        let mut header = forger.header();
        header.as_object_mut().unwrap().remove("jwk");
        header["kid"] = json!(forger.0.key.kid());
        assert_eq!(
            forger.verify(&header, &Forger::claims()),
            Err(ProofError::KeyMissing)
        );
        // Another place to find a key is not looked at.
        header["jku"] = json!("https://evil.example/keys");
        assert_eq!(
            forger.verify(&header, &Forger::claims()),
            Err(ProofError::KeyMissing)
        );

        let with = |name: &str, value: Value| {
            let mut key = forger.header()["jwk"].clone();
            key[name] = value;
            forger.with_header("jwk", key).unwrap_err()
        };
        assert_eq!(
            with("d", json!("AA")),
            ProofError::Key(KeyProblem::PrivateMember("d"))
        );
        assert_eq!(
            with("k", json!("AA")),
            ProofError::Key(KeyProblem::PrivateMember("k"))
        );
        assert_eq!(with("use", json!("enc")).code(), "dpop_key");
        assert_eq!(with("x", json!("AAAA")).code(), "dpop_key");
        assert_eq!(with("kty", json!("oct")).code(), "dpop_key");
        for jwk in [json!("key"), json!(null), json!([])] {
            let error = forger.with_header("jwk", jwk).unwrap_err();
            assert_eq!(error, ProofError::Key(KeyProblem::NotAnObject));
        }
    }
}

#[test]
fn rule_8_the_method_is_that_of_the_request() {
    for forger in Forger::all() {
        for method in ["GET", "post", "POST ", ""] {
            assert_eq!(
                forger.with_claim("htm", json!(method)),
                Err(ProofError::Method)
            );
        }
    }
}

#[test]
fn rule_9_the_address_is_that_of_the_request() {
    for forger in Forger::all() {
        for address in [
            "https://server.example.com/token/",
            "https://server.example.com/other",
            "http://server.example.com/token",
            "https://server.example.com.evil.example/token",
            "https://server.example.com:8443/token",
            "/token",
            "",
        ] {
            let refused = forger.with_claim("htu", json!(address));
            assert_eq!(refused, Err(ProofError::Address), "{address}");
        }
        for address in [
            "https://server.example.com/token?x=1",
            "HTTPS://SERVER.example.com:443/%74oken#y",
        ] {
            assert_eq!(
                forger.with_claim("htu", json!(address)),
                Ok(()),
                "{address}"
            );
        }
    }
}

#[test]
fn rule_10_the_nonce_is_one_that_is_good_now() {
    for forger in Forger::all() {
        let missing = forger.without_claim("nonce").unwrap_err();
        assert_eq!(missing, ProofError::NonceMissing);
        assert!(missing.wants_nonce());
        for nonce in ["n-2", "", "n-1 "] {
            let other = forger.with_claim("nonce", json!(nonce)).unwrap_err();
            assert_eq!(other, ProofError::Nonce);
            assert!(other.wants_nonce());
        }
        // A server that gives no nonces does not mind one.
        let mut proof = proof();
        proof.nonce = Some("from-elsewhere");
        let proof = proof.sign(&forger.0.key, NOW).unwrap();
        let expected = Expected::new("POST", TOKEN_ENDPOINT);
        assert!(dpop::verify(&proof, &expected, forger.0.provider, NOW).is_ok());
    }
}

#[test]
fn rule_11_the_proof_is_young() {
    for forger in Forger::all() {
        let made = |offset: i64| forger.with_claim("iat", json!(1_800_000_000 + offset));
        for offset in [-119, -60, 0, 60] {
            assert_eq!(made(offset), Ok(()), "{offset}");
        }
        assert_eq!(made(-120), Err(ProofError::TooOld { seconds_ago: 120 }));
        assert_eq!(
            made(61),
            Err(ProofError::IssuedInFuture { seconds_ahead: 61 })
        );
        assert!(!made(61).unwrap_err().wants_nonce());
    }
}

#[test]
fn rule_12_the_proof_goes_with_the_token_and_the_key_it_is_bound_to() {
    for forger in Forger::all() {
        let other = forger.with_claim("ath", json!(base64url::encode(&[7; 32])));
        assert_eq!(other, Err(ProofError::AccessToken));
        let stranger = SigningKey::generate(Algorithm::Es256, forger.0.provider).unwrap();
        let mut proof = proof();
        proof.access_token = Some(ACCESS_TOKEN);
        proof.nonce = Some("n-1");
        let proof = proof.sign(&stranger, NOW).unwrap();
        assert_eq!(forger.verify_text(&proof), Err(ProofError::OtherKey));
    }
}

#[test]
fn every_error_has_a_code_of_its_own_and_a_line_without_its_source() {
    let errors = [
        ProofError::Claim(Error::NotAnObject),
        ProofError::WrongType,
        ProofError::KeyMissing,
        ProofError::Key(KeyProblem::RsaExponent),
        ProofError::Identifier,
        ProofError::Method,
        ProofError::Address,
        ProofError::NonceMissing,
        ProofError::Nonce,
        ProofError::TooOld { seconds_ago: 1 },
        ProofError::IssuedInFuture { seconds_ahead: 1 },
        ProofError::AccessToken,
        ProofError::OtherKey,
    ];
    let codes: std::collections::BTreeSet<&str> = errors.iter().map(ProofError::code).collect();
    assert_eq!(codes.len(), errors.len());
    for error in errors {
        assert!(error.code().starts_with("dpop_"), "{error:?}");
        if let Some(source) = std::error::Error::source(&error) {
            assert!(!error.to_string().contains(&source.to_string()));
        }
    }
    assert_eq!(
        ProofError::Token(Error::NotCompact).code(),
        "jose_not_compact"
    );
}
