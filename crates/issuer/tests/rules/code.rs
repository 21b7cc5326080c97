//! Codes: made by an approval, redeemed once, by who asked for them.

use std::sync::Arc;

use countersign_issuer::core::{
    Audiences, AuthorizationProblem, ClientCredentials, CodeRequest, GrantType, NewAuthentication,
    NewClient, Unanswerable,
};
use countersign_oauth::Secret;

use crate::code_flow::{CALLBACK, VERIFIER, answer, error_of};
use crate::fixture::{Fixture, claims, cli, code_of};
use crate::over_both;

over_both!(
    an_approved_request_becomes_tokens,
    a_denied_request_becomes_access_denied,
    a_code_works_once_and_a_second_use_ends_the_login,
    of_sixty_four_at_once_exactly_one_gets_tokens_and_none_keeps_them,
    a_code_is_refused_after_a_minute_and_a_late_copy_still_ends_the_login,
    a_code_is_for_the_client_that_asked,
    a_code_is_for_the_address_it_was_sent_to,
    a_code_is_for_whoever_has_the_verifier,
    a_refusal_leaves_the_code_as_it_was,
    whoever_was_disabled_meanwhile_gets_nothing,
    signing_out_everywhere_takes_codes_along,
    whoever_is_gone_approves_nothing,
);

