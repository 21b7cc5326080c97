//! A JSON object with accessors that take a member as what it must be, or not at all.
//!
//! A claim of the wrong type is an error here and never "absent": a validator that skips an `aud`
//! it cannot read accepts a token that was meant for somebody else. What a claim has to say is not
//! decided here; that is for the rules of ID tokens and access tokens.

use std::fmt;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::error::{Error, printable};
use crate::json::{Document, Node, Object};

/// The members of a strict JSON object: of the payload of a token, or of any other document that
/// [`crate::json::parse`] took.
///
/// `Debug` shows the names of the members and not their values.
#[derive(Clone)]
pub struct Claims {
    document: Document,
    object: Object,
    values: OnceLock<Map<String, Value>>,
}

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

impl Claims {
    pub(crate) fn new(document: Document, object: Object) -> Self {
        Self {
            document,
            object,
            values: OnceLock::new(),
        }
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.document.member(&self.object, name)
    }

    /// All claims as they stand, made of the document when somebody asks for it first.
    pub(crate) fn values(&self) -> &Map<String, Value> {
        self.values
            .get_or_init(|| self.document.to_map(&self.object))
    }

    /// The claim as it stands, of whatever type.
    ///
    /// The typed accessors are faster: this one builds the values of all claims first, once.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values().get(name)
    }

    /// Whether there is a claim of this name, of whatever type.
    pub fn contains(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// The names of all claims, in the order of the document.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.object
            .members()
            .iter()
            .map(|(name, _)| self.document.text(*name))
    }

    /// A string claim; `None` when it is absent. `null` is not absent, it is a wrong type.
    pub fn str(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.node(name) {
            None => Ok(None),
            Some(Node::String(value)) => Ok(Some(self.document.text(*value))),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// A string claim that has to be there.
    pub fn required_str(&self, name: &str) -> Result<&str, Error> {
        self.str(name)?.ok_or_else(|| missing(name))
    }

    /// A boolean claim; `None` when it is absent. The string `"true"` is not a boolean.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.node(name) {
            None => Ok(None),
            Some(Node::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    /// A non-negative whole number, such as `expires_in`; `None` when it is absent.
    pub fn u64(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.node(name) {
            None => Ok(None),
            Some(Node::Number(value)) if value.is_u64() => Ok(value.as_u64()),
            Some(_) => Err(wrong_type(name, "a whole number")),
        }
    }

    /// A `NumericDate` (RFC 7519, section 2) such as `exp`; `None` when it is absent.
    ///
    /// Seconds may have a fraction, which is kept to the millisecond and rounded towards the past.
    /// Anything before 1970 or after the year 9999 is refused: no clock shows it, and it would only
    /// serve to overflow a comparison.
    pub fn numeric_date(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let date = match self.node(name) {
            None => return Ok(None),
            Some(Node::Number(value)) => match (value.as_i64(), value.as_f64()) {
                (Some(secs), _) => (0..=LAST_SECOND)
                    .contains(&secs)
                    .then(|| Timestamp::from_secs(secs)),
                (None, secs) => secs.and_then(fractional_date),
            },
            Some(_) => None,
        };
        date.map(Some)
            .ok_or_else(|| wrong_type(name, "a number of seconds since 1970"))
    }

    /// A `NumericDate` that has to be there.
    pub fn required_numeric_date(&self, name: &str) -> Result<Timestamp, Error> {
        self.numeric_date(name)?.ok_or_else(|| missing(name))
    }

    /// A claim that is one string or an array of strings, such as `aud` (RFC 7519, section 4.1.3).
    ///
    /// An absent claim gives no strings, as an empty array does, so that a search for an expected
    /// value fails either way. An array with anything but strings in it is refused whole.
    pub fn string_or_array(&self, name: &str) -> Result<Vec<&str>, Error> {
        let text = |node: &Node| match node {
            Node::String(value) => Ok(self.document.text(*value)),
            _ => Err(wrong_type(name, "a string or an array of strings")),
        };
        match self.node(name) {
            None => Ok(Vec::new()),
            Some(Node::Array(nodes)) => nodes.iter().map(text).collect(),
            Some(node) => Ok(vec![text(node)?]),
        }
    }

    /// The `scope` claim (RFC 8693, section 4.2; RFC 9068, section 2.2.3) split into its values.
    ///
    /// Absent or empty gives no values. Separators other than one single space and characters that
    /// RFC 6749, section 3.3 does not allow are refused, as two readers would split them in two
    /// ways.
    pub fn scope(&self) -> Result<Vec<&str>, Error> {
        let scope = match self.str("scope")? {
            None | Some("") => return Ok(Vec::new()),
            Some(scope) => scope,
        };
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let values: Vec<&str> = scope.split(' ').collect();
        if values
            .iter()
            .all(|value| !value.is_empty() && value.bytes().all(allowed))
        {
            Ok(values)
        } else {
            Err(wrong_type(
                "scope",
                "a list of scope values separated by single spaces",
            ))
        }
    }

    /// Reads all claims as a type that derives `Deserialize`; a mismatch names no member.
    ///
    /// Types with strict fields of their own are the reason for this; for single claims the
    /// accessors above give better errors.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(self.values()).map_err(|error| Error::ClaimType {
            name: printable(&error.to_string()),
            expected: "as expected",
        })
    }
}

fn fractional_date(secs: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "both bounds are exact in a double"
    )]
    let in_range = (0.0..=LAST_SECOND as f64).contains(&secs);
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    in_range.then(|| Timestamp::from_millis((secs * 1000.0).floor() as i64))
}

fn missing(name: &str) -> Error {
    Error::ClaimMissing {
        name: printable(name),
    }
}

fn wrong_type(name: &str, expected: &'static str) -> Error {
    Error::ClaimType {
        name: printable(name),
        expected,
    }
}

impl PartialEq for Claims {
    /// Whether both have the same claims; their order and spelling do not matter.
    fn eq(&self, other: &Self) -> bool {
        self.values() == other.values()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims ")?;
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}
