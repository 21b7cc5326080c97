//! The names of grants on the wire.

/// `refresh_token` (RFC 6749, section 6).
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The device code grant (RFC 8628, section 3.4).
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
