//! What can be wrong with bytes from the other side, and with what is to be sent to it.

use std::fmt;
use std::io;

/// What is wrong with a message. Holds nothing of what the message said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The length of a frame is above [`MAX_FRAME`](crate::MAX_FRAME), or more than one frame was sent
    /// ahead.
    FrameTooLong,
    /// A frame without even a kind.
    EmptyFrame,
    /// A kind of message that this side does not take.
    UnknownKind(u8),
    /// The other side speaks a version that this one does not.
    UnknownVersion(u64),
    /// The message ends in the middle of a field.
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// Something stands behind the last field.
    TrailingBytes,
    /// A field is longer than its limit.
    FieldTooLong {
        /// The field.
        field: &'static str,
    },
    /// A field is not UTF-8, or has control characters.
    NotText {
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    BadValue {
        /// The field.
        field: &'static str,
    },
    /// The stream ended in the middle of a frame.
    EndInFrame,
}

impl WireError {
    /// A stable name for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FrameTooLong => "frame_too_long",
            Self::EmptyFrame => "empty_frame",
            Self::UnknownKind(_) => "unknown_kind",
            Self::UnknownVersion(_) => "unknown_version",
            Self::Truncated { .. } => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::FieldTooLong { .. } => "field_too_long",
            Self::NotText { .. } => "not_text",
            Self::BadValue { .. } => "bad_value",
            Self::EndInFrame => "end_in_frame",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameTooLong => f.write_str("the message is too long"),
            Self::EmptyFrame => f.write_str("the message is empty"),
            Self::UnknownKind(kind) => write!(f, "a message of kind {kind} is not known here"),
            Self::UnknownVersion(version) => write!(
                f,
                "version {version} of the protocol is not known here: module and daemon are not of \
                 one release"
            ),
            Self::Truncated { field } => write!(f, "the message ends in its field `{field}`"),
            Self::TrailingBytes => f.write_str("the message goes on behind its last field"),
            Self::FieldTooLong { field } => write!(f, "the field `{field}` is too long"),
            Self::NotText { field } => write!(f, "the field `{field}` is not plain text"),
            Self::BadValue { field } => write!(f, "the field `{field}` has an impossible value"),
            Self::EndInFrame => f.write_str("the stream ended in the middle of a message"),
        }
    }
}

impl std::error::Error for WireError {}

/// Why no message came.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The stream failed; a time limit that has passed is among these.
    Io(io::Error),
    /// The bytes are no message.
    Wire(WireError),
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "cannot read from the other side",
            Self::Wire(_) => "the other side does not keep to the protocol",
        })
    }
}

impl std::error::Error for ReceiveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Io(error) => error,
            Self::Wire(error) => error,
        })
    }
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<WireError> for ReceiveError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}
