//! A JSON object with accessors that take a member as what it must be, or not at all.
//!
//! A claim of the wrong type is an error here and never "absent": a validator that skips an `aud`
//! it cannot read accepts a token that was meant for somebody else. What a claim has to say is not
//! decided here; that is for the rules of ID tokens and access tokens.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::Timestamp;
use crate::error::{Error, printable};
use crate::json::{Document, Node};

/// The members of a strict JSON object: of the payload of a token, or of any other document that
/// [`crate::json::parse`] took.
///
/// `Debug` shows the names of the members and not their values. A clone shares everything.
#[derive(Clone)]
pub struct Claims(Arc<Parsed>);

/// A claim of any type and at any depth, borrowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim<'c> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(&'c str),
    /// An array, with its elements.
    Array(Vec<Self>),
    /// An object, whose members have paths of their own.
    Object,
}

impl<'c> From<Node<'c>> for Claim<'c> {
    fn from(node: Node<'c>) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(value),
            Node::Number(value) => Self::Number(value),
            Node::String(text) => Self::String(text),
            Node::Array(nodes) => Self::Array(nodes.map(Self::from).collect()),
            Node::Object(_) => Self::Object,
        }
    }
}

struct Parsed {
    document: Document<'static>,
    values: OnceLock<Map<String, Value>>,
}

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

impl Claims {
    pub(crate) fn new(document: Document<'static>) -> Self {
        Self(Arc::new(Parsed {
            document,
            values: OnceLock::new(),
        }))
    }

