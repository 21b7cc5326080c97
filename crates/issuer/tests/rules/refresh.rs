//! A login is renewed: rotation, the grace after a lost answer, reuse.

use std::sync::Arc;

use countersign_issuer::core::{ClientCredentials, Core, Lifetimes, Tokens};
use countersign_issuer::storage::Sqlite;
use countersign_oauth::Secret;

use crate::fixture::{Fixture, claims, cli, code_of, policy, refused};
use crate::over_both;

over_both!(
    every_renewal_replaces_the_refresh_token,
    the_predecessor_gets_the_same_successor_for_thirty_seconds,
    the_grace_ends_with_the_successors_first_use,
    reuse_after_the_grace_ends_the_whole_login,
    two_logins_of_one_person_have_nothing_to_do_with_each_other,
    sixty_four_parallel_renewals_agree_on_one_successor,
    a_disabled_account_renews_nothing_and_never_again,
    a_refresh_token_is_good_for_its_client_only,
    scopes_can_be_narrowed_but_not_widened,
    a_refused_request_leaves_its_token_good,
    a_login_that_is_not_renewed_ends,
    a_login_ends_at_last_however_often_it_is_renewed,
    nonsense_is_no_refresh_token,
);

const SCOPE: &str = "openid offline_access api.read";

fn token(tokens: Tokens) -> Secret {
    tokens.refresh_token.unwrap()
}

async fn every_renewal_replaces_the_refresh_token(f: Fixture) {
    let first = f.log_in(SCOPE).await;
    let sub = claims(&first.access_token)["sub"].clone();
    let auth_time = claims(&first.access_token)["auth_time"].clone();
    let mut current = token(first);
    let mut seen = vec![current.clone()];
    for _ in 0..5 {
        f.advance_secs(60);
        let tokens = f.refresh(&current).await.unwrap();
        let id = claims(tokens.id_token.as_ref().unwrap());
        // OpenID Connect Core 1.0, section 12.2.
        assert_eq!(id["sub"], sub);
        assert_eq!(id["auth_time"], auth_time);
        assert_eq!(id["iat"], f.now().as_secs());
        current = token(tokens);
        assert!(!seen.contains(&current));
        seen.push(current.clone());
    }
}

async fn the_predecessor_gets_the_same_successor_for_thirty_seconds(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let second = token(f.refresh(&first).await.unwrap());
    for _ in 0..3 {
        f.advance_secs(10);
        assert_eq!(token(f.refresh(&first).await.unwrap()), second);
    }
    f.refresh(&second).await.unwrap();
}

async fn the_grace_ends_with_the_successors_first_use(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let second = token(f.refresh(&first).await.unwrap());
    let third = token(f.refresh(&second).await.unwrap());
    // Not one second has passed.
    assert_eq!(code_of(f.refresh(&first).await), "invalid_grant");
    // And it was no accident any more: the login is over.
    assert_eq!(code_of(f.refresh(&third).await), "invalid_grant");
}

async fn reuse_after_the_grace_ends_the_whole_login(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let renewed = f.refresh(&first).await.unwrap();
    f.advance_secs(31);
    let refusal = refused(f.refresh(&first).await);
    assert_eq!(refusal.code(), "invalid_grant");
    assert!(
        refusal.description().unwrap().contains("used before"),
        "{refusal:?}"
    );
    assert_eq!(
        code_of(f.refresh(renewed.refresh_token.as_ref().unwrap()).await),
        "invalid_grant"
    );
    // The access tokens of the login are dead to whoever asks here.
    let inspected = f
        .core
        .introspect(&cli(), renewed.access_token.expose(), f.now())
        .await
        .unwrap();
    assert!(!inspected.active);
}

async fn two_logins_of_one_person_have_nothing_to_do_with_each_other(f: Fixture) {
    let laptop = token(f.log_in(SCOPE).await);
    let server = token(f.log_in(SCOPE).await);
    let renewed = token(f.refresh(&laptop).await.unwrap());
    f.advance_secs(31);
    assert_eq!(code_of(f.refresh(&laptop).await), "invalid_grant");
    assert_eq!(code_of(f.refresh(&renewed).await), "invalid_grant");
    f.refresh(&server).await.unwrap();
}

async fn sixty_four_parallel_renewals_agree_on_one_successor(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let renewals: Vec<_> = (0..64)
        .map(|_| {
            let (core, first, now) = (Arc::clone(&f.core), first.clone(), f.now());
            tokio::spawn(async move { core.refresh(&cli(), first.expose(), None, &[], now).await })
        })
        .collect();
    let mut successors = Vec::new();
    for renewal in renewals {
        successors.push(token(renewal.await.unwrap().unwrap()));
    }
    assert!(
        successors
            .iter()
            .all(|successor| *successor == successors[0])
    );
    f.refresh(&successors[0]).await.unwrap();
}

