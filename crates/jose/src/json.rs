//! JSON that means one thing to every reader.
//!
//! RFC 8259 leaves the meaning of a repeated member name open, and parsers differ: two readers of
//! one signed document may see two different values. Here a repeated name is an error at every
//! level (RFC 7519, section 4 and RFC 7515, section 4 allow exactly that), and so are documents
//! that are too long, too deep, not UTF-8, or followed by anything but white space.
//!
//! This module knows nothing of tokens; it serves every document that comes from outside.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

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
    let faults = Faults::default();
    match parse_value(bytes, max_len, &faults, Mode::Strict)? {
        Value::Object(members) => Ok(Claims::from_members(members)),
        _ => Err(JsonError::NotAnObject),
    }
}

/// One element of a list in which a bad element must not spoil the others.
#[derive(Debug)]
pub(crate) enum Element {
    Value(Value),
    HasDuplicateMember,
}

/// Parses a JSON object and, apart from the rest, the elements of its array member `list`. A
/// member that is named twice inside an element is reported with that element alone.
///
/// Returns `Ok(None)` when the object has no array of that name.
pub(crate) fn parse_list(
    bytes: &[u8],
    max_len: usize,
    list: &'static str,
) -> Result<Option<Vec<Element>>, JsonError> {
    let faults = Faults::default();
    let value = parse_value(bytes, max_len, &faults, Mode::Tolerant { list })?;
    let Value::Object(mut members) = value else {
        return Err(JsonError::NotAnObject);
    };
    let Some(Value::Array(values)) = members.remove(list) else {
        return Ok(None);
    };
    let marked = faults.elements.take();
    let element = |(index, value)| {
        if marked.binary_search(&index).is_ok() {
            Element::HasDuplicateMember
        } else {
            Element::Value(value)
        }
    };
    Ok(Some(values.into_iter().enumerate().map(element).collect()))
}

/// What the visitor found that the syntax error type of the parser cannot carry.
#[derive(Default)]
struct Faults {
    duplicate: Cell<bool>,
    too_deep: Cell<bool>,
    elements: Cell<Vec<usize>>,
}

#[derive(Clone, Copy)]
enum Mode {
    /// A repeated name anywhere ends the parse.
    Strict,
    /// At the top of a document whose member `list` is parsed tolerantly.
    Tolerant { list: &'static str },
    /// Inside that list: a repeated name marks the element.
    List,
    /// Inside one element of that list.
    Element { index: usize },
}

fn parse_value(
    bytes: &[u8],
    max_len: usize,
    faults: &Faults,
    mode: Mode,
) -> Result<Value, JsonError> {
    if bytes.len() > max_len {
        return Err(JsonError::TooLarge {
            length: bytes.len(),
            limit: max_len,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Strict {
        depth: 0,
        faults,
        mode,
    };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    parsed.map_err(|error| {
        if faults.duplicate.get() {
            JsonError::DuplicateMember
        } else if faults.too_deep.get() {
            JsonError::TooDeep
        } else {
            JsonError::Syntax {
                line: error.line(),
                column: error.column(),
            }
        }
    })
}

/// Builds a [`Value`] and refuses what [`Value`]'s own deserialiser lets through.
#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: usize,
    faults: &'f Faults,
    mode: Mode,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self, mode: Mode) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            self.faults.too_deep.set(true);
            return Err(E::custom("too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
            mode,
            ..self
        })
    }

    fn duplicate<E: serde::de::Error>(self) -> Result<(), E> {
        if let Mode::Element { index } = self.mode {
            let mut elements = self.faults.elements.take();
            if elements.last() != Some(&index) {
                elements.push(index);
            }
            self.faults.elements.set(elements);
            return Ok(());
        }
        self.faults.duplicate.set(true);
        Err(E::custom("duplicate member"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut seed = self.deeper(self.mode)?;
        let mut values = Vec::new();
        loop {
            if let Mode::List = self.mode {
                seed.mode = Mode::Element {
                    index: values.len(),
                };
            }
            match access.next_element_seed(seed)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                self.duplicate()?;
            }
            let mode = match self.mode {
                Mode::Tolerant { list } if name == list => Mode::List,
                Mode::Tolerant { .. } => Mode::Strict,
                mode => mode,
            };
            let value = access.next_value_seed(self.deeper(mode)?)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
