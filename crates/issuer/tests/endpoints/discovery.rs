//! Metadata and keys.

use countersign_jose::{Algorithm, Claims, KeySet, Unverified, crypto::aws_lc};
use countersign_oauth::Issuer;

use axum::body::Body;
use http::Request;

use crate::fixture::Fixture;

const AUTHENTICATION: &[&str] = &[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
];
const ALGORITHMS: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
];

#[tokio::test]
async fn both_documents_are_the_same_and_everything_in_them_is_served() {
    let f = Fixture::new().await;
    let openid = f.get("/.well-known/openid-configuration").await;
    let oauth = f.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(openid.status, 200);
    assert_eq!(openid.body, oauth.body);
    assert_eq!(openid.header("content-type"), "application/json");
    assert!(openid.header("cache-control").contains("max-age="));
    let metadata = openid.json();
    assert_eq!(metadata["issuer"], "http://127.0.0.1:8628");
    assert_eq!(metadata["countersign_development"], true);
    // Its confirmation page shows what clients say of themselves.
    assert_eq!(metadata["countersign_requester_supported"], true);
    for (name, values) in [
        ("response_types_supported", &["code"][..]),
        ("response_modes_supported", &["query"]),
        ("code_challenge_methods_supported", &["S256"]),
        (
            "prompt_values_supported",
            &["none", "login", "consent", "select_account"],
        ),
        (
            "grant_types_supported",
            &[
                "authorization_code",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
        ),
        ("token_endpoint_auth_methods_supported", AUTHENTICATION),
        ("revocation_endpoint_auth_methods_supported", AUTHENTICATION),
        (
            "introspection_endpoint_auth_methods_supported",
            AUTHENTICATION,
        ),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            ALGORITHMS,
        ),
        ("dpop_signing_alg_values_supported", ALGORITHMS),
    ] {
        assert_eq!(metadata[name], serde_json::json!(values), "{name}");
    }
    assert_eq!(metadata["require_pushed_authorization_requests"], false);
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        serde_json::json!(["ES256"])
    );
    let mut endpoints = 0;
    for (name, value) in metadata.as_object().unwrap() {
        if !name.ends_with("_endpoint") && name != "jwks_uri" {
            continue;
        }
        let path = value
            .as_str()
            .unwrap()
            .strip_prefix("http://127.0.0.1:8628")
            .unwrap();
        let answer = if name == "jwks_uri" {
            f.get(path).await
        } else {
            f.post(path, &[]).await
        };
        assert!(
            ![404, 405, 500].contains(&answer.status.as_u16()),
            "{name}: {}",
            answer.status
        );
        endpoints += 1;
    }
    assert_eq!(endpoints, 9);
}

#[tokio::test]
async fn the_documents_can_be_read_by_our_own_client() {
    let f = Fixture::new().await;
    let body = f.get("/.well-known/openid-configuration").await.body;
    let issuer = Issuer::parse("http://127.0.0.1:8628").unwrap();
    let metadata = countersign_oauth::Metadata::from_json(body.as_bytes(), &issuer).unwrap();
    assert_eq!(
        metadata.token_endpoint.unwrap().as_str(),
        "http://127.0.0.1:8628/token"
    );
}

#[tokio::test]
async fn urls_come_from_the_issuer_and_never_from_the_host_header() {
    let f = Fixture::new().await;
    let request = Request::get("/.well-known/openid-configuration")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .body(Body::empty());
    let answer = f.send(request.unwrap()).await;
    assert!(answer.body.contains("http://127.0.0.1:8628/token"));
    assert!(!answer.body.contains("evil"));
    let started = f.start("openid").await;
    let code = started["user_code"].as_str().unwrap();
    assert_eq!(started["verification_uri"], "http://127.0.0.1:8628/device");
    let complete = format!("http://127.0.0.1:8628/device?user_code={code}");
    assert_eq!(started["verification_uri_complete"], complete);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_found_in_all_the_places_clients_look() {
    let f = Fixture::at("https://id.example.com/tenant/a").await;
    let inserted = f
        .get("/.well-known/oauth-authorization-server/tenant/a")
        .await;
    for path in [
        "/.well-known/openid-configuration/tenant/a",
        "/tenant/a/.well-known/openid-configuration",
        "/tenant/a/.well-known/oauth-authorization-server",
    ] {
        let answer = f.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (200, inserted.body.clone()),
            "{path}"
        );
    }
    let metadata = inserted.json();
    assert_eq!(metadata["issuer"], "https://id.example.com/tenant/a");
    assert_eq!(
        metadata["token_endpoint"],
        "https://id.example.com/tenant/a/token"
    );
    assert_eq!(metadata["countersign_development"], false);
    assert_eq!(
        f.post("/tenant/a/token", &[]).await.error(401),
        "invalid_client"
    );
    assert_eq!(f.post("/token", &[]).await.status, 404);
}

#[tokio::test]
async fn keys_verify_what_was_signed_and_can_be_cached() {
    let f = Fixture::new().await;
    let jwks = f.get("/jwks").await;
    assert!(jwks.header("cache-control").starts_with("public, max-age="));
    let keys = KeySet::from_json(jwks.body.as_bytes(), aws_lc::provider()).unwrap();
    let tokens = f.log_in("openid").await;
    for name in ["access_token", "id_token"] {
        let token = Unverified::<Claims>::parse(tokens[name].as_str().unwrap()).unwrap();
        token.verify(&keys, &[Algorithm::Es256]).unwrap();
    }
    assert!(!jwks.body.contains("\"d\""), "no private key is published");

    let etag = jwks.header("etag").to_owned();
    let ask = async |tag: &str| {
        let request = Request::get("/jwks")
            .header("if-none-match", tag)
            .body(Body::empty());
        f.send(request.unwrap()).await
    };
    for tag in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let again = ask(&tag).await;
        assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
        assert_eq!(again.header("etag"), etag);
    }
    assert_eq!(ask("\"x\"").await.status, 200);

    let more = f.core.keys().with_rs256().unwrap();
    f.core.replace_keys(more);
    let both = f.get("/jwks").await;
    assert_ne!(both.header("etag"), etag);
    assert_eq!(both.json()["keys"].as_array().unwrap().len(), 2);
    let metadata = f.get("/.well-known/openid-configuration").await.json();
    let algorithms = serde_json::json!(["ES256", "RS256"]);
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        algorithms
    );
    // What was signed before is still good.
    let keys = KeySet::from_json(both.body.as_bytes(), aws_lc::provider()).unwrap();
    let token = Unverified::<Claims>::parse(tokens["access_token"].as_str().unwrap()).unwrap();
    token.verify(&keys, &[Algorithm::Es256]).unwrap();
}
