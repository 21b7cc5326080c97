//! Tokens that have been verified, so that the next request with the same one costs a digest.
//!
//! The signed headers of load balancers are remembered beside them.
//!
//! The key is the SHA-256 digest of the token as it was sent, to the byte, so nothing but that very
//! token meets its entry, and no token is kept. An entry says which keys verified it; whoever asks
//! compares that with the keys of the moment, and compares the time with `exp`. What is demanded
//! of a caller, and whether a bound token came with its proof, is never kept here.
//!
//! Memory is bounded: what an entry may cost at most is counted before it is taken in, and entries
//! that were not used of late leave first (the second-chance rule). Junk that has been refused by
//! its signature has a small table of its own, in which newer entries replace older ones.
//!
//! Shards keep threads out of each other's way; a hit takes the lock of one for reading. No lock is
//! held across anything that waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_jose::{Timestamp, crypto};

use crate::{AccessToken, Rejection};

/// How many bytes a shard has at least, so that a small cache is not cut to pieces.
const SMALLEST_SHARD: usize = 256 * 1024;
const MOST_SHARDS: usize = 16;

/// How many refused tokens a shard remembers.
const JUNK_SLOTS: usize = 128;

/// The digest of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(token: &str) -> Self {
        Self(crypto::aws_lc::provider().sha256(token.as_bytes()))
    }

    /// Eight of its bytes. They are as good as random, and the tables that use them are seeded.
    fn word(&self, at: usize) -> u64 {
        let bytes = self.0.chunks_exact(8).nth(at);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    }

    /// A number below `count`.
    fn below(&self, count: usize) -> usize {
        usize::try_from(self.word(1) % (count.max(1) as u64)).unwrap_or(0)
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.word(0));
    }
}

/// By which keys something was verified. What one kind of keys has vouched for says nothing where
/// another kind is asked: a header of a load balancer is no token, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerifiedBy {
    /// Those of one issuer, in one state.
    Issuer {
        /// The place of the issuer among those that are trusted.
        trusted: usize,
        /// For a good token, the keys that have not been withdrawn since; for a bad one, all keys.
        keys: u64,
    },
    /// This key of a load balancer.
    LoadBalancer { key: u64 },
}

/// What is remembered of a token.
#[derive(Debug)]
pub(crate) enum Known {
    Good(Arc<AccessToken>, VerifiedBy),
    Bad(Junk, VerifiedBy),
}

