//! Reads a document into the list of its values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::tree::{Document, Item, Kind, MAX_LEN};
use super::{JsonError, MAX_DEPTH};

/// Parses `bytes` as one JSON object of at most `max_len` bytes, repeated names and all.
pub(super) fn parse(bytes: &[u8], max_len: usize) -> Result<Document<'_>, JsonError> {
    check_len(bytes, max_len)?;
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let read = read(text)?;
    let text = if read.unescaped.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned([text, &read.unescaped].concat())
    };
    Ok(read.into_document(text))
}

/// As [`parse`], for a document that keeps its text.
pub(super) fn parse_owned(bytes: Vec<u8>, max_len: usize) -> Result<Document<'static>, JsonError> {
    check_len(&bytes, max_len)?;
    let mut text = String::from_utf8(bytes).map_err(|_| JsonError::NotUtf8)?;
    let read = read(&text)?;
    text.push_str(&read.unescaped);
    Ok(read.into_document(Cow::Owned(text)))
}

fn check_len(bytes: &[u8], max_len: usize) -> Result<(), JsonError> {
    let limit = max_len.min(MAX_LEN);
    if bytes.len() > limit {
        return Err(JsonError::TooLarge {
            length: bytes.len(),
            limit,
        });
    }
    Ok(())
}

/// What is in a text, by places in it and in what was unescaped.
struct Read {
    unescaped: String,
    items: Vec<Item>,
    numbers: Vec<Number>,
}

impl Read {
    /// `text` is what was read, with the unescaped strings behind it.
    fn into_document(self, text: Cow<'_, str>) -> Document<'_> {
        Document {
            text,
            items: self.items,
            numbers: self.numbers,
        }
    }
}

fn read(text: &str) -> Result<Read, JsonError> {
    // The claims of a token, without growing; a hostile document gets no more for its length.
    let expected = (text.len() / 16).min(64);
    let mut reader = Reader {
        text,
        unescaped: String::new(),
        items: Vec::with_capacity(expected),
        numbers: Vec::new(),
        depth: 0,
        too_deep: false,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = reader
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    if let Err(error) = parsed {
        return Err(if reader.too_deep {
            JsonError::TooDeep
        } else {
            JsonError::Syntax {
                line: error.line(),
                column: error.column(),
            }
        });
    }
    let top = reader.items.first().map(|top| top.kind());
    if !matches!(top, Some(Kind::Object | Kind::Repeating)) {
        return Err(JsonError::NotAnObject);
    }
    Ok(Read {
        unescaped: reader.unescaped,
        items: reader.items,
        numbers: reader.numbers,
    })
}

struct Reader<'t> {
    text: &'t str,
    unescaped: String,
    items: Vec<Item>,
    numbers: Vec<Number>,
    depth: usize,
    too_deep: bool,
}

impl Reader<'_> {
    /// Where `part` stands in the text; a copy of it, when it does not.
    fn place(&mut self, part: &str) {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let is_place = self
            .text
            .get(start..)
            .is_some_and(|rest| rest.len() >= part.len());
        if is_place {
            self.items.push(Item::new(Kind::String, start, part.len()));
        } else {
            self.keep(part);
        }
    }

    fn keep(&mut self, part: &str) {
        let start = self.text.len() + self.unescaped.len();
        self.unescaped.push_str(part);
        self.items.push(Item::new(Kind::String, start, part.len()));
    }

    fn number(&mut self, number: Number) {
        let small = number.as_u64().and_then(|small| u32::try_from(small).ok());
        if let Some(small) = small {
            self.items.push(Item::new(Kind::Small, small as usize, 0));
        } else {
            let place = self.numbers.len();
            self.numbers.push(number);
            self.items.push(Item::new(Kind::Number, place, 0));
        }
    }

    fn plain(&mut self, kind: Kind) {
        self.items.push(Item::new(kind, 0, 0));
    }

    /// Begins an array or object, and says where.
    fn open<E: Error>(&mut self) -> Result<usize, E> {
        self.depth += 1;
        self.too_deep |= self.depth > MAX_DEPTH;
        if self.too_deep {
            return Err(E::custom("nested too deep"));
        }
        self.plain(Kind::Null);
        Ok(self.items.len() - 1)
    }

    fn close(&mut self, at: usize, kind: Kind) {
        self.depth -= 1;
        let inside = self.items.len() - at - 1;
        if let Some(item) = self.items.get_mut(at) {
            *item = Item::new(kind, 0, inside);
        }
    }

    fn resolve(&self, item: Item) -> &str {
        let (start, len) = (item.start as usize, item.len());
        let (text, start) = match start.checked_sub(self.text.len()) {
            None => (self.text, start),
            Some(start) => (self.unescaped.as_str(), start),
        };
        text.get(start..start + len).unwrap_or_default()
    }

    /// The names of the object whose members begin at `from`.
    fn names(&self, from: usize) -> impl Iterator<Item = Item> {
        let mut rest = self.items.get(from..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, value) = rest.split_first()?;
            rest = value.get(1 + value.first()?.inside()..)?;
            Some(*name)
        })
    }

    /// Whether one of `count` members that begin at `from` is named like another.
    fn repeats(&self, from: usize, count: usize) -> bool {
        // Comparing names is the fastest for the few members of a token, and sorting keeps a
        // hostile document of thousands from costing the square of them.
        if count <= 32 {
            let mut seen = 0_u128;
            return self.names(from).enumerate().any(|(index, name)| {
                let name = self.resolve(name);
                let earlier = seen;
                let bit = 1 << (shape(name) % 128);
                seen |= bit;
                let mut others = self.names(from).take(index);
                earlier & bit != 0 && others.any(|other| self.resolve(other) == name)
            });
        }
        let mut names: Vec<&str> = self.names(from).map(|name| self.resolve(name)).collect();
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

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.plain(Kind::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.plain(if value { Kind::True } else { Kind::False });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value.into());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value.into());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        self.number(number);
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.place(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.keep(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let at = self.open()?;
        while access.next_element_seed(&mut *self)?.is_some() {}
        self.close(at, Kind::Array);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let at = self.open()?;
        let mut count = 0;
        while access.next_key_seed(Name(self))?.is_some() {
            access.next_value_seed(&mut *self)?;
            count += 1;
        }
        let repeats = self.repeats(at + 1, count);
        self.close(
            at,
            if repeats {
                Kind::Repeating
            } else {
                Kind::Object
            },
        );
        Ok(())
    }
}

/// Reads the name of a member.
struct Name<'r, 't>(&'r mut Reader<'t>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<(), E> {
        self.0.place(name);
        Ok(())
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.keep(name);
        Ok(())
    }
}
