//! A client gets a token in its own name (RFC 6749, section 4.4).

use countersign_issuer::core::{
    Audiences, ClientCredentials, Failure, GrantType, NewAuthentication, NewClient, Refusal,
    TokenProblem, Tokens,
};
use countersign_jose::{Algorithm, Claims, KeySet, Unverified, crypto::aws_lc};
use countersign_oauth::{ScopeSet, Secret};
use serde_json::json;

use crate::fixture::{Fixture, claims, cli, refused};
use crate::over_both;

over_both!(
    the_token_is_about_the_client_and_nobody_else,
    scopes_and_audiences_are_those_that_were_registered,
    only_a_client_that_may_and_that_authenticates_gets_one,
    introspection_and_userinfo_know_that_there_is_no_person,
    the_token_ends_by_revocation_and_with_its_client,
);

const API: &str = "https://api.example";
const OTHER: &str = "https://other.example";

async fn robot(f: &Fixture, audiences: &[&str]) -> ClientCredentials {
    let audiences = audiences.iter().copied().map(str::to_owned).collect();
    let client = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: vec![GrantType::ClientCredentials],
        audiences: Audiences::Listed(audiences),
        scopes: ScopeSet::parse("api.read api.write").unwrap(),
        ..NewClient::new("robot")
    };
    register(f, client).await
}

async fn register(f: &Fixture, client: NewClient) -> ClientCredentials {
    let added = f.core.put_client(client, f.now()).await.unwrap().unwrap();
    ClientCredentials::with_secret(added.client.id, added.secret.unwrap())
}

async fn ask(
    f: &Fixture,
    robot: &ClientCredentials,
    scope: Option<&str>,
    resources: &[&str],
) -> Result<Tokens, Failure> {
    let resources: Vec<String> = resources.iter().copied().map(str::to_owned).collect();
    f.core
        .client_credentials(robot, scope, &resources, &[], f.now())
        .await
}

async fn the_token_is_about_the_client_and_nobody_else(f: Fixture) {
    let robot = robot(&f, &[API]).await;
    let tokens = ask(&f, &robot, None, &[]).await.unwrap();
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
    let keys = f.core.keys();
    let keys = KeySet::from_json(keys.published().json.as_bytes(), aws_lc::provider()).unwrap();
    let token = Unverified::<Claims>::parse(tokens.access_token.expose()).unwrap();
    assert!(token.header().is_type("at+jwt"));
    token.verify(&keys, &[Algorithm::Es256]).unwrap();
    let mut claims = claims(&tokens.access_token);
    assert!(claims["jti"].take().is_string());
    let now = f.now().as_secs();
    // RFC 9068, section 2.2, and of section 2.2.1 nothing: nobody has signed in.
    let expected = json!({
        "iss": "http://127.0.0.1:8628",
        "sub": "robot",
        "aud": API,
        "client_id": "robot",
        "scope": "api.read api.write",
        "iat": now,
        "exp": now + 600,
        "jti": null,
    });
    assert_eq!(claims, expected);
}

async fn scopes_and_audiences_are_those_that_were_registered(f: Fixture) {
    let several = robot(&f, &[API, OTHER]).await;
    let narrow = ask(&f, &several, Some("api.read"), &[OTHER]).await.unwrap();
    assert_eq!(narrow.scope, "api.read");
    let narrow = claims(&narrow.access_token);
    assert_eq!(
        (&narrow["scope"], &narrow["aud"]),
        (&json!("api.read"), &json!(OTHER))
    );
    let both = ask(&f, &several, None, &[API, OTHER]).await.unwrap();
    assert_eq!(claims(&both.access_token)["aud"], json!([API, OTHER]));
    for scope in ["admin", "api.read admin", "openid", "offline_access", "\""] {
        let refusal = refused(ask(&f, &several, Some(scope), &[API]).await);
        assert_eq!(refusal, Refusal::InvalidScope, "{scope}");
    }
    // Which of several is meant has to be said; others cannot be.
    for resources in [&[][..], &["https://elsewhere.example"], &[API, "x"]] {
        let refusal = refused(ask(&f, &several, None, resources).await);
        assert_eq!(refusal, Refusal::InvalidTarget, "{resources:?}");
    }
    let none = robot(&f, &[]).await;
    let own = ask(&f, &none, Some(""), &[]).await.unwrap();
    assert_eq!(own.scope, "");
    let own = claims(&own.access_token);
    assert_eq!(own["aud"], "http://127.0.0.1:8628");
    assert!(own.get("scope").is_none());
}

