//! Nonces for proofs (RFC 9449, section 9), of which none is stored.
//!
//! A nonce is the time at which it was made, with a code that only we can make.
//! The key of that code changes every hour and follows from a master key:
//! replicas that share it take each other's nonces.

use countersign_jose::{Timestamp, base64url, constant_time_eq, crypto};

use crate::Error;

const HOUR: i64 = 60 * 60;
const TIME: usize = 8;
const CODE: usize = 16;

pub(super) struct Nonces {
    master: [u8; 32],
}

impl Nonces {
    /// With this master key, or with one that nobody else has.
    pub(super) fn new(master: Option<[u8; 32]>) -> Result<Self, Error> {
        if let Some(master) = master {
            return Ok(Self { master });
        }
        let mut master = [0; 32];
        crypto::aws_lc::provider()
            .fill_random(&mut master)
            .map_err(|error| Error::Random(error.into()))?;
        Ok(Self { master })
    }

    pub(super) fn make(&self, now: Timestamp) -> String {
        let time = now.as_millis().to_be_bytes();
        let mut nonce = time.to_vec();
        nonce.extend_from_slice(self.code(now).get(..CODE).unwrap_or_default());
        base64url::encode(&nonce)
    }

    /// When a nonce was made; `None` when it is none of ours.
    pub(super) fn made_at(&self, nonce: &str) -> Option<Timestamp> {
        let bytes = base64url::decode(nonce).ok()?;
        let (time, code) = bytes.split_first_chunk::<TIME>()?;
        let made = Timestamp::from_millis(i64::from_be_bytes(*time));
        let expected = self.code(made);
        constant_time_eq(code, expected.get(..CODE)?).then_some(made)
    }

    fn code(&self, time: Timestamp) -> [u8; 32] {
        const KEY: &[u8] = b"countersign resource dpop nonce key v1\0";
        let provider = crypto::aws_lc::provider();
        let hour = time.as_secs().div_euclid(HOUR).to_be_bytes();
        let key = provider.hmac_sha256(&self.master, &[KEY, &hour].concat());
        provider.hmac_sha256(&key, &time.as_millis().to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_800_000_000_123);

    #[test]
    fn a_nonce_says_when_it_was_made_to_whoever_shares_the_key() {
        let ours = Nonces::new(Some([7; 32])).unwrap();
        let nonce = ours.make(T0);
        assert_eq!(nonce.len(), 32);
        let replica = Nonces::new(Some([7; 32])).unwrap();
        assert_eq!(replica.made_at(&nonce), Some(T0));
        assert_eq!(Nonces::new(None).unwrap().made_at(&nonce), None);
    }

    #[test]
    fn nothing_else_is_a_nonce() {
        let nonces = Nonces::new(None).unwrap();
        let nonce = nonces.make(T0);
        for position in 0..24 {
            let mut bytes = base64url::decode(&nonce).unwrap();
            bytes[position] ^= 1;
            assert_eq!(nonces.made_at(&base64url::encode(&bytes)), None);
        }
        for other in [
            "",
            "AAAA",
            "not base64",
            &nonce[..16],
            &format!("{nonce}AAAA"),
        ] {
            assert_eq!(nonces.made_at(other), None, "{other:?}");
        }
    }
}
