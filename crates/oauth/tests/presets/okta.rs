//! Okta: two kinds of servers, errors of its own shape, no `refresh_token` without `offline_access`.

use countersign_oauth::preset::{ApiChoice, RedirectPorts};
use countersign_oauth::{AssertionAudience, Error, ErrorCode};
use serde_json::{Value, json};

use crate::common::json as answer;
use crate::support::{Recorded, after, ok, refusal};

const ORG: &str = "https://acme.okta.com";
const CUSTOM: &str = "https://acme.okta.com/oauth2/default";

fn document(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/v1/authorize"),
        "token_endpoint": format!("{base}/v1/token"),
        "userinfo_endpoint": format!("{base}/v1/userinfo"),
        "registration_endpoint": "https://acme.okta.com/oauth2/v1/clients",
        "jwks_uri": format!("{base}/v1/keys"),
        "response_types_supported": ["code", "id_token", "code id_token"],
        "grant_types_supported": [
            "authorization_code", "implicit", "refresh_token", "password",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
            "none",
        ],
        "code_challenge_methods_supported": ["S256"],
        "introspection_endpoint": format!("{base}/v1/introspect"),
        "revocation_endpoint": format!("{base}/v1/revoke"),
        "end_session_endpoint": format!("{base}/v1/logout"),
        "request_parameter_supported": true,
        "device_authorization_endpoint": format!("{base}/v1/device/authorize"),
        "dpop_signing_alg_values_supported": ["RS256", "ES256"],
    })
}

/// The organisation's own server has its endpoints elsewhere than its issuer.
fn org() -> Recorded {
    Recorded::new("okta", ORG, &document(ORG, "https://acme.okta.com/oauth2"))
}

fn custom() -> Recorded {
    Recorded::new("okta", CUSTOM, &document(CUSTOM, CUSTOM))
}

#[test]
fn both_kinds_of_servers_offer_both_flows() {
    for okta in [org(), custom()] {
        assert!(okta.metadata.device_authorization_endpoint.is_some());
        assert!(okta.metadata.authorization_endpoint.is_some());
        assert!(okta.metadata.revocation_endpoint.is_some());
        assert!(okta.preset.flows.device.exists() && okta.preset.flows.code.exists());
    }
}

#[test]
fn the_device_answer_has_a_code_without_a_dash() {
    let codes = custom().device(
        200,
        &json!({
            "device_code": "f5ec0430-c2fe-4a93-912d-08631f1effed", "user_code": "HMBSRJRC",
            "verification_uri": "https://acme.okta.com/activate",
            "verification_uri_complete": "https://acme.okta.com/activate?user_code=HMBSRJRC",
            "expires_in": 600, "interval": 5,
        }),
    );
    let codes = codes.unwrap();
    assert_eq!(codes.user_code, "HMBSRJRC");
    assert_eq!(codes.expires_at, after(600));
}

#[test]
fn errors_come_under_names_of_their_own_and_are_read() {
    let okta = custom();
    let error = okta
        .device(
            401,
            &json!({
                "errorCode": "invalid_client",
                "errorSummary": "Invalid value for 'client_id' parameter.",
                "errorLink": "invalid_client", "errorId": "oae1", "errorCauses": [],
            }),
        )
        .unwrap_err();
    let Error::Refused(said) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(said.code, Some(ErrorCode::InvalidClient));
    assert!(okta.meaning(&error).remedy.contains("client id"));
}

#[test]
fn a_grant_that_is_not_ticked_is_explained_and_another_flow_offered() {
    let okta = custom();
    let error = okta.poll_error(
        400,
        "unauthorized_client",
        "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code].",
    );
    let meaning = okta.meaning(&error);
    assert!(meaning.other_flow);
    assert!(
        meaning.remedy.contains("Device Authorization"),
        "{meaning:?}"
    );
}