async fn an_approved_request_becomes_tokens(f: Fixture) {
    let session = f.sign_in("ada").await;
    f.advance_secs(60);
    let request = f.ask(&[("scope", "openid email offline_access")]).unwrap();
    let response = f
        .core
        .approve_authorization(&request, &session, f.now())
        .await
        .unwrap();
    assert_eq!(answer(&response, "state").as_deref(), Some("af0ifjsldkj"));
    assert_eq!(
        answer(&response, "iss").as_deref(),
        Some("http://127.0.0.1:8628")
    );
    assert_eq!(answer(&response, "error"), None);
    let code = Secret::from(answer(&response, "code").unwrap());
    assert_eq!(code.expose().len(), 43);
    f.advance_secs(59);
    let tokens = f.redeem(&code).await.unwrap();
    assert_eq!(tokens.scope, "email offline_access openid");

    let id_token = claims(tokens.id_token.as_ref().unwrap());
    assert_eq!(id_token["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(id_token["aud"], "cli");
    assert_eq!(id_token["sub"], session.account.id);
    assert_eq!(id_token["auth_time"], session.authenticated_at.as_secs());
    assert_eq!(id_token["acr"], "1");
    assert_eq!(id_token["amr"], serde_json::json!(["pwd"]));
    assert!(id_token["at_hash"].is_string());
    let access_token = claims(&tokens.access_token);
    assert_eq!(id_token["sid"], access_token["sid"]);
    assert_eq!(access_token["client_id"], "cli");
    assert!(access_token.get("nonce").is_none());

    // OpenID Connect Core 1.0, section 12.2: the nonce is not repeated.
    let renewed = f.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    let renewed = claims(&renewed.id_token.unwrap());
    assert!(renewed.get("nonce").is_none());
    assert_eq!(renewed["sid"], id_token["sid"]);
}

async fn a_denied_request_becomes_access_denied(f: Fixture) {
    let request = f.ask(&[]).unwrap();
    let response = f.core.deny_authorization(&request).await.unwrap();
    assert_eq!(error_of(&response), "access_denied");
    assert_eq!(answer(&response, "state").as_deref(), Some("af0ifjsldkj"));
}

/// RFC 6749, section 4.1.2: "the authorization server MUST deny the request
/// and SHOULD revoke [...] all tokens previously issued".
async fn a_code_works_once_and_a_second_use_ends_the_login(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    let tokens = f.redeem(&code).await.unwrap();
    let is_live = || {
        let found = f
            .core
            .user_info(tokens.access_token.expose(), None, f.now());
        found.unwrap().is_ok()
    };
    assert!(is_live());
    assert_eq!(code_of(f.redeem(&code).await), "invalid_grant");
    assert!(!is_live());
    let refresh_token = tokens.refresh_token.as_ref().unwrap();
    assert_eq!(code_of(f.refresh(refresh_token).await), "invalid_grant");
    assert_eq!(code_of(f.redeem(&code).await), "invalid_grant");
}

async fn of_sixty_four_at_once_exactly_one_gets_tokens_and_none_keeps_them(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    let f = Arc::new(f);
    let contenders: Vec<_> = (0..64)
        .map(|_| {
            let (f, code) = (Arc::clone(&f), code.clone());
            tokio::spawn(async move { f.redeem(&code).await })
        })
        .collect();
    let mut winners = Vec::new();
    for contender in contenders {
        match contender.await.unwrap() {
            Ok(tokens) => winners.push(tokens),
            refused => assert_eq!(code_of(refused), "invalid_grant"),
        }
    }
    assert_eq!(winners.len(), 1);
    let refresh_token = winners[0].refresh_token.as_ref().unwrap();
    assert_eq!(code_of(f.refresh(refresh_token).await), "invalid_grant");
}

async fn a_code_is_refused_after_a_minute_and_a_late_copy_still_ends_the_login(f: Fixture) {
    let session = f.sign_in("ada").await;
    let (late, used) = (f.code(&[], &session).await, f.code(&[], &session).await);
    let tokens = f.redeem(&used).await.unwrap();
    f.advance_secs(60);
    assert_eq!(code_of(f.redeem(&late).await), "invalid_grant");
    f.advance_secs(539);
    f.core.purge(f.now()).await.unwrap();
    assert_eq!(code_of(f.redeem(&used).await), "invalid_grant");
    let refresh_token = tokens.refresh_token.as_ref().unwrap();
    assert_eq!(code_of(f.refresh(refresh_token).await), "invalid_grant");
}

async fn a_code_is_for_the_client_that_asked(f: Fixture) {
    let other = NewClient {
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec![CALLBACK.to_owned()],
        ..NewClient::new("other")
    };
    f.core.put_client(other, f.now()).await.unwrap().unwrap();
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    let other = ClientCredentials::public("other");
    let stolen = f.redeem_as(other.clone(), &code, CALLBACK, VERIFIER).await;
    assert_eq!(code_of(stolen), "invalid_grant");
    // And presenting what was redeemed is nothing that another client could
    // end a login with.
    let tokens = f.redeem(&code).await.unwrap();
    let stolen = f.redeem_as(other, &code, CALLBACK, VERIFIER).await;
    assert_eq!(code_of(stolen), "invalid_grant");
    f.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
}

async fn a_code_is_for_the_address_it_was_sent_to(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    for other in [
        "http://127.0.0.1:49153/callback",
        "http://127.0.0.1/callback",
        "http://localhost:49152/callback",
        "",
    ] {
        let outcome = f.redeem_as(cli(), &code, other, VERIFIER).await;
        assert_eq!(code_of(outcome), "invalid_grant", "{other}");
    }
}

/// RFC 7636, section 4.6.
async fn a_code_is_for_whoever_has_the_verifier(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    let other = VERIFIER.replace('d', "e");
    let outcome = f.redeem_as(cli(), &code, CALLBACK, &other).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    // The challenge itself is no verifier, and neither is what cannot be one.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let outcome = f.redeem_as(cli(), &code, CALLBACK, challenge).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    let (long, plus) = ("x".repeat(129), format!("{VERIFIER}+"));
    for malformed in ["", "short", &long, &plus] {
        let outcome = f.redeem_as(cli(), &code, CALLBACK, malformed).await;
        assert_eq!(code_of(outcome), "invalid_request", "{malformed}");
    }
}

async fn a_refusal_leaves_the_code_as_it_was(f: Fixture) {
    let session = f.sign_in("ada").await;
    let asked = [("resource", "https://api.example/")];
    let code = f.code(&asked, &session).await;
    let request = |resources: &[&str]| CodeRequest {
        credentials: cli(),
        code: code.clone(),
        redirect_uri: CALLBACK.to_owned(),
        code_verifier: Secret::new(VERIFIER),
        resources: resources
            .iter()
            .map(|&resource| resource.to_owned())
            .collect(),
    };
    let other = f
        .core
        .redeem_code(request(&["https://other.example/"]), f.now());
    assert_eq!(code_of(other.await), "invalid_target");
    let wrong = f.redeem_as(cli(), &code, CALLBACK, &"x".repeat(43)).await;
    assert_eq!(code_of(wrong), "invalid_grant");
    let right = f
        .core
        .redeem_code(request(&["https://api.example/"]), f.now());
    let tokens = right.await.unwrap();
    assert_eq!(claims(&tokens.access_token)["aud"], "https://api.example/");
}

async fn whoever_was_disabled_meanwhile_gets_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    f.core.set_disabled("ada", true).await.unwrap();
    assert_eq!(code_of(f.redeem(&code).await), "invalid_grant");
    f.core.set_disabled("ada", false).await.unwrap();
    assert_eq!(code_of(f.redeem(&code).await), "invalid_grant");
}

async fn signing_out_everywhere_takes_codes_along(f: Fixture) {
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    f.core.sign_out_everywhere(&session).await.unwrap();
    assert_eq!(code_of(f.redeem(&code).await), "invalid_grant");
}

async fn whoever_is_gone_approves_nothing(f: Fixture) {
    let gone = async |session| {
        let request = f.ask(&[]).unwrap();
        let outcome = f.core.approve_authorization(&request, session, f.now());
        let outcome = outcome.await;
        assert!(
            matches!(
                outcome,
                Err(AuthorizationProblem::Shown(Unanswerable::Gone))
            ),
            "{outcome:?}"
        );
    };
    let session = f.sign_in("ada").await;
    f.core.sign_out(&session).await.unwrap();
    gone(&session).await;
    let session = f.sign_in("ada").await;
    f.core.set_disabled("ada", true).await.unwrap();
    gone(&session).await;
}

#[tokio::test]
async fn a_client_with_a_secret_has_to_show_it_with_the_code() {
    let f = Fixture::in_memory().await;
    let web = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        audiences: Audiences::Any,
        redirect_uris: vec!["https://app.example/cb".to_owned()],
        ..NewClient::new("web")
    };
    let registered = f.core.put_client(web, f.now()).await.unwrap().unwrap();
    let session = f.sign_in("ada").await;
    let uri = "https://app.example/cb";
    let code = f
        .code(&[("client_id", "web"), ("redirect_uri", uri)], &session)
        .await;
    let bare = ClientCredentials::public("web");
    let outcome = f.redeem_as(bare, &code, uri, VERIFIER).await;
    assert_eq!(code_of(outcome), "invalid_client");
    let credentials = ClientCredentials::with_secret("web", registered.secret.unwrap());
    f.redeem_as(credentials, &code, uri, VERIFIER)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_rests_of_a_code_is_no_code() {
    let f = Fixture::in_sqlite().await;
    let session = f.sign_in("ada").await;
    let code = f.code(&[], &session).await;
    let path = f.database().unwrap();
    let log = path.with_extension("sqlite-wal");
    for file in [path, log] {
        let bytes = std::fs::read(file).unwrap();
        let found = bytes
            .windows(code.expose().len())
            .any(|window| window == code.expose().as_bytes());
        assert!(!found);
    }
}
