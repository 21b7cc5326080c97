//! The supervisor's side of the worker: started, listened to, and started again when it has died.
//!
//! Not responsible for what is said to whom: whoever asks gets what comes back for it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use countersign_client::probe::ServerClock;
use countersign_client::{Clock, Secret};

use crate::audit::{Audit, Event, Outcome};
use crate::config::Provider;
use crate::conversation::{Failure, FailureKind};
use crate::host;
use crate::worker::message::{self, Configure, FromWorker, Known, ToWorker};

/// A worker that lived this long has not died of its beginning.
const SETTLED: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that does not take what is said to it is as good as dead.
const WRITE_LIMIT: Duration = Duration::from_secs(3);

/// What of the environment a worker sees: proxies and certificates.
const ENVIRONMENT: [&str; 12] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PATH",
    "RUST_BACKTRACE",
];

/// What comes back for one question.
pub(crate) type Listener = Box<dyn Fn(FromWorker) + Send>;

/// Starts workers, one at a time.
pub(crate) struct Workers {
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Worker>>,
    known: Option<(Provider, Known)>,
    failures: u32,
    started: Duration,
    used: Duration,
    not_before: Duration,
    /// What the last one said that it gave up.
    sandbox: Vec<String>,
    /// What the server said about the time when it was asked last.
    server_clock: Option<ServerClock>,
    /// Why the server cannot be asked about itself.
    trouble: Option<String>,
}

/// A worker that runs.
pub(crate) struct Worker {
    provider: Provider,
    out: Mutex<UnixStream>,
    listeners: Arc<Listeners>,
    next: AtomicU64,
    number: u32,
}

#[derive(Default)]
struct Listeners(Mutex<Option<HashMap<u64, Listener>>>);

impl Workers {
    pub(crate) fn new(clock: Arc<dyn Clock>, audit: Arc<dyn Audit>) -> Self {
        Self {
            clock,
            audit,
            state: Arc::default(),
        }
    }

    /// The worker for this provider, started if need be.
    ///
    /// # Errors
    /// A [`Failure`] while it is too early to start another.
    pub(crate) fn worker(&self, provider: &Provider) -> Result<Arc<Worker>, Failure> {
        let mut state = lock(&self.state);
        let now = self.clock.monotonic();
        state.used = now;
        if let Some(worker) = &state.current
            && worker.provider == *provider
        {
            return Ok(Arc::clone(worker));
        }
        // One for another provider ends once those who speak with it have ended.
        state.current = None;
        if now < state.not_before {
            let why = "the network worker has died, and is started again in a moment";
            return Err(Failure::new(FailureKind::Interrupted, why));
        }
        let known = state.known.as_ref();
        let known = known
            .filter(|(of, _)| of == provider)
            .map(|(_, known)| known.clone());
        match self.start(provider, known) {
            Ok(worker) => {
                state.started = now;
                state.current = Some(Arc::clone(&worker));
                Ok(worker)
            }
            Err(error) => {
                state.failed(now);
                let why = format!("the network worker cannot be started: {error}");
                self.audit
                    .write(&Event::new("worker", Outcome::Failed, &why));
                Err(Failure::new(FailureKind::Interrupted, why))
            }
        }
    }

    /// Lets a worker go that nobody has asked anything for `rest`. What it learned is kept for the next.
    pub(crate) fn rest(&self, rest: Duration) {
        let mut state = lock(&self.state);
        let now = self.clock.monotonic();
        let current = state.current.as_ref();
        // Whoever is in the middle of something holds it as well.
        let unused = current.is_some_and(|worker| Arc::strong_count(worker) == 1);
        if unused && now >= state.used + rest {
            state.current = None;
        }
    }

    /// What the last worker gave up before it spoke with anybody.
    pub(crate) fn sandbox(&self) -> Vec<String> {
        lock(&self.state).sandbox.clone()
    }

    /// What the server publishes, or why that cannot be had; nothing as long as nobody knows.
    pub(crate) fn published(&self) -> Option<Result<Known, String>> {
        let state = lock(&self.state);
        let known = state.known.as_ref().map(|(_, known)| Ok(known.clone()));
        known.or_else(|| state.trouble.clone().map(Err))
    }

    /// What the server said about the time; unknown as long as it has not been asked.
    pub(crate) fn server_clock(&self) -> ServerClock {
        lock(&self.state)
            .server_clock
            .unwrap_or(ServerClock::Unknown)
    }

    fn start(&self, provider: &Provider, known: Option<Known>) -> io::Result<Arc<Worker>> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(WRITE_LIMIT))?;
        let child = command(provider, theirs)?.spawn()?;
        message::write(
            &ours,
            &ToWorker::Configure(Configure {
                issuer: provider.issuer.clone(),
                preset: provider.preset.name.to_owned(),
                client_id: provider.client_id.clone(),
                client_secret: provider.client_secret.clone(),
                scopes: provider.scopes.clone(),
                ca_file: provider.ca_file.clone(),
                http_timeout: provider.http_timeout,
                known,
            }),
        )?;
        let listeners = Arc::new(Listeners(Mutex::new(Some(HashMap::new()))));
        let worker = Arc::new(Worker {
            provider: provider.clone(),
            out: Mutex::new(ours.try_clone()?),
            listeners: Arc::clone(&listeners),
            next: AtomicU64::new(1),
            number: child.id(),
        });
        let reader = Reader {
            provider: provider.clone(),
            clock: Arc::clone(&self.clock),
            audit: Arc::clone(&self.audit),
            state: Arc::clone(&self.state),
            listeners,
            child,
        };
        let builder = thread::Builder::new().name("worker".to_owned());
        builder
            .stack_size(256 * 1024)
            .spawn(move || reader.listen(&ours))?;
        Ok(worker)
    }
}

