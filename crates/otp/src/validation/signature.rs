//! The signature over a message: HMAC-SHA-1 of its parameters, sorted by name, as `a=1&b=2`.
//!
//! Values are signed as they mean, not as a URL writes them. So whoever reads a message has to refuse
//! a `&` in it: `a=1&b=2` as the value of one parameter would bear the signature of two.
//!
//! Not responsible for: how they stand in the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::ApiKey;
use crate::crypto::{Crypto, Hash, constant_time_eq};

/// The signature as it stands under `h`.
pub(super) fn sign(parameters: &[(&str, &str)], key: &ApiKey, crypto: Crypto) -> String {
    STANDARD.encode(mac(parameters, key.expose(), crypto))
}

/// The same with any key.
#[cfg(feature = "sim")]
pub(super) fn sign_with(parameters: &[(&str, &str)], key: &[u8], crypto: Crypto) -> String {
    STANDARD.encode(mac(parameters, key, crypto))
}

/// Whether `h` is the signature. Any other Base64 of the same bytes is refused as well.
pub(super) fn verify(parameters: &[(&str, &str)], h: &str, key: &ApiKey, crypto: Crypto) -> bool {
    STANDARD
        .decode(h)
        .is_ok_and(|given| constant_time_eq(&given, &mac(parameters, key.expose(), crypto)))
}

fn mac(parameters: &[(&str, &str)], key: &[u8], crypto: Crypto) -> Vec<u8> {
    let mut sorted = parameters.to_vec();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    // With its final size at once, so that no copy of the password stays behind where it grew.
    let length = sorted
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2);
    let mut line = Zeroizing::new(String::with_capacity(length.sum()));
    for (name, value) in sorted {
        if !line.is_empty() {
            line.push('&');
        }
        line.push_str(name);
        line.push('=');
        line.push_str(value);
    }
    crypto.hmac(Hash::Sha1, key, line.as_bytes())
}
