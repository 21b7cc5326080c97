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
