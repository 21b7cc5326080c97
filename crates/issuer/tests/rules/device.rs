//! RFC 8628: a device login begins, is polled and is redeemed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_issuer::core::{
    Audiences, ClientCredentials, DeviceRequest, GrantType, Introspection, NewClient, Refusal,
};
use countersign_oauth::Secret;

use crate::fixture::{Fixture, claims, cli, code_of, refused, request};
use crate::over_both;

over_both!(
    a_login_is_pending_until_it_is_approved_and_then_gives_its_tokens_once,
    sixty_four_parallel_redemptions_give_exactly_one_token_set,
    a_denial_is_told_to_the_device,
    an_expired_code_is_told_as_expired_for_a_while_and_then_unknown,
    polling_too_fast_is_slowed_but_an_approval_is_never_refused_for_pace,
    an_account_disabled_after_the_approval_gets_nothing,
    an_account_removed_after_the_approval_gets_nothing,
    another_client_cannot_redeem_a_code,
    the_grant_type_is_checked_when_the_login_begins,
    codes_have_nothing_to_do_with_each_other,
    starts_are_limited_by_address_and_by_client,
    audiences_are_granted_as_asked_and_narrowed_at_redemption,
    malformed_requests_are_refused,
    tokens_say_no_more_of_a_person_than_the_scopes_give_access_to,
    without_offline_access_there_is_no_refresh_token,
    what_is_over_is_purged,
);

async fn a_login_is_pending_until_it_is_approved_and_then_gives_its_tokens_once(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid profile email groups offline_access").await;
    assert_eq!(started.expires_in, Duration::from_secs(600));
    assert_eq!(started.interval, Duration::from_secs(5));
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
    f.advance_secs(5);
    f.approve(&started, &session).await;
    let tokens = f.poll(&started).await.unwrap();
    assert_eq!(tokens.scope, "email groups offline_access openid profile");
    assert!(tokens.refresh_token.is_some());
    assert_eq!(tokens.expires_in, Duration::from_secs(600));

    let access = claims(&tokens.access_token);
    assert_eq!(access["iss"], "http://127.0.0.1:8628");
    assert_eq!(access["aud"], "http://127.0.0.1:8628");
    assert_eq!(access["sub"], session.account.id);
    assert_eq!(access["client_id"], "cli");
    assert_eq!(access["scope"], tokens.scope);
    assert_eq!(access["name"], "Ada Lovelace");
    assert_eq!(access["preferred_username"], "ada");
    assert_eq!(access["email"], "ada@example.com");
    assert_eq!(access["groups"], serde_json::json!(["eng"]));
    assert_eq!(access["acr"], "1");
    assert_eq!(access["amr"], serde_json::json!(["pwd"]));
    assert_eq!(access["auth_time"], session.authenticated_at.as_secs());
    assert_eq!(access["exp"].as_i64().unwrap(), f.now().as_secs() + 600);

    let id = claims(tokens.id_token.as_ref().unwrap());
    assert_eq!(id["aud"], "cli");
    assert_eq!(id["sub"], session.account.id);
    assert_eq!(id["name"], "Ada Lovelace");
    assert_eq!(id["preferred_username"], "ada");
    assert_eq!(id["email"], "ada@example.com");
    assert_eq!(id["auth_time"], session.authenticated_at.as_secs());
    assert!(id.get("nonce").is_none());

    assert_eq!(code_of(f.poll(&started).await), "invalid_grant");
}

async fn sixty_four_parallel_redemptions_give_exactly_one_token_set(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid offline_access").await;
    f.approve(&started, &session).await;
    let code = Arc::new(started.device_code.expose().to_owned());
    let redemptions: Vec<_> = (0..64)
        .map(|_| {
            let (rules, code, now) = (Arc::clone(&f.core), Arc::clone(&code), f.now());
            tokio::spawn(async move { rules.redeem_device(&cli(), &code, &[], now).await })
        })
        .collect();
    let mut tokens = Vec::new();
    for redemption in redemptions {
        match redemption.await.unwrap() {
            Ok(set) => tokens.push(set),
            refusal => assert_eq!(code_of(refusal), "invalid_grant"),
        }
    }
    assert_eq!(tokens.len(), 1);
    // The others' attempts have not spoilt it.
    f.refresh(tokens[0].refresh_token.as_ref().unwrap())
        .await
        .unwrap();
}

