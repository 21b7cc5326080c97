//! The running gateway: its threads, and what they share.
//!
//! Each worker is a thread with a runtime of its own, takes connections from the common sockets, and
//! keeps them, with its own connections to upstreams, so that nothing moves between cores. One more
//! thread keeps the house: the admin listener, health checks, and the first fetch of keys.
//!
//! Not responsible for signals and files; whoever starts it says when to read the configuration again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use countersign_console::Problem;
use http::HeaderValue;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::config::{Config, ForwardAuth, Listen, Place, Preset};
use crate::connection::Door;
use crate::listen::{Certificates, Doors, accept, open_tcp, unknown_address};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::{admin, proxy};

/// How often unused connections to upstreams are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// What every thread knows.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The configuration in use, one place for each worker, so that none waits for another.
    live: Vec<RwLock<Arc<Live>>>,
    pub(crate) metrics: Metrics,
    pub(crate) certificates: Option<Certificates>,
    /// Of the listeners for other proxies, in the order of the file.
    pub(crate) forward_certificates: Vec<Option<Certificates>>,
    /// What request ids begin with, and how many were given out.
    ids: Vec<(u64, AtomicU64)>,
    pub(crate) report: fn(&str),
}

impl Shared {
    pub(crate) fn live(&self, worker: usize) -> Arc<Live> {
        let place = self.live.get(worker).or(self.live.first());
        // There is one place for each worker, and at least one worker.
        let place = place.unwrap_or_else(|| unreachable!("a gateway has a worker"));
        Arc::clone(&place.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, live: &Arc<Live>) {
        for place in &self.live {
            *place.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(live);
        }
    }

    /// A name for a request that no other request has.
    pub(crate) fn request_id(&self, worker: usize) -> HeaderValue {
        let Some((prefix, count)) = self.ids.get(worker) else {
            return HeaderValue::from_static("none");
        };
        let mut left = (u128::from(*prefix) << 32) + u128::from(count.fetch_add(1, Relaxed));
        let mut id = [0; 24];
        for digit in id.iter_mut().rev() {
            *digit = match (left & 15) as u8 {
                low @ 0..10 => b'0' + low,
                high => b'a' + (high - 10),
            };
            left >>= 4;
        }
        let id = HeaderValue::from_maybe_shared(Bytes::from_owner(id));
        id.unwrap_or(HeaderValue::from_static("none"))
    }
}

/// A running gateway. Dropping it ends it at once; [`Gateway::stop`] lets running requests finish.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    forward_addresses: Vec<String>,
    admin: Option<SocketAddr>,
    ending: watch::Sender<bool>,
    gone: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    house: Handle,
    housekeeper: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Opens the sockets and starts to answer. `report` is told, in a line, what an operator should
    /// know while it runs.
    ///
    /// # Errors
    ///
    /// What cannot be opened or used.
    pub fn start(config: Config, report: fn(&str)) -> Result<Self, Problem> {
        let metrics = Metrics::default();
        let live = Arc::new(Live::new(config, None, &metrics)?);
        let listen = live.config().listen.clone();
        let certificates = match &live.config().tls {
            None => None,
            Some(files) => Some(Certificates::load(files)?),
        };
        let mut forward_certificates = Vec::new();
        for forward in &live.config().forward_auth {
            forward_certificates.push(match &forward.tls {
                None => None,
                Some(files) => Some(Certificates::load(files)?),
            });
        }
        let random = RandomState::new();
        let shared = Arc::new(Shared {
            live: (0..listen.workers)
                .map(|_| RwLock::new(Arc::clone(&live)))
                .collect(),
            metrics,
            certificates,
            forward_certificates,
            ids: (0..listen.workers)
                .map(|worker| {
                    let mut hasher = random.build_hasher();
                    hasher.write_usize(worker);
                    (hasher.finish(), AtomicU64::new(0))
                })
                .collect(),
            report,
        });
        let (ending, ended) = watch::channel(false);
        let (gone, going) = watch::channel(false);
        let house = runtime()?;
        let mut doors = Doors::default();
        for address in &listen.addresses {
            doors.open(&house, Door::Callers, &Place::Tcp(*address))?;
        }
        for (number, forward) in live.config().forward_auth.iter().enumerate() {
            doors.open(&house, Door::ForwardAuth(number), &forward.place)?;
        }
        let admin_socket = match listen.admin {
            None => None,
            Some(address) => Some(open_tcp(&house, address)?),
        };
        let admin = match &admin_socket {
            None => None,
            Some(socket) => Some(socket.local_addr().map_err(unknown_address)?),
        };
        let handle = house.handle().clone();
        let mut gateway = Self {
            shared: Arc::clone(&shared),
            addresses: doors.addresses(),
            forward_addresses: doors.forward_addresses(),
            admin,
            ending,
            gone,
            workers: Vec::new(),
            house: handle,
            housekeeper: None,
        };
        for worker in 0..listen.workers {
            let thread = Worker {
                number: worker,
                shared: Arc::clone(&shared),
                doors: doors.try_clone()?,
                ending: ended.clone(),
                drain: listen.drain,
            };
            gateway.workers.push(thread.start()?);
        }
        gateway.housekeeper = Some(keep_house(house, &shared, admin_socket, ended, going)?);
        gateway.look_after(&live, None);
        Ok(gateway)
    }

