//! WebSocket (RFC 6455): a request that turns its connection into a tunnel.
//!
//! No other protocol is switched to: an `Upgrade` to anything else is left out of the request, as RFC
//! 9110, section 7.8 allows, and the request is answered as it stands. WebSocket over HTTP/2 (RFC 8441)
//! is not offered, so no client asks for it. Frames are not looked at.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use super::Unserved;
use super::headers::has_token;
use crate::connection::Connection;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// Per direction. A frame may be longer; it goes through in pieces.
const BUFFER: usize = 8 * 1024;

/// What a request wants to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing else.
    Nothing,
    /// A WebSocket, asked for as RFC 6455, section 4.1 says.
    WebSocket,
    /// A WebSocket, asked for in a way that some take for one and some do not.
    Malformed,
}

/// What this request wants to become.
pub(crate) fn wish(parts: &Parts) -> Wish {
    let headers = &parts.headers;
    if !headers.contains_key(UPGRADE) || !has_token(headers, &UPGRADE, "websocket") {
        return Wish::Nothing;
    }
    let single = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    let is_sound = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && single(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && single(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
        // 16 bytes in base64.
        && single(SEC_WEBSOCKET_KEY).is_some_and(|key| key.len() == 24);
    if is_sound {
        Wish::WebSocket
    } else {
        Wish::Malformed
    }
}

/// Puts the wish into the request to the upstream.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Puts the agreement into the answer.
pub(super) fn agree(headers: &mut HeaderMap) {
    ask(headers);
}

/// Joins the two connections once both have changed.
pub(super) fn begin(
    caller: OnUpgrade,
    answer: &mut Response<Incoming>,
    idle: Duration,
    connection: &Connection,
) -> Result<(), Unserved> {
    let headers = answer.headers();
    let is_websocket = headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.contains_key(SEC_WEBSOCKET_ACCEPT);
    if !is_websocket {
        return Err(Unserved::Switched);
    }
    let upstream = hyper::upgrade::on(answer);
    connection.becomes_tunnel();
    let shared = Arc::clone(connection.shared());
    tokio::spawn(async move {
        shared.metrics.tunnels.up();
        // However it ends, both sides see their connection closed.
        if let (Ok(caller), Ok(upstream)) = (caller.await, upstream.await) {
            tunnel(caller, upstream, idle).await;
        }
        shared.metrics.tunnels.down();
    });
    Ok(())
}

async fn tunnel(caller: Upgraded, upstream: Upgraded, idle: Duration) {
    let moved = Arc::new(Moved {
        began: Instant::now(),
        last: AtomicU64::new(0),
    });
    let mut caller = Side::new(caller, &moved);
    let mut upstream = Side::new(upstream, &moved);
    let copying = copy_bidirectional_with_sizes(&mut caller, &mut upstream, BUFFER, BUFFER);
    tokio::select! {
        _ = copying => {}
        () = moved.silent_for(idle) => {}
    }
}

/// When bytes last went through a tunnel, in either direction.
struct Moved {
    began: Instant,
    last: AtomicU64,
}

impl Moved {
    fn note(&self) {
        let now = self.began.elapsed().as_millis();
        self.last
            .store(u64::try_from(now).unwrap_or(u64::MAX), Relaxed);
    }

    async fn silent_for(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Relaxed));
            let silent = self.began.elapsed().saturating_sub(last);
            match limit.checked_sub(silent) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
    }
}

struct Side {
    inner: TokioIo<Upgraded>,
    moved: Arc<Moved>,
}

impl Side {
    fn new(inner: Upgraded, moved: &Arc<Moved>) -> Self {
        Self {
            inner: TokioIo::new(inner),
            moved: Arc::clone(moved),
        }
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_ready() {
            self.moved.note();
        }
        polled
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
