//! ID tokens: who signed in (OpenID Connect Core 1.0, sections 2 and 3.1.3.7).
//!
//! Not responsible for: fetching keys, and what a person may do.

mod error;
mod rules;

use std::time::Duration;

use countersign_jose::{
    Algorithm, Claims, CryptoProvider, KeySet, Timestamp, Unverified, Verified,
};

pub use error::IdTokenError;

use crate::{Error, Issuer, Secret};

/// The most that clocks are allowed to differ, however [`Expected::leeway`] is set.
pub const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// The leeway unless set otherwise.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);

/// What an ID token must say to be believed. Start with [`Expected::new`] and add what was asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Expected {
    /// The issuer, compared as a string (rule 2).
    pub issuer: Issuer,
    /// The client, which must be an audience (rule 3), and the authorized party if one is named
    /// (rule 5).
    pub client_id: String,
    /// Audiences beside the client that are no reason to refuse (rule 3).
    pub trusted_audiences: Vec<String>,
    /// The algorithms that may have signed it (rule 7). All that this project can verify unless
    /// narrowed; `none` and HMAC are not among them.
    pub algorithms: Vec<Algorithm>,
    /// The nonce that was sent (rule 11). The device grant sends none.
    pub nonce: Option<Secret>,
    /// The longest time since the person authenticated, if that was asked for (rule 13).
    pub max_age: Option<Duration>,
    /// The authentication context classes that were asked for, any of which will do (rule 12).
    pub acr_values: Vec<String>,
    /// The subject of the session that is refreshed (section 12.2).
    pub subject: Option<String>,
    /// The access token of the same answer, to be compared with `at_hash` if there is one (section
    /// 3.1.3.8).
    pub access_token: Option<Secret>,
    /// How far the clocks may be apart; at most [`MAX_LEEWAY`], and for `exp` at most the token's own
    /// lifetime.
    pub leeway: Duration,
    provider: &'static CryptoProvider,
}

impl Expected {
    /// A token of `issuer` for `client_id`. `provider` hashes the access token.
    pub fn new(
        issuer: Issuer,
        client_id: impl Into<String>,
        provider: &'static CryptoProvider,
    ) -> Self {
        Self {
            issuer,
            client_id: client_id.into(),
            trusted_audiences: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            nonce: None,
            max_age: None,
            acr_values: Vec::new(),
            subject: None,
            access_token: None,
            leeway: DEFAULT_LEEWAY,
            provider,
        }
    }
}

/// What an ID token says, once it is [`Verified`]. There is no way to make one but [`verify`].
///
/// Texts in it are the issuer's word and still not fit for a terminal: pass them through
/// [`printable`](crate::text::printable).
#[derive(Debug, Clone)]
pub struct IdToken {
    claims: Claims,
    subject: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    auth_time: Option<Timestamp>,
}

impl IdToken {
    /// `sub`: who it is, within this issuer and never reused.
    pub fn sub(&self) -> &str {
        &self.subject
    }

    /// `iat`.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`. It ends the token, not the session.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `auth_time`: when the person authenticated, if the server says.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    /// `acr`: how the person authenticated.
    pub fn acr(&self) -> Option<&str> {
        self.str("acr")
    }

    /// A claim that is a string, such as `name`, `preferred_username` or `email`.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// All claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// Takes the token apart. Nothing can be read from it before [`verify`].
///
/// # Errors
/// [`Error::IdToken`] if it is not a signed token of an acceptable shape.
pub fn parse(token: &Secret) -> Result<Unverified<'_, IdToken>, Error> {
    Unverified::parse(token.expose()).map_err(|error| Error::IdToken(IdTokenError::Token(error)))
}

/// Checks the signature and all rules (OpenID Connect Core 1.0, section 3.1.3.7).
///
/// # Errors
/// [`Error::IdToken`] with the first rule that is broken. If
/// [`may_be_stale_keys`](Error::may_be_stale_keys), fetch the keys again, once, and repeat.
pub fn verify(
    token: &Unverified<'_, IdToken>,
    keys: &KeySet,
    expected: &Expected,
    now: Timestamp,
) -> Result<Verified<IdToken>, Error> {
    token
        .verify(keys, &expected.algorithms)
        .map_err(IdTokenError::Token)
        .and_then(|signed| {
            signed.check(|header, claims| rules::check(header, claims, expected, now))
        })
        .map_err(Error::IdToken)
}
