//! Amazon Cognito: no device grant, endpoints at another host than the issuer, no `aud` in access tokens.

use countersign_oauth::preset::{AccessTokenForm, RedirectPorts, RefreshTokens};
use countersign_oauth::{AuthorizationRequest, Endpoint, Error, ScopeSet};
use serde_json::{Value, json};

use crate::common::{T0, json as answer};
use crate::support::{Recorded, ok};

const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123";

fn document() -> Value {
    let domain = "https://acme.auth.eu-central-1.amazoncognito.com";
    json!({
        "authorization_endpoint": format!("{domain}/oauth2/authorize"),
        "end_session_endpoint": format!("{domain}/logout"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": format!("{domain}/oauth2/revoke"),
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": format!("{domain}/oauth2/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": format!("{domain}/oauth2/userInfo"),
    })
}

fn cognito() -> Recorded {
    Recorded::new("cognito", ISSUER, &document())
}

#[test]
fn there_is_no_device_grant_and_the_preset_says_so() {
    let cognito = cognito();
    assert!(!cognito.preset.flows.device.exists());
    let request = AuthorizationRequest::new(ScopeSet::parse("openid").unwrap());
    let error = request
        .start_device(&cognito.metadata, &cognito.client)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::EndpointMissing(Endpoint::DeviceAuthorization)
    ));
}

#[test]
fn endpoints_at_another_host_are_the_issuers_own() {
    let token = cognito().metadata.token_endpoint.unwrap();
    assert_eq!(
        token.host_str(),
        Some("acme.auth.eu-central-1.amazoncognito.com")
    );
}

#[test]
fn no_scope_is_asked_for_that_cognito_does_not_have() {
    let cognito = cognito();
    assert!(!cognito.preset.scopes.contains(&"offline_access"));
    assert_eq!(cognito.preset.quirks.refresh, RefreshTokens::Always);
    let supported = cognito.metadata.scopes_supported.unwrap();
    for scope in cognito.preset.scopes {
        assert!(supported.iter().any(|known| known == scope), "{scope}");
    }
}

#[test]
fn pkce_is_not_mentioned() {
    assert_eq!(cognito().metadata.code_challenge_methods_supported, None);
    assert!(!cognito().preset.quirks.advertises_pkce);
}

#[test]
fn redirect_uris_are_on_localhost_with_fixed_ports() {
    let redirect = cognito().preset.quirks.redirect;
    assert_eq!(redirect.host, "localhost");
    assert!(matches!(redirect.ports, RedirectPorts::Registered(ports) if ports.len() > 1));
}

#[test]
fn a_refresh_answer_without_refresh_token_keeps_the_old_one() {
    let first = ok(&json!({
        "access_token": "a.b.c", "refresh_token": "rt", "id_token": "x.y.z",
        "token_type": "Bearer", "expires_in": 3600,
    }));
    let next = ok(&json!({
        "access_token": "d.e.f", "id_token": "x.y.z", "token_type": "Bearer", "expires_in": 3600,
    }));
    let cognito = cognito();
    let first = cognito.refresh(&first).unwrap();
    let next = cognito.refresh(&next).unwrap().merge_after_refresh(&first);
    assert_eq!(next.refresh_token, first.refresh_token);
}

#[test]
fn errors_come_without_a_description() {
    let cognito = cognito();
    let error = cognito
        .refresh(&answer(400, r#"{"error":"invalid_grant"}"#))
        .unwrap_err();
    assert!(matches!(error, Error::RefreshRejected(_)), "{error:?}");
    let error = cognito
        .refresh(&answer(400, r#"{"error":"invalid_client"}"#))
        .unwrap_err();
    assert!(cognito.meaning(&error).sentence.contains("secret"));
    let error = cognito
        .refresh(&answer(400, r#"{"error":"unauthorized_client"}"#))
        .unwrap_err();
    let meaning = cognito.meaning(&error);
    assert!(meaning.remedy.contains("Authorization code grant"));
    // There is no other flow to offer.
    assert!(!meaning.other_flow);
}

#[test]
fn a_redirect_uri_that_does_not_match_is_explained() {
    let meaning = cognito().preset.explain("redirect_mismatch", "").unwrap();
    assert!(meaning.remedy.contains("Allowed callback URLs"));
}

#[test]
fn the_id_token_says_what_it_is_for_and_the_access_token_names_the_client() {
    let cognito = cognito();
    let token = cognito.id_token(&json!({
        "token_use": "id", "cognito:username": "ada", "cognito:groups": ["ops"],
        "email": "ada@example.com", "email_verified": "true", "event_id": "e",
        "auth_time": T0.as_secs() - 5, "at_hash": "unchecked", "origin_jti": "o",
    }));
    assert_eq!(token.unwrap().str("cognito:username"), Some("ada"));
    let form = cognito.preset.quirks.access_token;
    assert_eq!(form, AccessTokenForm::JwtWithoutAudience);
}

#[test]
fn the_code_comes_back_and_is_redeemed_with_a_refresh_token() {
    let cognito = cognito();
    let tokens = ok(&json!({
        "access_token": "a.b.c", "refresh_token": "rt", "id_token": "x.y.z",
        "token_type": "Bearer", "expires_in": 3600,
    }));
    let code = "code=a1b2c3d4-5678-90ab-cdef-EXAMPLE11111&state=STATE";
    let tokens = cognito.redeem(code, &tokens).unwrap();
    assert!(tokens.refresh_token.is_some());
    let uri = cognito.asked("redirect_uri");
    assert_eq!(uri.as_deref(), Some("http://localhost:6363/callback"));
    assert_eq!(
        cognito.asked("code_challenge_method").as_deref(),
        Some("S256")
    );
    let error = cognito
        .callback("error=invalid_scope&state=STATE")
        .unwrap_err();
    let meaning = cognito.meaning(&Error::from(error));
    assert!(meaning.remedy.contains("offline_access"), "{meaning:?}");
}
