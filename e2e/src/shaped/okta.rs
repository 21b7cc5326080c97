//! Okta, as the organisation's own authorization server and as a custom one. Endpoints have a version
//! in their path, redirect URIs are compared with their port, and errors of the API have a form of
//! their own.

use countersign_testkit::Endpoint;
use serde_json::{Value, json};

use super::{Shaped, page};

impl Shaped {
    /// The organisation `acme` itself, with a native application.
    pub fn okta() -> Self {
        let base = "https://acme.okta.com/oauth2";
        Self::okta_at("--provider okta --org acme", "https://acme.okta.com", base)
    }

    /// The custom authorization server `default` of that organisation.
    pub fn okta_custom() -> Self {
        let base = "https://acme.okta.com/oauth2/default";
        Self::okta_at("--provider okta --org acme --server default", base, base)
    }

    fn okta_at(flags: &'static str, issuer: &str, base: &str) -> Self {
        let at = |path: &str| format!("{base}/v1/{path}");
        let elsewhere = [
            (Endpoint::Authorization, at("authorize")),
            (Endpoint::PushedAuthorization, at("par")),
            (Endpoint::DeviceAuthorization, at("device/authorize")),
            (Endpoint::Token, at("token")),
            (Endpoint::Userinfo, at("userinfo")),
            (Endpoint::Revocation, at("revoke")),
            (Endpoint::Jwks, at("keys")),
        ];
        let elsewhere: Vec<(Endpoint, &str)> = elsewhere
            .iter()
            .map(|(endpoint, url)| (*endpoint, url.as_str()))
            .collect();
        let shaped = Self::new(
            flags,
            issuer,
            &["acme.okta.com"],
            &elsewhere,
            metadata(issuer, &at),
        );
        let ports =
            ["6363", "6364", "6365"].map(|port| format!("http://127.0.0.1:{port}/callback"));
        let refusal = page(
            400,
            "The 'redirect_uri' parameter must be a Login redirect URI",
        );
        shaped.registered(&ports.each_ref().map(String::as_str), &refusal);
        shaped.without_iss();
        shaped.provider.refresh_when_asked();
        shaped.provider.keep_refresh_tokens();
        shaped.claims(|claims| {
            for (name, value) in [
                ("ver", json!(1)),
                ("jti", json!("ID.4ea3")),
                ("amr", json!(["pwd", "mfa"])),
                ("idp", json!("00o1")),
                ("preferred_username", json!("ada@example.com")),
            ] {
                claims.insert(name.to_owned(), value);
            }
        });
        shaped
    }
}

fn metadata(issuer: &str, at: &dyn Fn(&str) -> String) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "registration_endpoint": "https://acme.okta.com/oauth2/v1/clients",
        "jwks_uri": at("keys"),
        "response_types_supported": ["code", "id_token", "code id_token", "code token"],
        "response_modes_supported": ["query", "fragment", "form_post", "okta_post_message"],
        "grant_types_supported": [
            "authorization_code", "implicit", "refresh_token", "password",
            "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email", "profile", "address", "phone", "offline_access"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none",
        ],
        "claims_supported": ["iss", "ver", "sub", "aud", "iat", "exp", "jti", "auth_time", "amr"],
        "code_challenge_methods_supported": ["S256"],
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "end_session_endpoint": at("logout"),
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": ["HS256", "RS256", "ES256"],
        "device_authorization_endpoint": at("device/authorize"),
        "pushed_authorization_request_endpoint": at("par"),
        "dpop_signing_alg_values_supported": ["RS256", "ES256"],
    })
}
