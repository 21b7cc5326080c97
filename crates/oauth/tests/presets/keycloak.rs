//! Keycloak: the device grant is off for a new client, and errors have sentences of their own.

use countersign_oauth::preset::{AccessTokenForm, DevicePkce, Preset, RedirectPorts};
use countersign_oauth::{CallbackError, Error};
use serde_json::{Value, json};

use crate::support::{Recorded, after, ok, refusal};

const ISSUER: &str = "https://sso.example.com/realms/acme";

fn document() -> Value {
    let base = format!("{ISSUER}/protocol/openid-connect");
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{base}/auth"),
        "token_endpoint": format!("{base}/token"),
        "introspection_endpoint": format!("{base}/token/introspect"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "end_session_endpoint": format!("{base}/logout"),
        "jwks_uri": format!("{base}/certs"),
        "grant_types_supported": [
            "authorization_code", "implicit", "refresh_token", "password", "client_credentials",
            "urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "acr_values_supported": ["0", "1"],
        "response_types_supported": ["code", "none", "id_token", "token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["PS384", "RS256", "ES256", "EdDSA", "HS256"],
        "token_endpoint_auth_methods_supported": [
            "private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth",
            "client_secret_jwt",
        ],
        "scopes_supported": ["openid", "profile", "email", "offline_access", "roles"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "revocation_endpoint": format!("{base}/revoke"),
        "device_authorization_endpoint": format!("{base}/auth/device"),
        "pushed_authorization_request_endpoint": format!("{base}/ext/par/request"),
        "require_pushed_authorization_requests": false,
        "authorization_response_iss_parameter_supported": true,
        "mtls_endpoint_aliases": { "token_endpoint": format!("{base}/token") },
    })
}

fn keycloak() -> Recorded {
    Recorded::new("keycloak", ISSUER, &document())
}

#[test]
fn the_device_answer_has_eight_letters_and_a_complete_address() {
    let codes = keycloak().device(
        200,
        &json!({
            "device_code": "GbLQ1J5iPRhfQmbXWmW6", "user_code": "NLXQ-CQVQ",
            "verification_uri": "https://sso.example.com/realms/acme/device",
            "verification_uri_complete":
                "https://sso.example.com/realms/acme/device?user_code=NLXQ-CQVQ",
            "expires_in": 600, "interval": 5,
        }),
    );
    let codes = codes.unwrap();
    assert!(codes.verification_uri_complete.is_some());
    assert_eq!(codes.expires_at, after(600));
}

#[test]
fn the_grant_switched_off_is_said_at_either_endpoint() {
    let keycloak = keycloak();
    let error = keycloak
        .device(
            400,
            &json!({
                "error": "unauthorized_client",
                "error_description": "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant. The flow is disabled for the client.",
            }),
        )
        .unwrap_err();
    let later = keycloak.poll_error(
        400,
        "unauthorized_client",
        "Client not allowed OAuth 2.0 Device Authorization Grant",
    );
    for error in [error, later] {
        let meaning = keycloak.meaning(&error);
        assert!(meaning.other_flow);
        assert!(meaning.remedy.contains("Capability config"), "{meaning:?}");
    }
}

#[test]
fn an_unknown_client_is_told_from_a_grant_switched_off() {
    let keycloak = keycloak();
    for code in ["invalid_client", "unauthorized_client"] {
        let meaning = keycloak
            .preset
            .explain(code, "Invalid client or Invalid client credentials");
        let meaning = meaning.unwrap();
        assert!(
            meaning.remedy.contains("Client authentication"),
            "{meaning:?}"
        );
        assert!(!meaning.other_flow);
    }
}

#[test]
fn pkce_that_is_enforced_on_the_device_grant_is_explained() {
    let keycloak = keycloak();
    let error = keycloak
        .device(
            400,
            &json!({
                "error": "invalid_request",
                "error_description": "Missing parameter: code_challenge_method",
            }),
        )
        .unwrap_err();
    let meaning = keycloak.meaning(&error);
    assert!(
        meaning.other_flow && meaning.sentence.contains("PKCE"),
        "{meaning:?}"
    );
}

#[test]
fn ended_sessions_have_many_sentences_and_one_meaning() {
    let keycloak = keycloak();
    for description in [
        "Session not active",
        "Token is not active",
        "Stale token",
        "Offline session not active",
        "Maximum allowed refresh token reuse exceeded",
    ] {
        let error = keycloak
            .refresh(&refusal(400, "invalid_grant", description))
            .unwrap_err();
        assert!(matches!(error, Error::RefreshRejected(_)), "{error:?}");
        assert!(keycloak.meaning(&error).remedy.contains("Sign in again"));
    }
}

#[test]
fn the_token_answer_has_members_of_its_own() {
    let pending = refusal(
        400,
        "authorization_pending",
        "The authorization request is still pending",
    );
    let tokens = ok(&json!({
        "access_token": "a.b.c", "expires_in": 300, "refresh_expires_in": 0, "refresh_token": "r.t.o",
        "token_type": "Bearer", "id_token": "x.y.z", "not-before-policy": 0,
        "session_state": "s", "scope": "openid offline_access profile email",
    }));
    let tokens = keycloak().poll(&[pending, tokens]).unwrap();
    assert!(tokens.refresh_token.is_some());
}

#[test]
fn any_port_of_this_computer_will_do() {
    let redirect = keycloak().preset.quirks.redirect;
    assert_eq!(redirect.ports, RedirectPorts::Any);
    assert_eq!(redirect.to_register(), ["http://127.0.0.1/callback"]);
}

#[test]
fn the_access_token_is_a_jwt_whose_audience_is_set_at_the_server() {
    let form = keycloak().preset.quirks.access_token;
    assert_eq!(form, AccessTokenForm::Jwt);
}

#[test]
fn the_id_token_has_the_session_and_the_authorized_party() {
    let token = keycloak().id_token(&json!({
        "azp": "cli", "typ": "ID", "sid": "s", "acr": "1", "preferred_username": "ada",
        "auth_time": crate::common::T0.as_secs() - 5, "email_verified": true,
    }));
    assert_eq!(token.unwrap().acr(), Some("1"));
}

#[test]
fn the_device_grant_takes_pkce_here_and_nowhere_else() {
    for preset in Preset::ALL {
        let taken = preset.quirks.device_pkce == DevicePkce::Taken;
        assert_eq!(taken, preset.name == "keycloak", "{}", preset.name);
    }
}

#[test]
fn the_code_comes_back_with_iss_and_without_it_is_no_answer() {
    let keycloak = keycloak();
    let tokens = ok(&json!({
        "access_token": "a.b.c", "expires_in": 300, "refresh_token": "r.t.o",
        "token_type": "Bearer", "id_token": "x.y.z", "scope": "openid",
    }));
    let iss = "iss=https%3A%2F%2Fsso.example.com%2Frealms%2Facme";
    let back = format!("state=STATE&session_state=s&{iss}&code=c.s.i");
    assert!(keycloak.redeem(&back, &tokens).is_ok());
    // It promises `iss` (RFC 9207), so a code without it, or with another, may come from elsewhere.
    for other in ["", "iss=https%3A%2F%2Fsso.example.com%2Frealms%2Fother"] {
        let error = keycloak.callback(&format!("state=STATE&{other}&code=c.s.i"));
        assert!(
            matches!(error, Err(CallbackError::PeerMisbehaved(_))),
            "{other}"
        );
    }
}
