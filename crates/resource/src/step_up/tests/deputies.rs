//! Confused deputies: a challenge or a password is used for something else than it was made for.
//!
//! Each test ends by showing that the challenge and the password were good for what they were made for:
//! else the refusal would show nothing, and somebody could use up what is another's.

use super::*;

/// Sends `other` with what was made for `sent`, and then `sent` itself.
async fn refused_for(
    sent: &Sent<'_>,
    other: &Sent<'_>,
    api: &mut Api,
    key: &mut SimulatedKey,
) -> String {
    let challenge = api.challenge(sent).await;
    let otp = key.press(1);
    let refused = api.send(&other.with(&challenge, otp.expose())).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_ne!(refused.challenge(), challenge);
    let error = refused.error().expect("an error").to_owned();
    let done = api.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!(done.status, 200, "{done:?}");
    error
}

/// What was made for a request is shown with one that differs as `change` says.
async fn differs(change: impl FnOnce(Sent<'_>) -> Sent<'_>) -> String {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent {
        body: "{}",
        ..Sent::delete(&token)
    };
    refused_for(&sent, &change(sent.clone()), &mut api, &mut key).await
}

#[tokio::test]
async fn a_challenge_for_another_url() {
    for target in [
        "/resources/other",
        "/resources/foobar?force=true",
        "/resources/foobar/",
    ] {
        let error = differs(|sent| Sent { target, ..sent }).await;
        assert_eq!(error, "expired", "{target}");
    }
}

#[tokio::test]
async fn a_challenge_for_another_method() {
    for method in ["POST", "delete"] {
        let error = differs(|sent| Sent { method, ..sent }).await;
        assert_eq!(error, "expired", "{method}");
    }
}

#[tokio::test]
async fn a_challenge_for_another_body() {
    for body in ["", "{\"all\":true}"] {
        let error = differs(|sent| Sent { body, ..sent }).await;
        assert_eq!(error, "expired", "{body}");
    }
}

/// Another token of the same person: stolen elsewhere, or from before the last sign-in.
#[tokio::test]
async fn a_challenge_for_another_token() {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let (one, other) = (
        world.token(&json!({})),
        world.token(&json!({ "jti": "t-2" })),
    );
    let (sent, stolen) = (Sent::delete(&one), Sent::delete(&other));
    let error = refused_for(&sent, &stolen, &mut api, &mut key).await;
    assert_eq!(error, "expired");
}

#[tokio::test]
async fn a_challenge_for_another_person() {
    let world = World::new();
    let mut api = world.api(each());
    let mut adas = api.enrol("ada", 0).await;
    let mut graces = api.enrol("grace", 1).await;
    let (adas_token, graces_token) = (
        world.token(&json!({})),
        world.token(&json!({ "sub": "grace" })),
    );
    let (sent, other) = (Sent::delete(&adas_token), Sent::delete(&graces_token));
    let challenge = api.challenge(&sent).await;
    // With her own password.
    let otp = graces.press(1);
    let refused = api.send(&other.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    let done = api
        .send(&other.with(refused.challenge(), otp.expose()))
        .await;
    assert_eq!(done.status, 200, "{done:?}");
    let otp = adas.press(1);
    assert_eq!(
        api.send(&sent.with(&challenge, otp.expose())).await.status,
        200
    );
}

#[tokio::test]
async fn a_password_of_another_persons_key() {
    let world = World::new();
    let mut api = world.api(each());
    let mut adas = api.enrol("ada", 0).await;
    let mut graces = api.enrol("grace", 1).await;
    let (adas_token, graces_token) = (
        world.token(&json!({})),
        world.token(&json!({ "sub": "grace" })),
    );
    let (sent, hers) = (Sent::delete(&adas_token), Sent::delete(&graces_token));
    let challenge = api.challenge(&sent).await;
    let otp = graces.press(1);
    let refused = api.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("wrong_otp")));
    // Neither is her password used up, nor his challenge.
    let own = adas.press(1);
    assert_eq!(
        api.send(&sent.with(&challenge, own.expose())).await.status,
        200
    );
    let challenge = api.challenge(&hers).await;
    assert_eq!(
        api.send(&hers.with(&challenge, otp.expose())).await.status,
        200
    );
}

#[tokio::test]
async fn a_challenge_that_has_expired() {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = api.challenge(&sent).await;
    world.clock.advance(Duration::from_secs(60));
    let otp = key.press(1);
    let late = api.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((late.status, late.error()), (401, Some("expired")));
    // A moment earlier it would have done, and the password still does.
    world.clock.advance(Duration::from_millis(59_999));
    let done = api.send(&sent.with(late.challenge(), otp.expose())).await;
    assert_eq!(done.status, 200, "{done:?}");
}

