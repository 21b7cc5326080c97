//! OpenID Connect Back-Channel Logout 1.0, section 2.6.

use super::*;
use crate::testing::ISSUER;

const CLIENT: &str = "web";

/// A logout token for the session of the scene's tokens.
fn claims(scene: &Scene) -> Value {
    json!({
        "iss": ISSUER, "aud": CLIENT, "iat": scene.now(), "exp": scene.now() + 120,
        "jti": "l-1", "sub": "ada", "sid": "s-1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    })
}

/// How a logout token with this header and one changed claim is taken, and what
/// a token of the session meets afterwards.
async fn after(header: &Value, name: &str, value: Value) -> (&'static str, &'static str) {
    let scene = Scene::new();
    let mut claims = claims(&scene);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    let token = scene.issuers_key.sign(header, &claims, Signature::Good);
    let outcome = match scene.validator.log_out(&token, CLIENT).await {
        Ok(()) => "taken",
        Err(rejection) => rejection.code(),
    };
    let sent = Sent::new("Bearer", &scene.plain_token());
    (outcome, sent.meets(&scene).await)
}

fn typed() -> Value {
    json!({ "typ": "logout+jwt" })
}

#[tokio::test]
async fn a_session_that_has_ended_takes_its_tokens_along() {
    for header in [typed(), json!({ "typ": "JWT" }), json!({})] {
        let ended = after(&header, "sub", json!("ada")).await;
        assert_eq!(ended, ("taken", "revoked"), "{header}");
    }
    let without_sub = after(&typed(), "sub", Value::Null).await;
    assert_eq!(without_sub, ("taken", "revoked"));
    // Without a session, all that the person has is meant.
    let without_sid = after(&typed(), "sid", Value::Null).await;
    assert_eq!(without_sid, ("taken", "revoked"));
    let other_session = after(&typed(), "sid", json!("s-2")).await;
    assert_eq!(other_session, ("taken", "bearer"));
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let long_ago = START - 1000;
    for (name, value, code) in [
        ("iss", json!("https://evil.example"), "wrong_issuer"),
        ("aud", json!("other"), "wrong_audience"),
        ("aud", json!("https://api.example.com"), "wrong_audience"),
        ("aud", Value::Null, "wrong_audience"),
        ("iat", Value::Null, "missing_claim"),
        ("iat", json!(long_ago), "expired"),
        ("iat", json!(START + 1000), "issued_in_future"),
        ("exp", Value::Null, "missing_claim"),
        ("exp", json!(long_ago), "expired"),
        ("jti", Value::Null, "missing_claim"),
        ("nonce", json!("n"), "other_kind"),
        ("events", Value::Null, "other_kind"),
        ("events", json!({}), "other_kind"),
        (
            "events",
            json!(["http://schemas.openid.net/event/backchannel-logout"]),
            "other_kind",
        ),
        ("sid", json!(7), "malformed_claim"),
        ("sid", json!(""), "malformed_claim"),
    ] {
        let refused = after(&typed(), name, value.clone()).await;
        assert_eq!(refused, (code, "bearer"), "{name} {value}");
    }
    for typ in ["at+jwt", "dpop+jwt"] {
        let refused = after(&json!({ "typ": typ }), "sub", json!("ada")).await;
        assert_eq!(refused, ("wrong_type", "bearer"));
    }
    // Nor does an access token, which everybody who has one could send.
    let scene = Scene::new();
    let token = scene.plain_token();
    assert!(scene.validator.log_out(&token, CLIENT).await.is_err());
    let forged = TestKey::generate("k1").sign(&typed(), &claims(&scene), Signature::Good);
    let refused = scene.validator.log_out(&forged, CLIENT).await.unwrap_err();
    assert_eq!(refused.code(), "bad_signature");
}
