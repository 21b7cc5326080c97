//! A caller's connection, with the guard over what comes and a limit on how long the caller may
//! leave our answer unread.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::guard::Guard;

/// What bytes come and go by: a socket, or TLS on one.
pub(super) trait Carrier: AsyncRead + AsyncWrite + fmt::Debug + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Unpin + Send> Carrier for T {}

/// A connection of HTTP/1.1, or of HTTP/2 when there is no guard.
#[derive(Debug)]
pub(super) struct Stream {
    /// Of one type, so that the program holds both versions of HTTP once and not for each carrier.
    inner: Box<dyn Carrier>,
    guard: Option<Guard>,
    /// Set when the connection becomes a tunnel.
    tunnel: Arc<AtomicBool>,
    /// What came is no body.
    broken: bool,
    patience: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(
        inner: Box<dyn Carrier>,
        guarded: bool,
        tunnel: Arc<AtomicBool>,
        patience: Duration,
    ) -> Self {
        Self {
            inner,
            guard: guarded.then(Guard::default),
            tunnel,
            broken: false,
            patience,
            stuck: None,
        }
    }

    /// A write that waits, waits so long and no longer.
    fn bounded<R>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        let patience = self.patience;
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match stuck.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.guard.is_some() && self.tunnel.load(Relaxed) {
            self.guard = None;
        }
        let Some(guard) = &mut self.guard else {
            return polled;
        };
        let new = buf.filled_mut().get_mut(before..).unwrap_or_default();
        let (length, found) = (new.len(), guard.watch(new));
        if let Some(found) = found.filter(|found| found.sound < length) {
            self.broken = true;
            if found.sound == 0 {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            buf.set_filled(before + found.sound);
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.bounded(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.bounded(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.bounded(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.bounded(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
