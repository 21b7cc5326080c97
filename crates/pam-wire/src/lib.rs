//! What `pam_countersign.so` and `countersign-pamd` say to each other, without I/O.
//!
//! The module runs as root inside sshd, login, su or sudo; the daemon decides. Between them stands a
//! Unix stream, and on it one connection for each hook that PAM calls. The module opens with one
//! [`ToDaemon`] that says which hook it is; the daemon asks and tells by [`ToModule`], and ends with
//! [`ToModule::Done`]. A connection that closes means that the other side is gone.
//!
//! ```
//! use countersign_pam_wire::{Incoming, Line, Text, ToModule, Verdict};
//!
//! let done = ToModule::Done {
//!     verdict: Verdict::Denied,
//!     text: Text::clean("This account is not yours."),
//!     reference: Line::clean("K7QF2M"),
//! };
//! let bytes = done.encode()?;
//!
//! let mut incoming = Incoming::<ToModule>::default();
//! incoming.receive(bytes.expose())?;
//! assert_eq!(incoming.next_message()?, Some(done));
//! # Ok::<(), countersign_pam_wire::WireError>(())
//! ```
//!
//! # What holds
//!
//! - No input makes anything here panic, and none is kept beyond [`MAX_FRAME`].
//! - What is read can be written again, and gives the same bytes: there is one spelling of a message.
//!   An unknown kind, a field too long, a byte too many are named errors.
//! - Text has no control characters in it, on either side, because there is no other way to make one.
//! - What a person typed shows itself in no `Debug`, and is wiped when dropped.
//!
//! # Not here
//!
//! Sockets, credentials of peers, time limits: whoever holds the stream has them.

mod error;
mod frame;
mod message;
mod process;
mod text;

pub use error::{ReceiveError, WireError};
pub use frame::{Encoded, Incoming, MAX_FRAME, Message};
pub use message::{Echo, Login, Opened, ToDaemon, ToModule, VERSION, Verdict};
pub use process::{BadStat, Process, Stat};
pub use text::{Line, NotALine, Text, Typed};
