//! The rules of OpenID Connect Core 1.0, section 3.1.3.7, broken one by one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, KeySet, SigningKey, Verified, base64url};
use countersign_oauth::id_token::{self, Expected, MAX_LEEWAY};
use countersign_oauth::{Error, IdToken, IdTokenError, Secret, Timestamp};
use serde_json::{Value, json};

const NOW: i64 = T0.as_secs();

/// An issuer that signs whatever it is told to.
struct Signer {
    key: SigningKey,
    typ: &'static str,
    claims: Value,
}

impl Signer {
    fn new() -> Self {
        Self::with(Algorithm::Es256)
    }

    fn with(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm, ring::provider()).unwrap();
        let claims = json!({
            "iss": ISSUER, "sub": "ada", "aud": "cli", "iat": NOW - 5, "exp": NOW + 600,
        });
        Self {
            key,
            typ: "JWT",
            claims,
        }
    }

    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    fn token(&self) -> Secret {
        Secret::new(self.key.sign(self.typ, &self.claims).unwrap())
    }

    fn keys(&self) -> KeySet {
        KeySet::from(self.key.verifying_key().unwrap())
    }

    fn verify_at(&self, expected: &Expected, now: Timestamp) -> Result<Verified<IdToken>, Error> {
        id_token::verify(
            &id_token::parse(&self.token())?,
            &self.keys(),
            expected,
            now,
        )
    }

    fn verify(&self, expected: &Expected) -> Result<Verified<IdToken>, IdTokenError> {
        self.verify_at(expected, T0).map_err(|error| match error {
            Error::IdToken(rule) => rule,
            other => panic!("{other:?}"),
        })
    }

    /// The rule that the token breaks.
    fn breaks(&self) -> IdTokenError {
        self.verify(&expected()).unwrap_err()
    }
}

fn expected() -> Expected {
    Expected::new(issuer(), "cli", ring::provider())
}

#[test]
fn a_sound_token_tells_who_it_is() {
    let signer = Signer::new()
        .set("name", "Ada Lovelace")
        .set("acr", "mfa")
        .set("auth_time", NOW - 60)
        .set("nonce", "unasked");
    let token = signer.verify(&expected()).unwrap();
    assert_eq!(token.sub(), "ada");
    assert_eq!(token.str("name"), Some("Ada Lovelace"));
    assert_eq!(token.acr(), Some("mfa"));
    assert_eq!(token.auth_time(), Some(Timestamp::from_secs(NOW - 60)));
    assert_eq!(token.issued_at(), Timestamp::from_secs(NOW - 5));
    assert_eq!(token.expires_at(), Timestamp::from_secs(NOW + 600));
}

// --- the signature and the kind of token ------------------------------------------------------

#[test]
fn a_key_of_somebody_else_does_not_verify_and_a_newer_key_set_may_help() {
    let error = id_token::verify(
        &id_token::parse(&Signer::new().token()).unwrap(),
        &Signer::new().keys(),
        &expected(),
        T0,
    )
    .unwrap_err();
    assert_eq!(error.code(), "jose_unknown_key");
    assert!(error.may_be_stale_keys());
}

#[test]
fn a_changed_signature_does_not_verify_and_no_key_set_will_help() {
    let signer = Signer::new();
    let token = signer.token();
    let (input, signature) = token.expose().rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    signature[10] ^= 1;
    let forged = Secret::new(format!("{input}.{}", base64url::encode(&signature)));
    let forged = id_token::parse(&forged).unwrap();
    let error = id_token::verify(&forged, &signer.keys(), &expected(), T0).unwrap_err();
    assert_eq!(error.code(), "jose_bad_signature");
    assert!(!error.may_be_stale_keys());
}

#[test]
fn an_algorithm_outside_the_list_is_refused() {
    let mut expected = expected();
    expected.algorithms = vec![Algorithm::Rs256];
    let error = Signer::new().verify(&expected).unwrap_err();
    assert_eq!(error.code(), "jose_algorithm_not_allowed");
}