#[test]
fn a_policy_that_does_not_match_is_no_denial_by_the_person() {
    let okta = custom();
    let policy =
        "Policy evaluation failed for this request, please check the policy configurations.";
    let meaning = okta.preset.explain("access_denied", policy).unwrap();
    assert!(meaning.remedy.contains("Access Policies"), "{meaning:?}");
    let person = okta
        .preset
        .explain("access_denied", "The resource owner denied the request.");
    assert!(person.unwrap().remedy.contains("approve"), "{person:?}");
}

#[test]
fn other_refusals_are_explained() {
    let okta = custom();
    for (code, description, word) in [
        (
            "access_denied",
            "User is not assigned to the client application.",
            "assign",
        ),
        (
            "invalid_scope",
            "One or more scopes are not configured for the authorization server resource.",
            "Scopes",
        ),
        (
            "invalid_grant",
            "The refresh token is invalid or expired.",
            "Sign in again",
        ),
        (
            "invalid_request",
            "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.",
            "Sign-in redirect URIs",
        ),
        (
            "E0000047",
            "API call exceeded rate limit due to too many requests.",
            "Wait",
        ),
    ] {
        let meaning = okta.preset.explain(code, description).unwrap();
        let text = format!("{} {}", meaning.sentence, meaning.remedy);
        assert!(text.contains(word), "{code}: {text}");
    }
}

#[test]
fn too_many_requests_mean_not_now() {
    let body = r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit"}"#;
    let error = custom().refresh(&answer(429, body)).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[test]
fn tokens_after_pending() {
    let pending = refusal(
        400,
        "authorization_pending",
        "The device authorization is pending. Please try again later.",
    );
    let tokens = ok(&json!({
        "token_type": "Bearer", "expires_in": 3600, "access_token": "a.b.c",
        "scope": "offline_access openid profile", "refresh_token": "rt", "id_token": "x.y.z",
    }));
    let tokens = custom().poll(&[pending, tokens]).unwrap();
    assert_eq!(
        tokens.scope.as_deref(),
        Some("offline_access openid profile")
    );
}

#[test]
fn redirect_uris_are_registered_with_their_ports() {
    let quirks = &custom().preset.quirks;
    let RedirectPorts::Registered(ports) = quirks.redirect.ports else {
        panic!("{quirks:?}");
    };
    let uris = quirks.redirect.to_register();
    assert_eq!(uris.len(), ports.len());
    assert!(uris.iter().all(|uri| uri.starts_with("http://127.0.0.1:")));
}

#[test]
fn assertions_are_for_the_token_endpoint_and_apis_belong_to_the_server() {
    let quirks = &custom().preset.quirks;
    assert_eq!(quirks.assertion_audience, AssertionAudience::Endpoint);
    assert_eq!(quirks.api, ApiChoice::AtServer);
}

#[test]
fn the_id_token_names_methods_and_identity_provider() {
    let token = custom().id_token(&json!({
        "sub": "00u1a2b3c4", "ver": 1, "amr": ["pwd", "mfa"], "idp": "00o1",
        "preferred_username": "ada@example.com", "auth_time": crate::common::T0.as_secs() - 60,
        "at_hash": "unchecked-without-an-access-token",
    }));
    assert_eq!(
        token.unwrap().str("preferred_username"),
        Some("ada@example.com")
    );
}

#[test]
fn the_code_comes_back_and_is_redeemed() {
    let okta = custom();
    let tokens = ok(&json!({
        "token_type": "Bearer", "expires_in": 3600, "access_token": "a.b.c",
        "scope": "openid", "id_token": "x.y.z",
    }));
    assert!(
        okta.redeem("code=P5I7mdxxdv13_JfXrCSq&state=STATE", &tokens)
            .is_ok()
    );
    let error = okta
        .callback("state=STATE&error=access_denied&error_description=User+is+not+assigned+to+the+client+application.")
        .unwrap_err();
    let meaning = okta.meaning(&Error::from(error));
    assert!(meaning.remedy.contains("assign"), "{meaning:?}");
}
