//! The watch at work: the table, with clocks, processes, files and threads around it.
//!
//! Two threads, however many sessions there are. One waits for the end of processes and for the next
//! thing that is due, and does what takes the processes' time; the other asks the authorization server, so
//! that a slow one holds up no deadline. The threads of the socket only touch the table, under its lock.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::list::{self, Listed};
use super::moment::{Moment, Moments, SystemMoments};
use super::record;
use super::settings::Settings;
use super::state::State;
use super::sweep::{Processes, RealProcesses, Target};
use super::table::{Act, Admission, Left, Seat, Table, Which, words};
use super::waits::Waits;
use crate::{Answer, Audit, Event, Grant, Login, Opened, Outcome, Process, Reference, Renewed};
use crate::{Renewer, Sessions, Verdict};

/// How long the account phase waits for the authorization server; whoever calls gives us three seconds.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long a daemon that takes over waits for the one before it.
const HAND_OVER: Duration = Duration::from_secs(12);

const NOT_KEPT: &str = "this host cannot keep track of sessions at the moment";
const NOT_CONFIRMED: &str = "your access cannot be confirmed at the moment; try again";

/// What the watch works with.
pub struct Watching {
    /// What the administrator decided.
    pub settings: Settings,
    /// Where it keeps what has to survive a restart, such as `/run/countersign/sessions`.
    pub directory: PathBuf,
    /// Renews grants.
    pub renewer: Arc<dyn Renewer>,
    /// Where events go.
    pub audit: Arc<dyn Audit>,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching")
            .field("settings", &self.settings)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Watches over the sessions of this machine. Dropping it ends the watch and no session: whoever starts
/// the next one with the same directory goes on.
pub struct Watch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// What the threads have in common.
pub(super) struct Shared {
    /// What the table does not know yet. Whoever decides waits for nobody: they may be in the middle of
    /// something that the table has asked for.
    decided: Mutex<Option<Settings>>,
    renewer: Arc<dyn Renewer>,
    audit: Arc<dyn Audit>,
    moments: Arc<dyn Moments>,
    processes: Arc<dyn Processes>,
    inner: Mutex<Inner>,
    answered: Condvar,
    waits: Waits,
    stopping: AtomicBool,
}

struct Inner {
    table: Table,
    state: State,
    /// Whether there is a directory that is ours alone.
    has_state: bool,
    held: BTreeMap<Process, OwnedFd>,
    /// What the waiting thread is to do.
    sweeps: Vec<Target>,
    tells: Vec<(Process, Seat, String)>,
    /// What the asking thread is to ask; `None` once the watch ends.
    asks: Option<Sender<Process>>,
    /// The last failure to write, so that it is said once.
    failure: Option<String>,
}

impl Watch {
    /// Takes up the watch: first over the sessions that an earlier daemon has written down.
    ///
    /// A directory that cannot be used is said in the journal, and from then on nobody is let in.
    ///
    /// # Errors
    /// When another daemon watches already, or the system gives no descriptors or threads.
    pub fn start(watching: Watching) -> io::Result<Self> {
        let processes = Arc::new(RealProcesses::default());
        Self::start_with(watching, Arc::new(SystemMoments), processes)
    }

