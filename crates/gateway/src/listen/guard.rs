//! Watches the bytes of an HTTP/1.1 connection before the parser sees them, for what the parser
//! forgives and another one may read in another way.
//!
//! hyper repairs a request with both `Content-Length` and `Transfer-Encoding`, takes a length that is
//! said twice, and ends a line at a bare line feed. Each of these has been used to make two machines
//! disagree where a request ends (RFC 9112, section 11.2). Here the first of them ends the
//! connection: the byte that makes a head ambiguous becomes NUL, which no parser takes, so that
//! the request is answered with 400 by the one who answers everything else; a body ends before the
//! byte, without its end.
//!
//! Not responsible for anything that hyper refuses by itself: bytes that are no header, lines that are
//! folded, spaces before a colon, lengths that are no number.

use memchr::memchr;

/// A line that is longer is refused; the limit of heads is far below.
const LONGEST_LINE: usize = 1024 * 1024;

/// Where in the stream of requests the bytes are.
#[derive(Debug)]
pub struct Guard {
    place: Place,
    /// The part of a line that came with earlier bytes.
    partial: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
    /// The last byte was a carriage return that was not yet followed by anything.
    after_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the request line, where empty lines are passed over (RFC 9112, section 2.2).
    Start,
    Headers,
    /// So many bytes of a body are to come.
    Body(u64),
    ChunkSize,
    Chunk(u64),
    /// The line end after the bytes of a chunk.
    ChunkEnd,
    Trailers,
    /// Something was refused, or this is no longer HTTP.
    Off,
}

/// What was found, and how many bytes may be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What is wrong.
    pub problem: Ambiguous,
    /// How many of the bytes the parser may see. It has to be told that the connection broke when
    /// these are not all of them.
    pub sound: usize,
}

/// Why bytes are refused; for tests and for whoever debugs a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguous {
    /// A line feed without a carriage return, or the other way round.
    #[error("a line does not end with CR LF")]
    BareLineEnd,
    /// `Content-Length` beside `Transfer-Encoding`.
    #[error("two ways to tell the length")]
    TwoFramings,
    /// `Content-Length` twice, be it the same number.
    #[error("the length is told twice")]
    LengthTwice,
    /// Not a plain decimal number.
    #[error("the length is no number")]
    BadLength,
    /// A transfer coding other than `chunked` alone.
    #[error("the transfer coding is not chunked alone")]
    BadCoding,
    /// A line that continues the one before (RFC 9112, section 5.2).
    #[error("a header is folded")]
    Folded,
    /// The size of a chunk is no plain hexadecimal number.
    #[error("the size of a chunk is no number")]
    BadChunk,
    /// A `#` in the request line: the parser cuts off what follows, and others do not.
    #[error("the target has a fragment")]
    Fragment,
    /// A line that never ends.
    #[error("a line is too long")]
    TooLong,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            place: Place::Start,
            partial: Vec::new(),
            length: None,
            chunked: false,
            after_cr: false,
        }
    }
}

impl Guard {
    /// Stops watching: what follows is no longer HTTP.
    pub fn let_go(&mut self) {
        self.place = Place::Off;
        self.partial = Vec::new();
    }

    /// Looks at bytes that have come. What is found in a head is spoiled in its place, so that the
    /// parser answers it; of a body, only what stands before it may be used.
    pub fn watch(&mut self, bytes: &mut [u8]) -> Option<Found> {
        let (at, problem) = self.find(bytes)?;
        let in_head = matches!(self.place, Place::Start | Place::Headers);
        let sound = if in_head {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = 0;
            }
            bytes.len()
        } else {
            at
        };
        self.let_go();
        Some(Found { problem, sound })
    }

    fn find(&mut self, bytes: &[u8]) -> Option<(usize, Ambiguous)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..)?;
            match self.place {
                Place::Off => return None,
                Place::Body(left) | Place::Chunk(left) => {
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    at += skipped;
                    let left = left - skipped as u64;
                    self.place = match (self.place, left) {
                        (Place::Body(_), 0) => Place::Start,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => Place::ChunkEnd,
                        (_, left) => Place::Chunk(left),
                    };
                }
                _ => match self.line(rest) {
                    Ok(Some(length)) => at += length,
                    Ok(None) => return None,
                    Err((offset, problem)) => return Some((at + offset, problem)),
                },
            }
        }
        None
    }

    /// Takes a line, or as much as there is of it. `None` when it goes on.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, (usize, Ambiguous)> {
        let Some(end) = memchr(b'\n', bytes) else {
            // A carriage return may only be the last that has come so far.
            check_returns(bytes, self.after_cr).map_err(|at| (at, Ambiguous::BareLineEnd))?;
            self.after_cr = bytes.last() == Some(&b'\r');
            if self.partial.len() + bytes.len() > LONGEST_LINE {
                return Err((0, Ambiguous::TooLong));
            }
            self.partial.extend_from_slice(bytes);
            return Ok(None);
        };
        let (line, _) = bytes.split_at_checked(end).unwrap_or_default();
        let ended = match line.last() {
            Some(last) => *last == b'\r',
            None => self.after_cr,
        };
        if !ended {
            return Err((end, Ambiguous::BareLineEnd));
        }
        check_returns(line, self.after_cr && !line.is_empty())
            .map_err(|at| (at, Ambiguous::BareLineEnd))?;
        self.after_cr = false;
        let outcome = if self.partial.is_empty() {
            self.whole(line.strip_suffix(b"\r").unwrap_or(line))
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(line);
            let outcome = self.whole(partial.strip_suffix(b"\r").unwrap_or(&partial));
            partial.clear();
            self.partial = partial;
            outcome
        };
        outcome.map_err(|problem| (end, problem))?;
        Ok(Some(end + 1))
    }

    /// A line without its end.
    fn whole(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        match self.place {
            Place::Start => {
                if memchr(b'#', line).is_some() {
                    return Err(Ambiguous::Fragment);
                }
                if !line.is_empty() {
                    self.place = Place::Headers;
                    self.length = None;
                    self.chunked = false;
                }
            }
            Place::Headers if line.is_empty() => {
                self.place = match (self.chunked, self.length) {
                    (true, _) => Place::ChunkSize,
                    (false, Some(length)) if length > 0 => Place::Body(length),
                    (false, _) => Place::Start,
                };
            }
            Place::Headers => self.header(line)?,
            Place::ChunkSize => {
                let size = chunk_size(line).ok_or(Ambiguous::BadChunk)?;
                self.place = if size == 0 {
                    Place::Trailers
                } else {
                    Place::Chunk(size)
                };
            }
            Place::ChunkEnd => {
                if !line.is_empty() {
                    return Err(Ambiguous::BadChunk);
                }
                self.place = Place::ChunkSize;
            }
            Place::Trailers => {
                if line.is_empty() {
                    self.place = Place::Start;
                }
            }
            Place::Body(_) | Place::Chunk(_) | Place::Off => {}
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        match line.first() {
            Some(b' ' | b'\t') => return Err(Ambiguous::Folded),
            Some(b'c' | b'C' | b't' | b'T') => {}
            _ => return Ok(()),
        }
        let Some((name, value)) = memchr(b':', line).and_then(|at| {
            let (name, value) = line.split_at_checked(at)?;
            Some((name, value.get(1..)?.trim_ascii()))
        }) else {
            return Ok(());
        };
        // hyper refuses a name with a space after it; to be here is to be compared without it.
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.chunked {
                return Err(Ambiguous::TwoFramings);
            }
            let length = decimal(value).ok_or(Ambiguous::BadLength)?;
            if self.length.replace(length).is_some() {
                return Err(Ambiguous::LengthTwice);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.length.is_some() {
                return Err(Ambiguous::TwoFramings);
            }
            if !value.eq_ignore_ascii_case(b"chunked") || self.chunked {
                return Err(Ambiguous::BadCoding);
            }
            self.chunked = true;
        }
        Ok(())
    }
}

