//! JSON that means one thing to every reader.
//!
//! RFC 8259 leaves the meaning of a repeated member name open, and parsers differ: two readers of
//! one signed document may see two different values. Here a repeated name is an error at every
//! level (RFC 7515, section 4 and RFC 7519, section 4 allow exactly that), and so are documents
//! that are too long, too deep, not UTF-8, or followed by anything but white space.
//!
//! This module knows nothing of tokens; it serves every document that comes from outside.

mod places;
mod read;
mod tree;

use serde_json::Value;

pub(crate) use self::tree::{Document, Node};
use crate::Claims;

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 32;

/// Why a document is not acceptable JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Longer than the caller allows.
    #[error("document is {length} bytes long, more than the {limit} allowed")]
    TooLarge {
        /// Length of the document in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("document is not UTF-8")]
    NotUtf8,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("document is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A member is named twice in one object.
    #[error("a member is named twice")]
    DuplicateMember,
    /// Valid JSON, but no object.
    #[error("document is not a JSON object")]
    NotAnObject,
    /// Not JSON (RFC 8259), or a number that no double can hold.
    #[error("syntax error in line {line}, column {column}")]
    Syntax {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, from 1.
        column: usize,
    },
}

/// Parses `bytes` as one JSON object of at most `max_len` bytes.
///
/// Refuses whatever [`JsonError`] lists. A byte order mark is a syntax error (RFC 8259, section
/// 8.1).
pub fn parse(bytes: &[u8], max_len: usize) -> Result<Claims, JsonError> {
    let document = parse_borrowed(bytes, max_len)?;
    Ok(Claims::new(document.into_owned()))
}

/// As [`parse`], for bytes that nobody needs afterwards.
pub(crate) fn parse_owned(bytes: Vec<u8>, max_len: usize) -> Result<Claims, JsonError> {
    let document = without_repeats(read::parse_owned(bytes, max_len)?)?;
    Ok(Claims::new(document.into_owned()))
}

/// As [`parse`], for a document that is only looked at.
pub(crate) fn parse_borrowed(bytes: &[u8], max_len: usize) -> Result<Document<'_>, JsonError> {
    without_repeats(read::parse(bytes, max_len)?)
}