    pub(super) fn start_with(
        watching: Watching,
        moments: Arc<dyn Moments>,
        processes: Arc<dyn Processes>,
    ) -> io::Result<Self> {
        let (asks, asked) = channel();
        let mut state = State::new(watching.directory);
        let locked = state.lock(HAND_OVER);
        if let Err(error @ super::state::StateError::Taken { .. }) = &locked {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, error.line()));
        }
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                table: Table::new(watching.settings),
                state,
                has_state: locked.is_ok(),
                held: BTreeMap::new(),
                sweeps: Vec::new(),
                tells: Vec::new(),
                asks: Some(asks),
                failure: None,
            }),
            decided: Mutex::default(),
            renewer: watching.renewer,
            audit: watching.audit,
            moments,
            processes,
            answered: Condvar::new(),
            waits: Waits::new()?,
            stopping: AtomicBool::new(false),
        });
        if let Err(error) = locked {
            shared.note_failure(&error.line());
        }
        shared.restore();
        let mut watch = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(2),
        };
        let waiting = Arc::clone(&shared);
        watch.spawn("session-wait", move || waiting.wait())?;
        watch.spawn("session-ask", move || shared.ask(&asked))?;
        Ok(watch)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(work)?);
        Ok(())
    }

    /// The administrator has decided something else. It counts for whatever comes next, and for the logins
    /// that are under way: each is asked about again.
    pub fn apply(&self, settings: Settings) {
        let decided = self.shared.decided.lock();
        *decided.unwrap_or_else(PoisonError::into_inner) = Some(settings);
        self.shared.waits.wake();
    }

    /// The logins that are watched.
    pub fn list(&self) -> Vec<Listed> {
        let now = self.shared.moments.now();
        list::of(&self.shared.lock().table, now)
    }

    /// Ends logins at once; which, by the references of their grants.
    pub fn kill(&self, which: &Which) -> Vec<Reference> {
        self.shared.with(|table, now| table.kill(which, now))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.lock().asks = None;
        self.shared.waits.wake();
        for thread in self.threads.drain(..) {
            // What is being asked is waited for: its answer may hold the only token that still works.
            let _ = thread.join();
        }
    }
}

impl Sessions for Watch {
    fn granted(&self, login: Process, grant: Grant) {
        self.shared
            .with(|table, now| table.granted(login, grant, now));
    }

    fn account(&self, login: &Login) -> Answer {
        self.shared.account(login)
    }

    fn open(&self, login: &Login, opened: &Opened) -> Answer {
        self.shared.open(login, opened)
    }

    fn close(&self, login: Process) {
        self.shared.with(|table, now| table.leave(login, now));
    }

