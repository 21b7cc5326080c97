//! Whether a token is good, as the server that issued it knows (RFC 7662).
//!
//! Not responsible for: remembering the answer.

use countersign_jose::{Claims, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::http::Form;
use crate::{
    Client, Error, Flow, HttpResponse, Metadata, PeerMisbehaved, ScopeSet, Secret, Step,
    TokenTypeHint, TransportError, answer,
};

/// An introspection response (RFC 7662, section 2.2), to be sent or as received.
///
/// Of an inactive token nothing else is said, and whatever a server says all the same is dropped.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Introspection {
    /// Whether the token is good now.
    pub active: bool,
    /// Its scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
    /// The client it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The person, in readable form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// How it is used (`Bearer`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// When it stops being good.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub exp: Option<Timestamp>,
    /// When it was issued.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub iat: Option<Timestamp>,
    /// When it starts being good.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub nbf: Option<Timestamp>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The resource servers it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn seconds<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::as_secs).serialize(to)
}

impl Introspection {
    /// The whole truth about any token that is not good (RFC 7662, section 2.2).
    pub fn inactive() -> Self {
        Self::default()
    }

    /// A good token, of which the fields say more.
    pub fn active() -> Self {
        Self {
            active: true,
            ..Self::default()
        }
    }

    /// A member that has no field of its own.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.extra.get(name)
    }

    /// Adds a member that has no field of its own.
    #[must_use]
    pub fn with_claim(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// Reads an answer of the introspection endpoint.
    ///
    /// # Errors
    /// As [`TokenResponse::from_response`](crate::TokenResponse::from_response).
    pub fn from_response(response: &HttpResponse) -> Result<Self, Error> {
        let object = answer::object(Endpoint::Introspection, response)?;
        let active = object
            .boolean("active")?
            .ok_or_else(|| object.fail(PeerMisbehaved::MissingMember { name: "active" }))?;
        if !active {
            return Ok(Self::inactive());
        }
        let scope = match object.str("scope")? {
            None => None,
            Some(text) => Some(ScopeSet::parse(text).map_err(|_| {
                object.fail(PeerMisbehaved::WrongType {
                    name: "scope",
                    expected: "a scope",
                })
            })?),
        };
        Ok(Self {
            active,
            scope,
            client_id: object.string("client_id")?,
            username: object.string("username")?,
            token_type: object.string("token_type")?,
            exp: object.time("exp")?,
            iat: object.time("iat")?,
            nbf: object.time("nbf")?,
            sub: object.string("sub")?,
            aud: object.string_or_strings("aud")?,
            iss: object.string("iss")?,
            jti: object.string("jti")?,
            extra: extra(&object.into_members()),
        })
    }
}

/// The members that have no field of their own.
fn extra(members: &Claims) -> Map<String, Value> {
    const OWN: [&str; 12] = [
        "active",
        "scope",
        "client_id",
        "username",
        "token_type",
        "exp",
        "iat",
        "nbf",
        "sub",
        "aud",
        "iss",
        "jti",
    ];
    let others = members.names().filter(|name| !OWN.contains(name));
    others
        .filter_map(|name| Some((name.to_owned(), members.get(name)?.clone())))
        .collect()
}

/// The machine that asks about one token.
#[derive(Debug)]
pub struct IntrospectionFlow {
    state: Once<Introspection>,
}

impl IntrospectionFlow {
    /// Asks about `token` as `client`, which here is a resource server's account.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no introspection endpoint.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        token: &Secret,
        hint: Option<TokenTypeHint>,
    ) -> Result<Self, Error> {
        let mut form = Form::default();
        form.add("token", token.expose());
        if let Some(hint) = hint {
            form.add("token_type_hint", hint.as_str());
        }
        let exchange = Exchange::form(metadata, Endpoint::Introspection, client, form, &[token])?;
        Ok(Self {
            state: Once::new(exchange),
        })
    }
}

impl Flow for IntrospectionFlow {
    type Output = Introspection;

    fn poll(&mut self, now: Timestamp) -> Result<Step<Introspection>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        self.state
            .handle(response, || Introspection::from_response(response))
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
