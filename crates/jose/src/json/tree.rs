//! A parsed document that shares the text it was read from.
//!
//! A token is parsed for every request, mostly to look at a handful of strings. Strings are
//! therefore kept as places in the text and copied only when they hold an escape. Repeated names
//! are noted here and judged by the caller.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{JsonError, MAX_DEPTH};

/// The text that [`Node`]s point into: the document and, behind it, its unescaped strings. Without
/// any it is still the caller's.
pub(crate) struct Document<'t> {
    text: Cow<'t, str>,
    has_repeats: bool,
}

/// A string: a place in the text of the document.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    String(Span),
    Array(Vec<Self>),
    Object(Object),
}

pub(crate) struct Object {
    members: Vec<(Span, Node)>,
    repeats: bool,
}

impl Document<'_> {
    pub(crate) fn into_owned(self) -> Document<'static> {
        let text = Cow::Owned(self.text.into_owned());
        Document { text, ..self }
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.text
            .get(start..start + span.len as usize)
            .unwrap_or_default()
    }

    /// How many bytes the text takes, beside the document itself.
    pub(crate) fn size(&self) -> usize {
        match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        }
    }

    /// Whether any object at any level names a member twice.
    pub(crate) fn has_repeats(&self) -> bool {
        self.has_repeats
    }

    /// The member of `object` with this name; the first, if there are several.
    pub(crate) fn member<'o>(&self, object: &'o Object, name: &str) -> Option<&'o Node> {
        let mut members = object.members.iter();
        members
            .find(|(span, _)| self.text(*span) == name)
            .map(|(_, node)| node)
    }

    pub(crate) fn to_value(&self, node: &Node) -> Value {
        match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Number(value) => Value::Number(value.clone()),
            Node::String(span) => Value::String(self.text(*span).to_owned()),
            Node::Array(nodes) => nodes.iter().map(|node| self.to_value(node)).collect(),
            Node::Object(object) => Value::Object(self.to_map(object)),
        }
    }

    pub(crate) fn to_map(&self, object: &Object) -> Map<String, Value> {
        let member =
            |(name, node): &(Span, Node)| (self.text(*name).to_owned(), self.to_value(node));
        object.members.iter().map(member).collect()
    }
}

