//! Clients that sign: `private_key_jwt` (RFC 7523, section 3; `OpenID` Connect
//! Core 1.0, section 9).

use std::sync::Arc;

use countersign_issuer::core::{
    ClientCredentials, Core, Failure, Introspection, Keys, NewAuthentication, NewClient, Refusal,
};
use countersign_issuer::storage::Sqlite;
use countersign_jose::{Algorithm, SigningKey, base64url, crypto::aws_lc};
use countersign_oauth::Secret;
use serde_json::{Value, json};

use crate::fixture::{Fixture, code_of, policy, refused};
use crate::over_both;

const ISSUER: &str = "http://127.0.0.1:8628";
const TOKEN_ENDPOINT: &str = "http://127.0.0.1:8628/token";

over_both!(
    an_assertion_stands_for_its_client,
    an_assertion_is_good_once,
    of_sixty_four_uses_at_once_one_counts,
    what_is_wrong_with_an_assertion_is_told_to_the_holder_of_the_key,
    whoever_has_another_key_is_told_nothing,
    a_client_authenticates_in_the_one_way_it_is_registered_for,
    clocks_may_be_a_minute_apart,
);

pub(crate) struct Signer {
    key: SigningKey,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap();
        Self { key }
    }

    pub(crate) fn authentication(&self) -> NewAuthentication {
        let jwks = json!({ "keys": [self.key.public_jwk()] });
        NewAuthentication::PrivateKeyJwt(jwks.to_string())
    }

    /// Credentials of the client `robot`, with claims set or, by `null`, left out.
    fn sign_with(&self, f: &Fixture, changes: &Value) -> ClientCredentials {
        self.sign_as("JWT", f, changes)
    }

    fn sign_as(&self, typ: &str, f: &Fixture, changes: &Value) -> ClientCredentials {
        let assertion = self.key.sign(typ, &claims(f, changes)).unwrap();
        credentials(&assertion)
    }

    pub(crate) fn sign(&self, f: &Fixture) -> ClientCredentials {
        self.sign_with(f, &json!({}))
    }
}

