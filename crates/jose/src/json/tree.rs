//! A parsed document that shares the text it was read from.
//!
//! A token is parsed for every request, mostly to look at a handful of strings, and is then kept in
//! memory among thousands of others. Values therefore stand in one list, in the order of the
//! document, eight bytes each: strings are places in the text and copied only when they hold an
//! escape, and an array or object says how many of the values behind it are inside of it. Repeated
//! names are noted when the document is read and judged by the caller.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::places::{Place, Places};

/// The longest document in bytes. Unescaping never makes a string longer, so that text and unescaped
/// strings together stay below twice as much.
pub(super) const MAX_LEN: usize = 1 << 27;

/// A document whose top is an object. Until it is made its own, the text is still the caller's.
pub(crate) struct Document<'t> {
    /// The document and, behind it, its unescaped strings.
    pub(super) text: Cow<'t, str>,
    /// The object at the top and everything in it.
    pub(super) items: Vec<Item>,
    /// Numbers that fit no item.
    pub(super) numbers: Vec<Number>,
    pub(super) places: Places,
}

/// A value, or the name of a member in front of one: what it is in the upper four bits of `what`, and
/// a length in the others.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) what: u32,
    /// Of a string, its place in the text; of a number, the number or its place in the list.
    pub(super) start: u32,
}

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    False,
    True,
    /// Written in the item itself.
    Small,
    /// In the list of numbers.
    Number,
    String,
    /// The length counts the items inside.
    Array,
    Object,
    /// An object that names a member twice.
    Repeating,
}

const LEN_BITS: u32 = 28;

impl Item {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "documents are shorter than 2^28 bytes, and have fewer items"
    )]
    pub(super) fn new(kind: Kind, start: usize, len: usize) -> Self {
        Self {
            what: (kind as u32) << LEN_BITS | len as u32,
            start: start as u32,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self.what >> LEN_BITS {
            1 => Kind::False,
            2 => Kind::True,
            3 => Kind::Small,
            4 => Kind::Number,
            5 => Kind::String,
            6 => Kind::Array,
            7 => Kind::Object,
            8 => Kind::Repeating,
            _ => Kind::Null,
        }
    }

    pub(super) fn len(self) -> usize {
        (self.what & ((1 << LEN_BITS) - 1)) as usize
    }

    /// How many items come behind it that are a part of it.
    pub(super) fn inside(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object | Kind::Repeating => self.len(),
            _ => 0,
        }
    }
}

/// A value of a document.
#[derive(Clone)]
pub(crate) enum Node<'d> {
    Null,
    Bool(bool),
    Number(Number),
    String(&'d str),
    Array(Elements<'d>),
    Object(Members<'d>),
}

/// The elements of an array.
#[derive(Clone)]
pub(crate) struct Elements<'d>(Part<'d>);

/// The members of an object, in the order of the document.
#[derive(Clone)]
pub(crate) struct Members<'d>(Part<'d>);

/// Some items, and what they point into.
#[derive(Clone, Copy)]
struct Part<'d> {
    text: &'d str,
    numbers: &'d [Number],
    items: &'d [Item],
}

impl Document<'_> {
    pub(crate) fn into_owned(self) -> Document<'static> {
        let mut items = self.items;
        // Giving back a few bytes would cost more than they are worth.
        if items.capacity() - items.len() > items.len() / 4 {
            items.shrink_to_fit();
        }
        Document {
            text: Cow::Owned(self.text.into_owned()),
            items,
            numbers: self.numbers,
            places: self.places,
        }
    }

    /// How many bytes it takes, beside itself.
    pub(crate) fn size(&self) -> usize {
        let text = match &self.text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        };
        text + self.items.capacity() * size_of::<Item>()
            + self.numbers.capacity() * size_of::<Number>()
    }

    /// Whether any object at any level names a member twice.
    pub(crate) fn has_repeats(&self) -> bool {
        has_repeats(&self.items)
    }

    /// Whether the object at the top does.
    pub(crate) fn repeats(&self) -> bool {
        let top = self.items.first();
        top.is_some_and(|top| top.kind() == Kind::Repeating)
    }

    /// The object at the top.
    pub(crate) fn members(&self) -> Members<'_> {
        let items = self.items.get(1..).unwrap_or_default();
        Members(Part {
            text: &self.text,
            numbers: &self.numbers,
            items,
        })
    }

    /// The member of this name, of a document that names no member twice.
    pub(crate) fn member(&self, name: &str) -> Option<Node<'_>> {
        match self.places.find(name) {
            Place::Nowhere => None,
            Place::Unknown => self.members().find(name),
            Place::At(at) => {
                let Members(part) = self.members();
                let items = self.items.get(at..)?;
                Some(Part { items, ..part }.split()?.0.node())
            }
        }
    }
}

