//! The memory of a replica that has no other: bounded, in shards, gone with the
//! process.
//!
//! Each kind of record has a bound of its own, so that a flood of proofs
//! cannot keep a revocation out. Nothing is dropped before its time: what is
//! full says so. A record whose time has come may be dropped, and from then on
//! every claim that would end no later counts as made before, because it may
//! have been: a clock that is set back brings no proof back to life.

use std::cmp::Reverse;
use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use countersign_jose::Timestamp;

use super::{Advance, Attempt, Claim, Issued, Key, SharedState, StateError, StateFuture};

/// Requests on two cores seldom meet in one of so many.
const SHARDS: usize = 16;

/// About 40 MB when it is full.
const DEFAULT_CLAIMS: usize = 250_000;
const DEFAULT_DENIALS: usize = 100_000;
const DEFAULT_COUNTERS: usize = 100_000;
/// Of attempts and of grants: each is of a person who is known already.
const MAX_OF_PEOPLE: usize = 100_000;

/// A [`SharedState`] for one process.
pub struct MemoryState {
    since: Timestamp,
    claims: Table<Timestamp>,
    denials: Table<Denial>,
    attempts: Table<Attempts>,
    grants: Table<Timestamp>,
    counters: RwLock<BTreeMap<Key, u64>>,
    max_counters: usize,
}

impl MemoryState {
    /// An empty memory that remembers from `now` on, with room for 250,000
    /// claims and 100,000 records of each other kind.
    pub fn new(now: Timestamp) -> Self {
        Self::with_room_for(now, DEFAULT_CLAIMS, DEFAULT_DENIALS, DEFAULT_COUNTERS)
    }

    /// An empty memory with other bounds. A claim takes about 160 bytes.
    pub fn with_room_for(now: Timestamp, claims: usize, denials: usize, counters: usize) -> Self {
        Self {
            since: now,
            claims: Table::new(claims),
            denials: Table::new(denials),
            attempts: Table::new(MAX_OF_PEOPLE),
            grants: Table::new(MAX_OF_PEOPLE),
            counters: RwLock::default(),
            max_counters: counters,
        }
    }

    fn claim_now(
        &self,
        key: &Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, StateError> {
        self.claims.update(key, now, |shard, room| {
            if expires <= now || expires <= shard.forgotten {
                return Ok(Claim::Again);
            }
            match shard.kept.entry(*key) {
                Entry::Occupied(_) => Ok(Claim::Again),
                Entry::Vacant(vacant) => {
                    room.take()?;
                    vacant.insert(expires);
                    shard.ends.push(Reverse((expires, *key)));
                    Ok(Claim::First)
                }
            }
        })
    }

    fn advance_now(&self, key: &Key, to: u64) -> Result<Advance, StateError> {
        let mut counters = self
            .counters
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get_mut(key) {
            if *counter >= to {
                return Ok(Advance::Behind);
            }
            *counter = to;
            return Ok(Advance::Moved);
        }
        if counters.len() >= self.max_counters {
            return Err(StateError::Full);
        }
        counters.insert(*key, to);
        Ok(Advance::Moved)
    }

    fn deny_now(&self, key: &Key, new: Denial, now: Timestamp) -> Result<(), StateError> {
        self.denials.update(key, now, |shard, room| {
            match shard.kept.entry(*key) {
                Entry::Occupied(mut occupied) => occupied.get_mut().widen(new),
                Entry::Vacant(vacant) => {
                    room.take()?;
                    vacant.insert(new);
                    shard.ends.push(Reverse((new.until, *key)));
                }
            }
            Ok(())
        })
    }

    fn attempt_now(
        &self,
        key: &Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Attempt, StateError> {
        if limit == 0 || until <= now {
            return Ok(Attempt::Exhausted { until });
        }
        self.attempts.update(key, now, |shard, room| {
            let first = Attempts { count: 1, until };
            match shard.kept.entry(*key) {
                Entry::Occupied(mut occupied) => {
                    let kept = occupied.get_mut();
                    if kept.count == 0 || kept.until <= now {
                        *kept = first;
                    } else if kept.count < limit {
                        kept.count += 1;
                    } else {
                        return Ok(Attempt::Exhausted { until: kept.until });
                    }
                }
                Entry::Vacant(vacant) => {
                    room.take()?;
                    vacant.insert(first);
                    shard.ends.push(Reverse((until, *key)));
                }
            }
            Ok(Attempt::Allowed)
        })
    }

    /// The record stays until its time has come: one that was taken out would
    /// leave its place in the order of ends behind, as often as it is made.
    fn forgive_now(&self, key: &Key) {
        if let Some(kept) = write(self.attempts.shard(key)).kept.get_mut(key) {
            kept.count = 0;
        }
    }

    fn grant_now(&self, key: &Key, until: Timestamp, now: Timestamp) -> Result<(), StateError> {
        self.grants.update(key, now, |shard, room| {
            match shard.kept.entry(*key) {
                Entry::Occupied(mut occupied) => {
                    let kept = occupied.get_mut();
                    *kept = until.max(*kept);
                }
                Entry::Vacant(vacant) => {
                    room.take()?;
                    vacant.insert(until);
                    shard.ends.push(Reverse((until, *key)));
                }
            }
            Ok(())
        })
    }

    fn is_denied(&self, keys: &[Key], issued_at: Option<Timestamp>, now: Timestamp) -> bool {
        if self.denials.is_empty() {
            return false;
        }
        keys.iter().any(|key| {
            self.denials
                .get(key)
                .is_some_and(|denial| now < denial.until && denial.issued.covers(issued_at))
        })
    }
}

impl SharedState for MemoryState {
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        expires: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Claim> {
        Box::pin(ready(self.claim_now(key, expires, now)))
    }

    fn advance<'a>(&'a self, key: &'a Key, to: u64) -> StateFuture<'a, Advance> {
        Box::pin(ready(self.advance_now(key, to)))
    }

    fn deny<'a>(
        &'a self,
        key: &'a Key,
        issued: Issued,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, ()> {
        Box::pin(ready(self.deny_now(key, Denial { issued, until }, now)))
    }

    fn denied<'a>(
        &'a self,
        keys: &'a [Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> StateFuture<'a, bool> {
        Box::pin(ready(Ok(self.is_denied(keys, issued_at, now))))
    }

    fn attempt<'a>(
        &'a self,
        key: &'a Key,
        limit: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> StateFuture<'a, Attempt> {
        Box::pin(ready(self.attempt_now(key, limit, until, now)))
    }

    fn forgive<'a>(&'a self, key: &'a Key) -> StateFuture<'a, ()> {
        self.forgive_now(key);
        Box::pin(ready(Ok(())))
    }

    fn grant<'a>(&'a self, key: &'a Key, until: Timestamp, now: Timestamp) -> StateFuture<'a, ()> {
        Box::pin(ready(self.grant_now(key, until, now)))
    }

    fn granted<'a>(&'a self, key: &'a Key, now: Timestamp) -> StateFuture<'a, bool> {
        let granted = self.grants.get(key).is_some_and(|until| now < until);
        Box::pin(ready(Ok(granted)))
    }

    fn denied_now(
        &self,
        keys: &[Key],
        issued_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<bool> {
        Some(self.is_denied(keys, issued_at, now))
    }

    fn denies_nothing(&self) -> bool {
        self.denials.is_empty()
    }

    fn remembers_since(&self) -> Option<Timestamp> {
        Some(self.since)
    }
}

impl fmt::Debug for MemoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryState")
            .field("claims", &self.claims.len())
            .field("denials", &self.denials.len())
            .finish_non_exhaustive()
    }
}

