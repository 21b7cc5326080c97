//! A grant that is held by one login or more: when it is renewed, and when it is over.
//!
//! Not responsible for logins and their processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::session::moment::Moment;
use crate::session::settings::{OnRevoke, Settings};
use crate::{Grant, Process, Renewed, Unused};

/// A renewal comes no sooner than this after the one before it, however short tokens live, unless an
/// administrator wants it sooner.
const SHORTEST: Duration = Duration::from_secs(60);
/// And no later, however long they live: until then a withdrawal goes unnoticed.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);
/// The life of a token of which the server does not say how long it lives.
const UNKNOWN_LIFE: Duration = Duration::from_secs(10 * 60);
/// Renewals come up to this part earlier, so that those who signed in at nine do not all ask at once.
const SPREAD: u32 = 10;
/// How soon it is tried again while nobody can say.
const RETRY: Duration = Duration::from_secs(30);
/// And how soon while a warning runs that an answer could take back.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Why access ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Why {
    /// The server or the policy refuses.
    Withdrawn(String),
    /// Nobody could say for longer than is allowed.
    Unreachable,
    /// It has lasted as long as it may.
    Limit,
    /// An administrator said so.
    Killed,
}

impl Why {
    /// For the person and the journal, without a full stop.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Withdrawn(why) => why,
            Self::Unreachable => "your access could not be confirmed any more",
            Self::Limit => "this session has lasted as long as it may",
            Self::Killed => "an administrator ended it",
        }
    }
}

/// The end of a grant, as soon as it is in sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) why: Why,
    /// When its logins are ended; `None` when they are only warned.
    pub(crate) at: Option<Duration>,
}

/// What has to be done about a grant now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is to be renewed.
    Ask,
    /// Its people are to be told of the end that is now in sight.
    Warn,
    /// Its logins are to be ended.
    End,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It goes on as before.
    Confirmed,
    /// Nothing: it is over.
    TooLate,
    /// It goes on, and people who were told otherwise have to be told.
    TakenBack,
    /// The server or the policy refuses: its people are to be told.
    Refused,
    /// Nobody can say.
    Unknown,
}

/// What other settings changed about a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    /// Whether it is to be written down anew.
    pub(crate) changed: bool,
    /// Whether its people are to be told of its end.
    pub(crate) warn: bool,
}

/// What was said already, and need not be said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// That the end by `max_session` is in sight.
    pub(crate) limit: bool,
    /// That nobody can say whether it goes on.
    pub(crate) silence: bool,
    /// That its logins are to be ended. There is no way back from here.
    pub(crate) end: bool,
}

/// A grant that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) grant: Grant,
    /// When the person was let in.
    pub(crate) granted: Duration,
    /// When the server last said that it goes on.
    pub(crate) confirmed: Duration,
    /// When it is renewed next; `None` when it cannot be, or need not be any more.
    pub(crate) renewal: Option<Duration>,
    /// When it was last asked for.
    pub(crate) asked: Option<Duration>,
    /// Whether an answer is waited for.
    pub(crate) waiting: bool,
    /// Whether that answer was asked for before settings changed, and has to be asked for again.
    pub(crate) outdated: bool,
    /// Since when nobody has been able to say: the first question that was not answered.
    pub(crate) unanswered: Option<Duration>,
    /// The end, when it is in sight.
    pub(crate) end: Option<End>,
    /// What was said already.
    pub(crate) told: Told,
    /// Whether what is written down is what is so.
    pub(crate) saved: bool,
}

impl Held {
    /// A grant that was just given.
    pub(crate) fn new(id: Process, grant: Grant, settings: &Settings, now: Moment) -> Self {
        let renewal = grant.refresh.as_ref().map(|_| {
            let life = grant.access_expires.map(|end| end.since(now.wall));
            now.boot + interval(life, settings.renew_every, spread(id, now.boot))
        });
        Self {
            grant,
            granted: now.boot,
            confirmed: now.boot,
            renewal,
            asked: None,
            waiting: false,
            outdated: false,
            unanswered: None,
            end: None,
            told: Told::default(),
            saved: false,
        }
    }

