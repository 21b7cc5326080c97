//! Keycloak: a realm is an issuer with a path, `iss` comes back with the code, and the device grant is
//! something that has to be switched on.

use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::json;

use super::Shaped;
use crate::Internet;

const ISSUER: &str = "https://sso.example.com/realms/acme";

impl Shaped {
    /// The realm `acme`, with a public client.
    pub fn keycloak() -> Self {
        let at = |path: &str| format!("{ISSUER}/protocol/openid-connect/{path}");
        let metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": at("auth"),
            "token_endpoint": at("token"),
            "introspection_endpoint": at("token/introspect"),
            "userinfo_endpoint": at("userinfo"),
            "end_session_endpoint": at("logout"),
            "jwks_uri": at("certs"),
            "grant_types_supported": [
                "authorization_code", "refresh_token", "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "response_types_supported": ["code", "none", "id_token", "token"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": ["PS384", "RS256", "ES256", "HS256"],
            "token_endpoint_auth_methods_supported": [
                "private_key_jwt", "client_secret_basic", "client_secret_post",
            ],
            "scopes_supported": ["openid", "profile", "email", "offline_access", "roles"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "revocation_endpoint": at("revoke"),
            "device_authorization_endpoint": at("auth/device"),
            "authorization_response_iss_parameter_supported": true,
        });
        let endpoints = [
            (Endpoint::Authorization, at("auth")),
            (Endpoint::DeviceAuthorization, at("auth/device")),
            (Endpoint::Token, at("token")),
            (Endpoint::Userinfo, at("userinfo")),
            (Endpoint::Revocation, at("revoke")),
            (Endpoint::Jwks, at("certs")),
        ];
        let endpoints: Vec<(Endpoint, &str)> = endpoints
            .iter()
            .map(|(endpoint, address)| (*endpoint, address.as_str()))
            .collect();
        let shaped = Self::new(
            "--provider keycloak --host sso.example.com --server acme",
            ISSUER,
            &["sso.example.com"],
            &endpoints,
            metadata,
        );
        // `http://127.0.0.1/callback` is registered, and any port of it is as good.
        shaped.provider.check(Endpoint::Authorization, |request| {
            let asked = request.query_value("redirect_uri").unwrap_or_default();
            let port = asked
                .strip_prefix("http://127.0.0.1:")
                .and_then(|rest| rest.strip_suffix("/callback"))
                .and_then(|port| port.parse::<u16>().ok());
            let refusal = || super::page(400, "Invalid parameter: redirect_uri");
            port.is_none().then(refusal)
        });
        shaped.provider.refresh_when_asked();
        shaped.members(Endpoint::Token, |answer| {
            answer.insert("not-before-policy".to_owned(), json!(0));
            answer.insert("session_state".to_owned(), json!("s"));
            answer.insert("refresh_expires_in".to_owned(), json!(0));
        });
        shaped
    }

    /// A server of no provider's shape, for the general preset.
    pub fn plain() -> Self {
        const PLAIN: &str = "https://id.example.com";
        let provider = Provider::start_as(PLAIN, &[]);
        let internet = Internet::new();
        internet.host(&["id.example.com"], &provider);
        Self {
            provider,
            internet,
            flags: "--provider oidc --issuer https://id.example.com",
            pending: Reply::json(400, &json!({ "error": "authorization_pending" })),
        }
    }
}
