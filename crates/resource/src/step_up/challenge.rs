//! Challenges: made without storing anything, and good for one request of one token alone.
//!
//! A challenge is two times, a nonce, and a code over both and over everything that it is bound to.
//! Whoever opens it says what the request is now; only where nothing differs is it ours. The bytes are
//! those of `docs/step-up.md`, and `vectors/step-up.json` has them written out.
//!
//! Not responsible for using a nonce up, which needs a memory, nor for the password.

use std::fmt;
use std::time::Duration;

use countersign_jose::{Timestamp, base64url, constant_time_eq, crypto};

use super::grammar::{Parts, VERSION};
use crate::Error;

/// What the bytes under the code begin with, so that no other use of the key makes the same.
const LABEL: &[u8] = b"countersign step-up challenge v1\0";

/// What a challenge is bound to.
#[derive(Clone, Copy)]
pub(super) struct Bound<'b> {
    /// The API's own name.
    pub(super) realm: &'b str,
    pub(super) issuer: &'b str,
    pub(super) subject: &'b str,
    /// SHA-256 of the access token as it was sent.
    pub(super) token: &'b [u8; 32],
    pub(super) method: &'b str,
    /// The URL by the configured origin, with its query.
    pub(super) target: &'b str,
    /// SHA-256 of the body; none where nobody can see it.
    pub(super) body: Option<&'b [u8; 32]>,
    pub(super) rule: &'b str,
    /// What the rule takes, separated by spaces.
    pub(super) methods: &'b str,
}

/// A challenge that is ours, for this very request, and not too old.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) nonce: String,
    pub(super) expires: Timestamp,
}

/// Why a challenge does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Nobody here made it, or not for this request.
    Foreign,
    /// Its time is over.
    Expired,
}

/// The key that seals, and those that open beside it.
pub(super) struct Sealer {
    seals: [u8; 32],
    opens: Vec<[u8; 32]>,
}

impl Sealer {
    /// With these keys, of which the first seals; or with one that nobody else has and that ends with
    /// the process.
    pub(super) fn new(keys: Vec<[u8; 32]>) -> Result<Self, Error> {
        let mut keys = keys.into_iter();
        let seals = match keys.next() {
            Some(key) => key,
            None => random()?,
        };
        Ok(Self {
            seals,
            opens: keys.collect(),
        })
    }

    /// A challenge for this request.
    pub(super) fn seal(
        &self,
        bound: &Bound<'_>,
        now: Timestamp,
        life: Duration,
    ) -> Result<String, Error> {
        let nonce = base64url::encode(&random::<16>()?);
        Ok(self.seal_with(bound, now, now + life, &nonce))
    }

    pub(super) fn seal_with(
        &self,
        bound: &Bound<'_>,
        made: Timestamp,
        expires: Timestamp,
        nonce: &str,
    ) -> String {
        let (made, expires) = (made.as_millis(), expires.as_millis());
        let mac = code(&self.seals, &bound.bytes(made, expires, nonce));
        format!("{VERSION}.{made}.{expires}.{nonce}.{mac}")
    }

    /// Whether a challenge was made here for this request, and is still good. `since` is from when on
    /// used nonces are remembered: what was made before may have been used.
    pub(super) fn open(
        &self,
        challenge: &str,
        bound: &Bound<'_>,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Opened, Unfit> {
        let parts = Parts::parse(challenge).ok_or(Unfit::Foreign)?;
        let bytes = bound.bytes(parts.made, parts.expires, parts.nonce);
        let mut is_ours = false;
        for key in std::iter::once(&self.seals).chain(&self.opens) {
            is_ours |= constant_time_eq(code(key, &bytes).as_bytes(), parts.mac.as_bytes());
        }
        if !is_ours {
            return Err(Unfit::Foreign);
        }
        let (made, expires) = (
            Timestamp::from_millis(parts.made),
            Timestamp::from_millis(parts.expires),
        );
        if now >= expires || since.is_some_and(|since| made < since) {
            return Err(Unfit::Expired);
        }
        Ok(Opened {
            nonce: parts.nonce.to_owned(),
            expires,
        })
    }
}

impl Bound<'_> {
    /// The bytes under the code: the label, and each part behind its length in four bytes.
    pub(super) fn bytes(&self, made: i64, expires: i64, nonce: &str) -> Vec<u8> {
        let (made, expires) = (made.to_string(), expires.to_string());
        let body: &[u8] = self.body.map_or(&[], |digest| digest);
        let parts = [
            self.realm.as_bytes(),
            self.issuer.as_bytes(),
            self.subject.as_bytes(),
            self.token,
            self.method.as_bytes(),
            self.target.as_bytes(),
            body,
            self.rule.as_bytes(),
            self.methods.as_bytes(),
            made.as_bytes(),
            expires.as_bytes(),
            nonce.as_bytes(),
        ];
        let mut bytes = LABEL.to_vec();
        for part in parts {
            // No part comes near: heads are bounded where they are read.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn code(key: &[u8; 32], bytes: &[u8]) -> String {
    base64url::encode(&crypto::aws_lc::provider().hmac_sha256(key, bytes))
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    crypto::aws_lc::provider()
        .fill_random(&mut bytes)
        .map_err(|error| Error::Random(error.into()))?;
    Ok(bytes)
}

/// Without the keys.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
