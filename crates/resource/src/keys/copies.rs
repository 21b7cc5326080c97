//! The keys once more for each thread.
//!
//! All threads ask for the same keys, and would take the lock and the counter of owners away from
//! each other for every token. Not responsible for when keys are too old: whoever asks for a copy
//! has seen that they are fresh.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_jose::KeySet;

use crate::striped::Striped;

/// Keys whose owners each thread counts for itself.
pub(crate) type SharedKeys = Arc<KeySet>;

#[derive(Default)]
pub(super) struct Copies(Striped<Mutex<Option<Copied>>>);

struct Copied {
    generation: u64,
    keys: Arc<SharedKeys>,
}

impl Copies {
    /// The keys of this generation, if this thread has a copy.
    pub(super) fn get(&self, generation: u64) -> Option<Arc<SharedKeys>> {
        let copied = self.0.mine().lock();
        // It is changed in one step.
        let copied = copied.unwrap_or_else(PoisonError::into_inner);
        let copied = copied.as_ref();
        let copied = copied.filter(|copied| copied.generation == generation)?;
        Some(Arc::clone(&copied.keys))
    }

    /// Keeps the keys of a generation for this thread.
    pub(super) fn put(&self, generation: u64, keys: SharedKeys) -> Arc<SharedKeys> {
        let keys = Arc::new(keys);
        let copied = Copied {
            generation,
            keys: Arc::clone(&keys),
        };
        let place = self.0.mine().lock();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(copied);
        keys
    }
}
