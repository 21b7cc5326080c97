//! What a decision is made about, borrowed from whoever has it.

use std::net::IpAddr;

use serde_json::{Map, Number, Value};

/// A claim, as far as rules can look at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact<'c> {
    /// A string.
    Text(&'c str),
    /// A number.
    Number(Number),
    /// A boolean.
    Bool(bool),
    /// An array. What is neither string, number nor boolean in it is [`Fact::Other`].
    List(Vec<Self>),
    /// `null` or an object: there, and not comparable to anything.
    Other,
}

/// Where claims come from.
pub trait Claims {
    /// The claim at this path, member by member; `None` when it is not there.
    fn claim(&self, path: &[&str]) -> Option<Fact<'_>>;
}

impl Claims for Map<String, Value> {
    fn claim(&self, path: &[&str]) -> Option<Fact<'_>> {
        let (first, rest) = path.split_first()?;
        let mut value = self.get(*first)?;
        for name in rest {
            value = value.as_object()?.get(*name)?;
        }
        Some(fact(value))
    }
}

fn fact(value: &Value) -> Fact<'_> {
    match value {
        Value::String(text) => Fact::Text(text),
        Value::Number(number) => Fact::Number(number.clone()),
        Value::Bool(value) => Fact::Bool(*value),
        Value::Array(values) => Fact::List(values.iter().map(fact).collect()),
        Value::Null | Value::Object(_) => Fact::Other,
    }
}

/// Everything that a policy may look at. Start with [`Evidence::new`] and add what is known; what is
/// not added is not known, which never helps the caller.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The verified claims.
    pub claims: &'a dyn Claims,
    /// The present time, in seconds since 1970.
    pub now: i64,
    /// The scopes that were granted. They are not read from the claims, because providers write them
    /// in several ways.
    pub scopes: &'a [&'a str],
    /// The client that acts. Not read from the claims, for the same reason.
    pub client_id: Option<&'a str>,
    /// Where the request comes from.
    pub source: Option<IpAddr>,
}

impl<'a> Evidence<'a> {
    /// These claims, at this time in seconds since 1970.
    pub fn new(claims: &'a dyn Claims, now: i64) -> Self {
        Self {
            claims,
            now,
            scopes: &[],
            client_id: None,
            source: None,
        }
    }

    /// Adds the scopes that were granted.
    #[must_use]
    pub fn scopes(mut self, scopes: &'a [&'a str]) -> Self {
        self.scopes = scopes;
        self
    }

    /// Adds the client that acts.
    #[must_use]
    pub fn client_id(mut self, client_id: Option<&'a str>) -> Self {
        self.client_id = client_id;
        self
    }

    /// Adds where the request comes from.
    #[must_use]
    pub fn source(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }
}

impl std::fmt::Debug for Evidence<'_> {
    /// Without the claims, which may be personal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence")
            .field("now", &self.now)
            .field("scopes", &self.scopes)
            .field("client_id", &self.client_id)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