    /// Takes up other settings. What was announced to people and depends on nothing that was changed stays
    /// as it is.
    pub(crate) fn apply(&mut self, settings: &Settings, now: Moment) -> Applied {
        let mut applied = Applied::default();
        if self.told.end {
            return applied;
        }
        applied.changed = self.take_limit(settings);
        // Whoever was warned of an end that now comes, or does not come, hears so.
        if let Some(end) = &mut self.end
            && matches!(end.why, Why::Withdrawn(_) | Why::Unreachable)
        {
            let at = match settings.on_revoke {
                OnRevoke::Terminate => end.at.or(Some(now.boot.saturating_add(settings.warning))),
                OnRevoke::Warn => None,
            };
            applied.warn = at != end.at;
            applied.changed |= applied.warn;
            end.at = at;
        }
        // The rules may be others, and the server may say something that they did not ask for before.
        self.outdated = self.waiting;
        if self.end.is_none()
            && !self.hurry(now)
            && !settings.max_session.contains_key(&self.grant.rule)
        {
            let why = "the rule that let the person in is gone".to_owned();
            self.finish_when(Why::Withdrawn(why), settings, now.boot);
            applied = Applied {
                changed: true,
                warn: true,
            };
        }
        applied
    }

    /// Takes the longest time from the rule that it was given by, if that is there; whether it is another.
    pub(crate) fn take_limit(&mut self, settings: &Settings) -> bool {
        let Some(limit) = settings.max_session.get(&self.grant.rule) else {
            return false;
        };
        let before = std::mem::replace(&mut self.grant.max_session, *limit);
        // An end that was announced can come sooner, and is announced anew.
        self.told.limit &= *limit >= before;
        *limit != before
    }

    /// When it ends, whatever is renewed.
    pub(crate) fn limit(&self) -> Duration {
        self.granted.saturating_add(self.grant.max_session)
    }

    /// Whether someone may still be let in by it.
    pub(crate) fn is_live(&self) -> bool {
        self.end.is_none()
    }

    /// Nobody who holds it may have a session: what it could still be used for is given up.
    pub(crate) fn close(&mut self) -> Option<Unused> {
        let at = Some(Duration::ZERO);
        self.end.get_or_insert(End {
            why: Why::Limit,
            at,
        });
        self.told.end = true;
        self.renewal = None;
        self.grant.take_unused()
    }

    /// When something is due next.
    pub(crate) fn next(&self, settings: &Settings) -> Option<Duration> {
        if self.told.end {
            return None;
        }
        let ask = if self.waiting { None } else { self.renewal };
        let end = self.end.as_ref().and_then(|end| end.at);
        let warn = (!self.told.limit).then(|| self.limit().saturating_sub(settings.warning));
        let grace = self.grace_ends(settings);
        [ask, end, warn, grace].into_iter().flatten().min()
    }

    /// When silence has lasted too long, unless that is known already.
    fn grace_ends(&self, settings: &Settings) -> Option<Duration> {
        let since = self.unanswered.filter(|_| self.end.is_none())?;
        Some(since.saturating_add(settings.offline_grace))
    }

    /// What is due now, in the order in which it is to be done.
    pub(crate) fn due(&mut self, settings: &Settings, now: Moment) -> Vec<Due> {
        let mut due = Vec::new();
        if self.told.end {
            return due;
        }
        if !self.told.limit && self.limit().saturating_sub(settings.warning) <= now.boot {
            self.told.limit = true;
            // A machine that slept past the limit is warned all the same: nobody is cut off unwarned.
            let at = self.limit().max(now.boot.saturating_add(settings.warning));
            self.finish(Why::Limit, Some(at));
            due.push(Due::Warn);
        }
        if self.grace_ends(settings).is_some_and(|at| at <= now.boot) {
            self.finish_when(Why::Unreachable, settings, now.boot);
            due.push(Due::Warn);
        }
        let ended = self.end.as_ref().and_then(|end| end.at);
        if ended.is_some_and(|at| at <= now.boot) {
            self.told.end = true;
            due.push(Due::End);
        } else if self.is_askable(now) {
            self.waiting = true;
            self.asked = Some(now.boot);
            self.unanswered.get_or_insert(now.boot);
            due.push(Due::Ask);
        }
        due
    }

    fn is_askable(&self, now: Moment) -> bool {
        let Some(at) = self.renewal.filter(|_| !self.waiting) else {
            return false;
        };
        let long_ago = |last: Duration| last.saturating_add(SHORTEST) <= now.boot;
        let by_date = self.grant.access_expires.is_some_and(|end| end <= now.wall);
        at <= now.boot || (by_date && long_ago(self.asked.unwrap_or(self.granted)))
    }

