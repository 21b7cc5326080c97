//! The table of logins, as a value: it is told what happened and when, and says what to do.
//!
//! A *login* is known by the process that stays until its end. It holds a *grant*, and several logins may
//! hold the same one: the person who signed in, and the same person's logins by public key that were let
//! in on the strength of it. Whatever happens to a grant happens to all of them.
//!
//! Not responsible for clocks, processes, files and the network: [`Act`] says what is wanted of them.

mod held;
mod seat;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use held::{End, Held, Told, Why};
pub(crate) use seat::{Login, Seat, Stage};

use self::held::{Change, Due};
use crate::audit::Event;
use crate::login::begins_session;
use crate::session::moment::Moment;
use crate::session::record::Restored;
use crate::session::settings::Settings;
use crate::{Grant, Process, Reference, Renewed, Unused};

/// From the grant to the session no more time may pass than a service gives to a login.
const PENDING: Duration = Duration::from_secs(5 * 60);
/// What was confirmed this recently need not be asked again for a login by public key.
const RECENT: Duration = Duration::from_secs(60);
/// How often writing down is tried again when it failed.
const SAVE_AGAIN: Duration = Duration::from_secs(30);

/// What the table wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Write down what is so about this grant.
    Save(Process),
    /// Forget what was written down about it.
    Forget(Process),
    /// Renew it, and say what came back ([`Table::answered`]).
    Ask(Process),
    /// Watch this process, and say when it is gone ([`Table::leave`]).
    Watch(Process),
    /// Stop watching it.
    Unwatch(Process),
    /// Write this on every terminal of the login.
    Tell { login: Process, text: String },
    /// Do this to the processes of the login, and say how many are left ([`Table::swept`]).
    Sweep { login: Process, force: Force },
    /// Give this token back to the authorization server.
    GiveBack(Unused),
    /// Put this into the journal.
    Note(Event),
}

/// How hard a login is asked to end. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Force {
    /// Count its processes.
    Look,
    /// Ask the monitor to close the connection.
    Leave,
    /// Ask every process.
    Ask,
    /// End every process but the monitor: without it, the shell would live on and nobody would close
    /// the session.
    Kill,
    /// End every process, the monitor last.
    KillAll,
}

/// What is left of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Left {
    /// Whether the monitor is there.
    pub(crate) monitor: bool,
    /// How many other processes are.
    pub(crate) others: usize,
}

/// What is said about a login that comes to its account or session phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is covered by this grant.
    May(Process),
    /// Nothing is known of it, and nothing has to be.
    Elsewhere,
    /// Whether this grant goes on has to be asked first.
    AskFirst(Process),
    /// It is refused, for this reason.
    Refused(&'static str),
}

/// Which logins are meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// Those of a grant, by the reference that the person was shown.
    Reference(Reference),
    /// Those of an account.
    Account(String),
    /// All.
    All,
}

/// The table of logins.
#[derive(Debug, Default)]
pub(crate) struct Table {
    settings: Settings,
    pub(crate) held: BTreeMap<Process, Held>,
    pub(crate) logins: BTreeMap<Process, Login>,
    /// Logins that were let past without a grant, until their session opens.
    pub(crate) elsewhere: BTreeMap<Process, Duration>,
    acts: Vec<Act>,
    save_again: Option<Duration>,
}

impl Table {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// What the administrator decided last.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The administrator has decided something else: it counts at once, also for logins that are under way.
    pub(crate) fn apply(&mut self, settings: Settings, now: Moment) {
        self.settings = settings;
        let mut warned = Vec::new();
        for (id, held) in &mut self.held {
            let applied = held.apply(&self.settings, now);
            if applied.changed {
                self.acts.push(Act::Save(*id));
            }
            if applied.warn {
                warned.push(*id);
            }
        }
        for id in warned {
            self.warn(id, now);
        }
        self.tick(now);
    }

    /// What is wanted since the last call.
    pub(crate) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// When [`Table::tick`] is due next.
    pub(crate) fn next(&self) -> Option<Duration> {
        let held = self.held.values().filter_map(|h| h.next(&self.settings));
        let logins = self.logins.values().filter_map(Login::next);
        let elsewhere = self.elsewhere.values().copied();
        held.chain(logins)
            .chain(elsewhere)
            .chain(self.save_again)
            .min()
    }

    /// A person was let in.
    pub(crate) fn granted(&mut self, login: Process, grant: Grant, now: Moment) {
        // Signing in once more replaces what the login had; other logins keep their grant.
        if let Some(before) = self.logins.remove(&login) {
            self.release(before.grant);
        }
        self.elsewhere.remove(&login);
        if grant.refresh.is_none() {
            self.acts.push(Act::Note(words::cannot_be_renewed(&grant)));
        }
        let entry = Login::new(login, &grant.account, now.boot + PENDING);
        self.held
            .insert(login, Held::new(login, grant, &self.settings, now));
        self.logins.insert(login, entry);
        self.acts.push(Act::Watch(login));
        self.acts.push(Act::Save(login));
    }