/// Where a carriage return stands that nothing but the end of the bytes excuses.
fn check_returns(bytes: &[u8], after_cr: bool) -> Result<(), usize> {
    if after_cr && !bytes.is_empty() {
        return Err(0);
    }
    match memchr(b'\r', bytes) {
        Some(at) if at + 1 < bytes.len() => Err(at),
        _ => Ok(()),
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// The size, before extensions; those mean nothing to anybody and are not passed on.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = memchr(b';', line).unwrap_or(line.len());
    let (digits, _) = line.split_at_checked(end)?;
    let is_number =
        !digits.is_empty() && digits.len() <= 15 && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guard says when the bytes come in pieces of every length.
    fn said(text: &str) -> Option<Ambiguous> {
        let whole = watch(text, text.len().max(1));
        for piece in 1..text.len() {
            assert_eq!(watch(text, piece), whole, "in pieces of {piece}: {text:?}");
        }
        whole
    }

    fn watch(text: &str, piece: usize) -> Option<Ambiguous> {
        let mut guard = Guard::default();
        let mut bytes = text.as_bytes().to_vec();
        let found = bytes.chunks_mut(piece).find_map(|piece| guard.watch(piece));
        found.map(|found| found.problem)
    }

    #[test]
    fn requests_with_one_reading_pass() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nbGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\n\n\n\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(said(text), None, "{text:?}");
        }
    }

    #[test]
    fn requests_with_two_readings_do_not() {
        use Ambiguous::*;
        for (text, problem) in [
            ("GET / HTTP/1.1\nHost: a\n\n", BareLineEnd),
            (
                "GET / HTTP/1.1\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n",
                BareLineEnd,
            ),
            ("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", BareLineEnd),
            ("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", BareLineEnd),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                TwoFramings,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                TwoFramings,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                LengthTwice,
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", BadLength),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", BadLength),
            ("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", BadLength),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", BadLength),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                BadCoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
                BadCoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
                BadCoding,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\nContent-Length: 1\r\n\r\n",
                TwoFramings,
            ),
            (
                "POST / HTTP/1.1\r\nA: b\r\n Content-Length: 1\r\n\r\n",
                Folded,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
                BareLineEnd,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
                BadChunk,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
                BadChunk,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n",
                BadChunk,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
                BareLineEnd,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
                BareLineEnd,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\n\n",
                BareLineEnd,
            ),
        ] {
            assert_eq!(said(text), Some(problem), "{text:?}");
        }
    }

    #[test]
    fn a_head_is_spoiled_and_a_body_is_cut() {
        let mut head = *b"GET / HTTP/1.1\r\nA: b\n\r\n";
        let found = Guard::default().watch(&mut head).unwrap();
        assert_eq!(found.sound, head.len());
        assert_eq!(&head[16..], b"A: b\0\r\n");

        let text = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\n";
        let mut body = *text;
        let found = Guard::default().watch(&mut body).unwrap();
        assert_eq!((found.sound, body), (text.len() - 1, *text));
    }

    #[test]
    fn what_is_no_longer_http_is_let_through() {
        let mut guard = Guard::default();
        guard.let_go();
        let mut bytes = *b"\n\n\r\r";
        assert_eq!(guard.watch(&mut bytes), None);
        assert_eq!(bytes, *b"\n\n\r\r");
    }
}