impl Node {
    fn size(&self) -> usize {
        match self {
            Self::Array(nodes) => {
                nodes.capacity() * size_of::<Self>() + nodes.iter().map(Self::size).sum::<usize>()
            }
            Self::Object(object) => object.size(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
        }
    }

    /// Whether an object at or below this node names a member twice.
    pub(crate) fn has_repeats(&self) -> bool {
        match self {
            Self::Array(nodes) => nodes.iter().any(Self::has_repeats),
            Self::Object(object) => {
                object.repeats || object.members.iter().any(|(_, node)| node.has_repeats())
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }
}

impl Object {
    /// How many bytes its members take.
    pub(crate) fn size(&self) -> usize {
        let nested = self.members.iter().map(|(_, node)| node.size());
        self.members.capacity() * size_of::<(Span, Node)>() + nested.sum::<usize>()
    }

    pub(crate) fn members(&self) -> &[(Span, Node)] {
        &self.members
    }

    /// Whether this object itself names a member twice.
    pub(crate) fn repeats(&self) -> bool {
        self.repeats
    }
}

/// Parses `bytes` as one JSON object of at most `max_len` bytes, repeated names and all.
pub(crate) fn parse(bytes: &[u8], max_len: usize) -> Result<(Document<'_>, Object), JsonError> {
    // Places in the text are kept in 32 bits. Unescaping never makes a string longer, so that text
    // and unescaped strings together stay below twice the limit.
    let limit = max_len.min(i32::MAX as usize);
    if bytes.len() > limit {
        return Err(JsonError::TooLarge {
            length: bytes.len(),
            limit,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let mut reader = Reader {
        text,
        unescaped: String::new(),
        depth: 0,
        too_deep: false,
        has_repeats: false,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = reader.deserialize(&mut deserializer).and_then(|node| {
        deserializer.end()?;
        Ok(node)
    });
    match parsed {
        Ok(Node::Object(object)) => {
            let text = if reader.unescaped.is_empty() {
                Cow::Borrowed(text)
            } else {
                Cow::Owned([text, &reader.unescaped].concat())
            };
            Ok((
                Document {
                    text,
                    has_repeats: reader.has_repeats,
                },
                object,
            ))
        }
        Ok(_) => Err(JsonError::NotAnObject),
        Err(_) if reader.too_deep => Err(JsonError::TooDeep),
        Err(error) => Err(JsonError::Syntax {
            line: error.line(),
            column: error.column(),
        }),
    }
}

struct Reader<'t> {
    text: &'t str,
    unescaped: String,
    depth: usize,
    too_deep: bool,
    has_repeats: bool,
}

impl Reader<'_> {
    /// Where `part` stands in the text; a copy of it, when it does not.
    fn place(&mut self, part: &str) -> Span {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let is_place = self
            .text
            .get(start..)
            .is_some_and(|rest| rest.len() >= part.len());
        if is_place {
            span(start, part)
        } else {
            self.keep(part)
        }
    }

    fn keep(&mut self, part: &str) -> Span {
        let start = self.text.len() + self.unescaped.len();
        self.unescaped.push_str(part);
        span(start, part)
    }

    fn resolve(&self, span: Span) -> &str {
        let (start, len) = (span.start as usize, span.len as usize);
        let (text, start) = match start.checked_sub(self.text.len()) {
            None => (self.text, start),
            Some(start) => (self.unescaped.as_str(), start),
        };
        text.get(start..start + len).unwrap_or_default()
    }

    fn descend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        self.too_deep |= self.depth > MAX_DEPTH;
        if self.too_deep {
            Err(E::custom("nested too deep"))
        } else {
            Ok(())
        }
    }

    fn repeats(&self, members: &[(Span, Node)]) -> bool {
        // Comparing names is the fastest for the few members of a token, and sorting keeps a
        // hostile document of thousands from costing the square of them.
        if members.len() <= 32 {
            let mut seen = 0_u128;
            return members.iter().enumerate().any(|(index, (name, _))| {
                let name = self.resolve(*name);
                let earlier = seen;
                let bit = 1 << (shape(name) % 128);
                seen |= bit;
                let mut others = members.iter().take(index);
                earlier & bit != 0 && others.any(|(other, _)| self.resolve(*other) == name)
            });
        }
        let name = |member: &(Span, Node)| self.resolve(member.0);
        let mut names: Vec<&str> = members.iter().map(name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair.first() == pair.get(1))
    }
}

/// A number that differs for most names that differ, so that few need comparing.
fn shape(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
    let (middle, last) = (bytes.len() / 2, bytes.len().saturating_sub(1));
    bytes.len() + 5 * at(0) + 11 * at(1) + 17 * at(middle) + 29 * at(last)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "documents are limited to 2 GiB"
)]
fn span(start: usize, part: &str) -> Span {
    Span {
        start: start as u32,
        len: part.len() as u32,
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Node::Number(number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node, E> {
        Ok(Node::String(self.place(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(self.keep(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.descend()?;
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element_seed(&mut *self)? {
            nodes.push(node);
        }
        self.depth -= 1;
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.descend()?;
        // The claims of a token, without growing; a hostile document gets no more for its length.
        let expected = if self.depth == 1 {
            (self.text.len() / 32).min(32)
        } else {
            0
        };
        let mut members = Vec::with_capacity(expected);
        while let Some(name) = access.next_key_seed(Name(self))? {
            let node = access.next_value_seed(&mut *self)?;
            members.push((name, node));
        }
        self.depth -= 1;
        let repeats = self.repeats(&members);
        self.has_repeats |= repeats;
        Ok(Node::Object(Object { members, repeats }))
    }
}

/// Reads the name of a member.
struct Name<'r, 't>(&'r mut Reader<'t>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Span, E> {
        Ok(self.0.place(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Span, E> {
        Ok(self.0.keep(name))
    }
}
