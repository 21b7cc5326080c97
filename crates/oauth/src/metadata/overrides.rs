//! Addresses that are configured and not published.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Metadata;
use crate::Error;

/// Addresses from a profile, for servers that offer more than they publish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointOverrides {
    /// In the place of the published `authorization_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<Url>,
    /// In the place of the published `token_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<Url>,
    /// In the place of the published `device_authorization_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<Url>,
    /// In the place of the published `pushed_authorization_request_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<Url>,
    /// In the place of the published `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<Url>,
    /// In the place of the published `userinfo_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<Url>,
    /// In the place of the published `revocation_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<Url>,
    /// In the place of the published `introspection_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<Url>,
    /// In the place of the published `end_session_endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<Url>,
}

impl Metadata {
    /// Puts configured addresses in the place of what the server publishes.
    ///
    /// # Errors
    /// [`Error::InsecureOverride`] if one is neither `https` nor, for a loopback issuer, `http` on
    /// loopback.
    pub fn apply(&mut self, overrides: &EndpointOverrides) -> Result<(), Error> {
        macro_rules! pairs {
            ($($field:ident),* $(,)?) => {
                [$((stringify!($field), &overrides.$field, &mut self.$field)),*]
            };
        }
        let issuer = self.issuer.clone();
        for (name, configured, own) in pairs!(
            authorization_endpoint,
            token_endpoint,
            device_authorization_endpoint,
            pushed_authorization_request_endpoint,
            jwks_uri,
            userinfo_endpoint,
            revocation_endpoint,
            introspection_endpoint,
            end_session_endpoint,
        ) {
            if let Some(url) = configured {
                if !issuer.may_publish(url) {
                    let url = crate::http::bare(url);
                    return Err(Error::InsecureOverride { name, url });
                }
                *own = Some(url.clone());
            }
        }
        Ok(())
    }
}
