//! The names of grants on the wire.

/// `authorization_code` (RFC 6749, section 4.1.3).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// `client_credentials` (RFC 6749, section 4.4.2).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `refresh_token` (RFC 6749, section 6).
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The token exchange grant (RFC 8693, section 2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The device code grant (RFC 8628, section 3.4).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
