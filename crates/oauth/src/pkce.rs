//! Proof key for code exchange (RFC 7636), by S256 and nothing else.

use countersign_jose::{CryptoProvider, base64url};

use crate::{Error, Secret};

/// The only `code_challenge_method` that is used. It is sent also to servers that do not mention it
/// (Entra ID): those that do not know it ignore it, as they must (RFC 6749, section 3.1).
pub const METHOD: &str = "S256";

/// The challenge that belongs to a verifier (section 4.2).
pub fn challenge(verifier: &str, provider: &CryptoProvider) -> String {
    base64url::encode(&provider.sha256(verifier.as_bytes()))
}

/// 256 random bits as 43 characters that every parameter may hold: a verifier as section 4.1 recommends
/// it, and just as good for `state` and `nonce`.
pub(crate) fn random(provider: &CryptoProvider) -> Result<Secret, Error> {
    let mut bytes = [0; 32];
    provider
        .fill_random(&mut bytes)
        .map_err(|error| Error::Crypto(error.into()))?;
    let text = Secret::new(base64url::encode(&bytes));
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use countersign_jose::crypto::ring;

    use super::*;

    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            challenge(verifier, ring::provider()),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    /// Section 4.1: 43 to 128 unreserved characters, from at least 256 random bits.
    #[test]
    fn a_verifier_is_43_unreserved_characters_and_never_the_same() {
        let (one, other) = (
            random(ring::provider()).unwrap(),
            random(ring::provider()).unwrap(),
        );
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 43);
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        assert!(one.expose().bytes().all(unreserved));
    }
}
