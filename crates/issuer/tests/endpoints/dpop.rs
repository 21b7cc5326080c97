//! `DPoP` on the wire (RFC 9449).

use axum::body::Body;
use countersign_jose::{Algorithm, SigningKey, crypto::aws_lc, dpop::Proof};
use http::Request;
use http::request::Builder;
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

struct Key(SigningKey);

impl Key {
    fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap())
    }

    fn proof(&self, f: &Fixture, htm: &str, htu: &str, nonce: Option<&str>) -> String {
        let proof = Proof {
            htm,
            htu,
            access_token: None,
            nonce,
        };
        proof.sign(&self.0, f.now()).unwrap()
    }

    fn proof_for(&self, f: &Fixture, htm: &str, token: &str) -> String {
        let proof = Proof {
            htm,
            htu: "http://127.0.0.1:8628/userinfo",
            access_token: Some(token),
            nonce: None,
        };
        proof.sign(&self.0, f.now()).unwrap()
    }
}

/// A token request for an approved device login, with these `DPoP` headers.
async fn redeem(f: &Fixture, started: &Value, path: &str, proofs: &[&str]) -> Answer {
    let code = started["device_code"].as_str().unwrap();
    let body = format!("client_id=cli&grant_type={DEVICE_CODE}&device_code={code}");
    let form = "application/x-www-form-urlencoded";
    let mut request = Request::post(path).header("content-type", form);
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    f.send(request.body(Body::from(body)).unwrap()).await
}

async fn approved(f: &Fixture) -> Value {
    let started = f.start("openid profile").await;
    f.approve(&started).await;
    started
}

async fn send(f: &Fixture, request: Builder) -> Answer {
    f.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_login_with_a_key_from_the_proof_to_the_person() {
    let f = Fixture::new().await;
    let key = Key::new();
    let started = approved(&f).await;
    let proof = key.proof(&f, "POST", "http://127.0.0.1:8628/token", None);
    let answer = redeem(&f, &started, "/token", &[&proof]).await;
    answer.assert_private();
    // Nobody needs a nonce here, so nobody is given one to grow too old.
    assert!(!answer.headers.contains_key("dpop-nonce"));
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "DPoP");
    let token = tokens["access_token"].as_str().unwrap();
    for (method, request) in [
        ("GET", Request::get("/userinfo")),
        ("POST", Request::post("/userinfo")),
    ] {
        let request = request
            .header("authorization", format!("dpop {token}"))
            .header("dpop", key.proof_for(&f, method, token));
        let answer = send(&f, request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["preferred_username"], "ada");
    }
    let fields = [("client_id", "cli"), ("token", token)];
    let seen = f.post("/introspect", &fields).await.json();
    assert_eq!(seen["token_type"], "DPoP");
    assert_eq!(seen["cnf"], json!({ "jkt": key.0.thumbprint() }));
}

#[tokio::test]
async fn proofs_are_for_the_issuers_address_whatever_the_request_calls_it() {
    let f = Fixture::at("https://id.example.com/tenant/a").await;
    let key = Key::new();
    let start = [("client_id", "cli")];
    let started = f
        .post("/tenant/a/device_authorization", &start)
        .await
        .json();
    f.approve(&started).await;
    let path = "/tenant/a/token";
    for htu in [
        "http://127.0.0.1:8628/tenant/a/token",
        "https://id.example.com/token",
    ] {
        let proof = key.proof(&f, "POST", htu, None);
        let answer = redeem(&f, &started, path, &[&proof]).await;
        assert_eq!(answer.error(400), "invalid_dpop_proof", "{htu}");
    }
    let proof = key.proof(&f, "POST", "https://id.example.com/tenant/a/token", None);
    assert_eq!(redeem(&f, &started, path, &[&proof]).await.status, 200);
}

#[tokio::test]
async fn a_request_has_one_proof() {
    let f = Fixture::new().await;
    let key = Key::new();
    let started = approved(&f).await;
    let proof = || key.proof(&f, "POST", "http://127.0.0.1:8628/token", None);
    let answer = redeem(&f, &started, "/token", &[&proof(), &proof()]).await;
    assert_eq!(answer.error(400), "invalid_dpop_proof");
    let answer = redeem(&f, &started, "/token", &[""]).await;
    assert_eq!(answer.error(400), "invalid_dpop_proof");
    assert_eq!(
        redeem(&f, &started, "/token", &[&proof()]).await.status,
        200
    );
}

#[tokio::test]
async fn a_nonce_comes_with_the_refusal_and_where_it_is_required_with_every_answer() {
    let f = Fixture::with_policy("http://127.0.0.1:8628", |policy| {
        policy.require_dpop_nonce = true;
    })
    .await;
    let key = Key::new();
    let started = approved(&f).await;
    let proof = |nonce| key.proof(&f, "POST", "http://127.0.0.1:8628/token", nonce);
    let answer = redeem(&f, &started, "/token", &[&proof(None)]).await;
    assert_eq!(answer.error(400), "use_dpop_nonce");
    let nonce = answer.header("dpop-nonce");
    let answer = redeem(&f, &started, "/token", &[&proof(Some(nonce))]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.header("dpop-nonce").is_empty());
    let tokens = answer.json();
    let token = tokens["access_token"].as_str().unwrap();
    let request = Request::get("/userinfo")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", key.proof_for(&f, "GET", token));
    let answer = send(&f, request).await;
    assert_eq!(answer.error(401), "use_dpop_nonce");
    assert!(!answer.header("dpop-nonce").is_empty());
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("DPoP ") && challenge.contains("error=\"use_dpop_nonce\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn userinfo_says_how_a_bound_token_is_to_be_sent() {
    let f = Fixture::new().await;
    let key = Key::new();
    let started = approved(&f).await;
    let proof = key.proof(&f, "POST", "http://127.0.0.1:8628/token", None);
    let tokens = redeem(&f, &started, "/token", &[&proof]).await.json();
    let token = tokens["access_token"].as_str().unwrap();

    let nothing = f.get("/userinfo").await;
    assert_eq!(nothing.status, 401);
    let challenges: Vec<_> = nothing.headers.get_all("www-authenticate").iter().collect();
    let algs = "algs=\"RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA\"";
    assert_eq!(
        challenges,
        [
            "Bearer realm=\"countersign\"",
            &format!("DPoP realm=\"countersign\", {algs}")
        ]
    );

    let as_bearer = Request::get("/userinfo").header("authorization", format!("Bearer {token}"));
    let in_form = f.post("/userinfo", &[("access_token", token)]).await;
    // Also with a proof beside it.
    let with_proof = Request::get("/userinfo")
        .header("authorization", format!("Bearer {token}"))
        .header("dpop", key.proof_for(&f, "GET", token));
    for answer in [
        send(&f, as_bearer).await,
        in_form,
        send(&f, with_proof).await,
    ] {
        assert_eq!(answer.error(401), "invalid_token");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with("DPoP ")
                && challenge.contains("error=\"invalid_token\"")
                && challenge.contains(algs),
            "{challenge}"
        );
    }

    let without = Request::get("/userinfo").header("authorization", format!("DPoP {token}"));
    let twice = Request::get("/userinfo")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", key.proof_for(&f, "GET", token))
        .header("dpop", key.proof_for(&f, "GET", token));
    let posted = Request::get("/userinfo")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", key.proof_for(&f, "POST", token));
    for request in [without, twice, posted] {
        let answer = send(&f, request).await;
        assert_eq!(answer.error(401), "invalid_dpop_proof");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains("error=\"invalid_dpop_proof\""));
    }
}
