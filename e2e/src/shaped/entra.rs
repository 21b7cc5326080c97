//! Microsoft Entra ID: PKCE is used and not mentioned, lifetimes are strings, keys do not say what they
//! are for, nothing can be revoked, userinfo is on another host, and refusals are numbers in prose.

use countersign_testkit::Endpoint;
use serde_json::{Value, json};

use super::{Reply, Shaped, page};

const TENANT: &str = "72f988bf-0000-4000-8000-2d7cd011db47";

/// Tokens begin five minutes before they are made.
const EARLY: i64 = 300;

impl Shaped {
    /// A tenant, with an application for mobile and desktop.
    pub fn entra() -> Self {
        let base = format!("https://login.microsoftonline.com/{TENANT}");
        let issuer = format!("{base}/v2.0");
        let at = |path: &str| format!("{base}/{path}");
        let mut shaped = Self::new(
            "--provider entra --org 72f988bf-0000-4000-8000-2d7cd011db47",
            &issuer,
            &["login.microsoftonline.com", "graph.microsoft.com"],
            &[
                (Endpoint::Authorization, &at("oauth2/v2.0/authorize")),
                (Endpoint::DeviceAuthorization, &at("oauth2/v2.0/devicecode")),
                (Endpoint::Token, &at("oauth2/v2.0/token")),
                (Endpoint::Jwks, &at("discovery/v2.0/keys")),
                (
                    Endpoint::Userinfo,
                    "https://graph.microsoft.com/oidc/userinfo",
                ),
            ],
            metadata(&issuer, &at),
        );
        shaped.pending = Reply::json(
            400,
            &json!({
                "error": "authorization_pending",
                "error_description": "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling. Trace ID: 0 Correlation ID: 0 Timestamp: 2026-11-21 09:30:00Z",
                "error_codes": [70016],
                "timestamp": "2026-11-21 09:30:00Z",
                "trace_id": "0", "correlation_id": "0",
            }),
        );
        // `http://localhost` is registered, and any port of it is as good.
        shaped.provider.check(Endpoint::Authorization, |request| {
            let asked = request.query_value("redirect_uri").unwrap_or_default();
            let good = asked
                .strip_prefix("http://localhost:")
                .and_then(|rest| rest.trim_end_matches('/').parse::<u16>().ok());
            let refusal = || page(400, "AADSTS50011: The redirect URI does not match");
            good.is_none().then(refusal)
        });
        shaped.without_iss();
        shaped.provider.edit_authorization_response(|answer| {
            answer.push(("session_state".to_owned(), "fe1540c3".to_owned()));
        });
        shaped.provider.refresh_when_asked();
        shaped.entra_answers();
        shaped.entra_claims();
        shaped
    }

    fn entra_answers(&self) {
        self.members(Endpoint::DeviceAuthorization, |answer| {
            answer.remove("verification_uri_complete");
            let uri = json!("https://microsoft.com/devicelogin");
            answer.insert("verification_uri".to_owned(), uri);
            answer.insert(
                "message".to_owned(),
                json!("To sign in, use a web browser …"),
            );
        });
        self.members(Endpoint::Jwks, |set| {
            for key in set
                .values_mut()
                .filter_map(|keys| keys.as_array_mut())
                .flatten()
            {
                if let Some(key) = key.as_object_mut() {
                    key.remove("alg");
                    key.insert("x5t".to_owned(), json!("rsa-1"));
                    key.insert("x5c".to_owned(), json!(["MIIDBTCCAe2gAwIBAgIQ"]));
                    key.insert(
                        "cloud_instance_name".to_owned(),
                        json!("microsoftonline.com"),
                    );
                }
            }
        });
        self.members(Endpoint::Token, |answer| {
            answer.insert("expires_in".to_owned(), json!("3599"));
            answer.insert("ext_expires_in".to_owned(), json!("3599"));
            answer.insert("scope".to_owned(), json!("email openid profile"));
        });
    }

    fn entra_claims(&self) {
        self.claims(|claims| {
            let made = claims.get("iat").and_then(Value::as_i64);
            let begins = json!(made.unwrap_or_default() - EARLY);
            claims.insert("iat".to_owned(), begins.clone());
            claims.insert("nbf".to_owned(), begins);
            claims.remove("at_hash");
            claims.remove("auth_time");
            for (name, value) in [
                ("oid", json!("00000000-0000-0000-66f3-3332eca7ea81")),
                ("tid", json!(TENANT)),
                ("preferred_username", json!("ada@example.com")),
                ("rh", json!("0.ARoA")),
                ("uti", json!("fqiB")),
                ("ver", json!("2.0")),
            ] {
                claims.insert(name.to_owned(), value);
            }
        });
    }
}

fn metadata(issuer: &str, at: &dyn Fn(&str) -> String) -> Value {
    json!({
        "token_endpoint": at("oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": [
            "client_secret_post", "private_key_jwt", "client_secret_basic",
        ],
        "jwks_uri": at("discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_endpoint": at("oauth2/v2.0/authorize"),
        "device_authorization_endpoint": at("oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": at("oauth2/v2.0/logout"),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    })
}
