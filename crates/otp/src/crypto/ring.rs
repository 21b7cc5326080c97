//! HMAC by *ring*: for clients.

use ::ring::hmac;

use super::{Crypto, Hash};

/// The provider that uses *ring*.
pub fn provider() -> Crypto {
    Crypto {
        name: "ring",
        hmac: sign,
    }
}

fn sign(hash: Hash, key: &[u8], data: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), data)
        .as_ref()
        .to_vec()
}
