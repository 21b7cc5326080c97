//! Something of which every thread has one of its own, or nearly.
//!
//! A counter or a lock that two threads write takes the memory away from each of them in turn, and
//! that costs more than the little that is read under it. Not responsible for keeping the copies
//! equal: whoever keeps one says what makes it old.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this share.
const STRIPES: usize = 16;

/// So large that no two of them meet in what processors pass around, which is up to two lines.
#[derive(Default)]
#[repr(align(128))]
struct Stripe<T>(T);

/// One value for each thread, as far as they go round.
#[derive(Default)]
pub(crate) struct Striped<T>([Stripe<T>; STRIPES]);

impl<T> Striped<T> {
    /// The value of this thread.
    pub(crate) fn mine(&self) -> &T {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        let number = NUMBER.with(|number| number % STRIPES);
        let [zeroth, others @ ..] = &self.0;
        // The remainder is below the number of stripes, so the default is taken for zero alone; it
        // spares the path an index that could panic.
        let Stripe(mine) = number
            .checked_sub(1)
            .and_then(|number| others.get(number))
            .unwrap_or(zeroth);
        mine
    }
}

impl<T> fmt::Debug for Striped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Striped").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_own_and_others_have_others() {
        let striped = Striped::<AtomicUsize>::default();
        let place = || {
            let mine = striped.mine();
            assert!(std::ptr::eq(mine, striped.mine()));
            std::ptr::from_ref(mine).addr()
        };
        let mut places: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..2 * STRIPES).map(|_| scope.spawn(place)).collect();
            let places = threads.into_iter().map(|thread| thread.join().unwrap());
            places.collect()
        });
        places.sort_unstable();
        places.dedup();
        // Other tests take numbers at the same time.
        assert!(places.len() > STRIPES / 2, "{}", places.len());
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 128));
    }
}
