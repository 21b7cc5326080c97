//! What a server publishes, kept on disk with its age: metadata and keys.
//!
//! Disposable: what cannot be read is fetched again, what cannot be written is not kept, and neither
//! is worth a word to anybody. It lies in a private directory all the same, because whoever could
//! write here could name the server that tokens are sent to.

use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_store::{FileStore, Key, Record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Context, Timestamp};

/// How long something is used without asking again when the server does not say.
const USUAL_AGE: Duration = Duration::from_secs(60 * 60);
/// The least: some servers forbid keeping their metadata at all, which would cost every renewal two
/// more requests. Keys that are new within this time are found because an unknown one is looked for.
const LEAST_AGE: Duration = Duration::from_secs(5 * 60);
/// The most: a server that moves is found again within a day.
const GREATEST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Something kept, what it is about, and how long it may be used.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    about: String,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
    value: T,
}

impl<T: Serialize + DeserializeOwned> Record for Kept<T> {
    const VERSION: u32 = 1;
}

/// What one application keeps of all the servers it knows.
pub(crate) struct Cache {
    store: FileStore,
}

impl Cache {
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            store: FileStore::open(&context.directories().cache().join("provider")),
        }
    }

    /// What is kept about `about`, and when it was fetched, if it is still fresh at `now`.
    pub(crate) fn fresh<T: Serialize + DeserializeOwned>(
        &self,
        about: &str,
        now: Timestamp,
    ) -> Option<(T, Timestamp)> {
        let key = key(about)?;
        let Ok(kept) = self.store.load::<Kept<T>>(&key) else {
            // Whatever is wrong with it, nobody will want to look at it.
            let _ = self.store.remove(&key);
            return None;
        };
        let kept = kept?;
        // What was fetched in the future was fetched by a clock that has been set back since.
        let fresh = kept.about == about && kept.fetched_at <= now && now < kept.fresh_until;
        fresh.then_some((kept.value, kept.fetched_at))
    }

    /// Keeps `value`, fetched at `now`, for as long as the server allows within sensible bounds.
    pub(crate) fn keep<T: Serialize + DeserializeOwned>(
        &self,
        about: &str,
        value: T,
        max_age: Option<Duration>,
        now: Timestamp,
    ) {
        let Some(key) = key(about) else { return };
        let age = max_age.unwrap_or(USUAL_AGE).clamp(LEAST_AGE, GREATEST_AGE);
        let kept = Kept {
            about: about.to_owned(),
            fetched_at: now,
            fresh_until: now + age,
            value,
        };
        let _ = self.store.save(&key, &kept);
    }
}

/// A file name for anything, however long and whatever it is written with.
fn key(about: &str) -> Option<Key> {
    Key::new(&hash(about)).ok()
}

/// A name for a text that two texts do not share, in lower-case letters and digits.
pub(crate) fn hash(text: &str) -> String {
    hash_bytes(text.as_bytes())
}

/// The same for what need not be text.
pub(crate) fn hash_bytes(bytes: &[u8]) -> String {
    let digest = ring::provider().sha256(bytes);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
