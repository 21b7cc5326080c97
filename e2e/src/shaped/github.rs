//! GitHub: no metadata, no ID token, errors under status 200, commas between scopes, and an API that
//! says who it was.

use countersign_testkit::{Endpoint, Provider, Reply};
use serde_json::{Value, json};

use super::Shaped;
use crate::Internet;

const ISSUER: &str = "https://github.com";

impl Shaped {
    /// An OAuth app with its device flow switched on.
    pub fn github() -> Self {
        let at = |path: &str| format!("{ISSUER}{path}");
        let provider = Provider::start_as(
            ISSUER,
            &[
                (Endpoint::Authorization, &at("/login/oauth/authorize")),
                (Endpoint::DeviceAuthorization, &at("/login/device/code")),
                (Endpoint::Token, &at("/login/oauth/access_token")),
                (Endpoint::Userinfo, "https://api.github.com/user"),
            ],
        );
        let internet = Internet::new();
        internet.host(&["github.com", "api.github.com"], &provider);
        for endpoint in [
            Endpoint::OpenIdConfiguration,
            Endpoint::OauthMetadata,
            Endpoint::Jwks,
            Endpoint::Revocation,
        ] {
            provider.always(endpoint, Reply::new(404));
        }
        let shaped = Self {
            provider,
            internet,
            flags: "--provider github",
            pending: Reply::json(200, &json!({ "error": "authorization_pending" })),
        };
        shaped.members(Endpoint::DeviceAuthorization, |answer| {
            answer.remove("verification_uri_complete");
            let uri = json!("https://github.com/login/device");
            answer.insert("verification_uri".to_owned(), uri);
        });
        shaped.members(Endpoint::Token, |answer| {
            for member in ["id_token", "refresh_token", "expires_in"] {
                answer.remove(member);
            }
            answer.insert("token_type".to_owned(), json!("bearer"));
            answer.insert("scope".to_owned(), json!("read:user,user:email"));
        });
        shaped.provider.edit(Endpoint::Userinfo, |answer| {
            *answer = json!({
                "login": "ada", "id": 583_231, "node_id": "MDQ6", "type": "User",
                "name": "Ada Lovelace", "email": Value::Null,
            });
        });
        shaped
    }
}
