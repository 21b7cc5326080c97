//! Reads a document into the list of its values, in one pass.
//!
//! Objects, arrays, plain strings and small whole numbers are all that most tokens are made of, and
//! they are read here. A string with an escape in it and any other number are rare and full of
//! rules, so that `serde_json` reads each of these.

use std::borrow::Cow;

use serde_json::Number;

use super::places::Places;
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
#[derive(Default)]
struct Read {
    unescaped: String,
    items: Vec<Item>,
    numbers: Vec<Number>,
    places: Places,
}

impl Read {
    /// `text` is what was read, with the unescaped strings behind it.
    fn into_document(self, text: Cow<'_, str>) -> Document<'_> {
        Document {
            text,
            items: self.items,
            numbers: self.numbers,
            places: self.places,
        }
    }
}

fn read(text: &str) -> Result<Read, JsonError> {
    // The claims of a token, without growing; a hostile document gets no more for its length.
    let expected = (text.len() / 12).min(64);
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        read: Read {
            items: Vec::with_capacity(expected),
            ..Read::default()
        },
    };
    let read = reader.value();
    if read.is_none() || reader.peek().is_some() {
        return Err(reader.error());
    }
    match reader.read.items.first().map(|top| top.kind()) {
        Some(Kind::Object | Kind::Repeating) => Ok(reader.read),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Up to so many names of one object are compared, which is the fastest for the few members of a
/// token. More are sorted, which keeps a hostile document of thousands from costing the square.
const FEW: usize = 32;

/// Where anything here finds no JSON, it gives nothing, and [`Reader::error`] says why.
struct Reader<'t> {
    text: &'t str,
    /// Where the next byte stands.
    at: usize,
    depth: usize,
    read: Read,
}

impl<'t> Reader<'t> {
    /// Steps over white space (RFC 8259, section 2), and gives the byte behind it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest().first()? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Steps over `byte`, which has to come next.
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Steps over a comma or the `end` of a list, and says whether it was the end.
    fn ends(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        (byte == b',' || byte == end).then_some(byte == end)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What is wrong where the reader stopped.
    fn error(&self) -> JsonError {
        if self.depth > MAX_DEPTH {
            return JsonError::TooDeep;
        }
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let mut lines = before.split(|byte| *byte == b'\n');
        let last = lines.next_back();
        JsonError::Syntax {
            line: 1 + lines.count(),
            column: 1 + last.map_or(0, <[u8]>::len),
        }
    }

    fn value(&mut self) -> Option<()> {
        let item = match self.peek()? {
            b'"' => self.string()?,
            b'{' => return self.object(),
            b'[' => return self.array(),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal("true", Kind::True)?,
            b'f' => self.literal("false", Kind::False)?,
            b'n' => self.literal("null", Kind::Null)?,
            _ => return None,
        };
        self.read.items.push(item);
        Some(())
    }

    fn object(&mut self) -> Option<()> {
        let begin = self.open()?;
        let mut names = Names::default();
        let mut ends = self.is_empty(b'}')?;
        while !ends {
            self.name(begin + 1, &mut names)?;
            self.expect(b':')?;
            self.value()?;
            ends = self.ends(b'}')?;
        }
        let repeats = names.repeats || names.count > FEW && self.has_equal_names(begin + 1);
        self.close(
            begin,
            if repeats {
                Kind::Repeating
            } else {
                Kind::Object
            },
        );
        Some(())
    }

    fn array(&mut self) -> Option<()> {
        let begin = self.open()?;
        let mut ends = self.is_empty(b']')?;
        while !ends {
            self.value()?;
            ends = self.ends(b']')?;
        }
        self.close(begin, Kind::Array);
        Some(())
    }

    /// Steps over the `end` of a list that has just begun, if it comes next.
    fn is_empty(&mut self, end: u8) -> Option<bool> {
        let is_empty = self.peek()? == end;
        self.at += usize::from(is_empty);
        Some(is_empty)
    }

    /// Steps into an array or object, and says where its item is.
    fn open(&mut self) -> Option<usize> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.read.items.push(Item::new(Kind::Null, 0, 0));
        Some(self.read.items.len() - 1)
    }

    fn close(&mut self, begin: usize, kind: Kind) {
        self.depth -= 1;
        let inside = self.read.items.len() - begin - 1;
        if let Some(item) = self.read.items.get_mut(begin) {
            *item = Item::new(kind, 0, inside);
        }
    }

    /// Reads the name of a member, of the object whose members begin at `first`.
    fn name(&mut self, first: usize, names: &mut Names) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        let item = self.string()?;
        let name = resolve(self.text, &self.read.unescaped, item);
        names.repeats |= names.may_repeat(name) && self.names(first).any(|other| other == name);
        if self.depth == 1 {
            let value = self.read.items.len() + 1;
            self.read.places.note(name, value);
        }
        self.read.items.push(item);
        Some(())
    }

