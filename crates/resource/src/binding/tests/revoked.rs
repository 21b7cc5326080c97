//! What is revoked is refused from the next request on.

use super::*;
use crate::testing::ISSUER;

/// Which revocation refuses the token of the scene.
async fn after(revocation: Revocation) -> &'static str {
    let scene = Scene::new();
    let sent = Sent::new("Bearer", &scene.plain_token());
    assert_eq!(sent.meets(&scene).await, "bearer");
    scene.validator.revoke(&revocation).await.unwrap();
    sent.meets(&scene).await
}

#[tokio::test]
async fn a_token_is_refused_by_each_of_its_names_and_by_no_other() {
    let at = |secs| Timestamp::from_secs(START + secs);
    for (revocation, expected) in [
        (Revocation::jwt_id(ISSUER, "t-1"), "revoked"),
        (Revocation::jwt_id(ISSUER, "t-2"), "bearer"),
        (Revocation::jwt_id("https://other.example", "t-1"), "bearer"),
        (Revocation::session(ISSUER, "s-1"), "revoked"),
        (Revocation::session(ISSUER, "t-1"), "bearer"),
        (Revocation::subject(ISSUER, "ada", at(0)), "revoked"),
        (Revocation::subject(ISSUER, "ada", at(-1)), "bearer"),
        (Revocation::subject(ISSUER, "bob", at(0)), "bearer"),
        (Revocation::token("x"), "bearer"),
    ] {
        assert_eq!(after(revocation.clone()).await, expected, "{revocation:?}");
    }
}

#[tokio::test]
async fn one_token_is_refused_and_the_next_of_the_same_person_is_not() {
    let scene = Scene::new();
    let (token, bound) = (scene.plain_token(), scene.bound_token());
    let revocation = Revocation::token(&token);
    scene.validator.revoke(&revocation).await.unwrap();
    assert_eq!(Sent::new("Bearer", &token).meets(&scene).await, "revoked");
    let refused = scene.validator.validate(&token).await.unwrap_err();
    assert_eq!(refused.code(), "revoked");
    assert_eq!(Sent::new("DPoP", &bound).meets(&scene).await, "dpop_absent");
}

#[tokio::test]
async fn a_revocation_is_remembered_as_long_as_it_is_asked_to_be() {
    let scene = Scene::new();
    let sent = Sent::new("Bearer", &scene.plain_token());
    let until = Timestamp::from_secs(scene.now() + 60);
    let revocation = Revocation::session(ISSUER, "s-1").remember_until(until);
    scene.validator.revoke(&revocation).await.unwrap();
    scene.clock.advance(Duration::from_secs(59));
    assert_eq!(sent.meets(&scene).await, "revoked");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(sent.meets(&scene).await, "bearer");
}
