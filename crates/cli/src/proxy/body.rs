//! The body of a request, as it comes (RFC 9112, sections 6 and 7).

use std::io::{self, BufRead, ErrorKind, Read};

use super::answer::Refusal;

/// A line before a chunk is a number.
const MAX_LINE: usize = 1024;
/// What may follow the last chunk.
const MAX_TRAILERS: usize = 64;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
}

impl Body {
    /// As the header fields have it.
    pub(super) fn announced(
        length: Option<&str>,
        encoding: Option<&str>,
        version: u8,
    ) -> Result<Self, Refusal> {
        let bad = || Refusal::bad_request("where the body ends is not clear");
        match (length, encoding) {
            (None, None) => Ok(Self::None),
            (Some(digits), None) => {
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let length: u64 = plain
                    .then(|| digits.parse().ok())
                    .flatten()
                    .ok_or_else(bad)?;
                Ok(if length == 0 {
                    Self::None
                } else {
                    Self::Length(length)
                })
            }
            (None, Some(encoding)) if version == 1 && encoding.eq_ignore_ascii_case("chunked") => {
                Ok(Self::Chunked)
            }
            _ => Err(bad()),
        }
    }

    pub(super) fn is_some(self) -> bool {
        self != Self::None
    }

    pub(super) fn reader(self, from: &mut dyn BufRead) -> Reader<'_> {
        let (left, chunked) = match self {
            Self::None => (0, false),
            Self::Length(length) => (length, false),
            Self::Chunked => (0, true),
        };
        Reader {
            from,
            left,
            chunked,
            begun: false,
        }
    }
}

/// Reads a body and not a byte more. An end before the end is an error.
pub(super) struct Reader<'a> {
    from: &'a mut dyn BufRead,
    /// Of the body, or of this chunk.
    left: u64,
    /// Whether there may be another chunk.
    chunked: bool,
    begun: bool,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.chunked {
            self.next_chunk()?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.from.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

impl Reader<'_> {
    fn next_chunk(&mut self) -> io::Result<()> {
        if self.begun && !self.line()?.is_empty() {
            return Err(malformed());
        }
        self.begun = true;
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim_end();
        let plain = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.left = plain
            .then(|| u64::from_str_radix(size, 16).ok())
            .flatten()
            .ok_or_else(malformed)?;
        if self.left == 0 {
            self.chunked = false;
            for _ in 0..MAX_TRAILERS {
                if self.line()?.is_empty() {
                    return Ok(());
                }
            }
            return Err(malformed());
        }
        Ok(())
    }

    /// A line, without its end, which is CR LF.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        Read::take(&mut *self.from, MAX_LINE as u64).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\r\n").ok_or_else(malformed)?;
        String::from_utf8(line.to_vec()).map_err(|_| malformed())
    }
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the body is malformed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Body, bytes: &str) -> Result<(String, String), ErrorKind> {
        let mut from = bytes.as_bytes();
        let mut text = String::new();
        body.reader(&mut from)
            .read_to_string(&mut text)
            .map_err(|error| error.kind())?;
        Ok((text, String::from_utf8(from.to_vec()).unwrap()))
    }

    #[test]
    fn a_body_ends_where_it_was_said_to() {
        let both = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(read(Body::None, "rest"), both("", "rest"));
        assert_eq!(read(Body::Length(5), "hellorest"), both("hello", "rest"));
        let chunks = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\nrest";
        assert_eq!(read(Body::Chunked, chunks), both("hello world", "rest"));
    }

    #[test]
    fn a_body_that_ends_early_or_badly_is_an_error() {
        assert_eq!(read(Body::Length(5), "hell"), Err(ErrorKind::UnexpectedEof));
        for bytes in [
            "",
            "5\r\nhel",
            "5\r\nhello",
            "5\r\nhelloo\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n",
        ] {
            assert!(read(Body::Chunked, bytes).is_err(), "{bytes:?}");
        }
        let endless = format!("{}\r\n", "0".repeat(4096));
        assert!(read(Body::Chunked, &endless).is_err());
    }
}
