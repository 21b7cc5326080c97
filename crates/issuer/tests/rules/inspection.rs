//! Tokens come back: userinfo, RFC 7662, RFC 7009.

use countersign_issuer::core::{
    Audiences, ClientCredentials, Introspection, NewAuthentication, NewClient, TokenProblem,
};
use countersign_oauth::Secret;

use crate::fixture::{Fixture, claims, cli, code_of, core, policy, request};
use crate::over_both;

over_both!(
    userinfo_says_what_the_scopes_allow,
    userinfo_refuses_dead_tokens,
    introspection_knows_access_and_refresh_tokens,
    introspection_tells_each_client_about_its_own,
    revoking_a_refresh_token_ends_the_login,
    revoking_an_access_token_ends_that_token,
    revoking_what_is_not_ones_own_does_nothing,
);

const SCOPE: &str = "openid email offline_access";

async fn userinfo_says_what_the_scopes_allow(f: Fixture) {
    let info = async |scope: &str| {
        let tokens = f.log_in(scope).await;
        let info = f
            .core
            .user_info(tokens.access_token.expose(), None, f.now())
            .unwrap();
        info.map(|info| serde_json::to_value(info).unwrap())
    };
    let sub = f.sign_in("ada").await.account.id;
    assert_eq!(
        info("openid").await.unwrap(),
        serde_json::json!({ "sub": sub })
    );
    let all = serde_json::json!({
        "sub": sub,
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "email": "ada@example.com",
        "groups": ["eng"],
    });
    assert_eq!(info("openid profile email groups").await.unwrap(), all);
    assert_eq!(
        info("email").await.unwrap_err(),
        TokenProblem::InsufficientScope
    );
}

async fn userinfo_refuses_dead_tokens(f: Fixture) {
    let tokens = f.log_in(SCOPE).await;
    let info = |token: &str| f.core.user_info(token, None, f.now()).unwrap().map(drop);
    let access = tokens.access_token.expose();
    assert_eq!(info(access), Ok(()));
    for not_ours in [
        tokens.id_token.as_ref().unwrap().expose(),
        tokens.refresh_token.as_ref().unwrap().expose(),
        &access[..access.len() - 4],
        "",
    ] {
        assert_eq!(info(not_ours), Err(TokenProblem::Invalid));
    }
    let stranger = core(
        Box::new(countersign_issuer::storage::Memory::new()),
        policy(),
    );
    let outcome = stranger.user_info(access, None, f.now()).unwrap().map(drop);
    assert_eq!(outcome, Err(TokenProblem::Invalid));
    f.advance_secs(600);
    assert_eq!(info(access), Err(TokenProblem::Invalid));
}

async fn introspection_knows_access_and_refresh_tokens(f: Fixture) {
    let tokens = f.log_in(SCOPE).await;
    let access = inspect(&f, &cli(), &tokens.access_token).await;
    assert!(access.active);
    assert_eq!(access.scope.as_deref(), Some("email offline_access openid"));
    assert_eq!(access.client_id.as_deref(), Some("cli"));
    assert_eq!(access.username.as_deref(), Some("ada"));
    assert_eq!(access.token_type, Some("Bearer"));
    assert_eq!(access.exp, Some(f.now().as_secs() + 600));
    assert_eq!(access.aud, ["http://127.0.0.1:8628"]);
    let jti = claims(&tokens.access_token)["jti"]
        .as_str()
        .map(str::to_owned);
    assert_eq!(access.jti, jti);

    let first = tokens.refresh_token.unwrap();
    assert!(inspect(&f, &cli(), &first).await.active);
    let second = f.refresh(&first).await.unwrap().refresh_token.unwrap();
    assert!(!inspect(&f, &cli(), &first).await.active);
    assert!(inspect(&f, &cli(), &second).await.active);

    f.core.set_disabled("ada", true).await.unwrap();
    assert!(!inspect(&f, &cli(), &second).await.active);
    let dead = inspect(&f, &cli(), &tokens.access_token).await;
    // RFC 7662, section 2.2: nothing else is told about it.
    assert_eq!(
        serde_json::to_value(dead).unwrap(),
        serde_json::json!({ "active": false })
    );
}

