//! Auth0: the issuer ends in a slash, whoever polls hears 403, a secret is refused where codes are
//! asked for, and access tokens are for nobody in particular unless an API is named.

use countersign_testkit::Endpoint;
use serde_json::json;

use super::{Reply, Shaped, page};

const ISSUER: &str = "https://acme.eu.auth0.com/";

impl Shaped {
    /// The tenant `acme.eu`, with a native application.
    pub fn auth0() -> Self {
        let at = |path: &str| format!("https://acme.eu.auth0.com{path}");
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/oauth/token"),
            "device_authorization_endpoint": at("/oauth/device/code"),
            "userinfo_endpoint": at("/userinfo"),
            "mfa_challenge_endpoint": at("/mfa/challenge"),
            "jwks_uri": at("/.well-known/jwks.json"),
            "registration_endpoint": at("/oidc/register"),
            "revocation_endpoint": at("/oauth/revoke"),
            "scopes_supported": ["openid", "profile", "offline_access", "name", "email", "phone"],
            "response_types_supported": ["code", "token", "id_token", "code token"],
            "code_challenge_methods_supported": ["S256", "plain"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "private_key_jwt",
            ],
            "id_token_signing_alg_values_supported": ["HS256", "RS256"],
            "claims_supported": ["aud", "auth_time", "email", "exp", "iat", "iss", "name", "sub"],
            "request_uri_parameter_supported": false,
            "request_parameter_supported": false,
            "end_session_endpoint": at("/oidc/logout"),
        });
        let mut shaped = Self::new(
            "--provider auth0 --org acme.eu",
            ISSUER,
            &["acme.eu.auth0.com"],
            &[
                (Endpoint::Token, &at("/oauth/token")),
                (Endpoint::DeviceAuthorization, &at("/oauth/device/code")),
                (Endpoint::Revocation, &at("/oauth/revoke")),
                (Endpoint::Jwks, &at("/.well-known/jwks.json")),
            ],
            metadata,
        );
        shaped.pending = Reply::json(
            403,
            &json!({
                "error": "authorization_pending",
                "error_description": "User has yet to authorize device code.",
            }),
        );
        let ports =
            ["6363", "6364", "6365"].map(|port| format!("http://127.0.0.1:{port}/callback"));
        shaped.registered(
            &ports.each_ref().map(String::as_str),
            &page(403, "Callback URL mismatch."),
        );
        shaped.without_iss();
        shaped.provider.refresh_when_asked();
        shaped.provider.keep_refresh_tokens();
        shaped
            .provider
            .check(Endpoint::DeviceAuthorization, |request| {
                let secret = request.form_value("client_secret").is_some()
                    || request.header("authorization").is_some();
                secret.then(|| Reply::json(403, &json!({ "error": "access_denied" })))
            });
        shaped.claims(|claims| {
            claims.insert("nickname".to_owned(), json!("ada"));
            claims.insert("sid".to_owned(), json!("3m2uJ0"));
            claims.remove("at_hash");
            claims.remove("auth_time");
        });
        shaped
    }
}