async fn a_denial_is_told_to_the_device(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.core
        .deny(&started.user_code, &session, crate::fixture::PEER, f.now())
        .await
        .unwrap();
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
    // However fast it asks, and as long as anybody remembers.
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
    f.advance_secs(601);
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

async fn an_expired_code_is_told_as_expired_for_a_while_and_then_unknown(f: Fixture) {
    let started = f.start("openid").await;
    f.advance_secs(599);
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
    f.advance_secs(1);
    assert_eq!(code_of(f.poll(&started).await), "expired_token");
    f.advance_secs(15);
    f.core.purge(f.now()).await.unwrap();
    assert_eq!(code_of(f.poll(&started).await), "expired_token");
    f.advance_secs(60);
    f.core.purge(f.now()).await.unwrap();
    assert_eq!(code_of(f.poll(&started).await), "invalid_grant");
}

async fn polling_too_fast_is_slowed_but_an_approval_is_never_refused_for_pace(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
    assert_eq!(code_of(f.poll(&started).await), "slow_down");
    assert_eq!(code_of(f.poll(&started).await), "slow_down");
    f.approve(&started, &session).await;
    f.poll(&started).await.unwrap();
}

async fn an_account_disabled_after_the_approval_gets_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.approve(&started, &session).await;
    assert!(f.core.set_disabled("ada", true).await.unwrap());
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
    // Enabling the account again does not bring the approval back.
    assert!(f.core.set_disabled("ada", false).await.unwrap());
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

async fn an_account_removed_after_the_approval_gets_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.approve(&started, &session).await;
    assert!(f.core.remove_account("ada").await.unwrap());
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

async fn another_client_cannot_redeem_a_code(f: Fixture) {
    let session = f.sign_in("ada").await;
    f.core
        .put_client(client("other", GrantType::FOR_PEOPLE.to_vec()), f.now())
        .await
        .unwrap()
        .unwrap();
    let started = f.start("openid").await;
    f.approve(&started, &session).await;
    let other = ClientCredentials::public("other");
    let code = started.device_code.expose();
    let stolen = f.core.redeem_device(&other, code, &[], f.now()).await;
    assert_eq!(code_of(stolen), "invalid_grant");
    f.poll(&started).await.unwrap();
}

async fn the_grant_type_is_checked_when_the_login_begins(f: Fixture) {
    f.core
        .put_client(client("api", Vec::new()), f.now())
        .await
        .unwrap()
        .unwrap();
    let credentials = ClientCredentials::public("api");
    let request = DeviceRequest {
        credentials,
        ..request("openid")
    };
    let refusal = refused(f.core.start_device(request, f.now()).await);
    assert_eq!(refusal, Refusal::UnauthorizedClient);
}

async fn codes_have_nothing_to_do_with_each_other(f: Fixture) {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let started = f.start("openid").await;
        let device_code = started.device_code.expose().to_owned();
        // 256 bits in base64url.
        assert_eq!(device_code.len(), 43);
        let bare = started.user_code.replace('-', "");
        assert_eq!((started.user_code.len(), bare.len()), (9, 8));
        assert!(!device_code.to_uppercase().contains(&bare));
        assert!(seen.insert(device_code) && seen.insert(bare));
    }
}

async fn starts_are_limited_by_address_and_by_client(f: Fixture) {
    for _ in 0..100 {
        f.start("openid").await;
    }
    let refusal = refused(f.core.start_device(request("openid"), f.now()).await);
    assert_eq!(
        refusal,
        Refusal::Busy {
            retry_after: Duration::from_secs(600)
        }
    );
    // Somebody else is not concerned, and ten minutes later nobody is.
    let elsewhere = DeviceRequest {
        peer: [192, 0, 2, 2].into(),
        ..request("openid")
    };
    f.core.start_device(elsewhere, f.now()).await.unwrap();
    f.advance_secs(600);
    f.start("openid").await;
}

async fn audiences_are_granted_as_asked_and_narrowed_at_redemption(f: Fixture) {
    let session = f.sign_in("ada").await;
    let api = |name: &str| format!("https://{name}.example");
    let started = f
        .core
        .start_device(
            DeviceRequest {
                resources: vec![api("a"), api("b")],
                audiences: vec!["legacy".to_owned(), api("a")],
                ..request("openid offline_access")
            },
            f.now(),
        )
        .await
        .unwrap();
    f.approve(&started, &session).await;
    let code = started.device_code.expose();
    let wrong = f
        .core
        .redeem_device(&cli(), code, &[api("c")], f.now())
        .await;
    assert_eq!(code_of(wrong), "invalid_target");
    let tokens = f
        .core
        .redeem_device(&cli(), code, &[api("b")], f.now())
        .await
        .unwrap();
    assert_eq!(claims(&tokens.access_token)["aud"], "https://b.example");
    // What was granted stays granted (RFC 8707, section 2.2).
    let tokens = f.refresh(&tokens.refresh_token.unwrap()).await.unwrap();
    let all = serde_json::json!(["https://a.example", "https://b.example", "legacy"]);
    assert_eq!(claims(&tokens.access_token)["aud"], all);
}