/// Why a token will never be good, as long as the keys stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Junk {
    BadSignature,
    MissingClaim(&'static str),
    MalformedClaim(&'static str),
    OtherKind(&'static str),
}

impl Junk {
    /// Whether this rejection is for good. Those that depend on the time are not, nor those that a
    /// fetch of the keys may change.
    pub(crate) fn of(rejection: &Rejection) -> Option<Self> {
        match rejection {
            Rejection::BadSignature => Some(Self::BadSignature),
            Rejection::MissingClaim(claim) => Some(Self::MissingClaim(claim)),
            Rejection::MalformedClaim(claim) => Some(Self::MalformedClaim(claim)),
            Rejection::OtherKind(claim) => Some(Self::OtherKind(claim)),
            _ => None,
        }
    }
}

impl From<Junk> for Rejection {
    fn from(junk: Junk) -> Self {
        match junk {
            Junk::BadSignature => Self::BadSignature,
            Junk::MissingClaim(claim) => Self::MissingClaim(claim),
            Junk::MalformedClaim(claim) => Self::MalformedClaim(claim),
            Junk::OtherKind(claim) => Self::OtherKind(claim),
        }
    }
}

/// The memory of one validator.
pub(crate) struct TokenCache {
    shards: Box<[RwLock<Shard>]>,
    /// What the entries of one shard may cost together.
    budget: usize,
    /// Counts how often something was dropped on demand.
    dropped: AtomicU64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Digest, Entry>,
    /// The digests of all entries, those that will be looked at first in front. It may hold some
    /// that are gone.
    queue: VecDeque<Digest>,
    bytes: usize,
    junk: Vec<Option<(Digest, Junk, VerifiedBy)>>,
}

struct Entry {
    token: Arc<AccessToken>,
    verified_by: VerifiedBy,
    cost: usize,
    /// Whether it was asked for since the queue last came to it.
    used: AtomicBool,
}

/// What an entry costs beside its token. Both tables grow by doubling, so that at worst little more
/// than half of their places are taken, and the map has one byte more for each place.
const ENTRY_COST: usize = (size_of::<(Digest, Entry)>() + 1) * 16 / 7 + size_of::<Digest>() * 2;

impl TokenCache {
    /// A cache that takes up to so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let count = (bytes / SMALLEST_SHARD).clamp(1, MOST_SHARDS);
        Self {
            shards: (0..count).map(|_| RwLock::default()).collect(),
            budget: bytes / count,
            dropped: AtomicU64::new(0),
        }
    }

    /// How often something was dropped on demand: asked before a verification,
    /// told to [`TokenCache::keep`]. What was verified before a token was
    /// denied must not be kept after it.
    pub(crate) fn epoch(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Known> {
        let shard = self.shard(digest)?;
        // No code that holds this lock can leave the shard half changed.
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.entries.get(digest) {
            // Read first: a write would take the line away from the other threads.
            if !entry.used.load(Ordering::Relaxed) {
                entry.used.store(true, Ordering::Relaxed);
            }
            return Some(Known::Good(Arc::clone(&entry.token), entry.verified_by));
        }
        match shard.junk.get(digest.below(JUNK_SLOTS))? {
            Some((other, junk, verified_by)) if other == digest => {
                Some(Known::Bad(*junk, *verified_by))
            }
            _ => None,
        }
    }

    /// Keeps a verified token, and drops others for it that have ended `now` or were not used of
    /// late.
    pub(crate) fn keep(
        &self,
        digest: Digest,
        token: Arc<AccessToken>,
        verified_by: VerifiedBy,
        epoch: u64,
        now: Timestamp,
    ) {
        let cost = ENTRY_COST + token.size();
        let Some(shard) = self.shard(&digest).filter(|_| cost <= self.budget) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whoever drops counts first and takes the lock then.
        if epoch != self.epoch() {
            return;
        }
        shard.remove(&digest);
        shard.make_room(self.budget - cost, now);
        shard.bytes += cost;
        shard.queue.push_back(digest);
        shard.entries.insert(
            digest,
            Entry {
                token,
                verified_by,
                cost,
                used: AtomicBool::new(false),
            },
        );
    }

    /// Keeps in mind that a token is bad.
    pub(crate) fn keep_junk(&self, digest: Digest, junk: Junk, verified_by: VerifiedBy) {
        let Some(shard) = self.shard(&digest) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.junk.is_empty() {
            shard.junk.resize(JUNK_SLOTS, None);
        }
        if let Some(slot) = shard.junk.get_mut(digest.below(JUNK_SLOTS)) {
            *slot = Some((digest, junk, verified_by));
        }
    }

    /// Drops one token.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.dropped.fetch_add(1, Ordering::AcqRel);
        if let Some(shard) = self.shard(digest) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.remove(digest);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        self.dropped.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }

    /// How many tokens are kept, and what they cost.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(tokens, bytes), shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (tokens + shard.entries.len(), bytes + shard.bytes)
        })
    }

    fn shard(&self, digest: &Digest) -> Option<&RwLock<Shard>> {
        // Another word than that of the junk's slot, or one shard would use few of its slots.
        let count = self.shards.len().max(1) as u64;
        let at = usize::try_from(digest.word(2) % count).unwrap_or(0);
        self.shards.get(at)
    }
}

impl Shard {
    fn remove(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.bytes -= entry.cost;
            // Its place in the queue is found to be empty when the turn comes; many of them, as
            // when a few tokens are kept again and again, are swept out here.
            if self.queue.len() > 2 * self.entries.len() + 16 {
                let mut seen = HashSet::new();
                let entries = &self.entries;
                self.queue
                    .retain(|digest| entries.contains_key(digest) && seen.insert(*digest));
            }
        }
    }

    /// Drops entries until the others cost no more than `most`.
    fn make_room(&mut self, most: usize, now: Timestamp) {
        while self.bytes > most {
            let Some(digest) = self.queue.pop_front() else {
                return;
            };
            let Some(entry) = self.entries.get_mut(&digest) else {
                continue;
            };
            // Each entry is spared once at most before its turn comes again, so this ends.
            if entry.token.expires_at() > now && mem::take(entry.used.get_mut()) {
                self.queue.push_back(digest);
            } else {
                self.remove(&digest);
            }
        }
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (tokens, bytes) = self.size();
        f.debug_struct("TokenCache")
            .field("tokens", &tokens)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