async fn only_a_client_that_may_and_that_authenticates_gets_one(f: Fixture) {
    let robot = robot(&f, &[API]).await;
    for (credentials, refusal) in [
        (cli(), Refusal::UnauthorizedClient),
        (ClientCredentials::public("robot"), Refusal::InvalidClient),
        (
            ClientCredentials::with_secret("robot", Secret::new("guess")),
            Refusal::InvalidClient,
        ),
        (ClientCredentials::public("nobody"), Refusal::InvalidClient),
    ] {
        assert_eq!(refused(ask(&f, &credentials, None, &[]).await), refusal);
    }
    // And none for people.
    let mut request = crate::fixture::request("openid");
    request.credentials = robot;
    let refusal = refused(f.core.start_device(request, f.now()).await);
    assert_eq!(refusal, Refusal::UnauthorizedClient);
    let api = NewClient {
        authentication: NewAuthentication::Secret,
        ..NewClient::new("api")
    };
    let api = register(&f, api).await;
    let refusal = refused(ask(&f, &api, None, &[]).await);
    assert_eq!(refusal, Refusal::UnauthorizedClient);
}

async fn introspection_and_userinfo_know_that_there_is_no_person(f: Fixture) {
    let robot = robot(&f, &[API]).await;
    let token = ask(&f, &robot, None, &[]).await.unwrap().access_token;
    let api = NewClient {
        authentication: NewAuthentication::Secret,
        audiences: Audiences::Listed(vec![API.to_owned()]),
        ..NewClient::new("api")
    };
    let api = register(&f, api).await;
    for asker in [&robot, &api] {
        let seen = f.core.introspect(asker, token.expose(), f.now());
        let mut seen = serde_json::to_value(seen.await.unwrap()).unwrap();
        assert!(seen["jti"].take().is_string());
        let now = f.now().as_secs();
        let expected = json!({
            "active": true,
            "scope": "api.read api.write",
            "client_id": "robot",
            "token_type": "Bearer",
            "exp": now + 600,
            "iat": now,
            "sub": "robot",
            "aud": [API],
            "iss": "http://127.0.0.1:8628",
            "jti": null,
        });
        assert_eq!(seen, expected);
    }
    let other = cli();
    let seen = f.core.introspect(&other, token.expose(), f.now());
    assert!(!seen.await.unwrap().active);
    let info = f
        .core
        .user_info(token.expose(), None, f.now())
        .unwrap()
        .map(drop);
    assert_eq!(info, Err(TokenProblem::InsufficientScope));
}

async fn the_token_ends_by_revocation_and_with_its_client(f: Fixture) {
    let credentials = robot(&f, &[API]).await;
    let active = async |credentials: &ClientCredentials, token: &Secret| {
        let seen = f.core.introspect(credentials, token.expose(), f.now());
        seen.await.unwrap().active
    };
    let one = ask(&f, &credentials, None, &[]).await.unwrap().access_token;
    let two = ask(&f, &credentials, None, &[]).await.unwrap().access_token;
    f.core.revoke(&cli(), one.expose(), f.now()).await.unwrap();
    assert!(active(&credentials, &one).await);
    f.core
        .revoke(&credentials, one.expose(), f.now())
        .await
        .unwrap();
    assert!(!active(&credentials, &one).await);
    assert!(active(&credentials, &two).await);
    // A client that may no longer act for itself has no such tokens.
    let idle = NewClient {
        authentication: NewAuthentication::Secret,
        ..NewClient::new("robot")
    };
    let idle = register(&f, idle).await;
    assert!(!active(&idle, &two).await);
    let credentials = robot(&f, &[API]).await;
    assert!(active(&credentials, &two).await);
    f.advance_secs(600);
    assert!(!active(&credentials, &two).await);
}
