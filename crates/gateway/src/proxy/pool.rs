//! Connections to one address of an upstream, kept by one worker to be used again.
//!
//! Nobody but the worker takes from its pool, so connections never move between cores. Not
//! responsible for making connections, nor for what is sent on them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::{http1, http2};

use super::body::Upload;

/// The connections that wait for a request.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    /// One connection of HTTP/2 carries everything. Whoever opens it holds the lock, so that one is
    /// opened for all who wait.
    pub(super) shared: tokio::sync::Mutex<Option<http2::SendRequest<Upload>>>,
    keep: usize,
    keep_time: Duration,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Upload>,
    since: Instant,
}

/// A connection of HTTP/1.1 that carries an answer, and goes back to its pool after it.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    sender: http1::SendRequest<Upload>,
}

impl Lease {
    pub(super) fn new(pool: &Arc<Pool>, sender: http1::SendRequest<Upload>) -> Self {
        Self {
            pool: Arc::clone(pool),
            sender,
        }
    }

    /// The answer has been read to its end.
    pub(crate) fn give_back(self) {
        self.pool.put(self.sender);
    }
}

impl Pool {
    pub(super) fn new(keep: usize, keep_time: Duration) -> Self {
        Self {
            idle: Mutex::default(),
            shared: tokio::sync::Mutex::default(),
            keep,
            keep_time,
        }
    }

    /// The connection that was used last and is ready.
    pub(super) fn take(&self) -> Option<http1::SendRequest<Upload>> {
        let mut idle = self.idle();
        let mut at = idle.len();
        while let Some(below) = at.checked_sub(1) {
            at = below;
            let (closed, ready) = idle
                .get(at)
                .map(|idle| (idle.sender.is_closed(), idle.sender.is_ready()))?;
            if closed {
                idle.swap_remove(at);
            } else if ready {
                return Some(idle.swap_remove(at).sender);
            }
            // Otherwise its task has not yet seen the end of the last answer.
        }
        None
    }

    fn put(&self, sender: http1::SendRequest<Upload>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < self.keep {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes what nobody has used for long.
    pub(super) fn sweep(&self) {
        let keep_time = self.keep_time;
        self.idle()
            .retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < keep_time);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
