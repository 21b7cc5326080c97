//! Good tokens, and every kind of bad one with the rejection that it must meet.

use countersign_jose::Timestamp;
use countersign_testkit::{Key, Signature};
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    AUDIENCE, FakeClock, FakeIssuer, ISSUER, START, claims_with, good_claims, signed, validator,
};

struct Scene {
    key: Key,
    clock: FakeClock,
    issuer: FakeIssuer,
}

impl Scene {
    fn new() -> Self {
        let key = Key::generate("k1");
        Self {
            clock: FakeClock::default(),
            issuer: FakeIssuer::publishing(&[&key]),
            key,
        }
    }

    fn builder(&self) -> ValidatorBuilder {
        validator(&self.issuer, &self.clock)
    }

    /// What a token meets at the default validator: `ok`, or the rejection's
    /// code.
    async fn meets(&self, token: &str) -> &'static str {
        met(&self.builder().build().unwrap(), token).await
    }

    /// What a well-signed token over these changed claims meets.
    async fn claims_meet(&self, changes: Value) -> &'static str {
        self.meets(&signed(&self.key, &claims_with(&changes))).await
    }
}

async fn met(validator: &Validator, token: &str) -> &'static str {
    match validator.validate(token).await {
        Ok(_) => "ok",
        Err(rejection) => {
            assert!(
                !token.contains('.') || !format!("{rejection} {rejection:?}").contains(token),
                "the token stands in the message"
            );
            rejection.code()
        }
    }
}

#[tokio::test]
async fn a_good_token_passes_and_says_who_calls() {
    let scene = Scene::new();
    let token = signed(&scene.key, &good_claims());
    let token = scene
        .builder()
        .build()
        .unwrap()
        .validate(&token)
        .await
        .unwrap();
    assert_eq!(token.issuer(), ISSUER);
    assert_eq!(token.subject(), "ada");
    assert_eq!(token.client_id(), Some("cli"));
    assert_eq!(token.audiences(), [AUDIENCE]);
    assert!(token.has_scope("profile") && !token.has_scope("prof"));
    assert_eq!(token.jwt_id(), Some("t-1"));
    assert_eq!(token.issued_at(), Timestamp::from_secs(START));
    assert_eq!(token.expires_at(), Timestamp::from_secs(START + 600));
    assert_eq!(token.claims().str("sub").unwrap(), Some("ada"));
}

#[tokio::test]
async fn the_type_may_be_written_in_every_form_of_rfc_9068_section_2_1() {
    let scene = Scene::new();
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/AT+jwt",
    ] {
        let token = scene
            .key
            .sign(&json!({ "typ": typ }), &good_claims(), Signature::Good);
        assert_eq!(scene.meets(&token).await, "ok", "{typ}");
    }
}

