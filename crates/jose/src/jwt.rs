//! Signed claims (RFC 7519), before and after the signature was checked.
//!
//! The two states are two types, and only the second can be read. Which issuer, audience and
//! lifetime a token must have is decided by its rules, elsewhere; see [`Verified::check`].

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, Part};
use crate::jwk::KeySet;
use crate::jws::{Header, HeaderMemo, Jws, MAX_TOKEN_LEN};
use crate::{Algorithm, Claims, json};

/// A token whose signature is not checked. It has no claims to read.
///
/// `T` says what the token is meant to become, so that an ID token and an access token cannot be
/// passed for each other; the default is plain [`Claims`].
pub struct Unverified<'t, T = Claims> {
    /// Without its payload.
    jws: Jws<'t>,
    /// What was the payload, or what is wrong with it.
    claims: Result<Claims, Error>,
    meant_to_be: PhantomData<fn() -> T>,
}

impl<'t, T> Unverified<'t, T> {
    /// Takes a token apart and checks its shape and its header; see [`Jws::parse`].
    pub fn parse(token: &'t str) -> Result<Self, Error> {
        Jws::parse(token).map(Self::from)
    }

    /// As [`Unverified::parse`], for a server that sees the same headers all day; see
    /// [`Unverified::remember_header`].
    pub fn parse_with(token: &'t str, memo: &HeaderMemo) -> Result<Self, Error> {
        Jws::read(token, Some(memo)).map(Self::from)
    }

    /// Lets `memo` know the header of this token. Only for a token that was verified.
    pub fn remember_header(&self, memo: &HeaderMemo) {
        self.jws.remember_header(memo);
    }

    /// The header, which is as unverified as the rest.
    pub fn header(&self) -> &Header {
        self.jws.header()
    }

    /// What the token says about who issued it, to choose among the key sets of several issuers and
    /// for nothing else. Anybody can write it: after verification, compare `iss` with the issuer
    /// whose keys were chosen.
    pub fn unverified_issuer(&self) -> Result<&str, Error> {
        self.claims()?.required_str("iss")
    }

    /// Checks the signature against `keys` and reads the claims.
    ///
    /// The algorithm must be among `allowed` and fit the key; see [`Jws::verify`]. The payload must
    /// be one strict JSON object. No claim is looked at: continue with [`Verified::check`].
    ///
    /// The token stays as it was, so that after [`Error::UnknownKey`] a newer key set can be tried.
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<Verified<Claims>, Error> {
        self.jws.verify(keys, allowed)?;
        Ok(Verified {
            header: self.jws.shared_header(),
            value: self.claims()?.clone(),
        })
    }

    fn claims(&self) -> Result<&Claims, Error> {
        self.claims.as_ref().map_err(Clone::clone)
    }
}

impl<'t, T> From<Jws<'t>> for Unverified<'t, T> {
    fn from(mut jws: Jws<'t>) -> Self {
        let claims = json::parse_owned(jws.take_payload(), MAX_TOKEN_LEN);
        Self {
            jws,
            claims: claims.map_err(|source| Error::Json {
                part: Part::Payload,
                source,
            }),
            meant_to_be: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Unverified<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("header", self.header())
            .finish_non_exhaustive()
    }
}

/// Something that was read from a token whose signature was checked.
///
/// There is no way to make one but verification.
#[derive(Clone)]
pub struct Verified<T> {
    header: Arc<Header>,
    value: T,
}

impl<T> Verified<T> {
    /// The header of the token.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Applies the rules for a kind of token: `rules` sees the header and the value, and makes of
    /// them what the token turns out to be, or refuses.
    pub fn check<U, E>(
        self,
        rules: impl FnOnce(&Header, T) -> Result<U, E>,
    ) -> Result<Verified<U>, E> {
        let value = rules(&self.header, self.value)?;
        Ok(Verified {
            header: self.header,
            value,
        })
    }

    /// Gives up the proof and keeps the value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.value).finish()
    }
}
