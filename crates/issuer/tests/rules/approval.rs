//! The person's side: codes are looked up, approved, denied, and not guessed.

use std::time::Duration;

use countersign_issuer::core::{CodeLookup, Decision};

use crate::fixture::{Fixture, PEER, code_of};
use crate::over_both;

over_both!(
    the_confirmation_says_who_asks_for_what_from_where,
    looking_a_code_up_changes_nothing,
    a_decision_is_made_once,
    a_code_is_gone_when_it_expires,
    the_tokens_are_the_approvers,
    whoever_was_disabled_meanwhile_approves_nothing,
    signing_out_everywhere_takes_back_what_nobody_has_redeemed,
);

async fn signing_out_everywhere_takes_back_what_nobody_has_redeemed(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.approve(&started, &session).await;
    f.core.sign_out_everywhere(&session).await.unwrap();
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

async fn the_confirmation_says_who_asks_for_what_from_where(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid email").await;
    let typed = started.user_code.to_lowercase().replace('-', "  ");
    let CodeLookup::Found(pending) = f.look_up(&typed, &session) else {
        panic!("the code is found however it is typed");
    };
    assert_eq!(pending.user_code, started.user_code);
    assert_eq!(pending.client_id, "cli");
    assert_eq!(pending.client_name, "Countersign CLI (development)");
    assert_eq!(pending.scopes, ["email", "openid"]);
    assert_eq!(pending.requested_from, Some(PEER));
    assert_eq!(pending.claimed_host.as_deref(), Some("box"));
    assert_eq!(
        pending.claimed_command.as_deref(),
        Some("countersign login")
    );
    assert_eq!(pending.created_at, f.now());
    assert_eq!(pending.expires_at, f.now() + Duration::from_secs(600));
}

async fn looking_a_code_up_changes_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    for _ in 0..100 {
        assert!(matches!(
            f.look_up(&started.user_code, &session),
            CodeLookup::Found(_)
        ));
    }
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
}

async fn a_decision_is_made_once(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    let code = &started.user_code;
    let denied = f.core.deny(code, &session, PEER, f.now()).await.unwrap();
    assert!(matches!(denied, Decision::Recorded));
    let approved = f.core.approve(code, &session, PEER, f.now()).await.unwrap();
    assert!(matches!(approved, Decision::Gone));
    assert!(matches!(f.look_up(code, &session), CodeLookup::Decided));
    assert_eq!(code_of(f.poll(&started).await), "access_denied");
}

async fn a_code_is_gone_when_it_expires(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.advance_secs(600);
    assert!(matches!(
        f.look_up(&started.user_code, &session),
        CodeLookup::Expired
    ));
    let approved = f
        .core
        .approve(&started.user_code, &session, PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(approved, Decision::Gone));
    assert_eq!(code_of(f.poll(&started).await), "expired_token");
}

async fn the_tokens_are_the_approvers(f: Fixture) {
    f.add_account("eve", Vec::new()).await;
    let (ada, eve) = (f.sign_in("ada").await, f.sign_in("eve").await);
    f.advance_secs(60);
    let started = f.start("openid").await;
    f.approve(&started, &eve).await;
    let tokens = f.poll(&started).await.unwrap();
    let claims = crate::fixture::claims(&tokens.access_token);
    assert_eq!(claims["sub"], eve.account.id);
    assert_ne!(eve.account.id, ada.account.id);
    assert_eq!(claims["auth_time"], eve.authenticated_at.as_secs());
}

async fn whoever_was_disabled_meanwhile_approves_nothing(f: Fixture) {
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    f.core.set_disabled("ada", true).await.unwrap();
    let approved = f
        .core
        .approve(&started.user_code, &session, PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(approved, Decision::Gone));
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
}

#[tokio::test]
async fn the_sixth_wrong_code_of_a_session_waits_and_the_right_one_with_it() {
    let f = Fixture::in_memory().await;
    let session = f.sign_in("ada").await;
    let started = f.start("openid").await;
    for wrong in [
        "BBBB-BBBB",
        "CCCC-CCCC",
        "too short",
        "DDDD-DDDD",
        "FFFF-FFFF",
    ] {
        assert!(matches!(f.look_up(wrong, &session), CodeLookup::Unknown));
    }
    let CodeLookup::Limited { retry_after } = f.look_up(&started.user_code, &session) else {
        panic!("limited");
    };
    assert_eq!(retry_after, Duration::from_secs(600));
    // Approving is no way around.
    let approved = f
        .core
        .approve(&started.user_code, &session, PEER, f.now())
        .await
        .unwrap();
    assert!(matches!(approved, Decision::Limited { .. }));
    assert_eq!(code_of(f.poll(&started).await), "authorization_pending");
}

#[tokio::test]
async fn ten_wrong_codes_from_an_address_are_enough_whatever_the_session() {
    let f = Fixture::in_memory().await;
    for _ in 0..2 {
        let session = f.sign_in("ada").await;
        for _ in 0..5 {
            assert!(matches!(
                f.look_up("BBBB-BBBB", &session),
                CodeLookup::Unknown
            ));
        }
    }
    let session = f.sign_in("ada").await;
    assert!(matches!(
        f.look_up("BBBB-BBBB", &session),
        CodeLookup::Limited { .. }
    ));
    let elsewhere = [198, 51, 100, 1].into();
    let outcome = f
        .core
        .lookup_user_code("BBBB-BBBB", &session, elsewhere, f.now())
        .unwrap();
    assert!(matches!(outcome, CodeLookup::Unknown));
    f.advance_secs(600);
    assert!(matches!(
        f.look_up("BBBB-BBBB", &session),
        CodeLookup::Unknown
    ));
}

#[tokio::test]
async fn all_guesses_together_have_a_budget() {
    let f = Fixture::with_limits(|limits| limits.codes_everywhere.attempts = 12).await;
    let mut unknown = 0;
    // More sessions and addresses than any one limit would stop.
    for round in 0..4 {
        let session = f.sign_in("ada").await;
        for _ in 0..5 {
            let peer = [198, 51, 100, round].into();
            let outcome = f
                .core
                .lookup_user_code("BBBB-BBBB", &session, peer, f.now())
                .unwrap();
            unknown += u32::from(matches!(outcome, CodeLookup::Unknown));
        }
    }
    assert_eq!(unknown, 12);
}
