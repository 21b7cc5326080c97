//! What the provider serves, and where.

/// An endpoint of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration` (OpenID Connect Discovery).
    OpenIdConfiguration,
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    OauthMetadata,
    /// `/jwks`.
    Jwks,
    /// `/authorize` (RFC 6749, section 3.1).
    Authorization,
    /// `/par` (RFC 9126).
    PushedAuthorization,
    /// `/device_authorization` (RFC 8628, section 3.1).
    DeviceAuthorization,
    /// `/token`.
    Token,
    /// `/userinfo`.
    Userinfo,
    /// `/revoke` (RFC 7009).
    Revocation,
}

impl Endpoint {
    pub(super) const ALL: [Self; 9] = [
        Self::OpenIdConfiguration,
        Self::OauthMetadata,
        Self::Jwks,
        Self::Authorization,
        Self::PushedAuthorization,
        Self::DeviceAuthorization,
        Self::Token,
        Self::Userinfo,
        Self::Revocation,
    ];

    /// The path below an issuer that has none itself.
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenIdConfiguration => "/.well-known/openid-configuration",
            Self::OauthMetadata => "/.well-known/oauth-authorization-server",
            Self::Jwks => "/jwks",
            Self::Authorization => "/authorize",
            Self::PushedAuthorization => "/par",
            Self::DeviceAuthorization => "/device_authorization",
            Self::Token => "/token",
            Self::Userinfo => "/userinfo",
            Self::Revocation => "/revoke",
        }
    }

    /// The address of this endpoint at an issuer, unless the issuer says otherwise in its metadata.
    pub(super) fn url(self, issuer: &str) -> String {
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        match self {
            // Put between the host and the path of the issuer (RFC 8414, section 3.1).
            Self::OauthMetadata => {
                let host = issuer.find("://").map_or(0, |at| at + 3);
                let end = issuer[host..]
                    .find('/')
                    .map_or(issuer.len(), |at| host + at);
                let (origin, path) = issuer.split_at(end);
                format!("{origin}{}{path}", self.path())
            }
            _ => format!("{issuer}{}", self.path()),
        }
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::PushedAuthorization
            | Self::DeviceAuthorization
            | Self::Token
            | Self::Revocation => "POST",
            Self::OpenIdConfiguration
            | Self::OauthMetadata
            | Self::Jwks
            | Self::Authorization
            | Self::Userinfo => "GET",
        }
    }
}
