//! Where callers come in: sockets, TLS, the two versions of HTTP, and the limits on all of them.
//!
//! Every worker takes connections from the same sockets and keeps those that it took. Not responsible
//! for what a request gets as an answer.

mod door;
mod guard;
mod local;
mod stream;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub(crate) use door::{Doors, open_tcp, unknown_address};
use door::{Listener, Taken};
pub use guard::{Ambiguous, Found, Guard};
use stream::{Carrier, Stream};
pub(crate) use tls::Certificates;

use crate::config::{Limits, Preset};
use crate::connection::{Connection, Door};
use crate::gateway::{Shared, told};
use crate::proxy::longest_silence;
use crate::serve::answer;

/// How long a connection of HTTP/2 may be without a request.
const H2_IDLE: Duration = Duration::from_secs(75);
/// How often a connection of HTTP/2 is looked at.
const H2_LOOK: Duration = Duration::from_secs(1);
/// How many headers hyper takes unless it is told otherwise.
const HYPER_HEADERS: usize = 100;
/// The first bytes of HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Takes connections until the end is told.
pub(crate) async fn accept(
    listener: Listener,
    door: Door,
    shared: Arc<Shared>,
    worker: usize,
    mut ending: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = told(&mut ending) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok(taken) = accepted else {
            // Too many open files, or a connection that was gone before we came: the listener itself
            // is sound.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let live = shared.live(worker);
        let limits = live.config().limits.clone();
        if shared.metrics.connections.now() >= limits.connections as u64 {
            shared
                .metrics
                .turned_away
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            continue;
        }
        shared
            .metrics
            .accepted
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        shared.metrics.connections.up();
        let shared = Arc::clone(&shared);
        let ending = ending.clone();
        tokio::spawn(async move {
            serve(taken, door, &shared, worker, &limits, ending).await;
            shared.metrics.connections.down();
        });
    }
}

async fn serve(
    taken: Taken,
    door: Door,
    shared: &Arc<Shared>,
    worker: usize,
    limits: &Limits,
    ending: watch::Receiver<bool>,
) {
    let peer = taken.peer();
    let (certificates, is_call) = match door {
        Door::Callers => (shared.certificates.as_ref(), false),
        Door::ForwardAuth(number) => (
            shared
                .forward_certificates
                .get(number)
                .and_then(Option::as_ref),
            shared
                .live(worker)
                .config()
                .forward_auth
                .get(number)
                .is_some_and(|forward| forward.preset == Preset::EnvoyGrpc),
        ),
    };
    let stream = match taken {
        Taken::Tcp(stream, _) => stream,
        Taken::Unix(stream) => {
            let connection = Connection::new(shared, worker, door, peer, false, None);
            return http(Box::new(stream), connection, is_call, limits, ending).await;
        }
    };
    // An answer is written at once; waiting for more would only delay it. Without it they are as
    // right.
    let _ = stream.set_nodelay(true);
    let Some(certificates) = certificates else {
        let h2c = door == Door::Callers && shared.live(worker).config().listen.h2c;
        let is_h2 = is_call
            || h2c
                && timeout(limits.head_time, begins_with_preface(&stream))
                    .await
                    .unwrap_or(false);
        let connection = Connection::new(shared, worker, door, peer, false, None);
        return http(Box::new(stream), connection, is_h2, limits, ending).await;
    };
    let acceptor = TlsAcceptor::from(certificates.current());
    let Ok(Ok(stream)) = timeout(limits.handshake_time, acceptor.accept(stream)).await else {
        return;
    };
    let (_, session) = stream.get_ref();
    let is_h2 = is_call || session.alpn_protocol() == Some(b"h2");
    let certificate = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| certificate.to_vec());
    let connection = Connection::new(shared, worker, door, peer, true, certificate);
    http(Box::new(stream), connection, is_h2, limits, ending).await;
}

/// Whether the first bytes are those of HTTP/2; they stay to be read.
async fn begins_with_preface(stream: &TcpStream) -> bool {
    let mut bytes = [0; PREFACE.len()];
    loop {
        let Ok(count) = stream.peek(&mut bytes).await else {
            return false;
        };
        let seen = bytes.get(..count).unwrap_or_default();
        if count == 0 || !PREFACE.starts_with(seen) {
            return false;
        }
        if count == PREFACE.len() {
            return true;
        }
        // Peeking does not wait for more than there is.
        sleep(Duration::from_millis(5)).await;
    }
}

async fn http(
    carrier: Box<dyn Carrier>,
    mut connection: Connection,
    is_h2: bool,
    limits: &Limits,
    ending: watch::Receiver<bool>,
) {
    let stream = Stream::new(
        carrier,
        !is_h2,
        connection.tunnel_flag(),
        limits.body_idle_time,
    );
    if is_h2 {
        connection.watch();
    }
    let connection = Arc::new(connection);
    if is_h2 {
        http2(TokioIo::new(stream), connection, limits, ending).await;
    } else {
        http1(TokioIo::new(stream), connection, limits, ending).await;
    }
}

async fn http1(
    stream: TokioIo<Stream>,
    connection: Arc<Connection>,
    limits: &Limits,
    mut ending: watch::Receiver<bool>,
) {
    let service = service_fn(|request| answer(Arc::clone(&connection), request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .max_header_size(limits.head_bytes)
        // A caller that has said everything may close its side and listen.
        .half_close(true);
    // The number that hyper takes by itself needs no memory at each request.
    if limits.headers != HYPER_HEADERS {
        builder.max_headers(limits.headers);
    }
    let mut serving = pin!(builder.serve_connection(stream, service).with_upgrades());
    // What goes wrong with one connection is the business of that one.
    tokio::select! {
        biased;
        _ = serving.as_mut() => {}
        () = told(&mut ending) => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

async fn http2(
    stream: TokioIo<Stream>,
    connection: Arc<Connection>,
    limits: &Limits,
    mut ending: watch::Receiver<bool>,
) {
    let service = service_fn(|request| answer(Arc::clone(&connection), request));
    let mut serving = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20))
            .serve_connection(stream, service)
    );
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            _ = serving.as_mut() => return,
            () = told(&mut ending), if !is_told => {
                is_told = true;
                serving.as_mut().graceful_shutdown();
            }
            // A connection that says nothing, or whose caller reads nothing, is not kept.
            () = sleep(H2_LOOK) => {
                let live = connection.live();
                let patience = if connection.open_requests() == 0 {
                    H2_IDLE.min(limits.head_time * 4)
                } else {
                    longest_silence(live.upstreams(), limits.body_idle_time) + H2_LOOK * 5
                };
                if connection.last_moved() + patience < Instant::now() {
                    return;
                }
            }
        }
    }
}
