//! Amazon Cognito: the issuer and the endpoints are on different hosts, there is no device grant and
//! no `offline_access`, truth is a string, and the redirect URI must be what is registered, letter for
//! letter.

use countersign_testkit::Endpoint;
use serde_json::json;

use super::{Reply, Shaped, page};

const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123";
const DOMAIN: &str = "https://acme.auth.eu-central-1.amazoncognito.com";

impl Shaped {
    /// A user pool with a domain, and an app client without a secret.
    pub fn cognito() -> Self {
        let at = |path: &str| format!("{DOMAIN}{path}");
        let keys = format!("{ISSUER}/.well-known/jwks.json");
        let metadata = json!({
            "authorization_endpoint": at("/oauth2/authorize"),
            "end_session_endpoint": at("/logout"),
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": ISSUER,
            "jwks_uri": keys,
            "response_types_supported": ["code", "token"],
            "revocation_endpoint": at("/oauth2/revoke"),
            "scopes_supported": ["openid", "email", "phone", "profile"],
            "subject_types_supported": ["public"],
            "token_endpoint": at("/oauth2/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "userinfo_endpoint": at("/oauth2/userInfo"),
        });
        let shaped = Self::new(
            "--provider cognito --server eu-central-1_AbCdEf123",
            ISSUER,
            &[
                "cognito-idp.eu-central-1.amazonaws.com",
                "acme.auth.eu-central-1.amazoncognito.com",
            ],
            &[
                (Endpoint::Authorization, &at("/oauth2/authorize")),
                (Endpoint::Token, &at("/oauth2/token")),
                (Endpoint::Userinfo, &at("/oauth2/userInfo")),
                (Endpoint::Revocation, &at("/oauth2/revoke")),
                (Endpoint::Jwks, &keys),
            ],
            metadata,
        );
        let provider = &shaped.provider;
        provider.always(Endpoint::DeviceAuthorization, Reply::new(404));
        let ports =
            ["6363", "6364", "6365"].map(|port| format!("http://localhost:{port}/callback"));
        shaped.registered(
            &ports.each_ref().map(String::as_str),
            &page(
                400,
                "An error was encountered with the requested page: redirect_mismatch",
            ),
        );
        provider.check(Endpoint::Authorization, |request| {
            let scope = request.query_value("scope").unwrap_or_default();
            let back = request.query_value("redirect_uri")?;
            let state = request.query_value("state").unwrap_or_default();
            scope
                .split(' ')
                .any(|scope| scope == "offline_access")
                .then(|| Reply::redirect(302, &format!("{back}?error=invalid_scope&state={state}")))
        });
        shaped.without_iss();
        provider.keep_refresh_tokens();
        shaped.claims(|claims| {
            for (name, value) in [
                ("cognito:username", json!("ada")),
                ("token_use", json!("id")),
                ("origin_jti", json!("b6e1")),
                ("event_id", json!("64f5")),
                ("email_verified", json!(true)),
            ] {
                claims.insert(name.to_owned(), value);
            }
        });
        shaped.members(Endpoint::Userinfo, |answer| {
            answer.insert("email_verified".to_owned(), json!("true"));
            answer.insert("username".to_owned(), json!("ada"));
        });
        shaped.members(Endpoint::Token, |answer| {
            answer.remove("scope");
        });
        shaped
    }
}