    /// Where callers are listened to, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where other proxies ask, in the order of the file: an address, or `unix:` and a path.
    pub fn forward_auth_addresses(&self) -> &[String] {
        &self.forward_addresses
    }

    /// Where health, metrics and identity keys are shown.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Takes another configuration into use. Requests that are under way end by the old one.
    ///
    /// # Errors
    ///
    /// Why it cannot be used; then everything stays as it was.
    pub fn reload(&self, config: Config) -> Result<(), Problem> {
        let outcome = self.replace(config);
        let count = match &outcome {
            Ok(()) => &self.shared.metrics.reloads,
            Err(_) => &self.shared.metrics.reloads_refused,
        };
        count.fetch_add(1, Relaxed);
        outcome
    }

    fn replace(&self, config: Config) -> Result<(), Problem> {
        let old = self.shared.live(0);
        let fixed = |listen: &Listen| Listen {
            origins: Vec::new(),
            ..listen.clone()
        };
        if fixed(&old.config().listen) != fixed(&config.listen)
            || old.config().tls.is_some() != config.tls.is_some()
            || !old
                .config()
                .forward_auth
                .iter()
                .map(door)
                .eq(config.forward_auth.iter().map(door))
        {
            return Err(Problem::new(
                "addresses, workers and whether there is TLS cannot change while running",
            )
            .hint("restart the gateway"));
        }
        let live = {
            // What a configuration makes may belong to a runtime.
            let _house = self.house.enter();
            Arc::new(Live::new(config, Some(&old), &self.shared.metrics)?)
        };
        if let (Some(certificates), Some(files)) = (&self.shared.certificates, &live.config().tls) {
            certificates.reload(files)?;
        }
        let forward = self.shared.forward_certificates.iter();
        for (certificates, forward) in forward.zip(&live.config().forward_auth) {
            if let (Some(certificates), Some(files)) = (certificates, &forward.tls) {
                certificates.reload(files)?;
            }
        }
        self.shared.swap(&live);
        self.look_after(&live, Some(&old));
        Ok(())
    }

    /// Opens the audit log anew, after somebody has moved its file away.
    pub fn reopen_logs(&self) {
        if let Some(audit) = self.shared.live(0).audit() {
            audit.reopen();
        }
    }

    /// Takes no more connections, lets running requests finish within the time that the
    /// configuration gives them, and ends.
    pub fn stop(mut self) {
        tell(&self.ending);
        for worker in self.workers.drain(..) {
            // A worker that panicked has told so on stderr.
            let _ = worker.join();
        }
    }

