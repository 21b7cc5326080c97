//! Clients that authenticate by an assertion (RFC 7523, section 2.2), and tokens
//! in their own name (RFC 6749, section 4.4).

use countersign_issuer::core::{Audiences, GrantType, NewAuthentication, NewClient};
use countersign_jose::{Algorithm, SigningKey, base64url, crypto::aws_lc};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn robot(f: &Fixture) -> SigningKey {
    let key = SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap();
    let jwks = json!({ "keys": [key.public_jwk()] }).to_string();
    let client = NewClient {
        authentication: NewAuthentication::PrivateKeyJwt(jwks),
        grant_types: vec![GrantType::ClientCredentials],
        audiences: Audiences::Listed(vec!["https://api.example".to_owned()]),
        ..NewClient::new("robot")
    };
    f.core.put_client(client, f.now()).await.unwrap().unwrap();
    key
}

fn sign(f: &Fixture, key: &SigningKey, audience: &str) -> String {
    let mut jti = [0; 16];
    aws_lc::provider().fill_random(&mut jti).unwrap();
    let claims = json!({
        "iss": "robot",
        "sub": "robot",
        "aud": audience,
        "jti": base64url::encode(&jti),
        "exp": f.now().as_secs() + 60,
    });
    key.sign("JWT", &claims).unwrap()
}

#[tokio::test]
async fn an_assertion_authenticates_wherever_a_client_has_to() {
    let f = Fixture::new().await;
    let key = robot(&f).await;
    for (path, field, error) in [
        ("/introspect", ("token", "x"), None),
        ("/revoke", ("token", "x"), None),
        (
            "/token",
            ("grant_type", "refresh_token"),
            Some("invalid_request"),
        ),
        (
            "/device_authorization",
            ("scope", "openid"),
            Some("unauthorized_client"),
        ),
    ] {
        for audience in ["http://127.0.0.1:8628", "http://127.0.0.1:8628/token"] {
            let assertion = sign(&f, &key, audience);
            let fields = [
                ("client_assertion_type", TYPE),
                ("client_assertion", &assertion),
                field,
            ];
            let answer = f.post(path, &fields).await;
            match error {
                None => assert_eq!(answer.status, 200, "{path}: {}", answer.body),
                Some(error) => assert_eq!(answer.error(400), error, "{path}"),
            }
            if path == "/token" {
                // Refused for its form, before anybody was asked who he is.
                continue;
            }
            let again = f.post(path, &fields).await;
            assert_eq!(again.error(401), "invalid_client", "{path}");
            let told: Value = again.json();
            let told = told["error_description"].as_str().unwrap().to_owned();
            assert!(told.contains("used before"), "{path}: {told}");
        }
    }
}

#[tokio::test]
async fn half_an_assertion_and_two_ways_at_once_are_malformed() {
    let f = Fixture::new().await;
    let key = robot(&f).await;
    let assertion = sign(&f, &key, "http://127.0.0.1:8628");
    let (kind, given) = (
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion.as_str()),
    );
    let saml = (
        "client_assertion_type",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    );
    for fields in [
        vec![kind],
        vec![given],
        vec![saml, given],
        vec![kind, given, given],
        vec![kind, given, ("client_secret", "x"), ("client_id", "robot")],
    ] {
        let fields: Vec<_> = fields.into_iter().chain([("token", "x")]).collect();
        let answer = f.post("/introspect", &fields).await;
        assert_eq!(answer.error(400), "invalid_request", "{fields:?}");
    }
    let body = format!("client_assertion_type={TYPE}&client_assertion={assertion}&token=x");
    let form = "application/x-www-form-urlencoded";
    let both = f.post_as("/introspect", form, Some("Basic cm9ib3Q6eA=="), body);
    assert_eq!(both.await.error(400), "invalid_request");
    // None of that has used it up.
    assert_eq!(
        f.post("/introspect", &[kind, given, ("token", "x")])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_client_gets_a_token_in_its_own_name() {
    let f = Fixture::new().await;
    let key = robot(&f).await;
    let assertion = sign(&f, &key, "http://127.0.0.1:8628");
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", &assertion),
    ];
    let answer = f.post("/token", &fields).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.assert_private();
    let mut tokens = answer.json();
    assert!(tokens["access_token"].take().is_string());
    // Nothing else: no scope is registered, and nobody is there to go on.
    let expected = json!({ "access_token": null, "token_type": "Bearer", "expires_in": 600 });
    assert_eq!(tokens, expected);
    assert_eq!(f.post("/token", &fields).await.error(401), "invalid_client");
    let public = [("grant_type", "client_credentials"), ("client_id", "cli")];
    assert_eq!(
        f.post("/token", &public).await.error(400),
        "unauthorized_client"
    );
}
