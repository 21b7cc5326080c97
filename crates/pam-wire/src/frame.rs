//! Frames: a length, a kind, fields; and how they are put together again from what a stream gives.
//!
//! Not responsible for: what the fields mean.

use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;

use crate::error::{ReceiveError, WireError};
use crate::message::{ToDaemon, ToModule};
use crate::text::{Line, Text, Typed, wipe};

/// The largest frame, without the four bytes of its length.
pub const MAX_FRAME: usize = 64 * 1024;

/// The length in front of a frame.
const PREFIX: usize = size_of::<u32>();

/// How much is read at once, and may therefore lie behind a frame.
const CHUNK: usize = 4096;

/// Room that is taken at once, so that an answer is never moved and leaves no copy behind.
const ROOM: usize = 4 * CHUNK;

/// A message as it goes over the stream. Wiped when dropped, because a password may be in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded(Vec<u8>);

impl Encoded {
    /// The bytes to send.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.0.len())
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// A field's name and the most bytes it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) limit: usize,
}

/// A field on its way out.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Number(u64),
    Text(Spec, &'a str),
}

impl Field<'_> {
    fn length(self) -> usize {
        match self {
            Self::Number(_) => size_of::<u64>(),
            Self::Text(_, text) => size_of::<u32>().saturating_add(text.len()),
        }
    }
}

/// Writes a frame.
pub(crate) fn encode(kind: u8, fields: &[Field<'_>]) -> Result<Encoded, WireError> {
    let body = fields.iter().map(|field| field.length());
    let length = body.fold(1, usize::saturating_add);
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let prefix = prefix.ok_or(WireError::FrameTooLong)?;
    let mut out = Vec::with_capacity(PREFIX + length);
    out.extend_from_slice(&prefix.to_be_bytes());
    out.push(kind);
    for field in fields {
        match *field {
            Field::Number(number) => out.extend_from_slice(&number.to_be_bytes()),
            Field::Text(Spec { name, limit }, text) => {
                let too_long = WireError::FieldTooLong { field: name };
                if text.len() > limit {
                    return Err(too_long);
                }
                let length = u32::try_from(text.len()).map_err(|_| too_long)?;
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    Ok(Encoded(out))
}

/// The fields of a frame that came in, read one after the other.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn number(&mut self, field: &'static str) -> Result<u64, WireError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(WireError::Truncated { field })?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*bytes))
    }

    /// A number that has to be one of 32 bits.
    pub(crate) fn small(&mut self, field: &'static str) -> Result<u32, WireError> {
        let number = self.number(field)?;
        u32::try_from(number).map_err(|_| WireError::BadValue { field })
    }

    pub(crate) fn line(&mut self, spec: Spec) -> Result<Line, WireError> {
        let not_text = WireError::NotText { field: spec.name };
        self.text(spec)?.parse().map_err(|_| not_text)
    }

    pub(crate) fn lines(&mut self, spec: Spec) -> Result<Text, WireError> {
        let not_text = WireError::NotText { field: spec.name };
        Text::exact(self.text(spec)?).ok_or(not_text)
    }

    pub(crate) fn typed(&mut self, spec: Spec) -> Result<Typed, WireError> {
        let text = self.text(spec)?;
        let typed = Typed::clean(text);
        if typed.expose() != text {
            return Err(WireError::NotText { field: spec.name });
        }
        Ok(typed)
    }

    fn text(&mut self, Spec { name, limit }: Spec) -> Result<&'a str, WireError> {
        let truncated = WireError::Truncated { field: name };
        let (length, rest) = self.rest.split_first_chunk().ok_or(truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(WireError::FieldTooLong { field: name });
        }
        let (bytes, rest) = rest.split_at_checked(length).ok_or(truncated)?;
        self.rest = rest;
        std::str::from_utf8(bytes).map_err(|_| WireError::NotText { field: name })
    }

    /// That nothing is left.
    fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::TrailingBytes)
        }
    }
}

/// What a message is read by. Outside of this crate nobody can see it, so nobody adds a message.
pub(crate) trait ReadFields: Sized {
    fn read(kind: u8, fields: &mut Fields<'_>) -> Result<Self, WireError>;
}

/// A message of one of the two directions.
#[expect(private_bounds, reason = "there are two directions, and both are here")]
pub trait Message: ReadFields {}

impl Message for ToDaemon {}
impl Message for ToModule {}

/// What has come in over a stream, and was not yet taken as messages. Once something was wrong, it
/// stays wrong: there is no place where a stream could be read from again.
#[derive(Clone)]
pub struct Incoming<M> {
    bytes: Vec<u8>,
    message: PhantomData<fn() -> M>,
}

impl<M> Default for Incoming<M> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            message: PhantomData,
        }
    }
}

impl<M> fmt::Debug for Incoming<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({} bytes)", self.bytes.len())
    }
}

impl<M> Drop for Incoming<M> {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

impl<M: Message> Incoming<M> {
    /// Takes bytes from the stream. Messages have to be taken out in between: more than one whole
    /// frame and a bit are not kept.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if bytes.len() > PREFIX + MAX_FRAME + CHUNK - self.bytes.len() {
            return Err(WireError::FrameTooLong);
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(ROOM);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next message, if all of it is here.
    pub fn next_message(&mut self) -> Result<Option<M>, WireError> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(WireError::FrameTooLong);
        }
        if length == 0 {
            return Err(WireError::EmptyFrame);
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        let (kind, rest) = frame.split_first().ok_or(WireError::EmptyFrame)?;
        let mut fields = Fields { rest };
        let message = M::read(*kind, &mut fields)?;
        fields.end()?;
        self.consume(PREFIX + length);
        Ok(Some(message))
    }

    /// That the stream ended between two messages, and not in one.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(WireError::EndInFrame)
        }
    }

    /// Reads until there is a message; `None` when the stream ended before one began.
    ///
    /// Time limits are the reader's: each call of its `read` counts by itself, so a deadline for all
    /// of them has to be kept there.
    pub fn receive_from(&mut self, reader: &mut impl Read) -> Result<Option<M>, ReceiveError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(message) = self.next_message()? {
                return Ok(Some(message));
            }
            let length = match reader.read(&mut chunk) {
                Ok(0) => {
                    self.finish()?;
                    return Ok(None);
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let received = chunk
                .get_mut(..length)
                .map_or(Err(WireError::FrameTooLong), |bytes| {
                    let received = self.receive(bytes);
                    wipe(bytes);
                    received
                });
            received?;
        }
    }

    /// Forgets the first `length` bytes, and leaves no copy of them behind.
    fn consume(&mut self, length: usize) {
        self.bytes.copy_within(length.., 0);
        let kept = self.bytes.len() - length;
        if let Some(rest) = self.bytes.get_mut(kept..) {
            wipe(rest);
        }
        self.bytes.truncate(kept);
    }
}
