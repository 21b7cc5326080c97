//! A JSON object with accessors that take a member as what it must be, or not at all.
//!
//! A claim of the wrong type is an error here and never "absent": a validator that skips an `aud`
//! it cannot read accepts a token that was meant for somebody else. What a claim has to say is not
//! decided here; that is for the rules of ID tokens and access tokens.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::error::{Error, printable};

/// The members of a strict JSON object: of the payload of a token, or of any other document that
/// [`crate::json::parse`] took.
///
/// `Debug` shows the names of the members and not their values.
#[derive(Clone, PartialEq)]
pub struct Claims {
    members: Map<String, Value>,
}

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

impl Claims {
    pub(crate) fn from_members(members: Map<String, Value>) -> Self {
        Self { members }
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The claim as it stands, of whatever type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The names of all claims.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// A string claim; `None` when it is absent. `null` is not absent, it is a wrong type.
    pub fn str(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// A string claim that has to be there.
    pub fn required_str(&self, name: &str) -> Result<&str, Error> {
        self.str(name)?.ok_or_else(|| missing(name))
    }

    /// A boolean claim; `None` when it is absent. The string `"true"` is not a boolean.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    /// A non-negative whole number, such as `expires_in`; `None` when it is absent.
    pub fn u64(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(value) => Ok(Some(value)),
                None => Err(wrong_type(name, "a whole number")),
            },
        }
    }

    /// A `NumericDate` (RFC 7519, section 2) such as `exp`; `None` when it is absent.
    ///
    /// Seconds may have a fraction, which is kept to the millisecond and rounded towards the past.
    /// Anything before 1970 or after the year 9999 is refused: no clock shows it, and it would only
    /// serve to overflow a comparison.
    pub fn numeric_date(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let date = match (value.as_i64(), value.as_f64()) {
            (Some(secs), _) => (0..=LAST_SECOND)
                .contains(&secs)
                .then(|| Timestamp::from_secs(secs)),
            (None, Some(secs)) => fractional_date(secs),
            (None, None) => None,
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
        let error = || wrong_type(name, "a string or an array of strings");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(value)) => Ok(vec![value]),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().ok_or_else(error))
                .collect(),
            Some(_) => Err(error()),
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
        T::deserialize(&self.members).map_err(|error| Error::ClaimType {
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

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims ")?;
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}
