//! The signature over a message: HMAC-SHA-1 of its parameters, sorted by name, as `a=1&b=2`.
//!
//! Not responsible for: how they stand in the message. Values are signed as they mean, not as a URL
//! writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ApiKey;
use crate::crypto::{Crypto, Hash, constant_time_eq};

/// The signature as it stands under `h`.
pub(super) fn sign(parameters: &[(&str, &str)], key: &ApiKey, crypto: Crypto) -> String {
    STANDARD.encode(mac(parameters, key, crypto))
}

/// Whether `h` is the signature. Any other Base64 of the same bytes is refused as well.
pub(super) fn verify(parameters: &[(&str, &str)], h: &str, key: &ApiKey, crypto: Crypto) -> bool {
    STANDARD
        .decode(h)
        .is_ok_and(|given| constant_time_eq(&given, &mac(parameters, key, crypto)))
}

fn mac(parameters: &[(&str, &str)], key: &ApiKey, crypto: Crypto) -> Vec<u8> {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let line: Vec<String> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut line = line.join("&");
    let mac = crypto.hmac(Hash::Sha1, key.expose(), line.as_bytes());
    zeroize::Zeroize::zeroize(&mut line);
    mac
}
