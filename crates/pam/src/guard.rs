//! Panics end here.
//!
//! A panic that left a hook would end the process that called it. sshd counts that as a crash, and
//! has the client's address wait.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

/// Where the last panic was. Not what it said: that may have been typed.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// A panic that was caught, with the line of the source it came from.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) place: String,
}

/// Runs `work` and catches its panic.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Caught> {
    silence();
    // Nothing that `work` was about to change is used after it.
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // To drop it could panic once more, outside of everything.
        std::mem::forget(payload);
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Caught {
            place: place.unwrap_or_else(|| "an unknown place".to_owned()),
        }
    })
}

/// Takes the place of the hook that prints panics: the standard error stream belongs to the program.
///
/// This is a hook of this library alone. A `cdylib` carries Rust's library with it and shows none of
/// it, so a program that is written in Rust, or another such module, has its own.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // In our own tests the library is the test runner's, and what it prints is wanted.
        let before = cfg!(test).then(panic::take_hook);
        panic::set_hook(Box::new(move |info| {
            note(info);
            if let Some(before) = &before {
                before(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value_that_names_its_place_and_not_its_message() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        assert_eq!(guarded(|| 7).unwrap(), 7);
        for work in [
            || panic!("hunter2"),
            || panic::panic_any(7_u8),
            || panic::panic_any(Bomb),
            || drop(Bomb),
        ] {
            let caught = guarded::<()>(work).unwrap_err();
            assert!(caught.place.contains("guard.rs:"), "{caught:?}");
            assert!(!caught.place.contains("hunter2"), "{caught:?}");
        }
    }
}