    fn node(&self, name: &str) -> Option<Node<'_>> {
        self.0.document.member(name)
    }

    /// All claims as they stand, made of the document when somebody asks for it first.
    pub(crate) fn values(&self) -> &Map<String, Value> {
        let Parsed {
            document, values, ..
        } = &*self.0;
        values.get_or_init(|| document.members().to_map())
    }

    /// The claim as it stands, of whatever type.
    ///
    /// The typed accessors and [`Claims::at`] are faster: this one builds the values of all claims
    /// first, once, and keeps them as long as the claims.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values().get(name)
    }

    /// The claim at a path: a member, or a member of a member. Unlike [`Claims::get`] it builds
    /// nothing but the list of an array's elements.
    pub fn at(&self, path: &[&str]) -> Option<Claim<'_>> {
        self.node_at(path).map(Claim::from)
    }

    fn node_at(&self, path: &[&str]) -> Option<Node<'_>> {
        let (first, rest) = path.split_first()?;
        let mut node = self.node(first)?;
        for name in rest {
            node = match node {
                Node::Object(members) => members.find(name)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// Whether there is a claim of this name, of whatever type.
    pub fn contains(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// The names of the members of the object at a path; none, when there is no object.
    pub fn names_at(&self, path: &[&str]) -> impl Iterator<Item = &str> {
        let members = match self.node_at(path) {
            Some(Node::Object(members)) => Some(members),
            _ => None,
        };
        members.into_iter().flatten().map(|(name, _)| name)
    }

    /// How many bytes the claims take, without what [`Claims::get`] builds.
    pub fn size(&self) -> usize {
        // The two counters of the `Arc`.
        size_of::<(usize, usize, Parsed)>() + self.0.document.size()
    }

    /// The names of all claims, in the order of the document.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.document.members().map(|(name, _)| name)
    }

    /// A string claim; `None` when it is absent. `null` is not absent, it is a wrong type.
    pub fn str(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.node(name) {
            None => Ok(None),
            Some(Node::String(value)) => Ok(Some(value)),
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
            Some(Node::Bool(value)) => Ok(Some(value)),
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
        let text = |node| match node {
            Node::String(value) => Ok(value),
            _ => Err(wrong_type(name, "a string or an array of strings")),
        };
        match self.node(name) {
            None => Ok(Vec::new()),
            Some(Node::Array(nodes)) => nodes.map(text).collect(),
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

    /// Reads all claims as a type that derives `Deserialize`.
    ///
    /// The error says only that they do not fit, as serde's would show a value. For single claims
    /// the accessors above are the better choice: they name the claim.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.0.document.members().to_map()).map_err(|_| Error::ClaimsMismatch)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::parse;

    fn claims(value: &Value) -> Claims {
        parse(value.to_string().as_bytes(), 1024).unwrap()
    }

    fn claim(text: &str) -> Claims {
        parse(format!("{{\"x\":{text}}}").as_bytes(), 1024).unwrap()
    }

    #[test]
    fn a_claim_of_another_type_is_an_error_and_not_absent() {
        for other in [
            "null",
            "1",
            "1.5",
            "true",
            "[]",
            "{}",
            "[\"a\",1]",
            "[null]",
            "\"a\"",
        ] {
            let claims = claim(other);
            let is_string = other == "\"a\"";
            assert_eq!(claims.str("x").is_ok(), is_string, "{other}");
            assert_eq!(claims.required_str("x").is_ok(), is_string, "{other}");
            assert_eq!(claims.bool("x").is_ok(), other == "true", "{other}");
            assert_eq!(claims.u64("x").is_ok(), other == "1", "{other}");
            let is_date = other == "1" || other == "1.5";
            assert_eq!(claims.numeric_date("x").is_ok(), is_date, "{other}");
            let is_list = is_string || other == "[]";
            assert_eq!(claims.string_or_array("x").is_ok(), is_list, "{other}");
        }
    }

    #[test]
    fn an_absent_claim_is_none_or_an_error_when_it_is_required() {
        let claims = claims(&json!({}));
        assert_eq!(claims.str("x"), Ok(None));
        assert_eq!(claims.bool("x"), Ok(None));
        assert_eq!(claims.u64("x"), Ok(None));
        assert_eq!(claims.numeric_date("x"), Ok(None));
        assert_eq!(claims.string_or_array("x"), Ok(vec![]));
        assert_eq!(claims.scope(), Ok(vec![]));
        assert_eq!(claims.get("x"), None);
        assert!(!claims.contains("x"));
        let missing = Error::ClaimMissing {
            name: "x".to_owned(),
        };
        assert_eq!(claims.required_str("x"), Err(missing.clone()));
        assert_eq!(claims.required_numeric_date("x"), Err(missing));
    }

    #[test]
    fn dates_are_kept_to_the_millisecond_within_the_calendar() {
        let date = |text: &str| {
            claim(text)
                .numeric_date("x")
                .map(|date| date.unwrap().as_millis())
        };
        assert_eq!(date("0"), Ok(0));
        assert_eq!(date("1300819380"), Ok(1_300_819_380_000));
        assert_eq!(date("1300819380.5"), Ok(1_300_819_380_500));
        assert_eq!(date("1.3e9"), Ok(1_300_000_000_000));
        assert_eq!(date("0.0009"), Ok(0));
        assert_eq!(date("253402300799"), Ok(253_402_300_799_000));
        for text in [
            "-1",
            "-0.5",
            "253402300800",
            "253402300799.5",
            "18000000000000000000",
            "1.8e19",
            "1e300",
            "99999999999999999999999999",
            "\"1300819380\"",
            "\"never\"",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_string_and_a_list_of_one_are_the_same_audience() {
        let all = claims(&json!({ "one": "a", "list": ["a"], "two": ["a", "b"] }));
        assert_eq!(all.string_or_array("one"), all.string_or_array("list"));
        assert_eq!(all.string_or_array("two"), Ok(vec!["a", "b"]));
    }

    #[test]
    fn scopes_are_separated_by_single_spaces_and_nothing_else() {
        let scope = |scope: &str| {
            let claims = claims(&json!({ "scope": scope }));
            claims.scope().map(|values| values.len())
        };
        assert_eq!(scope(""), Ok(0));
        assert_eq!(scope("openid"), Ok(1));
        assert_eq!(scope("openid https://a.example/x?y=!#$ a:b"), Ok(3));
        for other in [
            " ",
            "a ",
            " a",
            "a  b",
            "a\tb",
            "a\nb",
            "a,\u{a0}b",
            "a\"b",
            "a\\b",
            "\u{e4}",
            "a\0",
        ] {
            assert!(scope(other).is_err(), "{other:?}");
        }
        assert!(claims(&json!({ "scope": ["a"] })).scope().is_err());
    }

    #[test]
    fn escaped_strings_and_names_are_read_as_what_they_mean() {
        let claims = parse(br#"{"\u0069ss":"a\"\\\n\ud83d\ude00b","sub":"plain"}"#, 99).unwrap();
        assert_eq!(claims.str("iss"), Ok(Some("a\"\\\n\u{1f600}b")));
        assert_eq!(claims.str("sub"), Ok(Some("plain")));
        assert_eq!(claims.names().collect::<Vec<_>>(), ["iss", "sub"]);
        assert_eq!(claims.get("iss"), Some(&json!("a\"\\\n\u{1f600}b")));
    }

    #[test]
    fn claims_are_read_into_types_of_the_caller() {
        #[derive(serde::Deserialize)]
        struct Custom {
            groups: Vec<String>,
        }
        let read = claims(&json!({ "groups": ["a", "b"], "other": 1 }));
        assert_eq!(read.to::<Custom>().unwrap().groups, ["a", "b"]);
        let wrong = claims(&json!({ "groups": "secret" }));
        assert_eq!(wrong.to::<Custom>().err(), Some(Error::ClaimsMismatch));
    }

    #[test]
    fn claims_inside_of_others_have_paths() {
        let claims = claims(&json!({ "a": { "b": ["x", 1, null, {}], "c.d": true }, "a.b": "no" }));
        let found = claims.at(&["a", "b"]);
        let one = Number::from(1);
        let expected = vec![
            Claim::String("x"),
            Claim::Number(one),
            Claim::Null,
            Claim::Object,
        ];
        assert_eq!(found, Some(Claim::Array(expected)));
        assert_eq!(claims.at(&["a", "c.d"]), Some(Claim::Bool(true)));
        assert_eq!(claims.at(&["a"]), Some(Claim::Object));
        for path in [&[][..], &["b"], &["a", "b", "x"], &["a.b", "c"]] {
            assert_eq!(claims.at(path), None, "{path:?}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!(
            "{:?}",
            claims(&json!({ "email": "ada@example.com", "sub": "ada" }))
        );
        assert_eq!(shown, r#"Claims {"email", "sub"}"#);
    }
}