/// Two APIs that share a database and devices, and a key by mistake: each has its own name.
#[tokio::test]
async fn a_challenge_of_another_api() {
    let world = World::new();
    let mut here = world.api(each());
    let mut other = world.api_named("https://other.example.com", each(), |it| it.key([1; 32]));
    let mut key = here.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = other.challenge(&sent).await;
    let otp = key.press(1);
    let refused = here.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    assert_eq!(
        other
            .send(&sent.with(&challenge, otp.expose()))
            .await
            .status,
        200
    );
}

/// The same API elsewhere, with a key of its own.
#[tokio::test]
async fn a_challenge_under_another_key() {
    let world = World::new();
    let mut here = world.api(each());
    let mut other = world.api_with(each(), |it| it.key([2; 32]));
    let mut key = here.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = other.challenge(&sent).await;
    let otp = key.press(1);
    let refused = here.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    assert_eq!(
        other
            .send(&sent.with(&challenge, otp.expose()))
            .await
            .status,
        200
    );
    // Where the key was changed, the old one still opens.
    let mut both = world.api_with(each(), |it| it.key([1; 32]).key([2; 32]));
    let challenge = other.challenge(&sent).await;
    let otp = key.press(2);
    assert_eq!(
        both.send(&sent.with(&challenge, otp.expose())).await.status,
        200
    );
}

/// A rule that asks less strictly is no way round another.
#[tokio::test]
async fn a_challenge_of_another_rule() {
    let world = World::new();
    let mut here = world.api(each());
    let mut other = world.api(StepUp::each_request("look"));
    let mut key = here.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = other.challenge(&sent).await;
    let otp = key.press(1);
    let refused = here.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    assert_eq!(
        other
            .send(&sent.with(&challenge, otp.expose()))
            .await
            .status,
        200
    );
}

/// At the replica that let it through, and at another one.
#[tokio::test]
async fn a_challenge_that_was_used() {
    let world = World::new();
    let mut replicas = [world.api(each()), world.api(each())];
    let mut key = replicas[0].enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = replicas[0].challenge(&sent).await;
    let first = sent.with(&challenge, key.press(1).expose());
    assert_eq!(replicas[1].send(&first).await.status, 200);
    for replica in &mut replicas {
        // The same request again, byte for byte.
        let again = replica.send(&first).await;
        assert_eq!(again.status, 401, "{again:?}");
        // With a password that nobody has used, which stays unused.
        let otp = key.press(2);
        let again = replica.send(&sent.with(&challenge, otp.expose())).await;
        assert_eq!((again.status, again.error()), (401, Some("expired")));
        let done = replica
            .send(&sent.with(again.challenge(), otp.expose()))
            .await;
        assert_eq!(done.status, 200, "{done:?}");
    }
}

#[tokio::test]
async fn a_password_that_was_used() {
    let world = World::new();
    let mut api = world.api(each());
    let mut key = api.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let otp = key.press(1);
    let challenge = api.challenge(&sent).await;
    assert_eq!(
        api.send(&sent.with(&challenge, otp.expose())).await.status,
        200
    );
    let challenge = api.challenge(&sent).await;
    let again = api.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((again.status, again.error()), (401, Some("replayed_otp")));
    let otp = key.press(2);
    let done = api.send(&sent.with(again.challenge(), otp.expose())).await;
    assert_eq!(done.status, 200, "{done:?}");
}

/// With a key of its own, an API that was started again knows none of its challenges.
#[tokio::test]
async fn a_challenge_from_before_a_restart() {
    let world = World::new();
    let mut before = world.api_with(each(), |it| it);
    let mut key = before.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = before.challenge(&sent).await;
    let mut after = world.api_with(each(), |it| it);
    let otp = key.press(1);
    let refused = after.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    let done = after
        .send(&sent.with(refused.challenge(), otp.expose()))
        .await;
    assert_eq!(done.status, 200, "{done:?}");
}

/// With a key from a file it knows them, and has forgotten which of them were used.
#[tokio::test]
async fn a_challenge_from_before_the_memory() {
    let mut world = World::new();
    let mut before = world.api(each());
    let mut key = before.enrol("ada", 0).await;
    let token = world.token(&json!({}));
    let sent = Sent::delete(&token);
    let challenge = before.challenge(&sent).await;
    world.clock.advance(Duration::from_millis(1));
    world.state = Arc::new(MemoryState::new(world.clock.now()));
    let mut after = world.api(each());
    let otp = key.press(1);
    let refused = after.send(&sent.with(&challenge, otp.expose())).await;
    assert_eq!((refused.status, refused.error()), (401, Some("expired")));
    let done = after
        .send(&sent.with(refused.challenge(), otp.expose()))
        .await;
    assert_eq!(done.status, 200, "{done:?}");
}