fn claims(f: &Fixture, changes: &Value) -> Value {
    let mut jti = [0; 16];
    aws_lc::provider().fill_random(&mut jti).unwrap();
    let now = f.now().as_secs();
    let mut claims = json!({
        "iss": "robot",
        "sub": "robot",
        "aud": ISSUER,
        "jti": base64url::encode(&jti),
        "iat": now,
        "exp": now + 60,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let members = claims.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    claims
}

fn credentials(assertion: &str) -> ClientCredentials {
    let jwt = Secret::new(assertion);
    ClientCredentials::with_assertion(None, jwt, TOKEN_ENDPOINT.to_owned()).unwrap()
}

async fn robot(f: &Fixture) -> Signer {
    let signer = Signer::new();
    let client = NewClient {
        authentication: signer.authentication(),
        ..NewClient::new("robot")
    };
    f.core.put_client(client, f.now()).await.unwrap().unwrap();
    signer
}

/// The least that a client has to authenticate for.
async fn ask(f: &Fixture, credentials: &ClientCredentials) -> Result<Introspection, Failure> {
    f.core.introspect(credentials, "x", f.now()).await
}

async fn an_assertion_stands_for_its_client(f: Fixture) {
    let robot = robot(&f).await;
    ask(&f, &robot.sign(&f)).await.unwrap();
    for (typ, changes) in [
        ("JWT", json!({ "aud": TOKEN_ENDPOINT })),
        ("JWT", json!({ "aud": [ISSUER] })),
        ("JWT", json!({ "iat": null })),
        ("client-authentication+jwt", json!({})),
    ] {
        let outcome = ask(&f, &robot.sign_as(typ, &f, &changes)).await;
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
    // The form may name the client as well (RFC 7521, section 4.2), and not
    // another one.
    let jwt = || Secret::from(robot.key.sign("JWT", &claims(&f, &json!({}))).unwrap());
    let named = |id, jwt| {
        ClientCredentials::with_assertion(Some(id), jwt, TOKEN_ENDPOINT.to_owned()).unwrap()
    };
    ask(&f, &named("robot", jwt())).await.unwrap();
    assert_eq!(
        code_of(ask(&f, &named("cli", jwt())).await),
        "invalid_client"
    );
}

async fn an_assertion_is_good_once(f: Fixture) {
    let robot = robot(&f).await;
    let credentials = robot.sign(&f);
    ask(&f, &credentials).await.unwrap();
    let again = refused(ask(&f, &credentials).await);
    assert_eq!(again.code(), "invalid_client");
    assert!(again.description().unwrap().contains("used before"));
    // Remembered as long as it would be accepted.
    f.advance_secs(119);
    f.core.purge(f.now()).await.unwrap();
    let again = refused(ask(&f, &credentials).await);
    assert!(again.description().unwrap().contains("used before"));
    f.advance_secs(1);
    let again = refused(ask(&f, &credentials).await);
    assert!(again.description().unwrap().contains("expired"));
}

async fn of_sixty_four_uses_at_once_one_counts(f: Fixture) {
    let robot = robot(&f).await;
    let credentials = robot.sign(&f);
    let uses: Vec<_> = (0..64)
        .map(|_| {
            let (core, credentials, now) = (Arc::clone(&f.core), credentials.clone(), f.now());
            tokio::spawn(async move { core.introspect(&credentials, "x", now).await.is_ok() })
        })
        .collect();
    let mut accepted = 0;
    for used in uses {
        accepted += u32::from(used.await.unwrap());
    }
    assert_eq!(accepted, 1);
}

async fn what_is_wrong_with_an_assertion_is_told_to_the_holder_of_the_key(f: Fixture) {
    let robot = robot(&f).await;
    let now = f.now().as_secs();
    for (changes, told) in [
        (json!({ "sub": "cli" }), "iss and sub"),
        (json!({ "sub": null }), "iss and sub"),
        (json!({ "sub": 1 }), "malformed"),
        (json!({ "aud": null }), "aud"),
        (json!({ "aud": "https://other.example" }), "aud"),
        (json!({ "aud": "http://127.0.0.1:8628/" }), "aud"),
        (json!({ "aud": [ISSUER, "https://other.example"] }), "aud"),
        (json!({ "aud": [ISSUER, TOKEN_ENDPOINT] }), "aud"),
        (json!({ "jti": null }), "jti"),
        (json!({ "jti": "" }), "jti"),
        (json!({ "jti": "x".repeat(257) }), "jti"),
        (json!({ "jti": 7 }), "malformed"),
        (json!({ "exp": null }), "exp"),
        (json!({ "exp": now - 60 }), "expired"),
        (json!({ "exp": now + 361 }), "five minutes"),
        (json!({ "exp": "soon" }), "malformed"),
        (json!({ "iat": now + 61 }), "future"),
        (json!({ "nbf": now + 61 }), "future"),
    ] {
        let refusal = refused(ask(&f, &robot.sign_with(&f, &changes)).await);
        assert_eq!(refusal.code(), "invalid_client", "{changes}");
        let description = refusal.description().unwrap();
        assert!(description.contains(told), "{changes}: {description}");
    }
    // What the same key signed to say something else.
    for typ in ["at+jwt", "dpop+jwt", "logout+jwt"] {
        let refusal = refused(ask(&f, &robot.sign_as(typ, &f, &json!({}))).await);
        assert!(refusal.description().unwrap().contains("typ"), "{typ}");
    }
}

async fn whoever_has_another_key_is_told_nothing(f: Fixture) {
    let robot = robot(&f).await;
    let stranger = Signer::new();
    let expired = json!({ "exp": 1 });
    for credentials in [
        stranger.sign(&f),
        stranger.sign_with(&f, &expired),
        stranger.sign_with(&f, &json!({ "iss": "nobody", "sub": "nobody" })),
    ] {
        assert_eq!(refused(ask(&f, &credentials).await), Refusal::InvalidClient);
    }
    // With the right key's name, and by an algorithm that it is not for.
    let kid = Some(robot.key.kid().to_owned());
    let rsa = SigningKey::generate(Algorithm::Rs256, aws_lc::provider()).unwrap();
    let rsa = SigningKey::from_pkcs8_der(
        Algorithm::Rs256,
        kid,
        rsa.to_pkcs8_der(),
        aws_lc::provider(),
    );
    let confused = rsa.unwrap().sign("JWT", &claims(&f, &json!({}))).unwrap();
    assert_eq!(
        refused(ask(&f, &credentials(&confused)).await),
        Refusal::InvalidClient
    );
    for nonsense in ["", "x", "a.b.c"] {
        let jwt = Secret::new(nonsense);
        let nobody = ClientCredentials::with_assertion(None, jwt.clone(), String::new());
        assert_eq!(nobody.unwrap_err(), Refusal::InvalidClient);
        let named = ClientCredentials::with_assertion(Some("robot"), jwt, String::new()).unwrap();
        assert_eq!(refused(ask(&f, &named).await), Refusal::InvalidClient);
    }
}

async fn a_client_authenticates_in_the_one_way_it_is_registered_for(f: Fixture) {
    let robot = robot(&f).await;
    for other in [
        ClientCredentials::public("robot"),
        ClientCredentials::with_secret("robot", Secret::new("x")),
    ] {
        assert_eq!(refused(ask(&f, &other).await), Refusal::InvalidClient);
    }
    let secretive = NewClient {
        authentication: NewAuthentication::Secret,
        ..NewClient::new("robot")
    };
    f.core
        .put_client(secretive, f.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        refused(ask(&f, &robot.sign(&f)).await),
        Refusal::InvalidClient
    );
}

async fn clocks_may_be_a_minute_apart(f: Fixture) {
    let robot = robot(&f).await;
    let now = f.now().as_secs();
    for changes in [
        json!({ "iat": now + 60, "exp": now + 360 }),
        json!({ "iat": now - 119, "exp": now - 59 }),
    ] {
        let outcome = ask(&f, &robot.sign_with(&f, &changes)).await;
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_client_with_a_key_cannot_fill_the_memory_of_what_was_used() {
    let f = Fixture::with_limits(|limits| limits.assertions_per_client.attempts = 3).await;
    let robot = robot(&f).await;
    for _ in 0..3 {
        ask(&f, &robot.sign(&f)).await.unwrap();
    }
    assert_eq!(
        code_of(ask(&f, &robot.sign(&f)).await),
        "temporarily_unavailable"
    );
    // Others, who have no key, cannot use its attempts up.
    f.advance_secs(600);
    for _ in 0..9 {
        let stranger = ask(&f, &Signer::new().sign(&f)).await;
        assert_eq!(code_of(stranger), "invalid_client");
    }
    ask(&f, &robot.sign(&f)).await.unwrap();
}

/// The process ends between two uses of one assertion.
#[tokio::test]
async fn a_restart_gives_nobody_a_second_try() {
    let f = Fixture::in_sqlite().await;
    let robot = robot(&f).await;
    let credentials = robot.sign(&f);
    ask(&f, &credentials).await.unwrap();
    let storage = Box::new(Sqlite::open(&f.database().unwrap()).unwrap());
    let keys = Keys::generate(aws_lc::provider()).unwrap();
    let restarted = Core::new(storage, keys, policy());
    let again = restarted.introspect(&credentials, "x", f.now()).await;
    assert!(
        refused(again)
            .description()
            .unwrap()
            .contains("used before")
    );
}
