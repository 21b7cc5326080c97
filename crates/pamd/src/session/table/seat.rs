//! A login: from the grant over the session to its last process.
//!
//! Not responsible for whether it may go on: that is its grant's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Force;
use crate::Process;
use crate::session::kin::Scope;

/// How long the connection is given to close by itself.
const LEAVING: Duration = Duration::from_millis(400);
/// How long after the beginning processes may still end by themselves.
const ASKING: Duration = Duration::from_secs(1);
/// How long after the beginning the monitor may still end by itself.
const MONITOR: Duration = Duration::from_secs(5);
/// How long after the beginning it is time to say that something does not end.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(10);
/// How often what is left is ended again, before that is said and afterwards.
const AGAIN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

/// How soon after the end of a session it is looked for what it left behind; then in twice the time, and
/// in the end as often as this.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(60);
/// How long a refusal is remembered when the end of its process is not noticed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// After so many looks what is still there is meant to stay, and not only slow to end.
pub(super) const PATIENT_LOOKS: u32 = 3;

/// Where a session takes place, and by what its processes are known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seat {
    /// The terminal, as the service named it.
    pub(crate) tty: String,
    /// Where the person comes from.
    pub(crate) rhost: String,
    /// The service.
    pub(crate) service: String,
    /// The kernel's audit session, where it is the login's own.
    pub(crate) audit_session: Option<u32>,
    /// The scope that logind made.
    pub(crate) scope: Option<Scope>,
}

/// How far a login has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was granted, and no session is open yet.
    Granted { until: Duration },
    /// It was granted here, and may not have a session any more. That is remembered, lest it be taken for a
    /// login that was never ours.
    Refused { until: Duration },
    /// Its session is open.
    Open,
    /// Its session is closed, and processes may be left.
    Behind { looks: u32, noted: bool },
    /// It is being ended.
    Ending { since: Duration, stuck: bool },
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The account.
    pub(crate) user: String,
    /// The grant that it holds.
    pub(crate) grant: Process,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// Where its session takes place, once it has one.
    pub(crate) seat: Option<Seat>,
    /// When the session opened.
    pub(crate) opened: Option<Duration>,
    /// When its processes are looked at next, if at all.
    pub(crate) sweep: Option<(Duration, Force)>,
}

impl Login {
    /// A login that holds a grant of its own.
    pub(crate) fn new(process: Process, user: &str, until: Duration) -> Self {
        Self {
            user: user.to_owned(),
            grant: process,
            stage: Stage::Granted { until },
            seat: None,
            opened: None,
            sweep: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending { .. })
    }

    pub(crate) fn open(&mut self, seat: Seat, now: Duration) {
        self.seat = Some(seat);
        self.opened.get_or_insert(now);
        self.stage = Stage::Open;
        self.sweep = None;
    }

    /// Its session was closed, or its monitor is gone; what it left behind is looked for at `look`. One that
    /// is being ended goes on ending.
    pub(crate) fn leave(&mut self, look: Duration) {
        if self.is_open() {
            self.stage = Stage::Behind {
                looks: 0,
                noted: false,
            };
        }
        if matches!(self.stage, Stage::Behind { .. }) {
            self.sweep = Some((look, Force::Look));
        }
    }

    /// It is to end.
    pub(crate) fn end(&mut self, now: Duration) {
        if !self.is_ending() {
            self.stage = Stage::Ending {
                since: now,
                stuck: false,
            };
            self.sweep = Some((now, Force::Leave));
        }
    }

    /// It may not have a session any more.
    pub(crate) fn refuse(&mut self, now: Duration) {
        self.stage = Stage::Refused {
            until: now + REMEMBERED,
        };
        self.sweep = None;
    }

    /// Whether it may have a session, or has one.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.stage, Stage::Refused { .. })
    }

    /// Whether its session should have opened by now.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        matches!(self.stage, Stage::Granted { until } if until <= now)
    }

    /// Whether it was refused so long ago that no service waits any more.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        matches!(self.stage, Stage::Refused { until } if until <= now)
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Option<Duration> {
        match self.stage {
            Stage::Granted { until } | Stage::Refused { until } => Some(until),
            _ => self.sweep.map(|(at, _)| at),
        }
    }

    /// What is to be done to its processes now, if anything; the next time is noted.
    pub(crate) fn sweep(&mut self, now: Duration) -> Option<Force> {
        let (_, force) = self.sweep.filter(|(at, _)| *at <= now)?;
        self.sweep = match &mut self.stage {
            Stage::Behind { looks, .. } => {
                *looks = looks.saturating_add(1);
                let pause = FIRST_LOOK.saturating_mul(1 << (*looks).min(6));
                Some((now + pause.min(LOOK), Force::Look))
            }
            Stage::Ending { since, stuck } => Some(after(force, *since, now, *stuck)),
            Stage::Granted { .. } | Stage::Refused { .. } | Stage::Open => None,
        };
        Some(force)
    }
}

/// What comes after `force`, and when.
fn after(force: Force, since: Duration, now: Duration, stuck: bool) -> (Duration, Force) {
    if stuck {
        return (now + SELDOM, Force::KillAll);
    }
    match force {
        Force::Look | Force::Leave => ((since + LEAVING).max(now + AGAIN), Force::Ask),
        Force::Ask => ((since + ASKING).max(now + AGAIN), Force::Kill),
        Force::Kill | Force::KillAll if now + AGAIN >= since + MONITOR => {
            (now + AGAIN, Force::KillAll)
        }
        Force::Kill | Force::KillAll => (now + AGAIN, Force::Kill),
    }
}
