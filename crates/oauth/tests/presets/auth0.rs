//! Auth0: a slash at the end of the issuer, refusals with 403, opaque tokens without an audience.

use countersign_oauth::preset::{AccessTokenForm, ApiChoice, SecretUse};
use countersign_oauth::{Error, ErrorCode, Issuer, Metadata, PeerMisbehaved};
use serde_json::{Value, json};

use crate::support::{Recorded, after, ok};

const ISSUER: &str = "https://acme.eu.auth0.com/";

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://acme.eu.auth0.com/authorize",
        "token_endpoint": "https://acme.eu.auth0.com/oauth/token",
        "device_authorization_endpoint": "https://acme.eu.auth0.com/oauth/device/code",
        "userinfo_endpoint": "https://acme.eu.auth0.com/userinfo",
        "mfa_challenge_endpoint": "https://acme.eu.auth0.com/mfa/challenge",
        "jwks_uri": "https://acme.eu.auth0.com/.well-known/jwks.json",
        "registration_endpoint": "https://acme.eu.auth0.com/oidc/register",
        "revocation_endpoint": "https://acme.eu.auth0.com/oauth/revoke",
        "scopes_supported": ["openid", "profile", "offline_access", "name", "email"],
        "response_types_supported": ["code", "token", "id_token", "code token"],
        "code_challenge_methods_supported": ["S256", "plain"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "request_uri_parameter_supported": false,
    })
}

fn auth0() -> Recorded {
    Recorded::new("auth0", ISSUER, &document())
}

#[test]
fn the_slash_at_the_end_is_part_of_the_issuer() {
    let without = Issuer::parse(ISSUER.trim_end_matches('/')).unwrap();
    let error = Metadata::from_json(document().to_string().as_bytes(), &without).unwrap_err();
    assert!(matches!(
        error,
        Error::PeerMisbehaved {
            what: PeerMisbehaved::IssuerMismatch { .. },
            ..
        }
    ));
    let formed = auth0().preset.issuer(&crate::issuers::parts("org=acme.eu"));
    assert_eq!(formed.unwrap().as_str(), ISSUER);
}

#[test]
fn the_document_lists_no_public_clients_and_that_is_no_reason_to_refuse() {
    let auth0 = auth0();
    let methods = auth0.metadata.token_endpoint_auth_methods_supported.clone();
    assert!(!methods.unwrap().contains(&"none".to_owned()));
    let codes = auth0.device(
        200,
        &json!({
            "device_code": "Ag_EE...ko1p", "user_code": "QTZL-MCBW",
            "verification_uri": "https://acme.eu.auth0.com/activate",
            "verification_uri_complete":
                "https://acme.eu.auth0.com/activate?user_code=QTZL-MCBW",
            "expires_in": 900, "interval": 5,
        }),
    );
    let codes = codes.unwrap();
    assert_eq!(codes.user_code, "QTZL-MCBW");
    assert_eq!(codes.expires_at, after(900));
    assert!(auth0.preset.quirks.verification_uri_complete);
}

#[test]
fn a_secret_on_the_device_request_is_what_the_preset_prevents() {
    let quirk = auth0().preset.quirks.secret;
    assert_eq!(quirk, SecretUse::NotOnDeviceAuthorization);
    assert!(!quirk.on_device_authorization());
}

#[test]
fn pending_comes_with_403_and_is_pending_all_the_same() {
    let pending = crate::support::refusal(
        403,
        "authorization_pending",
        "User has yet to authorize device code.",
    );
    let slow = crate::support::refusal(
        429,
        "slow_down",
        "You are polling faster than the specified interval of 5 seconds.",
    );
    let tokens = ok(&json!({
        "access_token": "opaque-1", "refresh_token": "v1.rt", "id_token": "x.y.z",
        "scope": "openid profile email offline_access", "expires_in": 86400,
        "token_type": "Bearer",
    }));
    let tokens = auth0().poll(&[pending, slow, tokens]).unwrap();
    assert!(tokens.refresh_token.is_some());
}

