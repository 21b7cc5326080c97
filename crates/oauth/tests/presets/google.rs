//! Google: `verification_url`, pending under 428, a secret that is none, parameters for refresh tokens.

use countersign_oauth::preset::{AccessTokenForm, Offer, RefreshTokens, SecretUse};
use countersign_oauth::{Client, ClientAuthentication, Error, Secret};
use serde_json::{Value, json};

use crate::support::{Recorded, after, ok, refusal};

const ISSUER: &str = "https://accounts.google.com";

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
        "response_types_supported": ["code", "token", "id_token", "none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": ["aud", "email", "email_verified", "exp", "iat", "iss", "name", "sub"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "grant_types_supported": [
            "authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
    })
}

fn google() -> Recorded {
    let mut google = Recorded::new("google", ISSUER, &document());
    google.client = Client {
        authentication: ClientAuthentication::SecretPost(Secret::new("GOCSPX-canary-1")),
        ..Client::public("cli")
    };
    google
}

#[test]
fn the_device_answer_has_verification_url() {
    let google = google();
    let codes = google.device(
        200,
        &json!({
            "device_code": "4/4-GMMhmHCXhWEzkobqIHGG_EnNYYsAkukHspeYUk9E8", "user_code": "GQVQ-JKEC",
            "verification_url": "https://www.google.com/device", "expires_in": 1800, "interval": 5,
        }),
    );
    let codes = codes.unwrap();
    assert_eq!(
        codes.verification_uri.as_str(),
        "https://www.google.com/device"
    );
    assert_eq!(codes.verification_uri_complete, None);
    assert!(!google.preset.quirks.verification_uri_complete);
    assert_eq!(codes.expires_at, after(1800));
}

#[test]
fn pending_comes_with_428_and_slow_down_with_403() {
    let pending = refusal(428, "authorization_pending", "Precondition Required");
    let slow = refusal(403, "slow_down", "Forbidden");
    let tokens = ok(&json!({
        "access_token": "ya29.a0", "expires_in": 3920, "refresh_token": "1//0",
        "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "token_type": "Bearer", "id_token": "x.y.z",
    }));
    let tokens = google().poll(&[pending, slow, tokens]).unwrap();
    assert!(tokens.refresh_token.is_some());
}

#[test]
fn denial_comes_with_403() {
    let error = google().poll_error(403, "access_denied", "Forbidden");
    assert!(matches!(error, Error::AccessDenied(_)), "{error:?}");
}

#[test]
fn a_client_has_a_secret_that_the_device_request_does_not_take() {
    let quirk = google().preset.quirks.secret;
    assert_eq!(quirk, SecretUse::OfInstalledApplication);
    assert!(quirk.always_issued() && !quirk.on_device_authorization());
    let meaning = google()
        .preset
        .explain("invalid_request", "client_secret is missing.");
    assert!(meaning.unwrap().remedy.contains("client_secret_file"));
}

#[test]
fn each_flow_has_its_own_kind_of_client() {
    let google = google();
    let Offer::If(device) = google.preset.flows.device else {
        panic!("{:?}", google.preset.flows);
    };
    assert!(device.contains("Limited Input"), "{device}");
    let error = google
        .device(
            401,
            &json!({
                "error": "invalid_client",
                "error_description": "Only clients of type 'TVs and Limited Input devices' can use the OAuth 2.0 flow for TV and Limited-Input Device Applications. Please create and use an appropriate client.",
            }),
        )
        .unwrap_err();
    let meaning = google.meaning(&error);
    assert!(meaning.other_flow);
    assert!(meaning.sentence.contains("another type"), "{meaning:?}");
}

#[test]
fn refresh_tokens_come_by_parameters_and_not_by_scope() {
    let google = google();
    assert!(!google.preset.scopes.contains(&"offline_access"));
    let RefreshTokens::Parameters(parameters) = google.preset.quirks.refresh else {
        panic!("{:?}", google.preset.quirks.refresh);
    };
    assert!(parameters.contains(&("access_type", "offline")));
    assert!(parameters.contains(&("prompt", "consent")));
    // It knows no `login`, and a second account needs its refresh token as well.
    let another = google.preset.quirks.another_account;
    assert_eq!(another, "consent select_account");
}

#[test]
fn other_refusals_are_explained() {
    let google = google();
    for (code, description, word) in [
        ("org_internal", "", "organisation"),
        ("admin_policy_enforced", "", "Workspace"),
        (
            "invalid_scope",
            "Invalid device flow scope: offline_access",
            "offline_access",
        ),
        (
            "invalid_grant",
            "Token has been expired or revoked.",
            "seven days",
        ),
        ("redirect_uri_mismatch", "", "Desktop app"),
    ] {
        let meaning = google.preset.explain(code, description).unwrap();
        let text = format!("{} {}", meaning.sentence, meaning.remedy);
        assert!(text.contains(word), "{code}: {text}");
    }
}

#[test]
fn access_tokens_are_for_google_alone() {
    let form = google().preset.quirks.access_token;
    assert_eq!(form, AccessTokenForm::Opaque);
}

#[test]
fn the_id_token_names_the_client_twice() {
    let token = google().id_token(&json!({
        "azp": "cli", "hd": "example.com", "email": "ada@example.com", "email_verified": true,
        "at_hash": "unchecked", "sub": "110169484474386276334",
    }));
    assert_eq!(token.unwrap().str("hd"), Some("example.com"));
}

#[test]
fn the_code_comes_back_with_its_scope_and_asks_for_offline_access_its_own_way() {
    let google = google();
    assert_eq!(google.asked("access_type").as_deref(), Some("offline"));
    assert_eq!(google.asked("prompt").as_deref(), Some("consent"));
    let tokens = ok(&json!({
        "access_token": "ya29.a0", "expires_in": 3920, "refresh_token": "1//0",
        "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "token_type": "Bearer", "id_token": "x.y.z",
    }));
    let back =
        "state=STATE&code=4%2F0AX4XfWh&scope=email+openid&authuser=0&hd=example.com&prompt=consent";
    assert!(google.redeem(back, &tokens).is_ok());
    let error = google
        .callback("error=access_denied&state=STATE")
        .unwrap_err();
    assert!(
        google
            .meaning(&Error::from(error))
            .sentence
            .contains("refused")
    );
}
