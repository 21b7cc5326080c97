//! As much of Protocol Buffers as one call needs: fields read one after the other, and written.
//!
//! Not responsible for what a field means. A message that is cut short, or nested where no message is
//! expected, is refused; unknown fields are passed over, as the format asks.

use std::str;

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field of a message, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'m> {
    /// A number of variable length; numbers of fixed length are of no use here.
    Number(u64),
    /// Text, bytes, or a message.
    Bytes(&'m [u8]),
}

impl<'m> Value<'m> {
    pub(super) fn bytes(self) -> Result<&'m [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Malformed),
        }
    }

    pub(super) fn text(self) -> Result<&'m str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
}

/// Calls `each` with the number and the value of every field.
pub(super) fn fields<'m>(
    mut message: &'m [u8],
    mut each: impl FnMut(u64, Value<'m>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !message.is_empty() {
        let key = number(&mut message)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut message)?),
            1 => {
                take(&mut message, 8)?;
                continue;
            }
            2 => {
                let length = number(&mut message)?;
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                Value::Bytes(take(&mut message, length)?)
            }
            5 => {
                take(&mut message, 4)?;
                continue;
            }
            _ => return Err(Malformed),
        };
        if key >> 3 == 0 {
            return Err(Malformed);
        }
        each(key >> 3, value)?;
    }
    Ok(())
}

/// The last field of this number that is a message, as the format wants it for one that is not repeated.
pub(super) fn nested(message: &[u8], wanted: u64) -> Result<&[u8], Malformed> {
    let mut found: &[u8] = &[];
    let mut count = 0;
    fields(message, |field, value| {
        if field == wanted {
            found = value.bytes()?;
            count += 1;
        }
        Ok(())
    })?;
    // Parts of one message could be put together in two ways.
    if count > 1 { Err(Malformed) } else { Ok(found) }
}

fn take<'m>(message: &mut &'m [u8], length: usize) -> Result<&'m [u8], Malformed> {
    let (taken, rest) = message.split_at_checked(length).ok_or(Malformed)?;
    *message = rest;
    Ok(taken)
}

fn number(message: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (&byte, rest) = message.split_first().ok_or(Malformed)?;
        *message = rest;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * place;
        if shift == 63 && bits > 1 {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Zero is what a field is that is not there.
    #[must_use]
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.push(field << 3);
            self.push(value);
        }
        self
    }

    #[must_use]
    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.push(field << 3 | 2);
        self.push(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    #[must_use]
    pub(super) fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn push(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low & 0x7f);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u64, String)>, Malformed> {
        let mut found = Vec::new();
        fields(message, |field, value| {
            found.push((field, format!("{value:?}")));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let message = Message::default()
            .number(1, 300)
            .number(2, 0)
            .bytes(15, b"ab")
            .message(16, &Message::default().number(1, u64::MAX))
            .into_bytes();
        // 300 as the description of the format writes it.
        assert_eq!(message.get(..3), Some(&[0x08, 0xac, 0x02][..]));
        let read = read(&message).unwrap();
        assert_eq!(read[0], (1, "Number(300)".to_owned()));
        assert_eq!(read[1], (15, "Bytes([97, 98])".to_owned()));
        let inner = nested(&message, 16).unwrap();
        fields(inner, |field, value| {
            assert_eq!((field, value), (1, Value::Number(u64::MAX)));
            Ok(())
        })
        .unwrap();
        assert_eq!(nested(&message, 17), Ok(&[][..]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for message in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x0a\x02a",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"\x0b\x0c",
            b"\x09\0\0\0",
            b"\x00\x00",
        ] {
            assert_eq!(read(message), Err(Malformed), "{message:?}");
        }
        assert_eq!(nested(b"\x0a\x00\x0a\x00", 1), Err(Malformed));
        assert_eq!(nested(b"\x08\x01", 1), Err(Malformed));
    }
}