#[test]
fn a_grant_that_is_switched_off_is_explained_and_another_flow_offered() {
    let auth0 = auth0();
    let description =
        "Grant type 'urn:ietf:params:oauth:grant-type:device_code' not allowed for the client.";
    let error = auth0
        .device(
            403,
            &json!({
                "error": "unauthorized_client", "error_description": description,
                "error_uri": "https://auth0.com/docs/clients/client-grant-types",
            }),
        )
        .unwrap_err();
    let Error::Refused(refusal) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(refusal.code, Some(ErrorCode::UnauthorizedClient));
    let meaning = auth0.meaning(&error);
    assert!(meaning.other_flow);
    assert!(meaning.remedy.contains("Device Code"), "{meaning:?}");
}

#[test]
fn other_refusals_are_told_apart_by_their_description() {
    let auth0 = auth0();
    for (code, description, word, other_flow) in [
        (
            "unauthorized_client",
            "Unknown client: x",
            "client id",
            false,
        ),
        (
            "access_denied",
            "Service not found: https://api.example.com",
            "audience",
            false,
        ),
        (
            "access_denied",
            "Client \"x\" is not authorized to access resource server \"https://api\".",
            "API",
            false,
        ),
        (
            "invalid_grant",
            "Unknown or invalid refresh token.",
            "Sign in again",
            false,
        ),
        (
            "mfa_required",
            "Multifactor authentication required",
            "second factor",
            true,
        ),
        ("access_denied", "User denied", "refused", false),
    ] {
        let meaning = auth0.preset.explain(code, description).unwrap();
        let text = format!("{} {}", meaning.sentence, meaning.remedy);
        assert!(text.contains(word), "{code} {description}: {text}");
        assert_eq!(meaning.other_flow, other_flow, "{code} {description}");
    }
}

#[test]
fn a_spent_refresh_token_comes_with_403_and_ends_the_session() {
    let response =
        crate::support::refusal(403, "invalid_grant", "Unknown or invalid refresh token.");
    let error = auth0().refresh(&response).unwrap_err();
    assert!(matches!(error, Error::RefreshRejected(_)), "{error:?}");
}

#[test]
fn without_an_audience_the_access_token_is_opaque() {
    let quirks = &auth0().preset.quirks;
    assert_eq!(quirks.api, ApiChoice::Audience);
    assert_eq!(quirks.access_token, AccessTokenForm::JwtForNamedApi);
}

#[test]
fn a_subject_with_a_bar_in_it_is_a_subject() {
    let token = auth0().id_token(&json!({
        "sub": "auth0|64f0c0ffee", "nickname": "ada", "name": "ada@example.com",
        "email": "ada@example.com", "email_verified": true, "sid": "abc",
    }));
    assert_eq!(token.unwrap().sub(), "auth0|64f0c0ffee");
}

#[test]
fn the_code_comes_back_without_iss_and_is_redeemed() {
    let auth0 = auth0();
    let tokens = ok(&json!({
        "access_token": "a.b.c", "refresh_token": "v1.rt", "id_token": "x.y.z",
        "scope": "openid profile email offline_access", "expires_in": 86400,
        "token_type": "Bearer",
    }));
    assert!(auth0.redeem("code=SplxlOBe&state=STATE", &tokens).is_ok());
    let uri = auth0.asked("redirect_uri");
    assert_eq!(uri.as_deref(), Some("http://127.0.0.1:6363/callback"));
    let refused = auth0.redeem(
        "code=SplxlOBe&state=STATE",
        &crate::support::refusal(403, "invalid_grant", "Invalid authorization code"),
    );
    assert!(
        matches!(refused, Err(Error::CodeRejected(_))),
        "{refused:?}"
    );
}

#[test]
fn a_refusal_at_the_redirect_uri_is_explained() {
    let auth0 = auth0();
    let description = "error_description=Service+not+found%3A+https%3A%2F%2Fapi";
    let error = auth0
        .callback(&format!("error=access_denied&{description}&state=STATE"))
        .unwrap_err();
    let meaning = auth0.meaning(&Error::from(error));
    assert!(meaning.sentence.contains("audience"), "{meaning:?}");
}
