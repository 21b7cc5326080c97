//! `private_key_jwt`: a client that signs who it is (RFC 7523, section 2.2; OpenID Connect Core 1.0,
//! section 9).
//!
//! Not responsible for: keeping the key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{SigningKey, Timestamp, base64url};
use serde::Serialize;
use url::Url;

use crate::http::bare;
use crate::{Error, Issuer, Secret};

/// The value of `client_assertion_type` (RFC 7523, section 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for. It is made for one request; the rest is for clocks that differ.
const LIFETIME: Duration = Duration::from_secs(120);

/// The private key of a client, whose public half is registered at the authorization server.
#[derive(Clone)]
pub struct ClientKey {
    key: Arc<SigningKey>,
    audience: AssertionAudience,
}

/// What an assertion says it is meant for (`aud`; RFC 7523, section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer identifier. With anything else, a malicious server that publishes an honest one's
    /// address as its own endpoint could get an assertion that the honest one accepts.
    #[default]
    Issuer,
    /// The address that the request goes to, for servers that accept nothing else (Okta, Entra ID).
    Endpoint,
}

impl ClientKey {
    /// Signs with this key, under its `kid`, for the issuer.
    pub fn new(key: Arc<SigningKey>) -> Self {
        Self {
            key,
            audience: AssertionAudience::Issuer,
        }
    }

    /// Signs for another audience.
    #[must_use]
    pub fn audience(mut self, audience: AssertionAudience) -> Self {
        self.audience = audience;
        self
    }

    /// The key itself.
    pub fn signing_key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// A new assertion for one request (RFC 7523, section 3).
    pub(super) fn assertion(
        &self,
        client_id: &str,
        issuer: &Issuer,
        url: &Url,
        now: Timestamp,
    ) -> Result<Secret, Error> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            jti: &'a str,
            iat: i64,
            exp: i64,
        }
        let endpoint = bare(url);
        let mut random = [0; 16];
        let provider = self.key.provider();
        provider
            .fill_random(&mut random)
            .map_err(|error| Error::Crypto(error.into()))?;
        let claims = Claims {
            iss: client_id,
            sub: client_id,
            aud: match self.audience {
                AssertionAudience::Issuer => issuer.as_str(),
                AssertionAudience::Endpoint => &endpoint,
            },
            jti: &base64url::encode(&random),
            iat: now.as_secs(),
            exp: (now + LIFETIME).as_secs(),
        };
        let signed = self.key.sign("JWT", &claims).map_err(Error::Crypto)?;
        Ok(Secret::new(signed))
    }
}

/// The same key, signing for the same audience under the same name.
impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.key.thumbprint() == other.key.thumbprint()
            && self.key.kid() == other.key.kid()
            && self.audience == other.audience
    }
}

impl Eq for ClientKey {}

/// Shows the `kid`, which is public.
impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("kid", &self.key.kid())
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