    fn watched(&self) -> usize {
        let inner = self.shared.lock();
        inner.table.logins.len() + inner.table.elsewhere.len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the table is whole before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table as it is now, with what was decided last.
    fn current(&self) -> (MutexGuard<'_, Inner>, Moment) {
        let mut inner = self.lock();
        let now = self.moments.now();
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = decided.take();
        // Not while the audit is written, which may decide something.
        drop(decided);
        if let Some(settings) = settings {
            inner.table.apply(settings, now);
            self.perform(&mut inner, now);
        }
        (inner, now)
    }

    /// Tells the table something, and does what it wants.
    fn with<T>(&self, change: impl FnOnce(&mut Table, Moment) -> T) -> T {
        let (mut inner, now) = self.current();
        let result = change(&mut inner.table, now);
        self.perform(&mut inner, now);
        drop(inner);
        self.waits.wake();
        result
    }

    fn account(&self, login: &Login) -> Answer {
        let begin = Instant::now();
        let monitor = login.monitor;
        let (mut inner, now) = self.current();
        let ask = |table: &mut Table, now| table.account(monitor, &login.user, &login.service, now);
        let mut admission = ask(&mut inner.table, now);
        if let Admission::AskFirst(id) = admission {
            inner.table.tick(now);
            self.perform(&mut inner, now);
            self.waits.wake();
            let is_waited_for =
                |inner: &mut Inner| inner.table.held.get(&id).is_some_and(|held| held.waiting);
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let waited = self.answered.wait_timeout_while(inner, left, is_waited_for);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            admission = ask(&mut inner.table, self.moments.now());
        }
        self.settle(inner, login, &admission)
    }

    fn open(&self, login: &Login, opened: &Opened) -> Answer {
        let mut seat = Seat {
            tty: login.tty.clone(),
            rhost: login.rhost.clone(),
            service: login.service.clone(),
            audit_session: None,
            scope: None,
        };
        let kill = self.current().0.table.settings().kill;
        self.processes
            .find_kin(&mut seat, login.monitor, &opened.xdg_session, kill);
        let (mut inner, now) = self.current();
        let admission = inner.table.open(login.monitor, &login.user, seat, now);
        self.settle(inner, login, &admission)
    }

    /// Does what the table wants, and answers: nobody is let in whose session would be forgotten by a
    /// restart, or whose process cannot be watched.
    fn settle(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        login: &Login,
        admission: &Admission,
    ) -> Answer {
        let now = self.moments.now();
        self.perform(&mut inner, now);
        let of = |id: &Process, inner: &Inner| {
            let held = inner.table.held.get(id)?;
            Some((held.grant.reference.clone(), held.saved))
        };
        let answer = match admission {
            Admission::Elsewhere => Answer::silent(Verdict::Success),
            Admission::Refused(why) => {
                let grant = inner.table.logins.get(&login.monitor).map(|l| l.grant);
                let known = grant.and_then(|id| of(&id, &inner));
                let reference = known.map(|(reference, _)| reference);
                answer(Verdict::Denied, why, reference)
            }
            Admission::AskFirst(id) => {
                let reference = of(id, &inner).map(|(reference, _)| reference);
                answer(Verdict::Unavailable, NOT_CONFIRMED, reference)
            }
            Admission::May(id) => {
                if of(id, &inner).is_some_and(|(_, saved)| !saved) {
                    self.save(&mut inner, *id, now);
                }
                let is_watched = inner.held.contains_key(&login.monitor);
                match of(id, &inner) {
                    Some((reference, true)) if is_watched => Answer {
                        reference: Some(reference),
                        ..Answer::silent(Verdict::Success)
                    },
                    found => {
                        inner.table.refuse_login(login.monitor, now);
                        self.perform(&mut inner, now);
                        let reference = found.map(|(reference, _)| reference);
                        answer(Verdict::Failed, NOT_KEPT, reference)
                    }
                }
            }
        };
        drop(inner);
        self.waits.wake();
        if answer.verdict != Verdict::Success {
            self.audit.write(&words::not_let_in(login, &answer));
        }
        answer
    }

    /// Does at once what takes no time, and leaves the rest to the threads.
    fn perform(&self, inner: &mut Inner, now: Moment) {
        loop {
            let acts = inner.table.take_acts();
            if acts.is_empty() {
                return;
            }
            let mut saves = Vec::new();
            for act in acts {
                match act {
                    Act::Save(id) if saves.contains(&id) => {}
                    Act::Save(id) => saves.push(id),
                    Act::Forget(id) => {
                        saves.retain(|saved| *saved != id);
                        if let Err(error) = inner.state.forget(id) {
                            self.note_failure(&error.line());
                        }
                    }
                    Act::Ask(id) => {
                        if let Some(asks) = &inner.asks {
                            let _ = asks.send(id);
                        }
                    }
                    Act::Watch(login) => self.hold(inner, login, now),
                    Act::Unwatch(login) => {
                        inner.held.remove(&login);
                        self.waits.forget(login);
                    }
                    Act::Tell { login, text } => {
                        let seat = inner.table.logins.get(&login).and_then(|l| l.seat.clone());
                        inner.tells.extend(seat.map(|seat| (login, seat, text)));
                    }
                    Act::Sweep { login, force } => {
                        let seat = inner.table.logins.get(&login).and_then(|l| l.seat.clone());
                        let target = seat.map(|seat| Target { login, seat, force });
                        // What was not done yet is done once, and as hard as was wanted last.
                        inner.sweeps.retain(|other| other.login != login);
                        inner.sweeps.extend(target);
                    }
                    Act::GiveBack(unused) => self.renewer.give_back(unused),
                    Act::Note(event) => self.audit.write(&event),
                }
            }
            for id in saves {
                self.save(inner, id, now);
            }
        }
    }

    fn hold(&self, inner: &mut Inner, login: Process, now: Moment) {
        let held = self.processes.hold(login);
        let watched = held.and_then(|held| self.waits.add(&held, login).map(|()| held));
        match watched {
            Ok(held) => {
                inner.held.insert(login, held);
            }
            // It ended before anybody could take hold of it.
            Err(error) if super::kin::is_gone(&error) => {
                inner.table.leave(login, now);
            }
            Err(error) => {
                let message = format!("cannot watch process {login}: {error}");
                self.note("session open", Outcome::Failed, &message);
            }
        }
    }

    fn save(&self, inner: &mut Inner, id: Process, now: Moment) {
        let Inner { table, state, .. } = inner;
        let Some(held) = table.held.get(&id) else {
            return;
        };
        let logins = table.logins.iter().filter(|(_, login)| login.grant == id);
        let bytes = record::write(state.boot_id(), state.tokens(), id, held, logins);
        let saved = match bytes {
            Ok(bytes) if inner.has_state => state.save(id, &bytes).map_err(|e| e.line()),
            Ok(_) => Err("there is no directory for what has to survive a restart".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        table.saved(id, saved.is_ok(), now);
        let failure = saved.err();
        if let Some(error) = failure.as_ref().filter(|_| inner.failure != failure) {
            self.note_failure(error);
        }
        inner.failure = failure;
    }

    /// Goes on with what an earlier daemon has written down.
    fn restore(&self) {
        let mut inner = self.lock();
        if !inner.has_state {
            return;
        }
        let now = self.moments.now();
        let found = match inner.state.load() {
            Ok(found) => found,
            Err(error) => {
                self.note_failure(&error.line());
                return;
            }
        };
        let mut restored = 0;
        for file in found {
            let read = file.bytes.map_err(|error| error.line()).and_then(|bytes| {
                let read = record::read(inner.state.boot_id(), &bytes);
                read.map_err(|error| error.to_string())
            });
            match (read, file.id) {
                (Ok(Some(record)), Some(id)) if record.id == id => {
                    inner.table.restore(record, now);
                    restored += 1;
                }
                // Of an earlier start of the machine.
                (Ok(None), Some(id)) => {
                    let _ = inner.state.forget(id);
                }
                (read, id) => {
                    let why = read.err();
                    let why = why.as_deref().unwrap_or("it has the name of another one");
                    self.refuse_record(&inner, &file.name, id, why);
                }
            }
        }
        self.perform(&mut inner, now);
        if restored > 0 {
            let message = format!("goes on watching the sessions of {restored} grants");
            self.note("watch", Outcome::Noted, &message);
        }
    }

    fn refuse_record(&self, inner: &Inner, name: &str, id: Option<Process>, why: &str) {
        inner.state.put_aside(name);
        let alive = id.filter(|id| id.is_alive());
        let hint = match alive {
            Some(login) => format!(
                "; its login may be open and is NOT watched any more: end it with kill {login}"
            ),
            None => String::new(),
        };
        let message = format!("what was written down in {name} is refused{hint}. {why}");
        self.note("watch", Outcome::Failed, &message);
    }

    /// The waiting thread.
    fn wait(&self) {
        while !self.stopping.load(Ordering::SeqCst) {
            let (sweeps, tells, next) = {
                let (mut inner, now) = self.current();
                inner.table.tick(now);
                self.perform(&mut inner, now);
                let sweeps = std::mem::take(&mut inner.sweeps);
                let tells = std::mem::take(&mut inner.tells);
                let next = inner.table.next();
                (sweeps, tells, next.map(|at| at.saturating_sub(now.boot)))
            };
            if !tells.is_empty() {
                self.processes.tell(&tells);
            }
            if sweeps.is_empty() {
                for login in self.waits.wait(next) {
                    self.gone(login);
                }
            } else {
                let left = self.processes.sweep(&sweeps);
                self.swept(&sweeps, &left);
            }
        }
    }

    fn gone(&self, login: Process) {
        let mut inner = self.lock();
        inner.held.remove(&login);
        let now = self.moments.now();
        inner.table.leave(login, now);
        self.perform(&mut inner, now);
    }

    fn swept(&self, sweeps: &[Target], left: &[Left]) {
        let mut inner = self.lock();
        let now = self.moments.now();
        for (target, left) in sweeps.iter().zip(left) {
            inner.table.swept(target.login, *left, now);
        }
        self.perform(&mut inner, now);
    }

    /// The asking thread.
    fn ask(&self, asked: &Receiver<Process>) {
        while let Ok(id) = asked.recv() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let held = self.lock().table.held.get(&id).map(|h| h.grant.clone());
            let Some(grant) = held else { continue };
            let renewed: Renewed = self.renewer.renew(&grant);
            self.with(|table, now| table.answered(id, grant, renewed, now));
            self.answered.notify_all();
        }
    }

    fn note(&self, what: &'static str, outcome: Outcome, message: &str) {
        self.audit.write(&Event::new(what, outcome, message));
    }

    fn note_failure(&self, error: &str) {
        let message = format!(
            "{error}; nobody is let in until it can be written, and those who are in stay watched"
        );
        self.note("watch", Outcome::Failed, &message);
    }
}

fn answer(verdict: Verdict, text: &str, reference: Option<Reference>) -> Answer {
    Answer {
        verdict,
        text: text.to_owned(),
        reference,
    }
}