async fn malformed_requests_are_refused(f: Fixture) {
    let with = |change: &dyn Fn(&mut DeviceRequest)| {
        let mut request = request("openid");
        change(&mut request);
        request
    };
    let many = (0..40)
        .map(|n| format!("s{n}"))
        .collect::<Vec<_>>()
        .join(" ");
    for (request, code) in [
        (
            with(&|r| r.scope = Some("op\"enid".to_owned())),
            "invalid_scope",
        ),
        (with(&|r| r.scope = Some("x".repeat(200))), "invalid_scope"),
        (with(&|r| r.scope = Some(many.clone())), "invalid_scope"),
        (
            with(&|r| r.resources = vec!["not a uri".to_owned()]),
            "invalid_target",
        ),
        (
            with(&|r| r.resources = vec!["https://a.example/#f".to_owned()]),
            "invalid_target",
        ),
        (
            with(&|r| r.audiences = vec!["a b".to_owned()]),
            "invalid_target",
        ),
        (
            with(&|r| r.audiences = vec!["x".repeat(600)]),
            "invalid_target",
        ),
        (
            with(&|r| r.credentials = ClientCredentials::public("clix")),
            "invalid_client",
        ),
        (
            with(&|r| r.credentials = ClientCredentials::with_secret("cli", Secret::new("x"))),
            "invalid_client",
        ),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(
            code_of(f.core.start_device(request, f.now()).await),
            code,
            "{shown}"
        );
    }
}

/// OpenID Connect Core 1.0, section 5.4; RFC 9068, sections 2.2.2 and 6.
async fn tokens_say_no_more_of_a_person_than_the_scopes_give_access_to(f: Fixture) {
    let claims_by_scope = [
        ("profile", &["name", "preferred_username"][..]),
        ("email", &["email"]),
        ("groups", &["groups"]),
    ];
    for (scope, _) in claims_by_scope {
        let tokens = f.log_in(&format!("openid {scope}")).await;
        for token in [&tokens.access_token, tokens.id_token.as_ref().unwrap()] {
            let told = claims(token);
            for (other, names) in claims_by_scope {
                for name in names {
                    assert_eq!(told.get(*name).is_some(), scope == other, "{scope}: {name}");
                }
            }
        }
    }
}

async fn without_offline_access_there_is_no_refresh_token(f: Fixture) {
    let tokens = f.log_in("openid").await;
    assert!(tokens.refresh_token.is_none());
    // A client that may not refresh is not even granted the scope.
    f.core
        .put_client(client("once", vec![GrantType::DeviceCode]), f.now())
        .await
        .unwrap()
        .unwrap();
    let credentials = ClientCredentials::public("once");
    let request = DeviceRequest {
        credentials: credentials.clone(),
        ..request("openid offline_access")
    };
    let started = f.core.start_device(request, f.now()).await.unwrap();
    f.approve(&started, &f.sign_in("ada").await).await;
    let code = started.device_code.expose();
    let tokens = f
        .core
        .redeem_device(&credentials, code, &[], f.now())
        .await
        .unwrap();
    assert!(tokens.refresh_token.is_none());
    assert_eq!(tokens.scope, "openid");
}

async fn what_is_over_is_purged(f: Fixture) {
    let tokens = f.log_in("openid").await;
    f.start("openid").await;
    assert_eq!(f.core.purge(f.now()).await.unwrap(), 0);
    let inspect = async || {
        f.core
            .introspect(&cli(), tokens.access_token.expose(), f.now())
            .await
            .unwrap()
    };
    assert!(matches!(
        inspect().await,
        Introspection { active: true, .. }
    ));
    f.advance_secs(24 * 3_600);
    // Two device logins, a grant that cannot be renewed, a browser session.
    assert_eq!(f.core.purge(f.now()).await.unwrap(), 4);
}

fn client(id: &str, grant_types: Vec<GrantType>) -> NewClient {
    NewClient {
        grant_types,
        audiences: Audiences::Any,
        ..NewClient::new(id)
    }
}
