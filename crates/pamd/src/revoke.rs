//! Refresh tokens that nobody will use any more, given back to the authorization server (RFC 7009): of
//! sign-ins that came to nothing, and of sessions that are over. Best effort, and nobody waits for it.
//!
//! Not responsible for which tokens these are.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use crate::audit::{Audit, Event, Outcome};
use crate::live::Live;
use crate::worker::message::{FromWorker, ToWorker};
use crate::workers::Workers;
use crate::{RefreshToken, Unused};

/// Tokens that wait at a time. They are given back one by one, so that people who sign in find the worker
/// free.
const MOST: usize = 256;
/// The longest that one of them takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Gives tokens back. Dropping it ends that.
pub(crate) struct Revocations {
    waiting: SyncSender<Unused>,
    live: Arc<Live>,
    audit: Arc<dyn Audit>,
}

impl Revocations {
    pub(crate) fn start(
        live: Arc<Live>,
        workers: Arc<Workers>,
        audit: Arc<dyn Audit>,
    ) -> io::Result<Self> {
        let (waiting, next) = mpsc::sync_channel(MOST);
        let mut clerk = Clerk {
            live: Arc::clone(&live),
            workers,
            audit: Arc::clone(&audit),
            revoked: 0,
            kept: 0,
            has_told: false,
        };
        let thread = thread::Builder::new().name("revoke".to_owned());
        thread.spawn(move || clerk.serve(&next))?;
        Ok(Self {
            waiting,
            live,
            audit,
        })
    }

    /// Gives a token back, some time later, if that is wanted now.
    pub(crate) fn give_back(&self, unused: Unused) {
        if !self.live.current().sessions.revoke_tokens {
            return;
        }
        let reference = unused.reference.clone();
        if self.waiting.try_send(unused).is_err() {
            let why = "too many refresh tokens wait to be revoked; this one is only forgotten here";
            let event = Event::new("revocation", Outcome::Failed, why).about(&reference);
            self.audit.write(&event);
        }
    }
}

/// A refresh token that nobody has taken yet: wherever the sign-in ends, dropping it gives it back.
pub(crate) struct Unclaimed {
    unused: Option<Unused>,
    revocations: Arc<Revocations>,
}

impl Unclaimed {
    pub(crate) fn new(unused: Unused, revocations: Arc<Revocations>) -> Self {
        Self {
            unused: Some(unused),
            revocations,
        }
    }

    /// Somebody holds it from now on.
    pub(crate) fn claim(mut self) -> Option<RefreshToken> {
        self.unused.take().map(|unused| unused.refresh)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(unused) = self.unused.take() {
            self.revocations.give_back(unused);
        }
    }
}

/// What became of a token.
enum Outcomes {
    Revoked,
    /// The server has no place for it.
    NotTaken,
    Failed(String),
}

struct Clerk {
    live: Arc<Live>,
    workers: Arc<Workers>,
    audit: Arc<dyn Audit>,
    /// How many were revoked since the beginning, and how many were not.
    revoked: u64,
    kept: u64,
    /// Whether it was said that the server takes none.
    has_told: bool,
}

impl Clerk {
    fn serve(&mut self, next: &Receiver<Unused>) {
        while let Ok(unused) = next.recv() {
            let outcome = self.revoke(&unused);
            self.note(&unused, outcome);
        }
    }

    fn revoke(&self, unused: &Unused) -> Outcomes {
        let provider = &self.live.current().provider;
        if provider.issuer != unused.issuer {
            return Outcomes::Failed("this host signs people in elsewhere now".to_owned());
        }
        let worker = match self.workers.worker(provider) {
            Ok(worker) => worker,
            Err(failure) => return Outcomes::Failed(failure.why),
        };
        let (tell, told) = mpsc::channel();
        let listener = Box::new(move |message| {
            // Nobody listens any more once the limit is over.
            let _ = tell.send(message);
        });
        let asked = worker.ask(listener, |id| ToWorker::Revoke {
            id,
            refresh_token: unused.refresh.0.clone(),
        });
        if let Err(failure) = asked {
            return Outcomes::Failed(failure.why);
        }
        match told.recv_timeout(LIMIT) {
            Ok(FromWorker::Revoked { is_taken: true, .. }) => Outcomes::Revoked,
            Ok(FromWorker::Revoked { .. }) => Outcomes::NotTaken,
            Ok(FromWorker::Failed { why, .. }) => Outcomes::Failed(why),
            Ok(_) => Outcomes::Failed("the worker says what nobody asked".to_owned()),
            Err(_) => Outcomes::Failed("no answer in time".to_owned()),
        }
    }

    fn note(&mut self, unused: &Unused, outcome: Outcomes) {
        let (outcome, message) = match outcome {
            Outcomes::Revoked => {
                self.revoked += 1;
                let message = "a refresh token that nobody uses any more was revoked".to_owned();
                (Outcome::Noted, message)
            }
            Outcomes::Failed(why) => {
                self.kept += 1;
                let message = format!("a refresh token cannot be revoked: {why}");
                (Outcome::Failed, message)
            }
            Outcomes::NotTaken => {
                self.kept += 1;
                if std::mem::replace(&mut self.has_told, true) {
                    return;
                }
                let message =
                    "the authorization server revokes no tokens: those of sessions that end are \
                               only forgotten here"
                        .to_owned();
                (Outcome::Noted, message)
            }
        };
        let event = Event::new("revocation", outcome, message)
            .with("user", &unused.account)
            .with("revoked", self.revoked.to_string())
            .with("not_revoked", self.kept.to_string());
        self.audit.write(&event.about(&unused.reference));
    }
}
