//! RFC 6749, section 6: a new access token, and what a failure means for the session.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{Error, Flow, RefreshFlow, ScopeSet, Secret, Target, TransportError};

#[test]
fn a_refresh_sends_the_token_and_asks_for_the_scope_as_granted() {
    let sent = sent(&mut RefreshFlow::new(&metadata(), &client(), &Secret::new("rt")).unwrap());
    let body = sent.body.unwrap();
    assert_eq!(
        body.expose(),
        "grant_type=refresh_token&refresh_token=rt&client_id=cli"
    );
}

#[test]
fn a_refresh_may_narrow_the_scope_and_name_resources() {
    let target = Target {
        scopes: ScopeSet::parse("a b").unwrap(),
        resources: vec!["https://a.example".to_owned()],
        audiences: vec!["stock".to_owned()],
    };
    let mut flow = RefreshFlow::with(&metadata(), &client(), &Secret::new("rt"), &target).unwrap();
    assert!(
        sent(&mut flow)
            .body
            .unwrap()
            .expose()
            .contains("&scope=a+b&resource=https%3A%2F%2Fa.example&audience=stock&")
    );
}

/// Only this ends a session: the server's word that the refresh token is no good.
#[test]
fn a_rejected_refresh_token_ends_the_session() {
    for response in [
        error("invalid_grant"),
        error("access_denied"),
        error("token_revoked_made_up"),
        json(401, r#"{"error":"invalid_token"}"#),
        // glewlwyd.
        empty(400),
        answer(401, "text/plain", "nope"),
    ] {
        let error = refresh(&response).unwrap_err();
        assert!(
            matches!(error, Error::RefreshRejected(_)),
            "{response:?}: {error:?}"
        );
        assert!(!error.is_retryable());
        assert_eq!(error.hints(), ["sign in again"]);
    }
}

#[test]
fn trouble_at_a_refresh_says_nothing_about_the_session() {
    for response in [
        empty(500),
        html(502),
        html(200),
        html(403),
        empty(200),
        empty(429),
        json(400, r#"{"error":"temporarily_unavailable"}"#),
        json(503, r#"{"error":"oops"}"#),
    ] {
        let error = refresh(&response).unwrap_err();
        assert!(error.is_retryable(), "{response:?}: {error:?}");
    }
    let mut flow = RefreshFlow::new(&metadata(), &client(), &Secret::new("rt")).unwrap();
    sent(&mut flow);
    flow.transport_failed(TransportError::Timeout, T0);
    assert!(flow.poll(T0).unwrap_err().is_retryable());
}

#[test]
fn a_refusal_about_something_else_does_not_end_the_session_either() {
    for response in [
        json(401, r#"{"error":"invalid_client"}"#),
        error("invalid_request"),
        error("unauthorized_client"),
        error("invalid_scope"),
        error("invalid_target"),
        json(403, r#"{"message":"no"}"#),
        html(404),
        empty(404),
        json(200, r#"{"access_token":"#),
    ] {
        let error = refresh(&response).unwrap_err();
        assert!(!error.is_retryable(), "{response:?}: {error:?}");
        assert!(
            !matches!(error, Error::RefreshRejected(_)),
            "{response:?}: {error:?}"
        );
    }
}

#[test]
fn retry_after_is_handed_on() {
    let error = refresh(&with_header(empty(503), "Retry-After", "17")).unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(17)));
    assert_eq!(error.hints(), ["try again in 17 s"]);
}

#[test]
fn a_refresh_that_returns_less_keeps_the_old_tokens() {
    let full = r#"{"access_token":"a1","token_type":"Bearer","refresh_token":"r1","id_token":"i1","scope":"x","expires_in":60}"#;
    let before = refresh(&json(200, full)).unwrap();
    let bare = refresh(&json(200, r#"{"access_token":"a2","token_type":"Bearer"}"#)).unwrap();
    let after = bare.merge_after_refresh(&before);
    assert_eq!(after.access_token.expose(), "a2");
    assert_eq!(after.refresh_token, Some(Secret::new("r1")));
    assert_eq!(after.id_token, Some(Secret::new("i1")));
    assert_eq!(after.scope.as_deref(), Some("x"));
    // The lifetime belongs to the access token, and the new one has its own.
    assert_eq!(after.expires_in, None);
    let rotated = full.replace("r1", "r2").replace("i1", "i2");
    let after = refresh(&json(200, &rotated))
        .unwrap()
        .merge_after_refresh(&before);
    assert_eq!(after.refresh_token, Some(Secret::new("r2")));
    assert_eq!(after.id_token, Some(Secret::new("i2")));
}

#[test]
fn a_token_response_reads_back_what_it_writes() {
    let full = r#"{"access_token":"a1","token_type":"Bearer","refresh_token":"r1","id_token":"i1","scope":"x","expires_in":60}"#;
    for body in [
        full,
        TOKENS,
        r#"{"access_token":"a","token_type":"bearer"}"#,
    ] {
        let tokens = refresh(&json(200, body)).unwrap();
        assert_eq!(
            refresh(&json(200, tokens.to_json().expose())).unwrap(),
            tokens
        );
    }
}
