//! `WWW-Authenticate` challenges (RFC 9110, section 11.6.1), and those for bearer tokens above all (RFC
//! 6750, section 3).
//!
//! Not responsible for: what a client does about one.

mod parse;

use std::fmt;

pub use parse::{Malformed, parse};

use crate::{ErrorCode, ScopeSet};

/// One challenge: a scheme, and either parameters or a token68.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as the server spelled it; compare with [`is`](Self::is).
    pub scheme: String,
    /// A bare token after the scheme, as `Negotiate` has it (RFC 9110, section 11.2).
    pub token68: Option<String>,
    /// Parameters in the order of the header; names in lower case, values without their quotes.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// Whether this is a challenge of `scheme`, in any case (RFC 9110, section 11.1).
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, if it is there.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }
}

/// A challenge for a bearer token (RFC 6750, section 3).
///
/// As a client: [`find`](Self::find). As a resource server: fill it and [`header_value`](Self::header_value).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    /// What is protected.
    pub realm: Option<String>,
    /// The scope that is needed.
    pub scope: Option<ScopeSet>,
    /// Why the token that was sent does not do. Absent if none was sent (section 3.1).
    pub error: Option<ErrorCode>,
    /// A sentence for the developer of the client.
    pub error_description: Option<String>,
    /// A page that explains more.
    pub error_uri: Option<String>,
    /// Parameters of other specifications, names in lower case.
    pub extra: Vec<(String, String)>,
}

impl BearerChallenge {
    /// A challenge with an error.
    pub fn new(error: ErrorCode) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }

    /// The first bearer challenge among the values of all `WWW-Authenticate` header fields of an
    /// answer. Values that are no challenges are passed over.
    pub fn find<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        Self::find_of("Bearer", values)
    }

    /// As [`find`](Self::find), for a scheme with the same parameters: `DPoP` (RFC 9449, section 7.1).
    pub fn find_of<'a>(scheme: &str, values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        values
            .into_iter()
            .filter_map(|value| parse(value).ok())
            .flatten()
            .find(|challenge| challenge.is(scheme))
            .map(Self::from)
    }

    /// The value of a parameter that has no field of its own.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extra
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The value of a `WWW-Authenticate` header. Characters that cannot stand in one are left out.
    pub fn header_value(&self) -> String {
        self.to_string()
    }
}

impl From<Challenge> for BearerChallenge {
    /// Takes over any scheme's parameters; a `scope` outside its grammar counts as absent.
    fn from(challenge: Challenge) -> Self {
        let mut bearer = Self::default();
        for (name, value) in challenge.params {
            match name.as_str() {
                "realm" => bearer.realm = Some(value),
                "scope" => bearer.scope = ScopeSet::parse(&value).ok(),
                "error" => bearer.error = Some(ErrorCode::from_name(&value)),
                "error_description" => bearer.error_description = Some(value),
                "error_uri" => bearer.error_uri = Some(value),
                _ => bearer.extra.push((name, value)),
            }
        }
        bearer
    }
}

impl fmt::Display for BearerChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = self.scope.as_ref().map(ToString::to_string);
        let error = self.error.as_ref().map(ErrorCode::as_str);
        let own = [
            ("realm", self.realm.as_deref()),
            ("error", error),
            ("error_description", self.error_description.as_deref()),
            ("error_uri", self.error_uri.as_deref()),
            ("scope", scope.as_deref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        f.write_str("Bearer")?;
        let mut separator = " ";
        for (name, value) in own.chain(extra).filter(|(name, _)| parse::is_token(name)) {
            write!(f, "{separator}{name}={}", Quoted(value))?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A quoted-string (RFC 9110, section 5.6.4). Everything but visible ASCII and space is left out: RFC
/// 6750, section 3 allows no more, and a line break would end the header.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars().filter(|c| matches!(c, ' '..='~')) {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}