async fn a_disabled_account_renews_nothing_and_never_again(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    f.core.set_disabled("ada", true).await.unwrap();
    assert_eq!(code_of(f.refresh(&first).await), "invalid_grant");
    f.core.set_disabled("ada", false).await.unwrap();
    assert_eq!(code_of(f.refresh(&first).await), "invalid_grant");
}

async fn a_refresh_token_is_good_for_its_client_only(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let other = ClientCredentials::public("clix");
    let stolen = f
        .core
        .refresh(&other, first.expose(), None, &[], f.now())
        .await;
    assert_eq!(code_of(stolen), "invalid_client");
    f.refresh(&first).await.unwrap();
}

async fn scopes_can_be_narrowed_but_not_widened(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let client = cli();
    let narrow = f
        .core
        .refresh(&client, first.expose(), Some("api.read"), &[], f.now());
    let narrow = narrow.await.unwrap();
    assert_eq!(narrow.scope, "api.read");
    assert!(narrow.id_token.is_none());
    // RFC 6749, section 6: the login itself keeps what it was granted.
    let second = token(narrow);
    assert_eq!(
        f.refresh(&second).await.unwrap().scope,
        "api.read offline_access openid"
    );
}

async fn a_refused_request_leaves_its_token_good(f: Fixture) {
    let first = token(f.log_in(SCOPE).await);
    let refresh = async |scope: Option<&str>, resources: &[String]| {
        f.core
            .refresh(&cli(), first.expose(), scope, resources, f.now())
            .await
    };
    assert_eq!(
        code_of(refresh(Some("api.write"), &[]).await),
        "invalid_scope"
    );
    assert_eq!(code_of(refresh(Some("\""), &[]).await), "invalid_scope");
    let elsewhere = ["https://elsewhere.example".to_owned()];
    assert_eq!(code_of(refresh(None, &elsewhere).await), "invalid_target");
    let second = token(f.refresh(&first).await.unwrap());
    f.advance_secs(100);
    f.refresh(&second).await.unwrap();
}

async fn a_login_that_is_not_renewed_ends(f: Fixture) {
    let idle = Lifetimes::default().login_idle.as_secs();
    let first = token(f.log_in(SCOPE).await);
    f.advance_secs(idle - 1);
    let second = token(f.refresh(&first).await.unwrap());
    f.advance_secs(idle - 1);
    let third = token(f.refresh(&second).await.unwrap());
    f.advance_secs(idle);
    assert_eq!(code_of(f.refresh(&third).await), "invalid_grant");
}

async fn a_login_ends_at_last_however_often_it_is_renewed(f: Fixture) {
    let lifetimes = Lifetimes::default();
    let step = lifetimes.login_idle / 2;
    let mut current = token(f.log_in(SCOPE).await);
    let mut age = step;
    f.advance(step);
    while age < lifetimes.login {
        current = token(f.refresh(&current).await.unwrap());
        age += step;
        f.advance(step);
    }
    assert_eq!(code_of(f.refresh(&current).await), "invalid_grant");
}

async fn nonsense_is_no_refresh_token(f: Fixture) {
    let tokens = f.log_in(SCOPE).await;
    for nonsense in ["", "csr_", "csr_AAAA", "x", tokens.access_token.expose()] {
        assert_eq!(
            code_of(f.refresh(&Secret::new(nonsense)).await),
            "invalid_grant"
        );
    }
}

/// The answer to a renewal is lost with the process that gave it, and the next
/// one starts an hour later.
#[tokio::test]
async fn a_crash_between_renewal_and_answer_costs_no_login() {
    let f = Fixture::in_sqlite().await;
    let first = token(f.log_in(SCOPE).await);
    f.refresh(&first).await.unwrap();
    let last_alive = f.now();
    f.advance_secs(3_600);
    let storage = Box::new(Sqlite::open(&f.database().unwrap()).unwrap());
    let after_crash = Core::new(storage, f.core.keys(), policy());
    let after_crash = after_crash
        .resumed_after_crash(last_alive, f.now())
        .unwrap();
    f.advance_secs(20);
    let tokens = after_crash
        .refresh(&cli(), first.expose(), None, &[], f.now())
        .await
        .unwrap();
    let second = token(tokens);
    f.advance_secs(60);
    after_crash
        .refresh(&cli(), second.expose(), None, &[], f.now())
        .await
        .unwrap();
}

/// The answer had all its time to arrive; whoever asks again is somebody else.
#[tokio::test]
async fn a_crash_long_after_a_renewal_opens_no_new_grace() {
    let f = Fixture::in_sqlite().await;
    let first = token(f.log_in(SCOPE).await);
    f.refresh(&first).await.unwrap();
    f.advance_secs(3_600);
    let storage = Box::new(Sqlite::open(&f.database().unwrap()).unwrap());
    let after_crash = Core::new(storage, f.core.keys(), policy());
    let after_crash = after_crash.resumed_after_crash(f.now(), f.now()).unwrap();
    let copy = after_crash
        .refresh(&cli(), first.expose(), None, &[], f.now())
        .await;
    assert_eq!(code_of(copy), "invalid_grant");
}