    /// Has it renewed at once, unless an answer is waited for or it cannot be; whether there will be one.
    pub(crate) fn hurry(&mut self, now: Moment) -> bool {
        if let Some(renewal) = &mut self.renewal {
            *renewal = (*renewal).min(now.boot);
        }
        self.waiting || self.renewal.is_some()
    }

    /// What was asked for came back.
    pub(crate) fn answered(
        &mut self,
        id: Process,
        renewed: Renewed,
        settings: &Settings,
        now: Moment,
    ) -> Change {
        self.waiting = false;
        if self.told.end {
            // Too late to go on, and in time to be given back.
            if let Some(refresh) = renewed.into_refresh() {
                self.grant.refresh = Some(refresh);
            }
            return Change::TooLate;
        }
        let is_outdated = std::mem::take(&mut self.outdated);
        match renewed {
            Renewed::Still(grant) if grant.is_of_the_same_login_as(&self.grant) => {
                let life = grant.access_expires.map(|end| end.since(now.wall));
                let pause = interval(life, settings.renew_every, spread(id, now.boot));
                let pause = if is_outdated { Duration::ZERO } else { pause };
                self.renewal = grant.refresh.as_ref().map(|_| now.boot + pause);
                self.grant = *grant;
                self.confirmed = now.boot;
                self.unanswered = None;
                match &self.end {
                    Some(end) if end.why == Why::Unreachable => {
                        self.end = None;
                        self.told.limit = false;
                        Change::TakenBack
                    }
                    _ => Change::Confirmed,
                }
            }
            Renewed::Still(_) => {
                let why = "the server answered for somebody else".to_owned();
                self.refused(why, settings, now)
            }
            Renewed::Withdrawn { why, refresh } => {
                self.grant.refresh = refresh;
                self.refused(why, settings, now)
            }
            Renewed::Unreachable { refresh, .. } => {
                if refresh.is_some() {
                    self.grant.refresh = refresh;
                }
                let pause = if self.end.is_some() {
                    LAST_RETRY
                } else {
                    RETRY
                };
                // Whoever wants to know sooner wants it now as well.
                let pause = settings
                    .renew_every
                    .map_or(pause, |wanted| pause.min(wanted));
                self.renewal = Some(now.boot + pause);
                Change::Unknown
            }
        }
    }

    fn refused(&mut self, why: String, settings: &Settings, now: Moment) -> Change {
        self.renewal = None;
        self.unanswered = None;
        self.finish_when(Why::Withdrawn(why), settings, now.boot);
        Change::Refused
    }

    /// Fixes an end that `on_revoke` has a say in.
    fn finish_when(&mut self, why: Why, settings: &Settings, now: Duration) {
        let at = match settings.on_revoke {
            OnRevoke::Terminate => Some(now.saturating_add(settings.warning)),
            OnRevoke::Warn => None,
        };
        self.finish(why, at);
    }

    /// Fixes the end. What is fixed already is only ever brought forward.
    pub(crate) fn finish(&mut self, why: Why, at: Option<Duration>) {
        let fixed = self.end.as_ref().and_then(|end| end.at);
        let sooner = match (fixed, at) {
            (Some(fixed), Some(at)) => at < fixed,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if sooner {
            self.end = Some(End { why, at });
        }
    }
}

impl Grant {
    /// Whether a renewed grant is what it claims to be: the same person in the same account.
    fn is_of_the_same_login_as(&self, other: &Self) -> bool {
        (&self.issuer, &self.subject, &self.account)
            == (&other.issuer, &other.subject, &other.account)
    }
}

/// How long after one renewal the next one comes: two thirds of the token's life, less a share that
/// differs from login to login; sooner where an administrator wants it so.
fn interval(life: Option<Duration>, wanted: Option<Duration>, spread: u32) -> Duration {
    let longest = wanted.unwrap_or(LONGEST).min(LONGEST);
    let most = (life.unwrap_or(UNKNOWN_LIFE) / 3 * 2).min(longest);
    let less = most / SPREAD / 1024 * (spread % 1024);
    most.saturating_sub(less).max(SHORTEST.min(longest))
}

/// A number that differs for different logins and moments: FNV-1a, of which nothing is asked but that.
fn spread(id: Process, now: Duration) -> u32 {
    let login = id.pid.to_le_bytes().into_iter();
    let bytes = login
        .chain(id.start_time.to_le_bytes())
        .chain(now.as_millis().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper half is mixed better than the lower one.
    u32::try_from(hash >> 32).unwrap_or_default()
}
