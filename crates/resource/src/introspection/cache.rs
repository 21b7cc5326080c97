//! What issuers said a moment ago, and what they are being asked.
//!
//! Good and bad answers have a bound each: a flood of junk drives out other
//! junk, and nobody's good token.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Flight, Verdict};

/// A token, by a keyed digest.
pub(super) type Digest = [u8; 32];

pub(super) struct Cache {
    good: Answers,
    bad: Answers,
    flights: HashMap<Digest, Flight>,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            good: Answers::new(capacity),
            bad: Answers::new(capacity),
            flights: HashMap::new(),
        }
    }

    pub(super) fn get(&self, digest: &Digest, now: Duration) -> Option<Arc<Verdict>> {
        self.good
            .get(digest, now)
            .or_else(|| self.bad.get(digest, now))
    }

    /// The question about this token that is under way.
    pub(super) fn flight(&self, digest: &Digest) -> Option<Flight> {
        let flight = self.flights.get(digest)?;
        // One that ended by a panic leaves nobody to answer.
        flight.has_changed().is_ok().then(|| flight.clone())
    }

    pub(super) fn begin(&mut self, digest: Digest, flight: Flight) {
        self.flights.insert(digest, flight);
    }

    pub(super) fn end(&mut self, digest: &Digest) {
        self.flights.remove(digest);
    }

    pub(super) fn keep(
        &mut self,
        digest: Digest,
        verdict: Arc<Verdict>,
        until: Duration,
        now: Duration,
    ) {
        self.end(&digest);
        let answers = if verdict.token.is_ok() {
            &mut self.good
        } else {
            &mut self.bad
        };
        answers.keep(digest, verdict, until, now);
    }
}

/// Answers in the order in which they came, which is about that in which they
/// end.
struct Answers {
    kept: HashMap<Digest, (Arc<Verdict>, Duration)>,
    order: VecDeque<Digest>,
    capacity: usize,
}

impl Answers {
    fn new(capacity: usize) -> Self {
        Self {
            kept: HashMap::new(),
            order: VecDeque::new(),
            capacity,
        }
    }

    fn get(&self, digest: &Digest, now: Duration) -> Option<Arc<Verdict>> {
        let (verdict, until) = self.kept.get(digest)?;
        (now < *until).then(|| Arc::clone(verdict))
    }

    fn keep(&mut self, digest: Digest, verdict: Arc<Verdict>, until: Duration, now: Duration) {
        if self.kept.insert(digest, (verdict, until)).is_none() {
            self.order.push_back(digest);
        }
        while let Some(oldest) = self.order.front() {
            let ended = self.kept.get(oldest).is_none_or(|(_, until)| *until <= now);
            if !ended && self.kept.len() <= self.capacity {
                return;
            }
            self.kept.remove(oldest);
            self.order.pop_front();
        }
    }
}
