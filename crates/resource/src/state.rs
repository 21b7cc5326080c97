//! What has to happen once, or to stop at once, however many replicas there are.
//!
//! A replica of its own remembers in memory ([`MemoryState`]); several of them
//! share a [`SharedState`] in a database (`RedisState` and `PostgresState`,
//! behind the features of those names). A `SqliteFile` (feature `sqlite`) is
//! one for the processes of a host, and outlives them. Here stands what such a memory must
//! promise; `conformance` (behind the feature of that name) holds any
//! implementation to it.
//!
//! Not responsible for what happens when the memory is full or away: it says
//! so, and whoever asked decides. The default everywhere is to refuse.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) mod remote;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use countersign_jose::{Timestamp, crypto};

pub use memory::MemoryState;
#[cfg(feature = "postgres")]
pub use postgres::PostgresState;
#[cfg(feature = "redis")]
pub use redis::RedisState;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub use remote::Remote;

/// The future of every question to a [`SharedState`].
pub type StateFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StateError>> + Send + 'a>>;

/// A memory shared by everything that must happen once, or must stop at once.
///
/// The time is handed in with every question. An implementation may remember
/// for longer than it was asked to, and never for less: a record that ended by
/// the asker's clock may be forgotten, no other may; only of grants the
/// opposite is true. Every future ends by
/// itself in bounded time, because a request waits for it.
pub trait SharedState: Send + Sync + 'static {
    /// Claims `key` until `expires`. Of any number of simultaneous claims, on
    /// any number of replicas, exactly one is [`Claim::First`].
    ///
    /// # Errors
    ///
    /// [`StateError::Full`], [`StateError::Unavailable`]; the key is then
    /// claimed by nobody, or by nobody who will ever be told.
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim>;

    /// Moves the counter called `key` to `to`, if that is greater than what is
    /// kept, as one step (compare-and-swap). A counter that is not kept stands
    /// before zero, and none is ever forgotten. Up to `i64::MAX` are kept.
    ///
    /// # Errors
    ///
    /// [`StateError::Full`], [`StateError::Unavailable`].
    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance>;

    /// Notes that whatever bears `key` is denied until `until`: all of it, or
    /// what was issued at or before a moment. Denying again only ever widens
    /// what is denied; of both dates the later one is kept.
    ///
    /// # Errors
    ///
    /// [`StateError::Full`], [`StateError::Unavailable`].
    fn deny<'a>(
        &'a self,
        key: &'a Key,
        issued: Issued,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, ()>;

    /// Whether any of `keys` is denied for something issued at `issued_at`.
    /// What does not say when it was issued counts as old.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`].
    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> StateFuture<'a, bool>;

    /// Counts one attempt under `key`, in a window that ends at `until`; it is
    /// the first attempt of a window that says when. Of any number of
    /// simultaneous attempts in it, on any number of replicas, exactly `limit`
    /// are [`Attempt::Allowed`]; none is in a window that has ended already.
    ///
    /// # Errors
    ///
    /// [`StateError::Full`], [`StateError::Unavailable`]; it may have been
    /// counted then.
    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt>;

    /// Forgets the attempts under `key`: the next one begins a window.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`].
    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()>;

    /// Notes that whatever bears `key` may pass until `until`. Of two dates the
    /// later one is kept. A grant alone may be forgotten before its time.
    ///
    /// # Errors
    ///
    /// [`StateError::Full`], [`StateError::Unavailable`].
    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, now: Timestamp) -> StateFuture<'a, ()>;

    /// Whether `key` is granted. Never by a grant that has ended: here the time
    /// of the asker counts to the second.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`].
    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool>;

    /// The answer of [`denied`](Self::denied) where it is known without asking
    /// anybody, which spares the usual request a future. `None` by default:
    /// ask.
    fn denied_now(
        &self,
        keys: &[Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<bool> {
        let _ = (keys, issued_at, now);
        None
    }

    /// Whether it is known, without asking anybody, that nothing is denied at
    /// all: then nobody has to work out what to ask. `false` by default.
    fn denies_nothing(&self) -> bool {
        false
    }

    /// Since when claims are remembered. `None` by default: a restart of this
    /// process forgets nothing. Otherwise what may have been claimed before
    /// that moment must be asked for anew.
    fn remembers_since(&self) -> Option<Timestamp> {
        None
    }
}

/// What a [`SharedState`] knows something by: a namespace and a digest, so that
/// no token and no name of a person ever lies in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    namespace: &'static str,
    digest: [u8; 32],
}

impl Key {
    /// The key of what `parts` name together, in a namespace of lower-case
    /// ASCII letters and `-`. Where one part ends and the next begins counts.
    pub fn new(namespace: &'static str, parts: &[&[u8]]) -> Self {
        let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
            joined.extend_from_slice(part);
        }
        Self {
            namespace,
            digest: crypto::aws_lc::provider().sha256(&joined),
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &'static str {
        self.namespace
    }

    /// The digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// Namespace and the beginning of the digest: enough to compare two lines of a
/// log with.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} ", self.namespace)?;
        for byte in self.digest.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had it before.
    First,
    /// It was claimed before, or nobody can tell any more.
    Again,
}

/// What became of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// It was moved forward.
    Moved,
    /// It already stood there or further, and stands there still.
    Behind,
}

/// The answer to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was counted, and is within the limit.
    Allowed,
    /// There were too many in this window.
    Exhausted {
        /// When the window ends.
        until: Timestamp,
    },
}

/// Which of the things that bear a key are denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Issued {
    /// Those issued at this moment or before it, and those that do not say.
    UpTo(Timestamp),
    /// All of them.
    Whenever,
}

impl Issued {
    /// Whether something issued at `issued_at` is among them.
    pub fn covers(self, issued_at: Option<Timestamp>) -> bool {
        match (self, issued_at) {
            (Self::Whenever, _) | (_, None) => true,
            (Self::UpTo(moment), Some(issued_at)) => issued_at <= moment,
        }
    }
}

/// Why a memory cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no room for another record, and none that may be forgotten.
    #[error("the memory is full")]
    Full,
    /// It cannot be reached, did not answer in time, or answered nonsense.
    #[error("the memory cannot be reached")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl StateError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "state_full",
            Self::Unavailable(_) => "state_unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_the_namespace_and_on_where_its_parts_end() {
        let key = |namespace, parts: &[&str]| {
            Key::new(
                namespace,
                &parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(key("jti", &["a", "b"]), key("jti", &["a", "b"]));
        for other in [
            key("sid", &["a", "b"]),
            key("jti", &["ab"]),
            key("jti", &["ab", ""]),
            key("jti", &["", "ab"]),
            key("jti", &["b", "a"]),
        ] {
            assert_ne!(key("jti", &["a", "b"]), other, "{other:?}");
        }
    }

    #[test]
    fn a_key_shows_no_more_than_the_beginning_of_its_digest() {
        let shown = format!("{:?}", Key::new("sub", &[b"ada"]));
        assert!(shown.starts_with("Key(sub ") && shown.len() < 24, "{shown}");
    }

    #[test]
    fn what_does_not_say_when_it_was_issued_is_old() {
        let at = Timestamp::from_secs;
        assert!(Issued::UpTo(at(5)).covers(None));
        assert!(Issued::UpTo(at(5)).covers(Some(at(5))));
        assert!(!Issued::UpTo(at(5)).covers(Some(at(6))));
        assert!(Issued::Whenever.covers(Some(at(6))));
        assert!(Issued::Whenever > Issued::UpTo(at(i64::MAX)));
    }
}
