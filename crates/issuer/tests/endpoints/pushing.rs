//! Pushed authorization requests on the wire (RFC 9126).

use axum::body::Body;
use countersign_jose::{Algorithm, SigningKey, crypto::aws_lc, dpop::Proof};
use http::Request;
use url::form_urlencoded;

use crate::fixture::Fixture;

const FORM: &str = "application/x-www-form-urlencoded";
const HONEST: [(&str, &str); 7] = [
    ("response_type", "code"),
    ("client_id", "cli"),
    ("redirect_uri", "http://127.0.0.1:49152/callback"),
    ("scope", "openid"),
    ("state", "af0ifjsldkj"),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    ),
    ("code_challenge_method", "S256"),
];

#[tokio::test]
async fn a_request_is_pushed_and_named_to_the_authorization_endpoint() {
    let f = Fixture::new().await;
    let answer = f.post("/par", &HONEST).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.assert_private();
    let pushed = answer.json();
    assert_eq!(pushed["expires_in"], 90);
    let uri = pushed["request_uri"].as_str().unwrap();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", "cli"), ("request_uri", uri)])
        .finish();
    let page = async |query: &str| {
        let request = Request::get(format!("/authorize?{query}")).header("host", "127.0.0.1:8628");
        f.send(request.body(Body::empty()).unwrap()).await
    };
    let begun = page(&query).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let location = begun.header("location");
    assert!(
        location.starts_with("/authorize/consent?request="),
        "{location}"
    );
    let others = page(&query.replace("client_id=cli", "client_id=other")).await;
    assert_eq!(others.status, 400);
    // RFC 9126, section 2.3: a browser cannot do this.
    assert_eq!(f.get("/par").await.status, 405);
}

#[tokio::test]
async fn what_is_wrong_with_a_push_is_told_to_the_client_in_json() {
    let f = Fixture::new().await;
    for (change, status, error) in [
        (("client_id", "nobody"), 401, "invalid_client"),
        (("client_secret", "x"), 401, "invalid_client"),
        (
            ("redirect_uri", "https://evil.example/"),
            400,
            "invalid_request",
        ),
        (("request_uri", "urn:x"), 400, "invalid_request"),
        (("response_type", "token"), 400, "unsupported_response_type"),
        (("scope", "\""), 400, "invalid_scope"),
    ] {
        let fields: Vec<_> = HONEST
            .into_iter()
            .filter(|(name, _)| *name != change.0)
            .chain([change])
            .collect();
        let answer = f.post("/par", &fields).await;
        assert_eq!(answer.error(status), error, "{change:?}");
        assert!(!answer.headers.contains_key("location"));
    }
    // RFC 6749, section 3.1: no parameter twice.
    let twice = [&HONEST[..], &[("state", "af0ifjsldkj")]].concat();
    assert_eq!(f.post("/par", &twice).await.error(400), "invalid_request");
    let large = "x".repeat(100_000);
    let large = [&HONEST[..], &[("login_hint", large.as_str())]].concat();
    assert_eq!(f.post("/par", &large).await.error(400), "invalid_request");
}

/// RFC 9126, section 5: said in the metadata, and true of every client.
#[tokio::test]
async fn a_server_may_take_nothing_but_pushed_requests() {
    let f = Fixture::with_policy("http://127.0.0.1:8628", |policy| policy.require_par = true).await;
    let metadata = f.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(HONEST)
        .finish();
    let direct = Request::get(format!("/authorize?{query}")).header("host", "127.0.0.1:8628");
    let refused = f.send(direct.body(Body::empty()).unwrap()).await;
    let location = refused.header("location");
    assert!(
        location.starts_with("http://127.0.0.1:49152/callback?error=invalid_request&"),
        "{location}"
    );
    assert_eq!(f.post("/par", &HONEST).await.status, 201);
}

#[tokio::test]
async fn a_proof_for_another_endpoint_is_none() {
    let f = Fixture::with_policy("http://127.0.0.1:8628", |policy| {
        policy.require_dpop_nonce = true;
    })
    .await;
    let key = SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap();
    let push = async |htu: &str, nonce: Option<&str>| {
        let proof = Proof {
            htm: "POST",
            htu,
            access_token: None,
            nonce,
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(HONEST)
            .finish();
        let request = Request::post("/par")
            .header("content-type", FORM)
            .header("dpop", proof.sign(&key, f.now()).unwrap());
        f.send(request.body(Body::from(body)).unwrap()).await
    };
    let first = push("http://127.0.0.1:8628/par", None).await;
    assert_eq!(first.error(400), "use_dpop_nonce");
    let nonce = first.header("dpop-nonce");
    let elsewhere = push("http://127.0.0.1:8628/token", Some(nonce)).await;
    assert_eq!(elsewhere.error(400), "invalid_dpop_proof");
    let answer = push("http://127.0.0.1:8628/par", Some(nonce)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(!answer.header("dpop-nonce").is_empty());
}