async fn introspection_tells_each_client_about_its_own(f: Fixture) {
    let api = registered(&f, "api", true).await;
    let other_api = registered(&f, "other-api", true).await;
    let public = registered(&f, "public", false).await;
    let mut for_api = request(SCOPE);
    for_api.resources = vec!["https://api.example".to_owned()];
    let started = f.core.start_device(for_api, f.now()).await.unwrap();
    f.approve(&started, &f.sign_in("ada").await).await;
    let tokens = f.poll(&started).await.unwrap();
    assert!(inspect(&f, &cli(), &tokens.access_token).await.active);
    assert!(inspect(&f, &api, &tokens.access_token).await.active);
    assert!(!inspect(&f, &other_api, &tokens.access_token).await.active);
    assert!(!inspect(&f, &public, &tokens.access_token).await.active);
    // A refresh token is nobody's business but its client's.
    assert!(
        !inspect(&f, &api, &tokens.refresh_token.unwrap())
            .await
            .active
    );

    let wrong = ClientCredentials::with_secret("api", Secret::new("guess"));
    let refused = f
        .core
        .introspect(&wrong, tokens.access_token.expose(), f.now());
    assert_eq!(code_of(refused.await), "invalid_client");
    let none = ClientCredentials::public("api");
    let refused = f
        .core
        .introspect(&none, tokens.access_token.expose(), f.now());
    assert_eq!(code_of(refused.await), "invalid_client");
}

async fn revoking_a_refresh_token_ends_the_login(f: Fixture) {
    let tokens = f.log_in(SCOPE).await;
    let other = f.log_in(SCOPE).await;
    let refresh = tokens.refresh_token.unwrap();
    f.core
        .revoke(&cli(), refresh.expose(), f.now())
        .await
        .unwrap();
    assert_eq!(code_of(f.refresh(&refresh).await), "invalid_grant");
    assert!(!inspect(&f, &cli(), &tokens.access_token).await.active);
    let info = f
        .core
        .user_info(tokens.access_token.expose(), None, f.now())
        .unwrap()
        .map(drop);
    assert_eq!(info, Err(TokenProblem::Invalid));
    // RFC 7009, section 2.2: a second time is as good as the first.
    f.core
        .revoke(&cli(), refresh.expose(), f.now())
        .await
        .unwrap();
    f.refresh(&other.refresh_token.unwrap()).await.unwrap();
}

async fn revoking_an_access_token_ends_that_token(f: Fixture) {
    let tokens = f.log_in(SCOPE).await;
    f.core
        .revoke(&cli(), tokens.access_token.expose(), f.now())
        .await
        .unwrap();
    assert!(!inspect(&f, &cli(), &tokens.access_token).await.active);
    let renewed = f.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    assert!(inspect(&f, &cli(), &renewed.access_token).await.active);
    // It is remembered as long as it would have lived, and no longer.
    f.advance_secs(599);
    f.core.purge(f.now()).await.unwrap();
    assert!(!inspect(&f, &cli(), &tokens.access_token).await.active);
}

async fn revoking_what_is_not_ones_own_does_nothing(f: Fixture) {
    let public = registered(&f, "public", false).await;
    let tokens = f.log_in(SCOPE).await;
    let refresh = tokens.refresh_token.unwrap();
    for token in [
        tokens.access_token.expose(),
        refresh.expose(),
        "nonsense",
        "",
    ] {
        f.core.revoke(&public, token, f.now()).await.unwrap();
    }
    assert!(inspect(&f, &cli(), &tokens.access_token).await.active);
    f.refresh(&refresh).await.unwrap();
}

async fn inspect(f: &Fixture, credentials: &ClientCredentials, token: &Secret) -> Introspection {
    f.core
        .introspect(credentials, token.expose(), f.now())
        .await
        .unwrap()
}

async fn registered(f: &Fixture, id: &str, confidential: bool) -> ClientCredentials {
    let new = NewClient {
        authentication: if confidential {
            NewAuthentication::Secret
        } else {
            NewAuthentication::Public
        },
        audiences: Audiences::Listed(vec![format!("https://{id}.example")]),
        ..NewClient::new(id)
    };
    let registered = f.core.put_client(new, f.now()).await.unwrap().unwrap();
    match registered.secret {
        Some(secret) => ClientCredentials::with_secret(id, secret),
        None => ClientCredentials::public(id),
    }
}