#[test]
fn an_unsigned_token_cannot_even_be_parsed() {
    let header = base64url::encode(br#"{"alg":"none"}"#);
    let payload = base64url::encode(br#"{"iss":"https://id.example.com"}"#);
    let error = id_token::parse(&Secret::new(format!("{header}.{payload}."))).unwrap_err();
    assert!(matches!(error, Error::IdToken(IdTokenError::Token(_))));
    assert!(id_token::parse(&Secret::new("opaque")).is_err());
    assert!(id_token::parse(&Secret::new("")).is_err());
}

#[test]
fn another_kind_of_token_by_the_same_issuer_is_refused() {
    for typ in ["at+jwt", "application/at+jwt", "logout+jwt"] {
        let mut signer = Signer::new();
        signer.typ = typ;
        let broken = signer.breaks();
        assert!(matches!(&broken, IdTokenError::WrongType { received } if received == typ));
    }
    let mut signer = Signer::new();
    signer.typ = "jwt";
    assert!(signer.verify(&expected()).is_ok());
}

// --- issuer, audience, authorized party -------------------------------------------------------

#[test]
fn the_issuer_must_be_the_same_string() {
    for iss in [
        "https://id.example.com/",
        "https://ID.example.com",
        "https://evil.example",
        "",
    ] {
        assert!(matches!(
            Signer::new().set("iss", iss).breaks(),
            IdTokenError::Issuer { expected, received } if expected == ISSUER && received == iss
        ));
    }
}

#[test]
fn the_client_must_be_an_audience() {
    let nobody: [&str; 0] = [];
    for aud in [
        json!("other"),
        json!(["other"]),
        json!(nobody),
        json!("CLI"),
    ] {
        let broken = Signer::new().set("aud", aud.clone()).breaks();
        assert!(matches!(broken, IdTokenError::Audience { .. }), "{aud}");
    }
    assert!(matches!(
        Signer::new().without("aud").breaks(),
        IdTokenError::Audience { .. }
    ));
    assert!(
        Signer::new()
            .set("aud", json!(["cli"]))
            .verify(&expected())
            .is_ok()
    );
}

/// Zitadel adds the identifier of the project.
#[test]
fn a_further_audience_must_be_trusted_and_the_authorized_party_named() {
    let both = Signer::new().set("aud", json!(["cli", "project"]));
    assert!(matches!(
        both.breaks(),
        IdTokenError::UntrustedAudience { received } if received == "project"
    ));
    let mut trusting = expected();
    trusting.trusted_audiences = vec!["project".to_owned()];
    let broken = both.verify(&trusting).unwrap_err();
    assert_eq!(broken, IdTokenError::AuthorizedPartyMissing);
    assert!(both.set("azp", "cli").verify(&trusting).is_ok());
}

#[test]
fn another_authorized_party_is_refused() {
    assert!(matches!(
        Signer::new().set("azp", "other").breaks(),
        IdTokenError::AuthorizedParty { received, .. } if received == "other"
    ));
    assert!(Signer::new().set("azp", "cli").verify(&expected()).is_ok());
}

// --- time -------------------------------------------------------------------------------------

#[test]
fn an_expired_token_is_refused_after_a_minute_of_leeway() {
    let signer = Signer::new();
    let at = |seconds: u64| signer.verify_at(&expected(), T0 + secs(600 + seconds));
    assert!(at(59).is_ok());
    let error = at(60).unwrap_err();
    assert!(matches!(
        error,
        Error::IdToken(IdTokenError::Expired { seconds_ago: 60 })
    ));
    assert!(error.hints()[0].contains("date and time"));
}

#[test]
fn the_leeway_is_never_longer_than_the_token_lives() {
    let signer = Signer::new().set("iat", NOW).set("exp", NOW + 10);
    assert!(signer.verify_at(&expected(), T0 + secs(19)).is_ok());
    assert!(signer.verify_at(&expected(), T0 + secs(20)).is_err());
    let never = Signer::new().set("iat", NOW + 30).set("exp", NOW);
    assert!(matches!(never.breaks(), IdTokenError::Expired { .. }));
}

#[test]
fn the_leeway_has_a_cap() {
    let mut lenient = expected();
    lenient.leeway = secs(1_000_000);
    let signer = Signer::new().set("iat", NOW + 301);
    assert!(matches!(
        signer.verify(&lenient),
        Err(IdTokenError::IssuedInFuture { .. })
    ));
    let signer = Signer::new().set("iat", NOW + 300);
    assert!(signer.verify(&lenient).is_ok());
    assert_eq!(MAX_LEEWAY, secs(300));
}

#[test]
fn a_token_from_the_future_is_refused() {
    let broken = Signer::new().set("iat", NOW + 61).breaks();
    assert_eq!(broken, IdTokenError::IssuedInFuture { seconds_ahead: 61 });
    assert!(
        Signer::new()
            .set("iat", NOW + 60)
            .verify(&expected())
            .is_ok()
    );
    let broken = Signer::new().set("nbf", NOW + 61).breaks();
    assert_eq!(broken, IdTokenError::NotYetValid { seconds: 61 });
    assert!(
        Signer::new()
            .set("nbf", NOW + 60)
            .verify(&expected())
            .is_ok()
    );
}

#[test]
fn the_age_of_the_authentication_is_checked_when_it_was_asked_for() {
    let mut fresh = expected();
    fresh.max_age = Some(secs(300));
    assert_eq!(
        Signer::new().verify(&fresh).unwrap_err(),
        IdTokenError::AuthTimeMissing
    );
    let signed_in = |ago: i64| Signer::new().set("auth_time", NOW - ago).verify(&fresh);
    assert!(signed_in(360).is_ok());
    let broken = signed_in(361).unwrap_err();
    assert_eq!(
        broken,
        IdTokenError::AuthenticationTooOld {
            age: 361,
            max_age: 300
        }
    );
}

// --- nonce, acr, at_hash, sub -----------------------------------------------------------------

#[test]
fn the_nonce_must_come_back() {
    let mut sent = expected();
    sent.nonce = Some(Secret::new("n-1"));
    assert_eq!(
        Signer::new().verify(&sent).unwrap_err(),
        IdTokenError::NonceMissing
    );
    let other = Signer::new().set("nonce", "n-2").verify(&sent).unwrap_err();
    assert_eq!(other, IdTokenError::Nonce);
    assert!(Signer::new().set("nonce", "n-1").verify(&sent).is_ok());
}

#[test]
fn one_of_the_asked_for_authentication_classes_must_have_been_used() {
    let mut strong = expected();
    strong.acr_values = vec!["mfa".to_owned(), "phrh".to_owned()];
    let broken = Signer::new().verify(&strong).unwrap_err();
    assert!(matches!(broken, IdTokenError::Acr { received: None, .. }));
    let broken = Signer::new().set("acr", "pwd").verify(&strong).unwrap_err();
    assert_eq!(broken.to_string(), "`acr` is pwd, expected mfa, phrh");
    assert!(Signer::new().set("acr", "phrh").verify(&strong).is_ok());
}

/// The value is that of OpenID Connect Core 1.0, appendix A.3, computed with SHA-256.
#[test]
fn at_hash_must_belong_to_the_access_token() {
    let mut with_token = expected();
    with_token.access_token = Some(Secret::new("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"));
    let published = Signer::new().set("at_hash", "77QmUPtjPfzWtF2AnpK9RQ");
    assert!(published.verify(&with_token).is_ok());
    assert!(
        Signer::new().verify(&with_token).is_ok(),
        "at_hash is optional"
    );
    with_token.access_token = Some(Secret::new("another"));
    assert_eq!(
        published.verify(&with_token).unwrap_err(),
        IdTokenError::AccessTokenHash
    );
}

/// Ed25519 hashes with SHA-512, so its half is 32 bytes long.
#[test]
fn at_hash_uses_the_hash_of_the_signature() {
    let access_token = Secret::new("at");
    let digest = ring::provider().digest_of(Algorithm::EdDsa, b"at");
    let at_hash = base64url::encode(&digest[..32]);
    let mut with_token = expected();
    with_token.access_token = Some(access_token);
    let signer = Signer::with(Algorithm::EdDsa).set("at_hash", at_hash.clone());
    assert!(signer.verify(&with_token).is_ok());
    let signer = Signer::with(Algorithm::Es256).set("at_hash", at_hash);
    assert_eq!(
        signer.verify(&with_token).unwrap_err(),
        IdTokenError::AccessTokenHash
    );
}

#[test]
fn the_subject_is_printable_ascii_of_at_most_255_characters() {
    for sub in [
        String::new(),
        "x".repeat(256),
        "a\u{1b}[0m".to_owned(),
        "ä".to_owned(),
    ] {
        let broken = Signer::new().set("sub", sub).breaks();
        assert_eq!(broken, IdTokenError::MalformedSubject);
    }
    assert!(
        Signer::new()
            .set("sub", "x".repeat(255))
            .verify(&expected())
            .is_ok()
    );
}

/// OpenID Connect Core 1.0, section 12.2.
#[test]
fn a_refresh_does_not_change_the_person() {
    let mut session = expected();
    session.subject = Some("ada".to_owned());
    assert!(Signer::new().verify(&session).is_ok());
    let broken = Signer::new()
        .set("sub", "grace")
        .verify(&session)
        .unwrap_err();
    assert_eq!(broken, IdTokenError::Subject);
}

// --- claims that are missing or have another type ---------------------------------------------

#[test]
fn claims_that_must_be_there_must_be_there() {
    for name in ["iss", "sub", "exp", "iat"] {
        let broken = Signer::new().without(name).breaks();
        assert!(
            matches!(broken, IdTokenError::Claim(_)),
            "{name}: {broken:?}"
        );
    }
}

#[test]
fn a_claim_of_another_type_is_not_taken_for_absent() {
    let mut asking = expected();
    asking.access_token = Some(Secret::new("at"));
    for name in [
        "iss",
        "sub",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "auth_time",
        "at_hash",
    ] {
        for value in [json!({}), json!([1]), json!(null), json!(true)] {
            let broken = Signer::new()
                .set(name, value.clone())
                .verify(&asking)
                .unwrap_err();
            assert!(
                matches!(broken, IdTokenError::Claim(_)),
                "{name} = {value}: {broken:?}"
            );
        }
    }
}

#[test]
fn what_the_token_says_is_filtered_before_it_is_shown() {
    let broken = Signer::new()
        .set("iss", "https://x\u{1b}[31m\u{202e}")
        .breaks();
    assert!(
        !broken.to_string().contains(['\u{1b}', '\u{202e}']),
        "{broken}"
    );
    let broken = Signer::new().set("aud", "\u{1b}[2J").breaks();
    assert!(!broken.to_string().contains('\u{1b}'), "{broken}");
}
