//! Sets of scope tokens (RFC 6749, section 3.3).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of scope tokens, written as one string with single spaces (RFC 6749, section 3.3).
///
/// The order has no meaning on the wire, so it has none here: two sets with the same tokens are
/// equal and written alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet(BTreeSet<String>);

/// A scope token that RFC 6749, section 3.3 does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope token")]
pub struct InvalidScope(String);

impl ScopeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a space-separated list, refusing characters that RFC 6749, section 3.3 excludes. An
    /// empty string is the empty set; repeated spaces and tokens are forgiven.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        text.split(' ')
            .filter(|token| !token.is_empty())
            .map(str::to_owned)
            .try_fold(Self::new(), |mut set, token| {
                set.insert(token)?;
                Ok(set)
            })
    }

    /// Adds one token; says whether it is new.
    pub fn insert(&mut self, token: impl Into<String>) -> Result<bool, InvalidScope> {
        let token = token.into();
        if is_token(&token) {
            Ok(self.0.insert(token))
        } else {
            Err(InvalidScope(crate::text::printable(&token)))
        }
    }

    /// Takes one token out; says whether it was there.
    pub fn remove(&mut self, token: &str) -> bool {
        self.0.remove(token)
    }

    /// Whether `token` is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// Whether every token of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The tokens of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// The tokens that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The tokens in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`: visible ASCII without `"` and `\`.
fn is_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, token) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_have_no_meaning() {
        let one = ScopeSet::parse("openid  email openid").unwrap();
        assert_eq!(one, ScopeSet::parse("email openid").unwrap());
        assert_eq!(one.to_string(), "email openid");
        assert_eq!(one.len(), 2);
    }

    #[test]
    fn an_empty_scope_is_the_empty_set() {
        assert!(ScopeSet::parse("").unwrap().is_empty());
        assert_eq!(ScopeSet::new().to_string(), "");
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "é", "a\nb", "\u{7f}"] {
            assert!(ScopeSet::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sets_are_compared_and_subtracted() {
        let asked = ScopeSet::parse("a b c").unwrap();
        let granted = ScopeSet::parse("a b").unwrap();
        assert!(granted.is_subset(&asked));
        assert!(!asked.is_subset(&granted));
        assert_eq!(asked.difference(&granted).to_string(), "c");
        assert_eq!(asked.intersection(&granted), granted);
        assert!(asked.contains("c"));
    }

    #[test]
    fn a_set_is_one_string_in_json() {
        let set = ScopeSet::parse("b a").unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#""a b""#);
        assert_eq!(serde_json::from_str::<ScopeSet>(r#""b a""#).unwrap(), set);
        assert!(serde_json::from_str::<ScopeSet>(r#""\u0001""#).is_err());
    }
}
