//! What the server says about itself: metadata and keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_jose::Algorithm;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::{AppState, paths};
use crate::core::{ASSERTION_ALGORITHMS, DPOP_ALGORITHMS, GrantType, SCOPES};

/// How long metadata and keys may be kept. A key is published this long before
/// it signs, and kept as long as its last token lives.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `GET` of both metadata documents (RFC 8414, section 3; `OpenID` Connect
/// Discovery 1.0, section 4): one and the same. It names what this server has
/// and nothing else.
pub(super) async fn metadata(State(state): State<AppState>) -> Response {
    let settings = &state.settings;
    let keys = state.core.keys();
    let algorithms: Vec<&str> = keys
        .published()
        .algorithms
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    let grant_types = GrantType::ALL;
    let authentication = [
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ];
    let assertions = ASSERTION_ALGORITHMS.map(Algorithm::name);
    let document = json!({
        "issuer": state.core.issuer().as_str(),
        "authorization_endpoint": settings.url(paths::AUTHORIZATION),
        "pushed_authorization_request_endpoint": settings.url(paths::PUSHED_REQUEST),
        "require_pushed_authorization_requests": state.core.requires_par(),
        "device_authorization_endpoint": settings.url(paths::DEVICE_AUTHORIZATION),
        "token_endpoint": settings.url(paths::TOKEN),
        "userinfo_endpoint": settings.url(paths::USERINFO),
        "revocation_endpoint": settings.url(paths::REVOCATION),
        "end_session_endpoint": settings.url(paths::END_SESSION),
        "introspection_endpoint": settings.url(paths::INTROSPECTION),
        "jwks_uri": settings.url(paths::JWKS),
        "scopes_supported": SCOPES,
        "grant_types_supported": grant_types.map(GrantType::name),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "acr_values_supported": state.core.acr_values(),
        "claims_supported": [
            "iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "at_hash", "sid", "nonce",
            "name", "preferred_username", "email", "groups",
        ],
        "token_endpoint_auth_methods_supported": authentication,
        "revocation_endpoint_auth_methods_supported": authentication,
        "introspection_endpoint_auth_methods_supported": authentication,
        "token_endpoint_auth_signing_alg_values_supported": assertions,
        "revocation_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_endpoint_auth_signing_alg_values_supported": assertions,
        "dpop_signing_alg_values_supported": DPOP_ALGORITHMS.map(Algorithm::name),
        "request_parameter_supported": false,
        // Its absence would mean true (OpenID Connect Discovery 1.0, section 3).
        "request_uri_parameter_supported": false,
        "countersign_requester_supported": true,
        // For whoever wonders whether this issuer is to be trusted with more
        // than a trial: see SECURITY.md.
        "countersign_development": settings.development,
    });
    (
        [(CONTENT_TYPE, JSON), (CACHE_CONTROL, MAX_AGE)],
        document.to_string(),
    )
        .into_response()
}

/// `GET` of the public keys (RFC 7517, section 5).
pub(super) async fn jwks(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let keys = state.core.keys();
    let published = keys.published();
    let Ok(etag) = HeaderValue::from_str(&published.etag) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| names(value, &published.etag));
    let validators = [(ETAG, etag), (CACHE_CONTROL, MAX_AGE)];
    if known {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(CONTENT_TYPE, JSON)], published.json.clone()).into_response()
}

/// Whether an `If-None-Match` names our tag (RFC 9110, section 13.1.2).
fn names(value: &HeaderValue, etag: &str) -> bool {
    let Ok(value) = value.to_str() else {
        return false;
    };
    value
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
