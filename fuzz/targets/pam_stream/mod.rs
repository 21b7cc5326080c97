//! What holds of every stream of messages, in either direction.

use std::fmt::Debug;

use countersign_pam_wire::{Encoded, Incoming, Message, WireError};

/// The input is a stream; its first byte says how it is cut.
pub fn check_stream<M: Message + Debug + PartialEq>(
    bytes: &[u8],
    encode: fn(&M) -> Result<Encoded, WireError>,
) {
    let (size, stream) = bytes.split_first().unwrap_or((&0, bytes));
    let (whole, error) = read(stream, stream.len().max(1));
    let (pieces, error_in_pieces) = read(stream, usize::from(*size) + 1);
    assert_eq!(whole, pieces);
    // A stream that floods is stopped earlier when it comes at once.
    if error != Some(WireError::FrameTooLong) {
        assert_eq!(error, error_in_pieces);
    }
    for error in [error, error_in_pieces].into_iter().flatten() {
        let line = error.to_string();
        assert!(!error.code().is_empty() && !line.is_empty());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    // Written again, they are the beginning of what was read.
    let mut rest = stream;
    for message in &whole {
        let written = encode(message).expect("what was read can be written");
        rest = rest
            .strip_prefix(written.expose())
            .expect("one spelling of a message");
    }
}

fn read<M: Message>(stream: &[u8], size: usize) -> (Vec<M>, Option<WireError>) {
    let mut incoming = Incoming::default();
    let mut messages = Vec::new();
    for piece in stream.chunks(size) {
        if let Err(error) = incoming.receive(piece) {
            return (messages, Some(error));
        }
        loop {
            match incoming.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    let end = incoming.finish();
    (messages, end.err())
}
