//! The mode of what is written does not depend on the umask.
//!
//! Alone in its file: the umask belongs to the whole process, other tests included.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use common::{fresh, key, mode, note};
use countersign_store::Purpose;
use rustix::fs::Mode;

#[test]
fn modes_are_private_and_usable_under_every_umask() {
    for umask in [0o000, 0o022, 0o077, 0o177, 0o777] {
        // The parent exists already: what its umask made of it is not the store's business.
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let (parent, store) = fresh();
        std::fs::create_dir(parent.path().join("state")).unwrap();
        rustix::process::umask(Mode::from_raw_mode(umask));
        let saved = store.save(&key(), &note("kept"));
        let lock = store
            .try_lock(&key(), Purpose::Refresh)
            .map(|lock| lock.is_some());
        rustix::process::umask(Mode::from_raw_mode(0o022));
        saved.unwrap();
        assert!(lock.unwrap());
        assert_eq!(mode(store.path()), 0o700, "umask {umask:03o}");
        assert_eq!(mode(&store.path_of(&key())), 0o600, "umask {umask:03o}");
        assert_eq!(store.load(&key()).unwrap(), Some(note("kept")));
        // A second process must be able to take the lock that the first one made.
        let path = common::path_in(&store, "default.lock");
        assert_eq!(mode(&path), 0o600, "umask {umask:03o}");
    }
}
