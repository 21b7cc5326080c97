//! Which API a token is asked for (RFC 8707; RFC 8693, section 2.1).
//!
//! Not responsible for: whether the server knows it, nor how a provider wants it named; for that see
//! [`OtherApi`](crate::preset::OtherApi).

use std::fmt;

use url::Url;

use crate::ScopeSet;
use crate::http::Form;

/// The API that a token is asked for, and what the token may do there. Empty means: as granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// `resource` values: absolute URIs (RFC 8707, section 2).
    pub resources: Vec<String>,
    /// `audience` values: names that the server knows (RFC 8693, section 2.1).
    pub audiences: Vec<String>,
    /// `scope`.
    pub scopes: ScopeSet,
}

/// A `resource` that RFC 8707, section 2 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a resource is an absolute URI without a fragment, such as https://api.example.com")]
pub struct InvalidResource;

impl Target {
    /// Whether nothing is asked for but what was granted.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.audiences.is_empty() && self.scopes.is_empty()
    }

    /// The names of the API, resources first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .chain(&self.audiences)
            .map(String::as_str)
    }

    /// Whether `text` can be a `resource`.
    ///
    /// # Errors
    /// [`InvalidResource`] if not.
    pub fn check_resource(text: &str) -> Result<(), InvalidResource> {
        match Url::parse(text) {
            Ok(url) if url.fragment().is_none() => Ok(()),
            _ => Err(InvalidResource),
        }
    }

    pub(crate) fn add_to(&self, form: &mut Form) {
        if !self.scopes.is_empty() {
            form.add("scope", self.scopes.to_string());
        }
        for resource in &self.resources {
            form.add("resource", resource);
        }
        for audience in &self.audiences {
            form.add("audience", audience);
        }
    }
}

/// The names of the API, or the scopes where nothing else names it. Not filtered for printing.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        if names.is_empty() {
            return self.scopes.fmt(f);
        }
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        for good in ["https://api.example.com", "urn:example:api", "api://1234/a"] {
            assert_eq!(Target::check_resource(good), Ok(()), "{good}");
        }
        for bad in ["", "api", "/api", "https://api.example.com/#a", "//api"] {
            assert_eq!(Target::check_resource(bad), Err(InvalidResource), "{bad}");
        }
    }

    #[test]
    fn it_reads_as_what_names_it() {
        let mut target = Target {
            scopes: ScopeSet::parse("b a").unwrap(),
            ..Target::default()
        };
        assert_eq!(target.to_string(), "a b");
        target.audiences.push("stock".to_owned());
        target.resources.push("https://a.example".to_owned());
        assert_eq!(target.to_string(), "https://a.example, stock");
    }
}
