//! The endpoints that give, take and look at tokens.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_jose::base64url;
use http::Request;
use serde_json::json;

use crate::fixture::Fixture;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_login_from_the_first_request_to_the_last() {
    let f = Fixture::new().await;
    let started = f.start("openid profile offline_access").await;
    assert_eq!(
        (&started["expires_in"], &started["interval"]),
        (&json!(600), &json!(5))
    );
    // RFC 8628, section 3.5: 400, never 401.
    assert_eq!(f.poll(&started).await.error(400), "authorization_pending");
    assert_eq!(f.poll(&started).await.error(400), "slow_down");
    f.approve(&started).await;
    let answer = f.poll(&started).await;
    answer.assert_private();
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 600);
    assert_eq!(tokens["scope"], "offline_access openid profile");
    assert_eq!(f.poll(&started).await.error(400), "invalid_grant");

    let header = tokens["access_token"]
        .as_str()
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    let header: serde_json::Value =
        serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    assert_eq!(
        (&header["typ"], &header["alg"]),
        (&json!("at+jwt"), &json!("ES256"))
    );

    let renewed = f
        .refresh(tokens["refresh_token"].as_str().unwrap())
        .await
        .json();
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    let revoked = [
        ("client_id", "cli"),
        ("token", renewed["refresh_token"].as_str().unwrap()),
        ("token_type_hint", "access_token"),
    ];
    let answer = f.post("/revoke", &revoked).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    let answer = f.refresh(renewed["refresh_token"].as_str().unwrap()).await;
    assert_eq!(answer.error(400), "invalid_grant");
}

#[tokio::test]
async fn expired_and_denied_are_told_apart() {
    let f = Fixture::new().await;
    let (denied, expired) = (f.start("openid").await, f.start("openid").await);
    let session = f.session().await;
    let code = denied["user_code"].as_str().unwrap();
    f.core
        .deny(code, &session, [192, 0, 2, 1].into(), f.now())
        .await
        .unwrap();
    assert_eq!(f.poll(&denied).await.error(400), "access_denied");
    f.advance_secs(600);
    assert_eq!(f.poll(&expired).await.error(400), "expired_token");
}

#[tokio::test]
async fn at_hash_binds_the_id_token_to_its_access_token() {
    let f = Fixture::new().await;
    let tokens = f.log_in("openid").await;
    let payload = tokens["id_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap();
    let id: serde_json::Value =
        serde_json::from_slice(&base64url::decode(payload).unwrap()).unwrap();
    let provider = countersign_jose::crypto::aws_lc::provider();
    let hash = provider.sha256(tokens["access_token"].as_str().unwrap().as_bytes());
    assert_eq!(id["at_hash"], base64url::encode(&hash[..16]));
}

#[tokio::test]
async fn malformed_token_requests_end_in_the_error_of_the_rfc() {
    let f = Fixture::new().await;
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let cli = ("client_id", "cli");
    for (fields, status, error) in [
        (vec![], 401, "invalid_client"),
        (vec![("grant_type", "refresh_token")], 401, "invalid_client"),
        (
            vec![
                ("client_id", "nobody"),
                ("grant_type", device),
                ("device_code", "x"),
            ],
            401,
            "invalid_client",
        ),
        (vec![cli], 400, "invalid_request"),
        (vec![cli, ("grant_type", "")], 400, "invalid_request"),
        (
            vec![cli, ("grant_type", "password")],
            400,
            "unsupported_grant_type",
        ),
        (
            vec![cli, ("grant_type", "authorization_code")],
            400,
            "invalid_request",
        ),
        (
            vec![
                cli,
                ("grant_type", "authorization_code"),
                ("code", "x"),
                ("redirect_uri", "http://127.0.0.1:49152/callback"),
            ],
            400,
            "invalid_request",
        ),
        (
            vec![
                cli,
                ("grant_type", "authorization_code"),
                ("code", "x"),
                ("redirect_uri", "http://127.0.0.1:49152/callback"),
                (
                    "code_verifier",
                    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                ),
            ],
            400,
            "invalid_grant",
        ),
        (vec![cli, ("grant_type", device)], 400, "invalid_request"),
        (
            vec![cli, ("grant_type", device), ("device_code", "x")],
            400,
            "invalid_grant",
        ),
        (
            vec![cli, ("grant_type", "refresh_token")],
            400,
            "invalid_request",
        ),
        (
            vec![cli, cli, ("grant_type", device)],
            400,
            "invalid_request",
        ),
        (
            vec![
                cli,
                ("client_secret", "x"),
                ("grant_type", device),
                ("device_code", "x"),
            ],
            401,
            "invalid_client",
        ),
    ] {
        let answer = f.post("/token", &fields).await;
        assert_eq!(answer.error(status), error, "{fields:?}");
        if status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Basic "));
        }
    }
    let get = f.get("/token").await;
    assert_eq!(get.status, 405);
}