    /// The names of the object whose members begin at `first`.
    fn names(&self, first: usize) -> impl Iterator<Item = &str> {
        let mut rest = self.read.items.get(first..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, value) = rest.split_first()?;
            rest = value.get(1 + value.first()?.inside()..)?;
            Some(resolve(self.text, &self.read.unescaped, *name))
        })
    }

    fn has_equal_names(&self, first: usize) -> bool {
        let mut names: Vec<&str> = self.names(first).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair.first() == pair.get(1))
    }

    #[inline]
    fn string(&mut self) -> Option<Item> {
        let start = self.at + 1;
        let content = self.rest().get(1..)?;
        let len = plain_len(content);
        match content.get(len)? {
            b'"' => {
                self.at = start + len + 1;
                Some(Item::new(Kind::String, start, len))
            }
            b'\\' => self.escaped_string(content, len),
            _ => None,
        }
    }

    /// Reads a string whose first escape is behind `len` bytes of its content.
    #[cold]
    fn escaped_string(&mut self, content: &[u8], mut len: usize) -> Option<Item> {
        // The byte behind a backslash does not end the string.
        while content.get(len) == Some(&b'\\') {
            len += 2 + plain_len(content.get(len + 2..)?);
        }
        // From quote to quote.
        let written = self.text.get(self.at..self.at + len + 2)?;
        let meant: String = serde_json::from_str(written).ok()?;
        self.at += written.len();
        let start = self.text.len() + self.read.unescaped.len();
        self.read.unescaped.push_str(&meant);
        Some(Item::new(Kind::String, start, meant.len()))
    }

    fn number(&mut self) -> Option<Item> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let rest = self.rest();
        let len = rest.iter().position(|byte| !is_part(byte));
        let written = rest.get(..len.unwrap_or(rest.len()))?;
        let item = if let Some(small) = small_number(written) {
            Item::new(Kind::Small, small as usize, 0)
        } else {
            self.read
                .numbers
                .push(serde_json::from_slice(written).ok()?);
            Item::new(Kind::Number, self.read.numbers.len() - 1, 0)
        };
        self.at += written.len();
        Some(item)
    }

    fn literal(&mut self, text: &str, kind: Kind) -> Option<Item> {
        if !self.rest().starts_with(text.as_bytes()) {
            return None;
        }
        self.at += text.len();
        Some(Item::new(kind, 0, 0))
    }
}

/// The string at the place of an item: in the text, or in what was unescaped of it.
fn resolve<'r>(text: &'r str, unescaped: &'r str, item: Item) -> &'r str {
    let (start, len) = (item.start as usize, item.len());
    let (text, start) = match start.checked_sub(text.len()) {
        None => (text, start),
        Some(start) => (unescaped, start),
    };
    text.get(start..start + len).unwrap_or_default()
}

/// What is known of the names of one object while it is read.
#[derive(Default)]
struct Names {
    count: usize,
    /// The shapes of those that came, one bit each.
    shapes: u128,
    repeats: bool,
}

impl Names {
    /// Counts a name, and says whether it has to be compared with the others: never when there are
    /// many, which are judged in the end.
    fn may_repeat(&mut self, name: &str) -> bool {
        let shape = 1 << (shape(name) % u128::BITS as usize);
        let is_known = self.shapes & shape != 0;
        self.shapes |= shape;
        self.count += 1;
        is_known && self.count <= FEW
    }
}

/// A number that differs for most names that differ, so that few need comparing.
fn shape(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
    let (middle, last) = (bytes.len() / 2, bytes.len().saturating_sub(1));
    bytes.len() + 5 * at(0) + 11 * at(1) + 17 * at(middle) + 29 * at(last)
}

/// The value of a whole number that fits an item, as dates do.
fn small_number(digits: &[u8]) -> Option<u32> {
    // Longer ones could overflow the sum, and a leading zero is not JSON (RFC 8259, section 6).
    if digits.len() > 10 || digits.len() > 1 && digits.first() == Some(&b'0') {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(10 * number + u64::from(digit))
    });
    u32::try_from(number?).ok()
}

/// How many bytes there are before the first that ends a string, begins an escape, or must not stand
/// in a string (RFC 8259, section 7). Looks at eight at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    // Sets the highest bit of every byte below `bound`, which is at most 0x80. A borrow may set
    // one above such a byte, too, but never one below: the lowest bit is right.
    let below = |word: u64, bound: u64| word.wrapping_sub(bound * ONES) & !word & (0x80 * ONES);
    let is = |word: u64, byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = below(word, 0x20) | is(word, b'"') | is(word, b'\\');
        if found != 0 {
            return 8 * index + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..0x20);
    let in_tail = tail.iter().position(|byte| !is_plain(byte));
    8 * words.len() + in_tail.unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_stands() {
        for filling in [
            b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff,
        ] {
            for len in 0..40 {
                assert_eq!(plain_len(&vec![filling; len]), len);
                for end in (0..0x20).chain(*b"\"\\") {
                    for behind in [b'"', b'a', 0, 0xff] {
                        let mut bytes = vec![filling; len];
                        bytes.push(end);
                        bytes.extend([behind; 9]);
                        assert_eq!(plain_len(&bytes), len, "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_is_small_when_it_is_whole_and_fits() {
        let small = |text: &str| small_number(text.as_bytes());
        assert_eq!(small("0"), Some(0));
        assert_eq!(small("1700000000"), Some(1_700_000_000));
        assert_eq!(small("4294967295"), Some(u32::MAX));
        for other in [
            "4294967296",
            "9999999999",
            "10000000000",
            "00",
            "01",
            "-1",
            "1.0",
            "1e1",
            "1-",
        ] {
            assert_eq!(small(other), None, "{other}");
        }
    }
}