impl State {
    /// Sets when the next worker may be started.
    fn failed(&mut self, now: Duration) {
        if now >= self.started + SETTLED {
            self.failures = 0;
        }
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
    }
}

/// The same program, with one end of the pair as its standard input and nobody's rights.
fn command(provider: &Provider, socket: UnixStream) -> io::Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("countersign-pamd")
        .arg("worker")
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = host::ids_of(&provider.worker_user).ok_or_else(|| {
            io::Error::other(format!("there is no user {}", provider.worker_user))
        })?;
        if uid == 0 {
            return Err(io::Error::other("the worker must not be root"));
        }
        // The supplementary groups go with it.
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

impl Worker {
    /// Asks something; `listener` hears what comes back, also when nobody waits for it any more.
    pub(crate) fn ask(
        &self,
        listener: Listener,
        question: impl FnOnce(u64) -> ToWorker,
    ) -> Result<u64, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        match self.listeners.lock().as_mut() {
            Some(listeners) => listeners.insert(id, listener),
            None => return Err(gone()),
        };
        if self.say(&question(id)).is_err() {
            self.listeners.remove(id);
            return Err(gone());
        }
        Ok(id)
    }

    /// Gives it what a person pasted.
    pub(crate) fn redeem(&self, id: u64, text: Secret) {
        // A worker that is gone has said so to its listeners.
        let _ = self.say(&ToWorker::Redeem { id, text });
    }

    /// Nobody waits any more: the worker ends it as soon as it can, and says once more how.
    pub(crate) fn forget(&self, id: u64) {
        if self.listeners.knows(id) {
            let _ = self.say(&ToWorker::Forget { id });
        }
    }

    fn say(&self, message: &ToWorker) -> io::Result<()> {
        message::write(&*lock(&self.out), message)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input is the end of the worker.
        let _ = lock(&self.out).shutdown(std::net::Shutdown::Both);
    }
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Listener>>> {
        lock(&self.0)
    }

    fn knows(&self, id: u64) -> bool {
        self.lock()
            .as_ref()
            .is_some_and(|all| all.contains_key(&id))
    }

    fn remove(&self, id: u64) -> bool {
        self.lock()
            .as_mut()
            .is_some_and(|all| all.remove(&id).is_some())
    }

    fn tell(&self, id: u64, message: FromWorker, is_last: bool) {
        let mut listeners = self.lock();
        let Some(all) = listeners.as_mut() else {
            return;
        };
        if is_last {
            if let Some(listener) = all.remove(&id) {
                listener(message);
            }
        } else if let Some(listener) = all.get(&id) {
            listener(message);
        }
    }

    /// Tells everybody that nothing more comes, also those who ask from now on.
    fn close(&self) -> usize {
        let all = self.lock().take().unwrap_or_default();
        let count = all.len();
        for (id, listener) in all {
            let Failure { kind, why } = gone();
            listener(FromWorker::Failed { id, kind, why });
        }
        count
    }
}

fn gone() -> Failure {
    Failure::new(FailureKind::Interrupted, "the network worker has died")
}

/// Hears what one worker says, until it ends.
struct Reader {
    provider: Provider,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    state: Arc<Mutex<State>>,
    listeners: Arc<Listeners>,
    child: Child,
}

impl Reader {
    /// Says it once, however often it is tried.
    fn trouble(&self, why: String) {
        let mut state = lock(&self.state);
        if state.trouble.as_ref() == Some(&why) {
            return;
        }
        state.trouble = Some(why.clone());
        drop(state);
        let message = "the authorization server cannot be asked about itself";
        let event = Event::new("worker", Outcome::Failed, message);
        self.audit.write(&event.with("reason", why));
    }

    fn listen(mut self, socket: &UnixStream) {
        while let Ok(Some(message)) = message::read::<FromWorker>(socket) {
            match message {
                FromWorker::Ready { sandbox } => {
                    let message = format!("the network worker has begun: {}", sandbox.join(", "));
                    self.audit
                        .write(&Event::new("worker", Outcome::Noted, message));
                    lock(&self.state).sandbox = sandbox;
                }
                FromWorker::Learned { known, clock } => {
                    let mut state = lock(&self.state);
                    state.trouble = None;
                    state.server_clock = Some(clock);
                    state.known = Some((self.provider.clone(), known));
                }
                FromWorker::Trouble { why } => self.trouble(why),
                FromWorker::Shown { id, .. }
                | FromWorker::NotACode { id }
                | FromWorker::Renewed { id, .. } => {
                    self.listeners.tell(id, message, false);
                }
                FromWorker::Signed { id, .. }
                | FromWorker::About { id, .. }
                | FromWorker::Revoked { id, .. }
                | FromWorker::Failed { id, .. } => {
                    self.listeners.tell(id, message, true);
                }
            }
        }
        // Whoever is in the middle of a sign-in hears of it first.
        let interrupted = self.listeners.close();
        // It said something that is nothing, or nothing any more.
        let _ = self.child.kill();
        let status = self.child.wait();
        let number = self.child.id();
        let mut state = lock(&self.state);
        let was_current = state
            .current
            .as_ref()
            .is_some_and(|worker| worker.number == number);
        if !was_current {
            return;
        }
        state.current = None;
        state.failed(self.clock.monotonic());
        drop(state);
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.audit.write(
            &Event::new("worker", Outcome::Failed, "the network worker has died")
                .with("status", how)
                .with("interrupted", interrupted.to_string()),
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
