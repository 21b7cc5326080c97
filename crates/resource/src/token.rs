//! The access token of RFC 9068, and the rules for its claims.
//!
//! Pure: no key, no clock, no network. The signature has been verified before
//! anything here looks at a claim.

use std::time::Duration;

use countersign_jose::{Claims, Timestamp};
use countersign_oauth::text::printable;
use countersign_oauth::{Issuer, ScopeSet};

use crate::Rejection;

/// The claims of a JWT access token (RFC 9068, section 2.2).
///
/// Seen from outside only as `Verified<AccessToken>`, so whoever holds one
/// knows that its signature and every configured rule have been checked.
#[derive(Debug)]
pub struct AccessToken {
    issuer: String,
    subject: String,
    client_id: String,
    audiences: Vec<String>,
    scope: ScopeSet,
    jwt_id: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    claims: Claims,
}

impl AccessToken {
    /// `iss`: the authorization server, as configured.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: the person, or the client itself when it acts for nobody. Unique
    /// within the issuer, and the only claim fit to be a key in a database.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `client_id`: the program that the token was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `aud`: every API that the token is for; this one is among them.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// `scope`: what the caller may ask for; empty when the token has none.
    pub fn scope(&self) -> &ScopeSet {
        &self.scope
    }

    /// `jti`: unique for this token.
    pub fn jwt_id(&self) -> &str {
        &self.jwt_id
    }

    /// `iat`: when the token was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// `exp`: when the token ends. Work that takes longer should ask again.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// All claims, for those that have no accessor here. Their values are the
    /// issuer's word; text in them is not safe to print.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// What a token must satisfy; the configuration of one validator.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) issuer: Issuer,
    pub(crate) audiences: Vec<String>,
    pub(crate) required_scope: ScopeSet,
    pub(crate) leeway: Duration,
}

impl Rules {
    /// Makes an access token of verified claims, or says which rule they break.
    ///
    /// The order is that of RFC 9068, section 4, with the scope last: a token
    /// that is not for us must not be told what it lacks.
    pub(crate) fn check(&self, claims: Claims, now: Timestamp) -> Result<AccessToken, Rejection> {
        let issuer = required(&claims, "iss")?;
        if issuer != self.issuer.as_str() {
            return Err(self.wrong_issuer(issuer));
        }
        let audiences = self.check_audience(&claims)?;
        let (issued_at, expires_at) = self.check_times(&claims, now)?;
        let subject = required(&claims, "sub")?.to_owned();
        let client_id = required(&claims, "client_id")?.to_owned();
        let jwt_id = required(&claims, "jti")?.to_owned();
        // RFC 7800, section 3.1: whoever presents the token must prove that the
        // key is theirs. Nothing here can check a proof yet, so no such token is
        // let in, whatever form its `cnf` has.
        if claims.get("cnf").is_some() {
            return Err(Rejection::SenderConstrained);
        }
        let scope = self.check_scope(&claims)?;
        Ok(AccessToken {
            issuer: self.issuer.to_string(),
            subject,
            client_id,
            audiences,
            scope,
            jwt_id,
            issued_at,
            expires_at,
            claims,
        })
    }

    pub(crate) fn wrong_issuer(&self, found: &str) -> Rejection {
        Rejection::WrongIssuer {
            expected: self.issuer.to_string(),
            found: printable(found),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<Vec<String>, Rejection> {
        let found = claims
            .string_or_array("aud")
            .map_err(|_| Rejection::MalformedClaim("aud"))?;
        if found.is_empty() {
            return Err(Rejection::MissingClaim("aud"));
        }
        if found
            .iter()
            .any(|audience| self.audiences.iter().any(|ours| ours == audience))
        {
            Ok(found.into_iter().map(str::to_owned).collect())
        } else {
            Err(Rejection::WrongAudience {
                expected: self.audiences.clone(),
                found: found.into_iter().map(printable).collect(),
            })
        }
    }

    /// `exp`, `nbf` and `iat` (RFC 7519, section 4.1), each with the leeway.
    /// Nothing is computed from the token's own dates but a comparison, so no
    /// date can overflow into a good one.
    fn check_times(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), Rejection> {
        let expires_at = date(claims, "exp")?.ok_or(Rejection::MissingClaim("exp"))?;
        let issued_at = date(claims, "iat")?.ok_or(Rejection::MissingClaim("iat"))?;
        let latest_start = now + self.leeway;
        // "The current date/time MUST be before the expiration" (section 4.1.4).
        if expires_at <= now - self.leeway {
            return Err(Rejection::Expired {
                ago: now.since(expires_at),
            });
        }
        if let Some(not_before) = date(claims, "nbf")?.filter(|nbf| *nbf > latest_start) {
            return Err(Rejection::NotYetValid {
                ahead: not_before.since(now),
            });
        }
        if issued_at > latest_start {
            return Err(Rejection::IssuedInFuture {
                ahead: issued_at.since(now),
            });
        }
        Ok((issued_at, expires_at))
    }

    fn check_scope(&self, claims: &Claims) -> Result<ScopeSet, Rejection> {
        let malformed = || Rejection::MalformedClaim("scope");
        let mut held = ScopeSet::new();
        for scope in claims.scope().map_err(|_| malformed())? {
            // A scope that is written twice makes one wonder what else its
            // writer lets others put there.
            if !held.insert(scope).is_ok_and(|new| new) {
                return Err(malformed());
            }
        }
        let missing = self.required_scope.difference(&held);
        if missing.is_empty() {
            Ok(held)
        } else {
            Err(Rejection::InsufficientScope {
                required: self.required_scope.clone(),
                missing,
            })
        }
    }
}

/// A string claim that must be there and not be empty: an empty `sub` names
/// everybody and nobody.
fn required<'c>(claims: &'c Claims, name: &'static str) -> Result<&'c str, Rejection> {
    match claims.str(name) {
        Ok(Some("")) | Err(_) => Err(Rejection::MalformedClaim(name)),
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(Rejection::MissingClaim(name)),
    }
}

fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
    claims
        .numeric_date(name)
        .map_err(|_| Rejection::MalformedClaim(name))
}
