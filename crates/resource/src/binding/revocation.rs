//! What is revoked, and by which names a token can be found among it.

use std::time::Duration;

use countersign_jose::Timestamp;

use crate::AccessToken;
use crate::state::{Issued, Key};

/// Longer than any access token lives.
const DEFAULT_TIME: Duration = Duration::from_secs(24 * 60 * 60);

const TOKEN: &str = "revoked-token";
const JWT_ID: &str = "revoked-jti";
const SESSION: &str = "revoked-sid";
const SUBJECT: &str = "revoked-sub";

/// Something that is not to be taken any more although it has not expired; see
/// [`Validator::revoke`](crate::Validator::revoke).
#[derive(Debug, Clone)]
#[must_use]
pub struct Revocation {
    pub(super) key: Key,
    pub(super) issued: Issued,
    until: Option<Timestamp>,
}

impl Revocation {
    /// This one token.
    pub fn token(token: &str) -> Self {
        Self::all(Key::new(TOKEN, &[token.as_bytes()]))
    }

    /// The token of this issuer with this `jti`.
    pub fn jwt_id(issuer: &str, jti: &str) -> Self {
        Self::all(Key::new(JWT_ID, &[issuer.as_bytes(), jti.as_bytes()]))
    }

    /// Every token of this session (`sid`) at this issuer.
    pub fn session(issuer: &str, sid: &str) -> Self {
        Self::all(Key::new(SESSION, &[issuer.as_bytes(), sid.as_bytes()]))
    }

    /// Every token of this subject that was issued at this moment or before it:
    /// whoever signs in again has good ones.
    pub fn subject(issuer: &str, sub: &str, issued_up_to: Timestamp) -> Self {
        Self {
            key: Key::new(SUBJECT, &[issuer.as_bytes(), sub.as_bytes()]),
            issued: Issued::UpTo(issued_up_to),
            until: None,
        }
    }

    /// Remembers it until then: after that moment all it names must have
    /// expired. A day from now unless said otherwise, which is longer than
    /// access tokens live.
    pub fn remember_until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    pub(super) fn until(&self, now: Timestamp) -> Timestamp {
        self.until.unwrap_or(now + DEFAULT_TIME)
    }

    fn all(key: Key) -> Self {
        Self {
            key,
            issued: Issued::Whenever,
            until: None,
        }
    }
}

/// Every key under which this token may be revoked.
pub(super) fn keys_of(token: &str, claims: &AccessToken) -> Vec<Key> {
    let issuer = claims.issuer().as_bytes();
    let by = |namespace, name: &str| Key::new(namespace, &[issuer, name.as_bytes()]);
    let mut keys = vec![
        Key::new(TOKEN, &[token.as_bytes()]),
        by(SUBJECT, claims.subject()),
    ];
    keys.extend(claims.jwt_id().map(|jti| by(JWT_ID, jti)));
    keys.extend(claims.session_id().map(|sid| by(SESSION, sid)));
    keys
}