#[tokio::test]
async fn a_body_is_a_form_of_bounded_size() {
    let f = Fixture::new().await;
    let body = "client_id=cli&grant_type=refresh_token&refresh_token=x";
    let with_charset = "application/x-www-form-urlencoded;charset=UTF-8";
    let answer = f
        .post_as("/token", with_charset, None, body.to_owned())
        .await;
    assert_eq!(answer.error(400), "invalid_grant");
    let answer = f
        .post_as("/token", "application/json", None, "{}".to_owned())
        .await;
    assert_eq!(answer.error(400), "invalid_request");
    let large = format!("{body}&x={}", "x".repeat(100_000));
    let answer = f.post_as("/token", FORM, None, large).await;
    assert_eq!(answer.error(400), "invalid_request");
    assert!(answer.body.contains("too large"));
}

#[tokio::test]
async fn clients_authenticate_in_the_header_or_in_the_form() {
    let f = Fixture::new().await;
    let secret = f.add_client("api", true).await.unwrap();
    let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
    let ask = async |authorization: Option<String>, body: &str| {
        f.post_as(
            "/introspect",
            FORM,
            authorization.as_deref(),
            body.to_owned(),
        )
        .await
    };
    let in_header = ask(Some(basic(&format!("api:{secret}"))), "token=x").await;
    assert_eq!(in_header.json(), json!({ "active": false }));
    in_header.assert_private();
    let in_form = ask(
        None,
        &format!("client_id=api&client_secret={secret}&token=x"),
    )
    .await;
    assert_eq!(in_form.status, 200);
    // oidc-agent and others do this for a public client.
    assert_eq!(ask(Some(basic("cli:")), "token=x").await.status, 200);
    for (authorization, body) in [
        (Some(basic("api:guess")), "token=x"),
        (Some(basic("api:")), "token=x"),
        (None, "client_id=api&token=x"),
        (None, "client_id=api&client_secret=guess&token=x"),
        (None, "token=x"),
    ] {
        assert_eq!(
            ask(authorization, body).await.error(401),
            "invalid_client",
            "{body}"
        );
    }
    assert_eq!(
        ask(Some(basic("cli:")), "").await.error(400),
        "invalid_request"
    );
}

#[tokio::test]
async fn introspection_tells_an_api_about_its_tokens() {
    let f = Fixture::new().await;
    let secret = f.add_client("api", true).await.unwrap();
    let fields = [
        ("client_id", "cli"),
        ("scope", "openid api.read"),
        ("resource", "https://api.example"),
    ];
    let started = f.post("/device_authorization", &fields).await.json();
    f.approve(&started).await;
    let tokens = f.poll(&started).await.json();
    let token = tokens["access_token"].as_str().unwrap();
    let fields = [
        ("client_id", "api"),
        ("client_secret", &secret),
        ("token", token),
    ];
    let inspected = f.post("/introspect", &fields).await.json();
    assert_eq!(inspected["active"], true);
    assert_eq!(inspected["aud"], json!(["https://api.example"]));
    assert_eq!(inspected["scope"], "api.read openid");
    assert_eq!(inspected["username"], "ada");
}

