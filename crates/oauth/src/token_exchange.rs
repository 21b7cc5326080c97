//! One token for another (RFC 8693).
//!
//! Not responsible for: what the server makes of the two identities, which the new token says
//! (sections 1.1 and 4.1).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use countersign_jose::Timestamp;
use url::Url;

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::text::printable;
use crate::{
    Client, DpopKey, Error, Flow, HttpResponse, Metadata, PeerMisbehaved, Secret, Step, Target,
    TokenType, TransportError, answer, grant,
};

/// What a token is, as a URI (RFC 8693, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenTypeId(Cow<'static, str>);

impl TokenTypeId {
    /// An OAuth 2.0 access token that the server in question has issued.
    pub const ACCESS_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:access_token");
    /// An OAuth 2.0 refresh token that the server in question has issued.
    pub const REFRESH_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:refresh_token");
    /// An ID token (OpenID Connect Core 1.0, section 2).
    pub const ID_TOKEN: Self = Self::known("urn:ietf:params:oauth:token-type:id_token");
    /// A SAML 1.1 assertion in base64url.
    pub const SAML1: Self = Self::known("urn:ietf:params:oauth:token-type:saml1");
    /// A SAML 2.0 assertion in base64url.
    pub const SAML2: Self = Self::known("urn:ietf:params:oauth:token-type:saml2");
    /// Any JWT (RFC 7519), whoever has issued it.
    pub const JWT: Self = Self::known("urn:ietf:params:oauth:token-type:jwt");

    /// Those that have a short name here.
    const NAMED: [(&'static str, Self); 6] = [
        ("access_token", Self::ACCESS_TOKEN),
        ("refresh_token", Self::REFRESH_TOKEN),
        ("id_token", Self::ID_TOKEN),
        ("saml1", Self::SAML1),
        ("saml2", Self::SAML2),
        ("jwt", Self::JWT),
    ];

    const fn known(uri: &'static str) -> Self {
        Self(Cow::Borrowed(uri))
    }

    /// Reads the last part of one of the names above, or any absolute URI.
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::NAMED.into_iter().find(|(name, _)| *name == text);
        named.map(|(_, known)| known).or_else(|| {
            let is_uri = Url::parse(text).is_ok();
            is_uri.then(|| Self(Cow::Owned(text.to_owned())))
        })
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenTypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token that is shown to the server, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownToken {
    /// The token.
    pub token: Secret,
    /// What it is.
    pub kind: TokenTypeId,
}

/// What is asked for (RFC 8693, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExchange {
    /// `subject_token`: in whose name the new token will be.
    pub subject: ShownToken,
    /// `actor_token`: who will act with it, if that is not the client itself.
    pub actor: Option<ShownToken>,
    /// `requested_token_type`; the server chooses if it is not said.
    pub requested: Option<TokenTypeId>,
    /// `resource`, `audience` and `scope`.
    pub target: Target,
}

/// What came of it (RFC 8693, section 2.2.1).
///
/// No refresh token is kept of an answer: whoever may exchange one token can exchange the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangedToken {
    /// The token, which the server calls `access_token` whatever it is.
    pub token: Secret,
    /// `issued_token_type`: what it is.
    pub issued: TokenTypeId,
    /// How it is used as an access token; `None` if it is none (`N_A`).
    pub token_type: Option<TokenType>,
    /// How long it is good for from the moment of the answer, if the server says.
    pub expires_in: Option<Duration>,
    /// The scope that was granted, exactly as the server wrote it; absent if it is what was asked.
    pub scope: Option<String>,
}

/// The machine that exchanges. One request, no retry. Neither token is used up by it.
#[derive(Debug)]
pub struct TokenExchangeFlow {
    dpop: Option<DpopKey>,
    requested: Option<TokenTypeId>,
    state: Once<ExchangedToken>,
}

impl TokenExchangeFlow {
    /// Asks as `client`.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint.
    pub fn new(metadata: &Metadata, client: &Client, asked: &TokenExchange) -> Result<Self, Error> {
        let mut form = Form::default();
        form.add("grant_type", grant::TOKEN_EXCHANGE);
        form.add("subject_token", asked.subject.token.expose());
        form.add("subject_token_type", asked.subject.kind.as_str());
        let mut secrets = vec![&asked.subject.token];
        if let Some(actor) = &asked.actor {
            form.add("actor_token", actor.token.expose());
            form.add("actor_token_type", actor.kind.as_str());
            secrets.push(&actor.token);
        }
        if let Some(requested) = &asked.requested {
            form.add("requested_token_type", requested.as_str());
        }
        asked.target.add_to(&mut form);
        let exchange = Exchange::form(metadata, Endpoint::Token, client, form, &secrets)?;
        Ok(Self {
            dpop: client.dpop.clone(),
            requested: asked.requested.clone(),
            state: Once::new(exchange),
        })
    }
}

impl Flow for TokenExchangeFlow {
    type Output = ExchangedToken;

    fn poll(&mut self, now: Timestamp) -> Result<Step<ExchangedToken>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let (requested, dpop) = (self.requested.as_ref(), self.dpop.as_ref());
        self.state
            .handle(response, || read(response, requested, dpop))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}

fn read(
    response: &HttpResponse,
    requested: Option<&TokenTypeId>,
    dpop: Option<&DpopKey>,
) -> Result<ExchangedToken, Error> {
    let object = answer::object(Endpoint::Token, response)?;
    let token = object.required_token("access_token")?;
    // A server that knows no token exchange and answers all the same has left this out, and nobody
    // knows what it has issued.
    let name = object.required_str("issued_token_type")?;
    let issued = TokenTypeId::parse(name)
        .filter(|issued| issued.as_str() == name)
        .ok_or_else(|| {
            object.fail(PeerMisbehaved::WrongType {
                name: "issued_token_type",
                expected: "a URI",
            })
        })?;
    if let Some(requested) = requested.filter(|requested| **requested != issued) {
        return Err(object.fail(PeerMisbehaved::OtherTokenType {
            requested: requested.to_string(),
            received: printable(issued.as_str()),
        }));
    }
    let name = object.required_str("token_type")?;
    let token_type = if name.eq_ignore_ascii_case("N_A") {
        None
    } else {
        Some(TokenType::of_answer(&object, name, dpop)?)
    };
    Ok(ExchangedToken {
        token,
        issued,
        token_type,
        expires_in: object.seconds("expires_in")?,
        scope: object.string("scope")?,
    })
}
