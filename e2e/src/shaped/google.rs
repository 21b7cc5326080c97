//! Google: several hosts, a secret of every client, one kind of client for each flow, and no
//! `offline_access`.

use countersign_testkit::Endpoint;
use serde_json::json;

use super::{Reply, Shaped};

const ISSUER: &str = "https://accounts.google.com";
const API: &str = "https://oauth2.googleapis.com";

impl Shaped {
    /// A project with a client of the type Desktop app.
    pub fn google() -> Self {
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/o/oauth2/v2/auth"),
            "device_authorization_endpoint": format!("{API}/device/code"),
            "token_endpoint": format!("{API}/token"),
            "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
            "revocation_endpoint": format!("{API}/revoke"),
            "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
            "response_types_supported": ["code", "token", "id_token", "none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "grant_types_supported": [
                "authorization_code", "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
        });
        let shaped = Self::new(
            "--provider google",
            ISSUER,
            &[
                "accounts.google.com",
                "oauth2.googleapis.com",
                "openidconnect.googleapis.com",
                "www.googleapis.com",
            ],
            &[
                (
                    Endpoint::Authorization,
                    &format!("{ISSUER}/o/oauth2/v2/auth"),
                ),
                (Endpoint::DeviceAuthorization, &format!("{API}/device/code")),
                (Endpoint::Token, &format!("{API}/token")),
                (Endpoint::Revocation, &format!("{API}/revoke")),
                (
                    Endpoint::Userinfo,
                    "https://openidconnect.googleapis.com/v1/userinfo",
                ),
                (Endpoint::Jwks, "https://www.googleapis.com/oauth2/v3/certs"),
            ],
            metadata,
        );
        let refusal = json!({
            "error": "invalid_client",
            "error_description":
                "Only clients of type 'TVs and Limited Input devices' can use the OAuth 2.0 flow for TV and Limited-Input Device Applications.",
        });
        shaped
            .provider
            .always(Endpoint::DeviceAuthorization, Reply::json(401, &refusal));
        shaped.provider.check(Endpoint::Token, |request| {
            let missing = request.form_value("client_secret").is_none()
                && request.header("authorization").is_none();
            let refusal = json!({
                "error": "invalid_request", "error_description": "client_secret is missing.",
            });
            missing.then(|| Reply::json(400, &refusal))
        });
        shaped.without_iss();
        shaped.provider.keep_refresh_tokens();
        shaped
    }
}
