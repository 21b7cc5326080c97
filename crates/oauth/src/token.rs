//! The answer that holds the tokens (RFC 6749, section 5.1; OpenID Connect Core 1.0, section 3.1.3.3).
//!
//! Not responsible for: whether an ID token is true; see [`crate::id_token`].

use std::time::Duration;

use crate::answer::Object;
use crate::error::Endpoint;
use crate::{DpopKey, Error, HttpResponse, PeerMisbehaved, ScopeSet, Secret, answer};

/// A successful token response (RFC 6749, section 5.1).
///
/// Tolerated, because real servers do it: `token_type` in any case, `expires_in` as a string, an
/// empty or missing `scope`, empty strings and `null` for tokens that are not there, an ID token that
/// is missing although `openid` was asked for, and answers encoded as a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// The token for the API.
    pub access_token: Secret,
    /// How the access token is used.
    pub token_type: TokenType,
    /// How long the access token is good for from the moment of the answer, if the server says.
    pub expires_in: Option<Duration>,
    /// The token for the next access token, if the server gives one.
    pub refresh_token: Option<Secret>,
    /// Who signed in; not verified yet.
    pub id_token: Option<Secret>,
    /// The scope that was granted, exactly as the server wrote it; absent if it is what was asked.
    pub scope: Option<String>,
}

/// How an access token is used (RFC 6749, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// Whoever holds it may use it (RFC 6750).
    Bearer,
    /// It is bound to a key, and goes with a proof of that key (RFC 9449, section 7.1).
    Dpop,
}

impl TokenType {
    /// The name in the spelling of RFC 6750 and RFC 9449.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// Reads a name, which has no case (RFC 6749, section 5.1).
    fn from_name(name: &str) -> Option<Self> {
        let known = [Self::Bearer, Self::Dpop];
        known
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    fn read(object: &Object, name: &str) -> Result<Self, Error> {
        Self::from_name(name).ok_or_else(|| {
            let received = crate::text::printable(name);
            object.fail(PeerMisbehaved::UnsupportedTokenType { received })
        })
    }

    /// The type that an answer to a client with this key, or none, names.
    pub(crate) fn of_answer(
        object: &Object,
        name: &str,
        dpop: Option<&DpopKey>,
    ) -> Result<Self, Error> {
        let token_type = Self::read(object, name)?;
        token_type.suits(dpop)?;
        Ok(token_type)
    }

    /// Whether a client with this key, or none, can use such a token, and need not insist on another
    /// (RFC 9449, section 5).
    fn suits(self, dpop: Option<&DpopKey>) -> Result<(), Error> {
        let what = match (self, dpop) {
            (Self::Bearer, Some(key)) if !key.accepts_bearer() => PeerMisbehaved::TokenNotBound,
            (Self::Dpop, None) => PeerMisbehaved::UnsupportedTokenType {
                received: Self::Dpop.as_str().to_owned(),
            },
            _ => return Ok(()),
        };
        Err(Error::peer(Endpoint::Token, what))
    }
}

impl TokenResponse {
    /// Reads an answer of the token endpoint.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's code if the answer is an error (also under status 200),
    /// [`Error::Unavailable`] for 429 and 5xx, [`Error::PeerMisbehaved`] for everything else that is
    /// not a token response.
    pub fn from_response(response: &HttpResponse) -> Result<Self, Error> {
        Self::from_object(&answer::object(Endpoint::Token, response)?)
    }

    /// Reads an answer to a client with this key, or none: what it got must be of the kind that it can
    /// use and insists on (RFC 9449, section 5).
    pub(crate) fn bound(response: &HttpResponse, dpop: Option<&DpopKey>) -> Result<Self, Error> {
        let tokens = Self::from_response(response)?;
        tokens.token_type.suits(dpop)?;
        Ok(tokens)
    }

    pub(crate) fn from_object(object: &Object) -> Result<Self, Error> {
        let access_token = object.required_token("access_token")?;
        let token_type = TokenType::read(object, object.required_str("token_type")?)?;
        Ok(Self {
            access_token,
            token_type,
            expires_in: object.seconds("expires_in")?,
            refresh_token: object.token("refresh_token")?,
            id_token: object.token("id_token")?,
            scope: object.string("scope")?,
        })
    }

    /// The scope that was granted when `requested` was asked for: a server that grants exactly that
    /// may leave it out (RFC 6749, section 5.1). Tokens outside the grammar are left out.
    pub fn granted_scope(&self, requested: &ScopeSet) -> ScopeSet {
        let Some(scope) = &self.scope else {
            return requested.clone();
        };
        let mut granted = ScopeSet::new();
        for token in scope.split_whitespace() {
            // A token that nobody can have asked for is no reason to lose a sign-in.
            let _ = granted.insert(token);
        }
        granted
    }

    /// Completes the answer to a refresh with what the server left out because it has not changed:
    /// the refresh token (RFC 6749, section 6), the ID token (OpenID Connect Core 1.0, section
    /// 12.2) and the scope, each taken from `previous` if it is missing here.
    #[must_use]
    pub fn merge_after_refresh(self, previous: &Self) -> Self {
        Self {
            refresh_token: self
                .refresh_token
                .or_else(|| previous.refresh_token.clone()),
            id_token: self.id_token.or_else(|| previous.id_token.clone()),
            scope: self.scope.or_else(|| previous.scope.clone()),
            ..self
        }
    }

    /// The response as a server sends it (RFC 6749, section 5.1). The JSON holds the tokens in the
    /// clear, and is a secret itself.
    pub fn to_json(&self) -> Secret {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: serde_json::Value| members.insert(name.to_owned(), value);
        put("access_token", self.access_token.expose().into());
        put("token_type", self.token_type.as_str().into());
        if let Some(lifetime) = self.expires_in {
            put("expires_in", lifetime.as_secs().into());
        }
        if let Some(token) = &self.refresh_token {
            put("refresh_token", token.expose().into());
        }
        if let Some(token) = &self.id_token {
            put("id_token", token.expose().into());
        }
        if let Some(scope) = &self.scope {
            put("scope", scope.as_str().into());
        }
        Secret::new(serde_json::Value::Object(members).to_string())
    }
}
