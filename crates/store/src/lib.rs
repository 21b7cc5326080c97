//! Keeps sessions on disk: one private file each, replaced atomically.
//!
//! A [`FileStore`] is a directory of mode 0700 that holds one file of mode 0600 per [`Key`]. A file
//! is written under a temporary name, synced and renamed, so a reader sees the old record or the new
//! one and never half of either, whenever the writer dies. What is found on disk is not trusted:
//! symbolic links, other people's files, files that others can read, pipes and oversized files are
//! refused with an error that names the repairing command; a file that cannot be understood is set
//! aside so that a new login is never blocked by it; a file written by a newer version is left alone.
//!
//! Not responsible for: what a record means, when it expires, waiting for a lock (an attempt is made
//! or not; who waits, and how long, is decided by the caller, who owns a clock), and networks of any
//! kind. Nothing here reads a clock, sleeps, or starts a thread.

#[cfg(not(unix))]
compile_error!(
    "countersign-store relies on Unix owners and modes; other systems need their own store"
);

mod directory;
mod error;
mod file;
mod key;
mod lock;
mod store;

pub use error::StoreError;
pub use key::{InvalidKey, Key};
pub use lock::{Lock, Purpose};
pub use store::{FileStore, Record};

/// The largest record, in bytes as written: far above any session, far below what could hurt.
pub const MAX_RECORD_BYTES: u64 = 1024 * 1024;
