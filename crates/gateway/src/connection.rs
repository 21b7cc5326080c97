//! A connection while it lasts: whose it is, and what moves on it.
//!
//! Not responsible for its bytes, which are `listen`'s, nor for what is answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::gateway::Shared;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::serve::address_value;

/// By which door a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// That of callers.
    Callers,
    /// That of another proxy, by the number of its table in the file.
    ForwardAuth(usize),
}

/// A caller's connection, as far as its requests need it.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    worker: usize,
    door: Door,
    peer: IpAddr,
    /// The peer's address, ready to be passed on.
    peer_value: HeaderValue,
    secure: bool,
    certificate: Option<Vec<u8>>,
    tunnel: Arc<AtomicBool>,
    /// Whether anybody looks at `moved`.
    is_watched: bool,
    began: Instant,
    /// When something last moved, in milliseconds since `began`.
    moved: AtomicU64,
    open: AtomicU32,
}

impl Connection {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        worker: usize,
        door: Door,
        peer: IpAddr,
        secure: bool,
        certificate: Option<Vec<u8>>,
    ) -> Self {
        let peer = peer.to_canonical();
        Self {
            shared: Arc::clone(shared),
            worker,
            door,
            peer,
            peer_value: address_value(peer),
            secure,
            certificate,
            tunnel: Arc::default(),
            is_watched: false,
            began: Instant::now(),
            moved: AtomicU64::new(0),
            open: AtomicU32::new(0),
        }
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        self.shared.live(self.worker)
    }

    pub(crate) fn door(&self) -> Door {
        self.door
    }

    /// The address of the other end.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The same, as the value of a header.
    pub(crate) fn peer_value(&self) -> HeaderValue {
        self.peer_value.clone()
    }

    /// Whether it is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The certificate that the other end has shown.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn tunnel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.tunnel)
    }

    /// What comes from now on is no longer HTTP.
    pub(crate) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    pub(crate) fn open_requests(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Notes from now on when something moves.
    pub(crate) fn watch(&mut self) {
        self.is_watched = true;
    }

    pub(crate) fn moved(&self) {
        if !self.is_watched {
            return;
        }
        let now = self.began.elapsed().as_millis();
        self.moved
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn last_moved(&self) -> Instant {
        self.began + Duration::from_millis(self.moved.load(Relaxed))
    }
}

/// A request that is being answered, until the last byte of its answer.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Connection>);

impl InFlight {
    pub(crate) fn begin(connection: &Arc<Connection>) -> Self {
        connection.open.fetch_add(1, Relaxed);
        connection.metrics().requests.up();
        connection.moved();
        Self(Arc::clone(connection))
    }

    pub(crate) fn moved(&self) {
        self.0.moved();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.metrics().requests.down();
        self.0.moved();
    }
}