/// What is denied of one key, and for how long.
#[derive(Clone, Copy)]
struct Denial {
    issued: Issued,
    until: Timestamp,
}

impl Denial {
    fn widen(&mut self, by: Self) {
        self.issued = self.issued.max(by.issued);
        self.until = self.until.max(by.until);
    }
}

/// How often something was tried, and until when that counts.
#[derive(Clone, Copy)]
struct Attempts {
    count: u32,
    until: Timestamp,
}

/// A record that ends.
trait Ends: Copy {
    fn end(self) -> Timestamp;
}

impl Ends for Timestamp {
    fn end(self) -> Timestamp {
        self
    }
}

impl Ends for Attempts {
    fn end(self) -> Timestamp {
        self.until
    }
}

impl Ends for Denial {
    fn end(self) -> Timestamp {
        self.until
    }
}

/// Records that end, at most so many of them in all shards together. The bound
/// is not one of each shard: whoever can choose what falls into a shard could
/// then fill it.
struct Table<V> {
    shards: [RwLock<Shard<V>>; SHARDS],
    room: Room,
}

struct Shard<V> {
    kept: HashMap<Key, V>,
    /// When to look at which record. One that was prolonged is looked at early
    /// and put back.
    ends: BinaryHeap<Reverse<(Timestamp, Key)>>,
    /// The latest end of a record that was dropped.
    forgotten: Timestamp,
}

struct Room {
    taken: AtomicUsize,
    capacity: usize,
}

impl Room {
    fn take(&self) -> Result<(), StateError> {
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < self.capacity).then_some(taken + 1)
            })
            .map(|_| ())
            .map_err(|_| StateError::Full)
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<V: Ends> Table<V> {
    fn new(capacity: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(Shard::default())),
            room: Room {
                taken: AtomicUsize::new(0),
                capacity,
            },
        }
    }

    fn len(&self) -> usize {
        self.room.taken.load(Ordering::Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, key: &Key) -> Option<V> {
        read(self.shard(key)).kept.get(key).copied()
    }

    /// Runs `step` on the shard of `key`, once more after everything that has
    /// ended was dropped, when there was no room.
    fn update<T>(
        &self,
        key: &Key,
        now: Timestamp,
        mut step: impl FnMut(&mut Shard<V>, &Room) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut attempt = || {
            let mut shard = write(self.shard(key));
            shard.drop_ended(now, &self.room);
            step(&mut shard, &self.room)
        };
        match attempt() {
            Err(StateError::Full) => {
                for shard in &self.shards {
                    write(shard).drop_ended(now, &self.room);
                }
                attempt()
            }
            done => done,
        }
    }

    fn shard(&self, key: &Key) -> &RwLock<Shard<V>> {
        let [first, ..] = *key.digest();
        let [zeroth, others @ ..] = &self.shards;
        // The remainder is below the number of shards, so the default is never
        // taken; it spares the path an index that could panic.
        match usize::from(first) % SHARDS {
            0 => zeroth,
            number => others.get(number - 1).unwrap_or(zeroth),
        }
    }
}

impl<V: Ends> Shard<V> {
    fn drop_ended(&mut self, now: Timestamp, room: &Room) {
        while let Some(Reverse((end, key))) = self.ends.peek().copied() {
            if end > now {
                return;
            }
            self.ends.pop();
            match self.kept.get(&key).map(|record| record.end()) {
                Some(prolonged) if prolonged > now => self.ends.push(Reverse((prolonged, key))),
                Some(ended) => {
                    self.kept.remove(&key);
                    self.forgotten = self.forgotten.max(ended);
                    room.give_back();
                }
                None => {}
            }
        }
    }
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            kept: HashMap::new(),
            ends: BinaryHeap::new(),
            forgotten: Timestamp::from_millis(i64::MIN),
        }
    }
}

// Whoever panicked while holding a lock did so between whole steps.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
