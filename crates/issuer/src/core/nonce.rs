//! Nonces for `DPoP` proofs (RFC 9449, section 8).
//!
//! A nonce is the time at which it was made, sealed. None is stored: it says by
//! itself that we made it, and when, which is what a proof's own `iat` cannot
//! prove.

use countersign_jose::{CryptoProvider, Timestamp};

use super::sealed;

const DOMAIN: &[u8] = b"countersign dpop nonce v1\0";

/// A nonce made `now`.
pub(super) fn make(now: Timestamp, key: &[u8], provider: &CryptoProvider) -> String {
    sealed::seal(DOMAIN, &now.as_millis().to_be_bytes(), key, provider)
}

/// When a nonce was made; `None` when it is none of ours.
pub(super) fn made_at(nonce: &str, key: &[u8], provider: &CryptoProvider) -> Option<Timestamp> {
    let time = sealed::open(DOMAIN, nonce, key, provider)?;
    let time = time.try_into().ok()?;
    Some(Timestamp::from_millis(i64::from_be_bytes(time)))
}

#[cfg(test)]
mod tests {
    use countersign_jose::crypto::aws_lc;

    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_800_000_000_123);
    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn a_nonce_says_when_it_was_made_to_whoever_made_it() {
        let nonce = make(T0, &KEY, aws_lc::provider());
        assert_eq!(made_at(&nonce, &KEY, aws_lc::provider()), Some(T0));
        assert_eq!(made_at(&nonce, &[8; 32], aws_lc::provider()), None);
        assert_eq!(made_at("", &KEY, aws_lc::provider()), None);
    }

    #[test]
    fn what_was_sealed_for_something_else_is_no_nonce() {
        let time = T0.as_millis().to_be_bytes();
        let other = sealed::seal(b"something else\0", &time, &KEY, aws_lc::provider());
        assert_eq!(made_at(&other, &KEY, aws_lc::provider()), None);
        let longer = sealed::seal(DOMAIN, &[0; 9], &KEY, aws_lc::provider());
        assert_eq!(made_at(&longer, &KEY, aws_lc::provider()), None);
    }
}