/// Each changes one claim of a good token (RFC 9068, sections 2.2 and 4).
#[tokio::test]
async fn every_wrong_claim_meets_its_own_rejection() {
    let scene = Scene::new();
    let table = [
        // iss: one string, compared to the letter.
        (json!({ "iss": null }), "missing_claim"),
        (json!({ "iss": 7 }), "malformed_claim"),
        (json!({ "iss": {} }), "malformed_claim"),
        (json!({ "iss": [ISSUER] }), "malformed_claim"),
        (
            json!({ "iss": ["https://evil.example.com", ISSUER] }),
            "malformed_claim",
        ),
        (json!({ "iss": "" }), "wrong_issuer"),
        (json!({ "iss": "https://id.example.com/" }), "wrong_issuer"),
        (json!({ "iss": "https://ID.example.com" }), "wrong_issuer"),
        (
            json!({ "iss": "https://id.example.com.evil.example" }),
            "wrong_issuer",
        ),
        // aud: a string or an array of strings, with us among them.
        (json!({ "aud": null }), "missing_claim"),
        (json!({ "aud": [] }), "missing_claim"),
        (json!({ "aud": 7 }), "malformed_claim"),
        (json!({ "aud": {} }), "malformed_claim"),
        (json!({ "aud": [AUDIENCE, 1] }), "malformed_claim"),
        (json!({ "aud": "" }), "wrong_audience"),
        (
            json!({ "aud": "https://api.example.com/" }),
            "wrong_audience",
        ),
        (
            json!({ "aud": ["https://other.example.com", "cli"] }),
            "wrong_audience",
        ),
        (
            json!({ "aud": ["https://other.example.com", AUDIENCE] }),
            "ok",
        ),
        // exp: must be there and not have passed, the leeway apart.
        (json!({ "exp": null }), "missing_claim"),
        (json!({ "exp": "1795305600" }), "malformed_claim"),
        (json!({ "exp": -1 }), "malformed_claim"),
        (json!({ "exp": 1.8e19 }), "malformed_claim"),
        (json!({ "exp": 1e300 }), "malformed_claim"),
        (json!({ "exp": START - 60 }), "expired"),
        (json!({ "exp": START - 59 }), "ok"),
        (json!({ "exp": 0 }), "expired"),
        // nbf: need not be there, but when it is, it counts.
        (json!({ "nbf": "now" }), "malformed_claim"),
        (json!({ "nbf": START + 61 }), "not_yet_valid"),
        (json!({ "nbf": START + 60 }), "ok"),
        // iat: must be there and not lie ahead.
        (json!({ "iat": null }), "missing_claim"),
        (json!({ "iat": true }), "malformed_claim"),
        (json!({ "iat": START + 61 }), "issued_in_future"),
        (json!({ "iat": START + 60 }), "ok"),
        // The other claims that an access token must have.
        (json!({ "sub": null }), "missing_claim"),
        (json!({ "sub": 7 }), "malformed_claim"),
        (json!({ "sub": "" }), "malformed_claim"),
        (json!({ "client_id": null }), "missing_claim"),
        (json!({ "client_id": ["cli"] }), "malformed_claim"),
        (json!({ "jti": null }), "missing_claim"),
        (json!({ "jti": 1 }), "malformed_claim"),
        // cnf: bound tokens are not bearer tokens, whatever the form.
        (
            json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }),
            "sender_constrained",
        ),
        (json!({ "cnf": {} }), "sender_constrained"),
        (json!({ "cnf": false }), "sender_constrained"),
        // scope: one string, single spaces.
        (json!({ "scope": null }), "ok"),
        (json!({ "scope": "" }), "ok"),
        (json!({ "scope": ["openid"] }), "malformed_claim"),
        (json!({ "scope": "openid\tprofile" }), "malformed_claim"),
        (json!({ "scope": "openid  profile" }), "malformed_claim"),
        (json!({ "scope": "op\"enid" }), "malformed_claim"),
        (json!({ "scope": "openid openid" }), "malformed_claim"),
    ];
    for (changes, expected) in table {
        let shown = changes.to_string();
        assert_eq!(scene.claims_meet(changes).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_null_claim_is_not_an_absent_one() {
    let scene = Scene::new();
    for name in [
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "sub",
        "client_id",
        "jti",
        "cnf",
        "scope",
    ] {
        let mut claims = good_claims();
        claims[name] = Value::Null;
        let expected = match name {
            "cnf" => "sender_constrained",
            _ => "malformed_claim",
        };
        assert_eq!(
            scene.meets(&signed(&scene.key, &claims)).await,
            expected,
            "{name}"
        );
    }
}

/// Each changes the header of a good token, and is signed as it then stands.
#[tokio::test]
async fn every_wrong_header_meets_its_own_rejection() {
    let scene = Scene::new();
    let table = [
        // typ (RFC 9068, section 4): neither an ID token nor a proof nor nothing.
        (json!({}), "wrong_type"),
        (json!({ "typ": "JWT" }), "wrong_type"),
        (json!({ "typ": "dpop+jwt" }), "wrong_type"),
        (json!({ "typ": "at+jwt " }), "wrong_type"),
        (json!({ "typ": "text/at+jwt" }), "wrong_type"),
        (json!({ "typ": null }), "malformed_token"),
        // alg: only what jose knows, and only what the key may do.
        (json!({ "typ": "at+jwt", "alg": "none" }), "malformed_token"),
        (json!({ "typ": "at+jwt", "alg": "None" }), "malformed_token"),
        (
            json!({ "typ": "at+jwt", "alg": "HS256" }),
            "malformed_token",
        ),
        (json!({ "typ": "at+jwt", "alg": null }), "malformed_token"),
        (
            json!({ "typ": "at+jwt", "alg": "es256" }),
            "malformed_token",
        ),
        (json!({ "typ": "at+jwt", "alg": "ES384" }), "unfit_key"),
        (json!({ "typ": "at+jwt", "alg": "RS256" }), "unfit_key"),
        // Extensions that must be understood are not (RFC 7515, section 4.1.11).
        (
            json!({ "typ": "at+jwt", "crit": ["exp"], "exp": 1 }),
            "malformed_token",
        ),
        (json!({ "typ": "at+jwt", "crit": [] }), "malformed_token"),
        (json!({ "typ": "at+jwt", "b64": false }), "malformed_token"),
        // kid: a name, never a path or a query.
        (
            json!({ "typ": "at+jwt", "kid": "../../dev/null" }),
            "unknown_key",
        ),
        (
            json!({ "typ": "at+jwt", "kid": "' OR 1=1 --" }),
            "unknown_key",
        ),
        (json!({ "typ": "at+jwt", "kid": "" }), "unknown_key"),
        (json!({ "typ": "at+jwt", "kid": 1 }), "malformed_token"),
        // A token does not choose the key it is checked with (RFC 8725, section
        // 3.10): these are ignored, and the signature is checked with our key.
        (
            json!({ "typ": "at+jwt", "jku": "https://evil.example.com/keys" }),
            "ok",
        ),
    ];
    for (header, expected) in table {
        let shown = header.to_string();
        let token = scene.key.sign(&header, &good_claims(), Signature::Good);
        assert_eq!(scene.meets(&token).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_key_that_comes_with_the_token_is_not_the_key_it_is_checked_with() {
    let scene = Scene::new();
    let own = Key::generate("k1");
    let header = json!({ "typ": "at+jwt", "jwk": own.jwk() });
    let token = own.sign(&header, &good_claims(), Signature::Good);
    assert_eq!(scene.meets(&token).await, "bad_signature");
}

#[tokio::test]
async fn every_wrong_signature_is_refused() {
    let scene = Scene::new();
    for (signature, expected) in [
        (Signature::Corrupt, "bad_signature"),
        (Signature::ForeignKey, "bad_signature"),
        (Signature::Unsecured, "malformed_token"),
        (Signature::HmacWithPublicKey, "malformed_token"),
    ] {
        let token = scene
            .key
            .sign(&json!({ "typ": "at+jwt" }), &good_claims(), signature);
        assert_eq!(scene.meets(&token).await, expected, "{signature:?}");
    }
}

#[tokio::test]
async fn a_token_is_not_good_in_any_other_spelling() {
    let scene = Scene::new();
    let good = signed(&scene.key, &good_claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("three parts")
    };
    let long = "A".repeat(17_000);
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("\u{feff}{good}"),
        format!("{header}.{payload}.{signature}{signature}"),
        format!("{header}.{payload}.{long}"),
        format!("{header}.{long}.{signature}"),
        format!("{long}.{payload}.{signature}"),
    ] {
        let met = scene.meets(&token).await;
        assert!(
            ["malformed_token", "bad_signature"].contains(&met),
            "{met} for {token:?}"
        );
    }
    assert_eq!(scene.meets(&good).await, "ok");
}

#[tokio::test]
async fn a_payload_that_is_not_one_strict_object_is_refused() {
    let scene = Scene::new();
    let good = good_claims().to_string();
    let twice = good.replacen('{', "{\"sub\":\"eve\",", 1);
    let nested_twice = good.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1);
    for payload in [
        "",
        "null",
        "[]",
        "\"text\"",
        &twice,
        &nested_twice,
        &format!("{good} {good}"),
    ] {
        let header = json!({ "typ": "at+jwt" });
        let token = scene
            .key
            .sign_bytes(&header, payload.as_bytes(), Signature::Good);
        assert_eq!(scene.meets(&token).await, "malformed_token", "{payload}");
    }
}

#[tokio::test]
async fn a_token_ends_when_its_time_does() {
    let scene = Scene::new();
    let validator = scene.builder().build().unwrap();
    let token = signed(&scene.key, &good_claims());
    for (passed, expected) in [
        (0, "ok"),
        (659, "ok"),
        (660, "expired"),
        (100_000, "expired"),
    ] {
        let clock = FakeClock::default();
        clock.advance(Duration::from_secs(passed));
        let later = crate::testing::validator(&scene.issuer, &clock)
            .build()
            .unwrap();
        assert_eq!(met(&later, &token).await, expected, "{passed} s");
    }
    assert_eq!(met(&validator, &token).await, "ok");
}

#[tokio::test]
async fn every_required_scope_must_be_there() {
    let scene = Scene::new();
    let builder = scene
        .builder()
        .required_scope("openid")
        .required_scope("stock:read");
    let validator = builder.build().unwrap();
    for (scope, expected) in [
        ("openid stock:read", "ok"),
        ("stock:read openid other", "ok"),
        ("openid", "insufficient_scope"),
        ("openid stock:read:all", "insufficient_scope"),
        ("OPENID STOCK:READ", "insufficient_scope"),
        ("", "insufficient_scope"),
    ] {
        let token = signed(&scene.key, &claims_with(&json!({ "scope": scope })));
        assert_eq!(met(&validator, &token).await, expected, "{scope}");
    }
}

#[tokio::test]
async fn a_token_that_is_bad_in_two_ways_is_not_told_which_scope_it_lacks() {
    let scene = Scene::new();
    let validator = scene
        .builder()
        .required_scope("stock:read")
        .build()
        .unwrap();
    for changes in [
        json!({ "aud": "https://other.example.com" }),
        json!({ "exp": START - 600 }),
        json!({ "cnf": {} }),
    ] {
        let token = signed(&scene.key, &claims_with(&changes));
        assert_ne!(
            met(&validator, &token).await,
            "insufficient_scope",
            "{changes}"
        );
    }
}

#[tokio::test]
async fn any_of_several_audiences_will_do() {
    let scene = Scene::new();
    let validator = scene
        .builder()
        .audience("https://old.example.com")
        .build()
        .unwrap();
    for audience in [AUDIENCE, "https://old.example.com"] {
        let token = signed(&scene.key, &claims_with(&json!({ "aud": audience })));
        assert_eq!(met(&validator, &token).await, "ok");
    }
}

#[test]
fn a_validator_that_would_be_too_lenient_cannot_be_built() {
    let code = |builder: ValidatorBuilder| builder.build().unwrap_err().code();
    let complete = || Validator::builder(ISSUER).audience(AUDIENCE);
    assert_eq!(code(Validator::builder(ISSUER)), "audience_missing");
    assert_eq!(code(complete().audience("")), "audience_missing");
    assert_eq!(
        code(complete().leeway(Duration::from_secs(301))),
        "leeway_too_long"
    );
    assert_eq!(
        code(complete().add_ca_pem("no certificate")),
        "ca_certificate_unusable"
    );
    for issuer in [
        "",
        "id.example.com",
        "http://id.example.com",
        "https://id.example.com?x",
        "ftp://localhost",
    ] {
        assert_eq!(
            code(Validator::builder(issuer).audience(AUDIENCE)),
            "invalid_issuer"
        );
    }
    for issuer in [
        ISSUER,
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:1",
    ] {
        Validator::builder(issuer)
            .audience(AUDIENCE)
            .build()
            .unwrap();
    }
}