fn without_repeats(document: Document<'_>) -> Result<Document<'_>, JsonError> {
    if document.has_repeats() {
        Err(JsonError::DuplicateMember)
    } else {
        Ok(document)
    }
}

/// One element of a list in which a bad element must not spoil the others.
#[derive(Debug)]
pub(crate) enum Element {
    Value(Value),
    HasDuplicateMember,
}

/// Parses a JSON object and gives the elements of its array member `list`. A member that is named
/// twice inside an element is reported with that element alone; anywhere else it is an error.
///
/// Returns `Ok(None)` when the object has no array of that name.
pub(crate) fn parse_list(
    bytes: &[u8],
    max_len: usize,
    list: &str,
) -> Result<Option<Vec<Element>>, JsonError> {
    let document = read::parse(bytes, max_len)?;
    if document.repeats() {
        return Err(JsonError::DuplicateMember);
    }
    let mut elements = None;
    let mut members = document.members();
    while let Some((name, node, has_repeats)) = members.next_judged() {
        match node {
            Node::Array(mut nodes) if name == list => {
                let element = |(node, has_repeats): (Node<'_>, bool)| {
                    if has_repeats {
                        Element::HasDuplicateMember
                    } else {
                        Element::Value(node.to_value())
                    }
                };
                let nodes = std::iter::from_fn(|| nodes.next_judged());
                elements = Some(nodes.map(element).collect());
            }
            _ if has_repeats => return Err(JsonError::DuplicateMember),
            _ => {}
        }
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<(), JsonError>) {
        assert_eq!(parse(text.as_bytes(), 1024).map(|_| ()), expected, "{text}");
    }

    #[test]
    fn a_name_that_is_repeated_at_any_level_is_refused() {
        let duplicate = Err(JsonError::DuplicateMember);
        check(r#"{"a":1,"a":1}"#, duplicate);
        check(r#"{"a":{"b":1,"b":2}}"#, duplicate);
        check(r#"{"a":[1,{"b":1,"c":2,"b":3}]}"#, duplicate);
        check(r#"{"a":1,"\u0061":2}"#, duplicate);
        check(r#"{"":1,"":2}"#, duplicate);
        check(r#"{"a":1,"A":2,"b":{"a":1}}"#, Ok(()));
    }

    #[test]
    fn a_repeat_among_many_names_is_found() {
        for count in [2, 16, 31, 32, 33, 100] {
            let names: Vec<String> = (0..count).map(|i| format!(r#""m{i}":{i}"#)).collect();
            let sound = format!("{{{}}}", names.join(","));
            assert!(parse(sound.as_bytes(), 4096).is_ok(), "{count}");
            let repeated = format!(r#"{{{},"m0":0}}"#, names.join(","));
            assert_eq!(
                parse(repeated.as_bytes(), 4096).unwrap_err(),
                JsonError::DuplicateMember
            );
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(MAX_DEPTH - 1), Ok(()));
        check(&nested(MAX_DEPTH), Err(JsonError::TooDeep));
        check(&nested(400), Err(JsonError::TooDeep));
        let objects = format!(
            "{}1{}",
            "{\"a\":".repeat(MAX_DEPTH + 1),
            "}".repeat(MAX_DEPTH + 1)
        );
        check(&objects, Err(JsonError::TooDeep));
    }

    #[test]
    fn length_is_limited_before_anything_is_read() {
        let error = parse(b"{\"a\":1}", 6).unwrap_err();
        assert_eq!(
            error,
            JsonError::TooLarge {
                length: 7,
                limit: 6
            }
        );
        assert!(parse(b"{\"a\":1}", 7).is_ok());
    }

    #[test]
    fn what_is_no_object_in_utf8_is_refused() {
        check("[]", Err(JsonError::NotAnObject));
        check("null", Err(JsonError::NotAnObject));
        check("\"{}\"", Err(JsonError::NotAnObject));
        assert_eq!(
            parse(b"{\"a\":\"\xff\"}", 99).unwrap_err(),
            JsonError::NotUtf8
        );
        assert_eq!(
            parse(b"{\"a\":\"\xc0\xaf\"}", 99).unwrap_err(),
            JsonError::NotUtf8
        );
        for text in [
            "",
            " ",
            "{",
            "{}}",
            "{}{}",
            "{} x",
            "\u{feff}{}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\x\"}",
            "{}\0",
            "{/**/}",
            "{\"a\":tru}",
            "{\"a\":\u{a0}1}",
        ] {
            let error = parse(text.as_bytes(), 99).unwrap_err();
            assert!(
                matches!(error, JsonError::Syntax { .. }),
                "{text:?}: {error}"
            );
        }
        check(" \t\r\n{ } \n", Ok(()));
        let (line, column) = (2, 6);
        check("{\n\"a\": }", Err(JsonError::Syntax { line, column }));
    }

    #[test]
    fn a_repeat_in_one_element_of_a_list_stays_with_that_element() {
        let list = |text: &str| parse_list(text.as_bytes(), 99, "keys");
        let elements = list(r#"{"keys":[{"a":1},{"a":1,"a":2},[{"b":0,"b":0}]],"x":1}"#);
        let elements = elements.unwrap().unwrap();
        assert!(matches!(elements[0], Element::Value(Value::Object(_))));
        assert!(matches!(elements[1], Element::HasDuplicateMember));
        assert!(matches!(elements[2], Element::HasDuplicateMember));
        for text in [
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[],"x":{"a":1,"a":2}}"#,
            r#"{"keys":{"a":1,"a":2}}"#,
        ] {
            assert_eq!(
                list(text).unwrap_err(),
                JsonError::DuplicateMember,
                "{text}"
            );
        }
        assert!(list(r#"{"keys":{}}"#).unwrap().is_none());
        assert!(list("{}").unwrap().is_none());
    }

    /// Takes what another reader takes, as the same value; but for a name that is repeated, of which
    /// the other takes the last.
    fn as_others_do(text: &str) {
        let read = parse(text.as_bytes(), text.len());
        let other: Result<Value, _> = serde_json::from_str(text);
        match (read, other) {
            (Ok(claims), Ok(other)) => {
                assert_eq!(serde_json::to_value(&claims).unwrap(), other, "{text}");
            }
            (Err(JsonError::Syntax { .. }), Err(_))
            | (Err(JsonError::DuplicateMember | JsonError::NotAnObject), Ok(_)) => {}
            (read, other) => panic!("{text}: {read:?}, and others read {other:?}"),
        }
    }

    /// Values, and what is none.
    const FORMS: &str = r#"
        0 -0 1 -1 10 00 01 -01 - +1 1. .1 1.5 -1.5e3 1e 1e+ 1E5 1e-5 1.e1 1- 1+1 1e1e1 0e0 0x1 1_0
        4294967295 4294967296 9999999999 10000000000 9223372036854775807 9223372036854775808
        -9223372036854775808 -9223372036854775809 18446744073709551615 18446744073709551616
        1e308 1e309 -1e309 1e-400 0.1 123456789012345678901234567890.5 Infinity NaN
        "" "a" a" "\" "\\" "\\\" "\\\\" "\"\\\/\b\f\n\r\t" "\u0000" "\u00e9" "\u00E9x" "\u" "\u12"
        "\u123" "\u12g4" "\ud83d\ude00" "\ud83d" "\ude00" "\ud83d\ud83d" "\ud83dx" "\ud83d\n" "\x41"
        "\'" "\0" "seven77\n" "eight888\"" 'a' "a""b" true True tru truex false fals null nul
        nullnull undefined [] [ ] [1 [1, [1,] [,] [,1] [[],[[]]] [} {] [1} {} { {"b"} {"b":} {"b":1,}
        {,"b":1} {"b"::1} {b:1} {1:1} {"b":{"c":[{"d":null}]}} {"b":1,"b":2} /**/1 1// 1,2 1} ,
    "#;

    /// The same, with white space and what looks like it.
    const SPACED_FORMS: [&str; 24] = [
        "",
        " ",
        "1 2",
        "[1 2]",
        "{\"b\" 1}",
        "{\"b\":1 \"c\":2}",
        "\"a\" \"b\"",
        "true x",
        "\t[ 1 ,\r\n2 ]",
        "\u{b}1",
        "\u{c}1",
        "\u{a0}1",
        "\u{feff}1",
        "1\0",
        "\u{ff11}",
        "\"\n\"",
        "\"\t\"",
        "\"\0\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"\u{e9}\u{1f600}\"",
        "\"a\\n\u{1f600}\"",
        "\"a\\\u{e9}\"",
        "\"\\\n\"",
    ];

    #[test]
    fn every_form_of_a_value_is_read_as_others_read_it() {
        for text in FORMS.split_whitespace().chain(SPACED_FORMS) {
            as_others_do(text);
            as_others_do(&format!(r#"{{"a":{text}}}"#));
            as_others_do(&format!(r#"{{"a":[{text},1],"z":{text}}}"#));
            as_others_do(&format!("{{{text}:1}}"));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e300..1e300).prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back(value in any_json()) {
            let text = serde_json::json!({ "value": value }).to_string();
            let claims = parse(text.as_bytes(), text.len()).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(claims.get("value"), read.get("value"));
            let length = text.len();
            prop_assert_eq!(parse_owned(text.into_bytes(), length).unwrap(), claims);
        }

        #[test]
        fn no_input_panics(text in r#"[\[\]{}:,"\\u0-9a-f .eE+-]{0,40}"#) {
            let _ = parse(text.as_bytes(), 64);
            let _ = parse_list(text.as_bytes(), 64, "a");
        }

        #[test]
        fn others_read_the_same(text in r#"\{("[ab]":[\[\]{}:,"0-9ab]{0,6},?){0,4}\}"#) {
            as_others_do(&text);
        }

        #[test]
        fn others_read_the_same_when_a_byte_is_another(
            value in any_json(),
            at: prop::sample::Index,
            byte in r"[\x00-\x7f]",
        ) {
            let mut text = serde_json::json!({ "value": value }).to_string();
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[at.index(places.len())];
            let len = text[at..].chars().next().map_or(0, char::len_utf8);
            text.replace_range(at..at + len, &byte);
            as_others_do(&text);
        }
    }
}