    /// Health checks and keys of what is new in a configuration.
    fn look_after(&self, live: &Arc<Live>, old: Option<&Arc<Live>>) {
        for upstream in live.upstreams() {
            let is_old = old.is_some_and(|old| {
                old.upstreams()
                    .iter()
                    .any(|other| Arc::ptr_eq(other, upstream))
            });
            if is_old || upstream.spec().health.is_none() {
                continue;
            }
            for number in 0..upstream.spec().targets.len() {
                let watching = proxy::watch(Arc::downgrade(upstream), number, self.shared.report);
                self.house.spawn(watching);
            }
        }
        let is_new = old.is_none_or(|old| old.config().state != live.config().state);
        if is_new {
            let (live, report) = (Arc::clone(live), self.shared.report);
            self.house.spawn(async move {
                if let Err(error) = live.memory().ping().await {
                    let problem = Problem::new("the shared state cannot be asked yet");
                    report(&problem.because(error).line());
                }
            });
        }
        let is_new = is_new || old.is_none_or(|old| old.config().otp != live.config().otp);
        if let Some(otp) = live.otp().filter(|_| is_new).cloned() {
            let (memory, report) = (live.memory().clone(), self.shared.report);
            self.house.spawn(async move {
                if let Err(error) = otp.probe().await {
                    report(&Problem::new("not every device can be used").because(error).line());
                }
                if memory.ping().await.is_ok() && memory.loses_counters() {
                    report(
                        "warning: the Redis of [state] forgets which one-time passwords were used when \
                         it restarts; set appendonly yes there",
                    );
                }
            });
        }
        if let Some(validator) = live.validator().cloned() {
            let report = self.shared.report;
            self.house.spawn(async move {
                if let Err(rejection) = validator.load_keys().await {
                    report(&format!(
                        "no keys of an issuer yet: {rejection}; they are fetched again when a token comes"
                    ));
                }
            });
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        tell(&self.ending);
        tell(&self.gone);
        if let Some(housekeeper) = self.housekeeper.take() {
            let _ = housekeeper.join();
        }
    }
}

fn tell(end: &watch::Sender<bool>) {
    // Nobody listening any more is what is wanted.
    let _ = end.send(true);
}

/// Done when the end is told; that nobody is left to tell it is an end as well.
pub(crate) async fn told(end: &mut watch::Receiver<bool>) {
    // The value that comes back would lock the channel.
    let _ = end.wait_for(|told| *told).await;
}

/// What of a listener for another proxy cannot change while running.
fn door(forward: &ForwardAuth) -> (&Place, Preset, bool) {
    (&forward.place, forward.preset, forward.tls.is_some())
}

struct Worker {
    number: usize,
    shared: Arc<Shared>,
    doors: Doors,
    ending: watch::Receiver<bool>,
    drain: Duration,
}

impl Worker {
    fn start(self) -> Result<JoinHandle<()>, Problem> {
        let runtime = runtime()?;
        std::thread::Builder::new()
            .name(format!("worker-{}", self.number))
            .spawn(move || {
                runtime.block_on(self.work());
                // Whatever is left has had its time.
                runtime.shutdown_background();
            })
            .map_err(|error| Problem::new("a worker cannot be started").because(error))
    }

    async fn work(mut self) {
        for (door, socket) in self.doors.take() {
            match socket.into_listener() {
                Ok(listener) => {
                    let (shared, ending) = (Arc::clone(&self.shared), self.ending.clone());
                    tokio::spawn(accept(listener, door, shared, self.number, ending));
                }
                Err(error) => (self.shared.report)(&format!("a worker cannot listen: {error}")),
            }
        }
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told(&mut self.ending) => break,
                _ = sweeps.tick() => {
                    for upstream in self.shared.live(self.number).upstreams() {
                        upstream.sweep(self.number);
                    }
                }
            }
        }
        let deadline = Instant::now() + self.drain;
        let metrics = &self.shared.metrics;
        while metrics.connections.now() + metrics.tunnels.now() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn keep_house(
    house: Runtime,
    shared: &Arc<Shared>,
    admin: Option<TcpListener>,
    ending: watch::Receiver<bool>,
    mut gone: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, Problem> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("house".to_owned())
        .spawn(move || {
            house.block_on(async {
                if let Some(listener) = admin {
                    tokio::spawn(admin::serve(listener, shared, ending));
                }
                told(&mut gone).await;
            });
            house.shutdown_background();
        })
        .map_err(|error| Problem::new("a thread cannot be started").because(error))
}

fn runtime() -> Result<Runtime, Problem> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new("the async runtime cannot start").because(error))
}