fn has_repeats(items: &[Item]) -> bool {
    items.iter().any(|item| item.kind() == Kind::Repeating)
}

impl<'d> Part<'d> {
    fn text(self, item: Item) -> &'d str {
        let start = item.start as usize;
        self.text.get(start..start + item.len()).unwrap_or_default()
    }

    /// Splits the first value off.
    fn split(self) -> Option<(Self, Self)> {
        let first = self.items.first()?;
        let (value, rest) = self.items.split_at_checked(1 + first.inside())?;
        let part = |items| Self { items, ..self };
        Some((part(value), part(rest)))
    }

    /// The value that these items are.
    fn node(self) -> Node<'d> {
        let Some((first, inside)) = self.items.split_first() else {
            return Node::Null;
        };
        let inside = Self {
            items: inside,
            ..self
        };
        match first.kind() {
            Kind::Null => Node::Null,
            Kind::False => Node::Bool(false),
            Kind::True => Node::Bool(true),
            Kind::Small => Node::Number(first.start.into()),
            Kind::Number => match self.numbers.get(first.start as usize) {
                Some(number) => Node::Number(number.clone()),
                None => Node::Null,
            },
            Kind::String => Node::String(self.text(*first)),
            Kind::Array => Node::Array(Elements(inside)),
            Kind::Object | Kind::Repeating => Node::Object(Members(inside)),
        }
    }
}

impl<'d> Members<'d> {
    /// The member of this name; the first, if there are several.
    pub(crate) fn find(self, name: &str) -> Option<Node<'d>> {
        let mut part = self.0;
        loop {
            let (own, rest) = part.items.split_first()?;
            // Most names differ in length, and the text is not looked at for those.
            let found = own.len() == name.len() && part.text(*own) == name;
            part.items = rest;
            if found {
                return Some(part.split()?.0.node());
            }
            part.items = rest.get(1 + rest.first()?.inside()..)?;
        }
    }

    pub(crate) fn to_map(&self) -> Map<String, Value> {
        self.clone()
            .map(|(name, node)| (name.to_owned(), node.to_value()))
            .collect()
    }

    /// The next member, and whether an object at or below it names a member twice.
    pub(crate) fn next_judged(&mut self) -> Option<(&'d str, Node<'d>, bool)> {
        let (name, rest) = self.0.split()?;
        let (value, rest) = rest.split()?;
        let name = name.items.first().map(|name| self.0.text(*name))?;
        self.0 = rest;
        Some((name, value.node(), has_repeats(value.items)))
    }
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Node<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split()?;
        let (value, rest) = rest.split()?;
        let name = name.items.first().map(|name| self.0.text(*name))?;
        self.0 = rest;
        Some((name, value.node()))
    }
}

impl<'d> Elements<'d> {
    /// The next element, and whether an object at or below it names a member twice.
    pub(crate) fn next_judged(&mut self) -> Option<(Node<'d>, bool)> {
        let (value, rest) = self.0.split()?;
        self.0 = rest;
        Some((value.node(), has_repeats(value.items)))
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        let (value, rest) = self.0.split()?;
        self.0 = rest;
        Some(value.node())
    }
}

impl Node<'_> {
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(value.clone()),
            Self::String(text) => Value::String((*text).to_owned()),
            Self::Array(elements) => elements.clone().map(|node| node.to_value()).collect(),
            Self::Object(members) => Value::Object(members.to_map()),
        }
    }
}
