//! Who the access token is about (OpenID Connect Core 1.0, section 5.3).

use countersign_jose::{Claims, Timestamp};
use serde_json::Value;

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::preset::UserClaims;
use crate::{
    DpopKey, Error, Flow, HttpResponse, Metadata, PeerMisbehaved, Secret, Step, TransportError,
    answer,
};

/// Whom the answer must be about (OpenID Connect Core 1.0, section 5.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectCheck {
    /// The `sub` of the ID token. An answer about anybody else must not be used.
    SameAs(String),
    /// There is no ID token to compare with: the access token alone says whom it is about.
    NoIdToken,
}

/// A userinfo answer. What it says is true if the connection was to the right server; nothing in
/// it is signed.
#[derive(Debug, Clone, PartialEq)]
pub struct UserInfo {
    sub: String,
    names: Option<UserClaims>,
    claims: Claims,
}

impl UserInfo {
    /// The subject: who it is, within this issuer.
    pub fn sub(&self) -> &str {
        &self.sub
    }

    /// A claim that is a string, such as `name`, `preferred_username` or `email` (section 5.1).
    /// Untrusted text: pass it through [`printable`](crate::text::printable) before showing it.
    pub fn str(&self, name: &str) -> Option<&str> {
        let name = match self.names {
            None => name,
            Some(names) => names.of(name),
        };
        self.claims.get(name)?.as_str()
    }

    /// Whether the server has verified that `email` belongs to the person. A string counts, as some
    /// servers send it.
    pub fn email_verified(&self) -> bool {
        match self.claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// Everything the server said.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// The machine that asks who the access token is about.
#[derive(Debug)]
pub struct UserInfoFlow {
    expected: SubjectCheck,
    names: Option<UserClaims>,
    state: Once<UserInfo>,
}

impl UserInfoFlow {
    /// Asks with `access_token`, in the header (RFC 6750, section 2.1).
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no userinfo endpoint.
    pub fn new(
        metadata: &Metadata,
        access_token: &Secret,
        expected: SubjectCheck,
    ) -> Result<Self, Error> {
        let exchange = Exchange::protected(metadata, Endpoint::UserInfo, access_token)?;
        Ok(Self {
            expected,
            names: None,
            state: Once::new(exchange),
        })
    }

    /// Reads the answer of a provider's own API, whose members have these names. A number is taken as its
    /// digits.
    #[must_use]
    pub fn naming(mut self, names: UserClaims) -> Self {
        self.names = Some(names);
        self
    }

    /// Sends the token as what it is if it is bound to a key (`token_type` DPoP; RFC 9449, section 7.1).
    #[must_use]
    pub fn bound_to(mut self, key: &DpopKey) -> Self {
        self.state.exchange_mut().bind(key);
        self
    }
}

impl Flow for UserInfoFlow {
    type Output = UserInfo;

    fn poll(&mut self, now: Timestamp) -> Result<Step<UserInfo>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let (expected, names) = (&self.expected, self.names);
        self.state
            .handle(response, || read(response, expected, names))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}

fn read(
    response: &HttpResponse,
    expected: &SubjectCheck,
    names: Option<UserClaims>,
) -> Result<UserInfo, Error> {
    if response.status == 200 && response.media_type().as_deref() == Some("application/jwt") {
        return Err(Error::peer(
            Endpoint::UserInfo,
            PeerMisbehaved::UserInfoIsJwt,
        ));
    }
    let object = match answer::object(Endpoint::UserInfo, response) {
        // The reason stands in the challenge (RFC 6750, section 3), and the body is often empty.
        Err(Error::Refused(refusal)) if refusal.code.is_none() => {
            return Err(Error::Refused(refusal.with_challenge(response)));
        }
        other => other?,
    };
    let sub = match names {
        None => object.required_str("sub")?.to_owned(),
        Some(names) => object.required_text_or_number(names.sub)?,
    };
    match expected {
        SubjectCheck::SameAs(expected) if *expected != sub => {
            Err(object.fail(PeerMisbehaved::SubjectMismatch))
        }
        _ => Ok(UserInfo {
            sub,
            names,
            claims: object.into_members(),
        }),
    }
}
