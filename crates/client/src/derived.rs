//! What somebody else gave for a token of the session, kept until it expires: the credentials of a
//! cloud, for one.
//!
//! It is as good as the token it was given for, so it is kept as that is: in a private file, which goes
//! when the session does. It belongs to one login; after the next, possibly of another person, it is
//! not found any more.
//!
//! Not responsible for what it is, nor for getting it.

use std::time::Duration;

use countersign_oauth::secret::exposed;
use countersign_store::{FileStore, Lock, Purpose, Record};
use serde::{Deserialize, Serialize};

use crate::{Context, Error, Secret, SessionName, Timestamp, TokenSource};

/// More different things than one session has a use for. The one that expires first makes room.
const MOST: usize = 32;
/// Between looks whether another process has written the file, which takes a few milliseconds.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

/// Something that was given for a token, and until when it is good.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Derived {
    /// The thing itself, as it was kept.
    pub value: Secret,
    /// When it was asked for, by this computer's clock.
    pub obtained_at: Timestamp,
    /// When it expires, by this computer's clock.
    pub expires_at: Timestamp,
}

/// The file of a session.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    /// The login that all of it belongs to.
    signed_in_at: Timestamp,
    subject: Option<String>,
    entries: Vec<Entry>,
}

impl Record for File {
    const VERSION: u32 = 1;
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    what: String,
    #[serde(with = "exposed")]
    value: Secret,
    obtained_at: Timestamp,
    expires_at: Timestamp,
}

impl TokenSource {
    /// What is kept under the name `what`, if it belongs to this login and is still good at all.
    ///
    /// # Errors
    /// [`Error::Storage`] when the file cannot be read, or is not private.
    pub fn derived(&self, what: &str) -> Result<Option<Derived>, Error> {
        let now = self.context().clock().now();
        let found = self
            .kept()?
            .entries
            .into_iter()
            .find(|entry| entry.what == what);
        Ok(found
            .filter(|entry| entry.is_good(now))
            .map(|entry| Derived {
                value: entry.value,
                obtained_at: entry.obtained_at,
                expires_at: entry.expires_at,
            }))
    }

    /// Keeps `value` under the name `what`, in the place of what was kept under it.
    ///
    /// Two processes that do this at the same time take turns. One that would have to wait for long does
    /// not: at worst, a value is lost that can be got again.
    ///
    /// # Errors
    /// [`Error::Storage`] when the file cannot be written.
    pub fn keep_derived(
        &self,
        what: &str,
        value: &Secret,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let _turn = self.turn();
        let now = self.context().clock().now();
        let mut file = self.kept()?;
        file.entries
            .retain(|entry| entry.what != what && entry.is_good(now));
        file.entries.sort_by_key(|entry| entry.expires_at);
        let surplus = (file.entries.len() + 1).saturating_sub(MOST);
        file.entries.drain(..surplus);
        file.entries.push(Entry {
            what: what.to_owned(),
            value: value.clone(),
            obtained_at: now,
            expires_at,
        });
        store(self.context())
            .save(self.name(), &file)
            .map_err(Error::Storage)
    }

    /// The right to read, change and write the file, if it is to be had soon.
    fn turn(&self) -> Option<Lock> {
        let (clock, store) = (self.context().clock(), store(self.context()));
        for pause in PAUSES {
            match store.try_lock(self.name(), Purpose::Refresh) {
                Ok(None) => clock.sleep(pause),
                Ok(lock) => return lock,
                Err(_) => return None,
            }
        }
        None
    }

    /// The file, if it is of this login; else an empty one.
    fn kept(&self) -> Result<File, Error> {
        let session = self.session();
        let (signed_in_at, subject) = (session.signed_in_at(), session.identity().subject.clone());
        let found: Option<File> = store(self.context())
            .load(self.name())
            .map_err(Error::Storage)?;
        Ok(found
            .filter(|file| file.signed_in_at == signed_in_at && file.subject == subject)
            .unwrap_or(File {
                signed_in_at,
                subject,
                entries: Vec::new(),
            }))
    }
}

impl Entry {
    /// A clock that was set back vouches for nothing it said before.
    fn is_good(&self, now: Timestamp) -> bool {
        self.obtained_at <= now && now < self.expires_at
    }
}

/// Removes everything that was got with a session.
pub(crate) fn forget(context: &Context, session: &SessionName) -> Result<(), Error> {
    store(context)
        .remove(session)
        .map(|_| ())
        .map_err(Error::Storage)
}

fn store(context: &Context) -> FileStore {
    FileStore::open(&context.directories().state().join("derived"))
}