#[tokio::test]
async fn userinfo_takes_the_token_in_three_ways_and_challenges_without() {
    let f = Fixture::new().await;
    let tokens = f.log_in("openid profile").await;
    let token = tokens["access_token"].as_str().unwrap();
    let bearer = format!("bearer {token}");
    let get = Request::get("/userinfo")
        .header("authorization", &bearer)
        .body(Body::empty());
    let answer = f.send(get.unwrap()).await;
    answer.assert_private();
    assert_eq!(answer.json()["preferred_username"], "ada");
    let post = Request::post("/userinfo")
        .header("authorization", &bearer)
        .body(Body::empty());
    assert_eq!(f.send(post.unwrap()).await.json(), answer.json());
    assert_eq!(
        f.post("/userinfo", &[("access_token", token)]).await.json(),
        answer.json()
    );

    let nothing = f.get("/userinfo").await;
    assert_eq!(nothing.status, 401);
    assert_eq!(
        nothing.header("www-authenticate"),
        "Bearer realm=\"countersign\""
    );
    let get = Request::get("/userinfo")
        .header("authorization", "Bearer x")
        .body(Body::empty());
    let invalid = f.send(get.unwrap()).await;
    assert_eq!(invalid.error(401), "invalid_token");
    assert!(
        invalid
            .header("www-authenticate")
            .contains("error=\"invalid_token\"")
    );
    let poor = f.log_in("email").await;
    let token = poor["access_token"].as_str().unwrap();
    let poor = f.post("/userinfo", &[("access_token", token)]).await;
    assert_eq!(poor.error(403), "insufficient_scope");
    assert!(poor.header("www-authenticate").contains("scope=\"openid\""));
}

#[tokio::test]
async fn too_many_starts_are_told_when_to_come_back() {
    let f = Fixture::new().await;
    for _ in 0..100 {
        f.start("openid").await;
    }
    let answer = f
        .post("/device_authorization", &[("client_id", "cli")])
        .await;
    assert_eq!(answer.error(429), "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "600");
}

#[tokio::test]
async fn a_client_for_rs256_waits_for_its_key() {
    let f = Fixture::new().await;
    f.add_client("rsa", false).await;
    let client = countersign_issuer::core::NewClient {
        grant_types: countersign_issuer::core::GrantType::FOR_PEOPLE.to_vec(),
        audiences: countersign_issuer::core::Audiences::Any,
        signing_algorithm: countersign_jose::Algorithm::Rs256,
        ..countersign_issuer::core::NewClient::new("cli")
    };
    f.core.put_client(client, f.now()).await.unwrap().unwrap();
    let started = f.start("openid").await;
    f.approve(&started).await;
    let early = f.poll(&started).await;
    assert_eq!(early.error(503), "temporarily_unavailable");
    let more = f.core.keys().with_rs256().unwrap();
    f.core.replace_keys(more);
    // The approval was not used up by the wait.
    assert_eq!(f.poll(&started).await.status, 200);
}

/// RFC 8693, section 2.2.1: what was issued is said; section 2.1: what has to be asked with.
#[tokio::test]
async fn an_exchange_names_the_type_of_what_it_issues() {
    let f = Fixture::new().await;
    let secret = f.add_exchanger("orders", "https://orders.example").await;
    let tokens = f.log_in_for("openid read", "https://orders.example").await;
    let access_token = tokens["access_token"].as_str().unwrap();
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    let mut fields = vec![
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("client_id", "orders"),
        ("client_secret", secret.as_str()),
        ("subject_token", access_token),
        ("subject_token_type", kind),
    ];
    let answer = f.post("/token", &fields).await;
    answer.assert_private();
    let exchanged = answer.json();
    assert_eq!(
        (&exchanged["issued_token_type"], &exchanged["token_type"]),
        (&json!(kind), &json!("Bearer"))
    );
    assert!(exchanged.get("refresh_token").is_none() && exchanged.get("id_token").is_none());
    // No other grant says so.
    assert!(tokens.get("issued_token_type").is_none());
    fields.pop();
    assert_eq!(
        f.post("/token", &fields).await.error(400),
        "invalid_request"
    );
}
