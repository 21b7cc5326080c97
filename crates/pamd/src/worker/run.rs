//! The worker from its first message to its last.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use countersign_client::{Clock as _, ScopeSet, SystemClock};
use countersign_console::Problem;
use countersign_oauth::preset::Preset;
use countersign_oauth::{Error, Issuer};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::flow::{self, Renewal, Shop, SignIn, Told};
use super::http::Strict;
use super::message::{self, Configure, FromWorker, ToWorker};
use super::provider::{Provider, World};
use super::sandbox;
use crate::conversation::FailureKind;

/// Sign-ins and renewals at a time; the supervisor has smaller limits of its own.
const MOST_FLOWS: usize = 320;
/// A TLS handshake needs some of it, and nothing needs more.
const STACK: usize = 512 * 1024;

/// Runs the worker, whose standard input is the supervisor's socket, until that is closed.
///
/// # Errors
/// A [`Problem`] when it was not the supervisor who started it.
pub fn run() -> Result<(), Problem> {
    let own =
        Problem::new("the worker is started by the daemon alone").hint("countersign-pamd run");
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let socket = UnixStream::from(socket.map_err(|_| own.clone())?);
    if socket.peer_addr().is_err() {
        return Err(own);
    }
    let first = message::read(&socket);
    let Some(ToWorker::Configure(configure)) = first.map_err(|_| own.clone())? else {
        return Err(own);
    };
    // Others with the same rights may not look into this process.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Certificates, where the configuration or the environment has them.
    let moved = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os);
    let moved: Vec<PathBuf> = moved.into_iter().flatten().map(PathBuf::from).collect();
    let readable = configure.ca_file.iter().chain(&moved);
    let readable: Vec<&Path> = readable.map(|path| &**path).collect();
    let sandbox = sandbox::close(&readable);
    let ended = Problem::new("the daemon is gone");
    let worker = Worker::new(configure, socket)
        .map_err(|error| Problem::new("the authorization server cannot be asked").because(error))?;
    worker.say(&FromWorker::Ready { sandbox });
    worker.serve().map_err(|error| ended.because(error))
}

struct Worker {
    inner: Arc<Inner>,
    socket: UnixStream,
    flows: Flows,
}

type Flows = Arc<Mutex<HashMap<u64, Sender<Told>>>>;

struct Inner {
    shop: Shop,
    transport: Strict,
    clock: SystemClock,
    /// Messages are written whole.
    out: Mutex<UnixStream>,
}

impl Worker {
    fn new(configure: Configure, socket: UnixStream) -> Result<Self, Error> {
        let clock = SystemClock::new();
        let issuer = Issuer::parse(&configure.issuer)?;
        let mut scopes = ScopeSet::new();
        for scope in &configure.scopes {
            // The configuration was checked; what is no scope is not asked for.
            let _ = scopes.insert(scope);
        }
        let out = socket.try_clone().map_err(|_| closed())?;
        let inner = Inner {
            shop: Shop {
                provider: Provider::new(issuer, configure.known.as_ref(), clock.now()),
                preset: Preset::by_name(&configure.preset).unwrap_or(Preset::OIDC),
                client_id: configure.client_id,
                client_secret: configure.client_secret,
                scopes,
                http_timeout: configure.http_timeout,
            },
            transport: Strict::new(configure.ca_file, configure.http_timeout),
            clock,
            out: Mutex::new(out),
        };
        Ok(Self {
            inner: Arc::new(inner),
            socket,
            flows: Flows::default(),
        })
    }

    fn say(&self, message: &FromWorker) {
        self.inner.say(message);
    }

    fn serve(&self) -> io::Result<()> {
        let inner = Arc::clone(&self.inner);
        spawn("warm", move || inner.keep_warm())?;
        while let Some(message) = message::read(&self.socket)? {
            match message {
                ToWorker::Configure(_) => return Err(io::ErrorKind::InvalidData.into()),
                ToWorker::Begin {
                    id,
                    redirect_uri,
                    requester,
                    acr_values,
                    max_age,
                    renewable,
                    limit,
                } => self.begin(SignIn {
                    id,
                    redirect_uri,
                    requester,
                    acr_values,
                    max_age,
                    renewable,
                    limit,
                }),
                ToWorker::Redeem { id, text } => self.tell(id, Told::Redeem(text)),
                ToWorker::Forget { id } => self.tell(id, Told::Forget),
                ToWorker::Revoke { id, refresh_token } => self.start(id, move |inner, _| {
                    inner.shop.revoke(id, &refresh_token, inner.world())
                }),
                ToWorker::Renew {
                    id,
                    refresh_token,
                    subject,
                    claims,
                } => self.renew(Renewal {
                    id,
                    refresh_token,
                    subject,
                    claims,
                }),
            }
        }
        Ok(())
    }

    fn begin(&self, sign_in: SignIn) {
        self.start(sign_in.id, move |inner, told| {
            let say = |message: FromWorker| inner.say(&message);
            inner.shop.sign_in(&sign_in, inner.world(), told, &say)
        });
    }

    fn renew(&self, renewal: Renewal) {
        self.start(renewal.id, move |inner, _| {
            let say = |message: FromWorker| inner.say(&message);
            inner.shop.renew(&renewal, inner.world(), &say)
        });
    }

    /// Runs something on a thread of its own, and says what comes out.
    fn start(
        &self,
        id: u64,
        run: impl FnOnce(&Inner, &mpsc::Receiver<Told>) -> FromWorker + Send + 'static,
    ) {
        let (tell, told) = mpsc::channel();
        {
            let mut flows = lock(&self.flows);
            if flows.len() >= MOST_FLOWS {
                drop(flows);
                return self.say(&busy(id));
            }
            flows.insert(id, tell);
        }
        let (inner, flows) = (Arc::clone(&self.inner), Arc::clone(&self.flows));
        let started = spawn("flow", move || {
            let outcome = run(&inner, &told);
            lock(&flows).remove(&id);
            // Also of what is forgotten: a token may have come all the same, and has to go back.
            inner.say(&outcome);
        });
        if started.is_err() {
            lock(&self.flows).remove(&id);
            self.say(&busy(id));
        }
    }

    fn tell(&self, id: u64, told: Told) {
        if let Some(flow) = lock(&self.flows).get(&id) {
            // It may have ended this very moment.
            let _ = flow.send(told);
        }
    }
}

impl Inner {
    fn world(&self) -> World<'_> {
        World {
            transport: &self.transport,
            clock: &self.clock,
        }
    }

    fn say(&self, message: &FromWorker) {
        let out = lock(&self.out);
        // Without a supervisor there is nobody to tell; reading from it ends the worker.
        let _ = message::write(&*out, message);
    }

    fn keep_warm(&self) {
        loop {
            let limit = self.shop.http_timeout * 2;
            let (learned, pause) = self.shop.provider.keep_warm(self.world(), limit);
            match learned {
                Ok(Some((known, clock))) => self.say(&FromWorker::Learned { known, clock }),
                Ok(None) => {}
                Err(error) => self.say(&FromWorker::Trouble {
                    why: flow::why(&error),
                }),
            }
            thread::sleep(pause);
        }
    }
}

fn closed() -> Error {
    Error::Transport {
        endpoint: countersign_oauth::Endpoint::Discovery,
        source: countersign_client::TransportError::Closed,
    }
}

fn busy(id: u64) -> FromWorker {
    FromWorker::Failed {
        id,
        kind: FailureKind::Interrupted,
        why: "the worker has too much to do".to_owned(),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK);
    builder.spawn(run).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