    /// A login comes to its account phase.
    pub(crate) fn account(
        &mut self,
        login: Process,
        user: &str,
        service: &str,
        now: Moment,
    ) -> Admission {
        if let Some(entry) = self.logins.get(&login) {
            return self.admit(entry, user);
        }
        if !self.settings.elsewhere.needs_grant(user) {
            self.elsewhere.insert(login, now.boot + PENDING);
            return Admission::Elsewhere;
        }
        let id = match self.cover(user, service) {
            Ok(id) => id,
            Err(why) => return Admission::Refused(why),
        };
        let Some(held) = self.held.get_mut(&id) else {
            return Admission::Refused(words::NOBODY_SIGNED_IN);
        };
        if held.confirmed.saturating_add(RECENT) < now.boot {
            return if held.hurry(now) {
                Admission::AskFirst(id)
            } else {
                Admission::Refused(words::CANNOT_BE_CONFIRMED)
            };
        }
        let entry = Login {
            grant: id,
            ..Login::new(login, user, now.boot + PENDING)
        };
        self.logins.insert(login, entry);
        self.acts.push(Act::Watch(login));
        self.acts.push(Act::Save(id));
        Admission::May(id)
    }

    /// The grant that covers a login to `user` that signed in elsewhere: one for the same service, because a
    /// rule may let a person in by one and not by another.
    fn cover(&self, user: &str, service: &str) -> Result<Process, &'static str> {
        let open = self.logins.values().filter(|login| login.is_open());
        let there: Vec<(Process, &Held)> = open
            .filter_map(|login| Some((login.grant, self.held.get(&login.grant)?)))
            .filter(|(_, held)| held.is_live() && held.grant.account == user)
            .collect();
        let covers = there
            .iter()
            .filter(|(_, held)| held.grant.service == service);
        let Some((id, first)) = covers.max_by_key(|(_, held)| held.confirmed) else {
            return Err(words::NOBODY_SIGNED_IN);
        };
        let person = |held: &Held| (held.grant.issuer.clone(), held.grant.subject.clone());
        // A key does not say whose it is, by whichever service people are in. With the access of the wrong
        // one it would outlive its own.
        if there.iter().any(|(_, held)| person(held) != person(first)) {
            return Err(words::SEVERAL_PEOPLE);
        }
        Ok(*id)
    }

    fn admit(&self, entry: &Login, user: &str) -> Admission {
        let live = self.held.get(&entry.grant).is_some_and(Held::is_live);
        if !entry.counts() {
            Admission::Refused(words::NO_GRANT)
        } else if entry.user != user {
            Admission::Refused(words::ANOTHER_ACCOUNT)
        } else if !live || entry.is_ending() {
            Admission::Refused(words::ACCESS_ENDED)
        } else {
            Admission::May(entry.grant)
        }
    }

    /// A session opens.
    pub(crate) fn open(
        &mut self,
        login: Process,
        user: &str,
        seat: Seat,
        now: Moment,
    ) -> Admission {
        let Some(entry) = self.logins.get(&login) else {
            return match self.elsewhere.remove(&login) {
                Some(until) if now.boot < until => Admission::Elsewhere,
                _ => Admission::Refused(words::NO_GRANT),
            };
        };
        let admission = self.admit(entry, user);
        if let (Admission::May(id), Some(entry)) = (&admission, self.logins.get_mut(&login)) {
            if let Some(held) = self.held.get(id) {
                let event = words::opened(&held.grant, login, &seat);
                self.acts.push(Act::Note(event));
            }
            entry.open(seat, now.boot);
            self.acts.push(Act::Save(*id));
        }
        admission
    }

    /// A login that was granted may not have a session any more.
    pub(crate) fn refuse_login(&mut self, login: Process, now: Moment) {
        if let Some(entry) = self.logins.get_mut(&login) {
            entry.refuse(now.boot);
            let grant = entry.grant;
            self.release(grant);
        }
    }

    /// Says that a login comes to its end without a session, unless it was refused one, which was said then.
    fn note_unopened(&mut self, login: Process, why: &str) {
        let entry = self.logins.get(&login).filter(|entry| entry.counts());
        let held = entry.and_then(|entry| self.held.get(&entry.grant));
        let held = held.filter(|held| begins_session(&held.grant.service));
        let note = held.map(|held| words::never_opened(&held.grant, login, why));
        self.acts.extend(note.map(Act::Note));
    }

    /// A login has ended.
    fn drop_login(&mut self, login: Process) {
        if let Some(entry) = self.logins.remove(&login) {
            self.acts.push(Act::Unwatch(login));
            self.release(entry.grant);
        }
    }

    /// A session was closed, or the monitor of a login is gone.
    pub(crate) fn leave(&mut self, login: Process, now: Moment) {
        self.elsewhere.remove(&login);
        let Some(entry) = self.logins.get_mut(&login) else {
            return;
        };
        if entry.seat.is_none() || !entry.counts() {
            self.note_unopened(login, "the connection was over before");
            self.drop_login(login);
            return;
        }
        entry.leave(now.boot + seat::FIRST_LOOK);
        let grant = entry.grant;
        self.acts.push(Act::Save(grant));
    }

    /// What was `asked` about a grant came back.
    pub(crate) fn answered(
        &mut self,
        id: Process,
        mut asked: Grant,
        renewed: Renewed,
        now: Moment,
    ) {
        let Some(held) = self.held.get_mut(&id) else {
            // Its last login has ended meanwhile, and the server did not know.
            asked.refresh = renewed.into_refresh();
            self.acts.extend(asked.take_unused().map(Act::GiveBack));
            return;
        };
        let (was_silent, before) = (held.told.silence, held.grant.rule.clone());
        let why = match &renewed {
            Renewed::Unreachable { why, .. } => why.clone(),
            _ => String::new(),
        };
        let change = held.answered(id, renewed, &self.settings, now);
        let note = match change {
            Change::Confirmed if was_silent || held.grant.rule != before => {
                Some(words::confirmed(&held.grant))
            }
            Change::TakenBack => Some(words::confirmed(&held.grant)),
            Change::Unknown if !was_silent => Some(words::silent(&held.grant, &why)),
            _ => None,
        };
        held.told.silence = change == Change::Unknown;
        if change == Change::Refused {
            // What the policy refuses, the server would go on renewing.
            self.acts
                .extend(held.grant.take_unused().map(Act::GiveBack));
        }
        self.acts.extend(note.map(Act::Note));
        self.acts.push(Act::Save(id));
        match change {
            Change::TakenBack => self.tell(id, &words::taken_back()),
            Change::Refused => self.warn(id, now),
            Change::Confirmed | Change::TooLate | Change::Unknown => {}
        }
    }

    /// What was done to the processes of a login, and what is left.
    pub(crate) fn swept(&mut self, login: Process, left: Left, now: Moment) {
        let Some(entry) = self.logins.get_mut(&login) else {
            return;
        };
        let Some(held) = self.held.get(&entry.grant) else {
            return;
        };
        match &mut entry.stage {
            Stage::Ending { since, stuck } => {
                let lasted = now.boot.saturating_sub(*since);
                if !left.monitor && left.others == 0 {
                    let why = held.end.as_ref().map(|end| &end.why);
                    let event = words::ended(&held.grant, login, why, lasted);
                    self.acts.push(Act::Note(event));
                    self.drop_login(login);
                } else if !*stuck && lasted >= seat::TOO_LONG {
                    *stuck = true;
                    let event = words::stuck(&held.grant, login, left, lasted);
                    self.acts.push(Act::Note(event));
                }
            }
            // The process that closed its session may still be at it; what counts is the others.
            Stage::Behind { noted, .. } if left.others == 0 => {
                let event = words::closed(&held.grant, login, *noted);
                self.acts.push(Act::Note(event));
                self.drop_login(login);
            }
            Stage::Behind { noted, looks } if !*noted && *looks >= seat::PATIENT_LOOKS => {
                *noted = true;
                let event = words::left_behind(&held.grant, login, left.others);
                self.acts.push(Act::Note(event));
            }
            Stage::Behind { .. } | Stage::Granted { .. } | Stage::Refused { .. } | Stage::Open => {}
        }
    }

    /// An administrator ends logins; which, by the references of their grants.
    pub(crate) fn kill(&mut self, which: &Which, now: Moment) -> Vec<Reference> {
        let is_meant = |held: &Held| match which {
            _ if held.told.end => false,
            Which::Reference(reference) => held.grant.reference == *reference,
            Which::Account(account) => held.grant.account == *account,
            Which::All => true,
        };
        let meant = self.held.iter_mut().filter(|(_, held)| is_meant(held));
        let mut ids = Vec::new();
        for (id, held) in meant {
            held.finish(Why::Killed, Some(now.boot));
            ids.push((*id, held.grant.reference.clone()));
        }
        for (id, _) in &ids {
            self.acts.push(Act::Save(*id));
            self.warn(*id, now);
        }
        self.tick(now);
        ids.into_iter().map(|(_, reference)| reference).collect()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.elsewhere.retain(|_, until| now.boot < *until);
        let ids: Vec<Process> = self.held.keys().copied().collect();
        for id in ids {
            let due = match self.held.get_mut(&id) {
                Some(held) => held.due(&self.settings, now),
                None => continue,
            };
            for due in due {
                match due {
                    Due::Ask => self.acts.push(Act::Ask(id)),
                    Due::Warn => {
                        self.acts.push(Act::Save(id));
                        self.warn(id, now);
                    }
                    Due::End => self.end(id, now),
                }
            }
        }
        let (mut late, mut over) = (Vec::new(), Vec::new());
        for (process, login) in &mut self.logins {
            if login.is_late(now.boot) {
                late.push(*process);
            } else if login.is_over(now.boot) {
                over.push(*process);
            } else if let Some(force) = login.sweep(now.boot) {
                let login = *process;
                self.acts.push(Act::Sweep { login, force });
            }
        }
        for login in late {
            self.note_unopened(login, "its time was over");
            self.refuse_login(login, now);
        }
        for login in over {
            self.drop_login(login);
        }
        if self.save_again.is_some_and(|at| at <= now.boot) {
            self.save_again = None;
            let unsaved = self.held.iter().filter(|(_, held)| !held.saved);
            let acts: Vec<Act> = unsaved.map(|(id, _)| Act::Save(*id)).collect();
            self.acts.extend(acts);
        }
    }

    /// A daemon before this one has written this down.
    ///
    /// Its times are the machine's, so they still mean what they meant. Whatever lies where it cannot lie is
    /// taken for the earliest that it may have been.
    pub(crate) fn restore(&mut self, restored: Restored, now: Moment) {
        let Restored {
            id,
            mut held,
            logins,
            token_withheld,
        } = restored;
        held.granted = held.granted.min(now.boot);
        held.confirmed = held.confirmed.min(now.boot);
        held.unanswered = held.unanswered.map(|since| since.min(now.boot));
        held.renewal = held.renewal.map(|at| at.min(now.boot + held::LONGEST));
        held.take_limit(&self.settings);
        if token_withheld {
            held.renewal = None;
            held.unanswered.get_or_insert(now.boot);
        }
        for (process, mut login) in logins {
            if let Stage::Granted { until } = &mut login.stage {
                *until = (*until).min(now.boot + PENDING);
            }
            self.logins.insert(process, login);
            self.acts.push(Act::Watch(process));
        }
        self.held.insert(id, held);
        self.tick(now);
    }

    /// Whether a grant was written down.
    pub(crate) fn saved(&mut self, id: Process, saved: bool, now: Moment) {
        if let Some(held) = self.held.get_mut(&id) {
            held.saved = saved;
            if !saved && self.save_again.is_none() {
                self.save_again = Some(now.boot + SAVE_AGAIN);
            }
        }
    }

    /// Every login of a grant begins to end; those without a session are not to have one.
    fn end(&mut self, id: Process, now: Moment) {
        let logins = self.logins_of(id);
        if logins.is_empty() {
            self.release(id);
        }
        for login in logins {
            let Some(entry) = self.logins.get_mut(&login) else {
                continue;
            };
            if entry.seat.is_none() {
                self.note_unopened(login, "access ended before");
                self.refuse_login(login, now);
            } else {
                entry.end(now.boot);
            }
        }
    }

    /// Tells the people of a grant, and the journal, of an end that is in sight.
    fn warn(&mut self, id: Process, now: Moment) {
        let Some(held) = self.held.get(&id) else {
            return;
        };
        let Some(end) = &held.end else { return };
        let text = words::warning(&held.grant, end, now.boot);
        let event = words::end_in_sight(&held.grant, end, now.boot);
        self.acts.push(Act::Note(event));
        self.tell(id, &text);
    }

    fn tell(&mut self, id: Process, text: &str) {
        for login in self.logins_of(id) {
            let text = text.to_owned();
            self.acts.push(Act::Tell { login, text });
        }
    }

    fn logins_of(&self, id: Process) -> Vec<Process> {
        let held = self.logins.iter().filter(|(_, login)| login.grant == id);
        held.map(|(process, _)| *process).collect()
    }

    /// A grant that nobody holds is forgotten; one that somebody holds is written down anew.
    fn release(&mut self, id: Process) {
        let mut holders = self.logins.values().filter(|login| login.grant == id);
        if let Some(first) = holders.next() {
            let is_used = first.counts() || holders.any(Login::counts);
            if let Some(held) = self.held.get_mut(&id).filter(|_| !is_used) {
                self.acts.extend(held.close().map(Act::GiveBack));
            }
            self.acts.push(Act::Save(id));
        } else if let Some(mut held) = self.held.remove(&id) {
            self.acts
                .extend(held.grant.take_unused().map(Act::GiveBack));
            self.acts.push(Act::Forget(id));
        }
    }
}
