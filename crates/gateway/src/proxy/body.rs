//! Bodies on their way through: a piece at a time, and never for longer than their limits.
//!
//! A piece is asked for when the other side has room for it, so that a slow reader holds back the
//! writer and a body of any length takes the memory of one piece. Not responsible for framing.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::pace::Pace;
use super::pool::Lease;
use crate::connection::InFlight;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyProblem {
    /// Longer than the limit.
    TooLong,
    /// Nothing came for too long.
    Idle,
    /// It went on coming, but too little of it for its time.
    Slow,
    /// All of it together took too long.
    Time,
    /// The other side broke off, or sent what is no body.
    Broken,
}

impl fmt::Display for BodyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the body is too long",
            Self::Idle => "the body stopped coming",
            Self::Slow => "the body came too slowly",
            Self::Time => "the body took too long",
            Self::Broken => "the body broke off",
        })
    }
}

impl StdError for BodyProblem {}

/// A limit on silence. Nothing is set up as long as pieces come without waiting.
#[derive(Debug)]
struct Silence {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            since: None,
        }
    }

    /// Says how long it lasted.
    fn broken(&mut self) -> Duration {
        let since = self.since.take();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits for the limit of all silences, or for one of this silence when that is shorter.
    fn poll_too_long(&mut self, cx: &mut Context<'_>, most: Duration) -> Poll<()> {
        let limit = self.limit.min(most);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if self.since.is_none() {
            let now = Instant::now();
            sleep.as_mut().reset(now + limit);
            self.since = Some(now);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The body of a request as its sender has it, or as it was read.
#[derive(Debug)]
pub(crate) enum Received {
    Stream(Incoming),
    Whole(Bytes),
}

impl Received {
    /// Reads a body to its end, as far as its length, its silence and its pace are within limits.
    pub(crate) async fn read(
        body: Incoming,
        most: u64,
        silence: Duration,
        rate: u64,
    ) -> Result<Bytes, BodyProblem> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let upload = Upload::new(body, most, silence, rate, &UploadFate::default());
        Ok(upload.collect().await?.to_bytes())
    }
}

/// The body of a request on its way to the upstream.
#[derive(Debug)]
pub(crate) enum Upload {
    Empty,
    Whole(Option<Bytes>),
    Stream(UploadStream),
}

#[derive(Debug)]
pub(crate) struct UploadStream {
    inner: Incoming,
    left: u64,
    silence: Silence,
    pace: Pace,
    fate: UploadFate,
}

/// What became of an upload, for whoever has to answer its sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct UploadFate(Arc<Fate>);

#[derive(Debug, Default)]
struct Fate {
    problem: AtomicU8,
    pieces: AtomicU64,
}

impl UploadFate {
    /// How many pieces have gone on; it changes as long as the upload moves.
    pub(crate) fn pieces(&self) -> u64 {
        self.0.pieces.load(Relaxed)
    }

    fn set(&self, problem: BodyProblem) {
        let code = match problem {
            BodyProblem::TooLong => 1,
            BodyProblem::Idle | BodyProblem::Time => 2,
            BodyProblem::Broken => 3,
            BodyProblem::Slow => 4,
        };
        self.0.problem.store(code, Relaxed);
    }

    pub(crate) fn problem(&self) -> Option<BodyProblem> {
        match self.0.problem.load(Relaxed) {
            1 => Some(BodyProblem::TooLong),
            2 => Some(BodyProblem::Idle),
            3 => Some(BodyProblem::Broken),
            4 => Some(BodyProblem::Slow),
            _ => None,
        }
    }
}

impl Upload {
    /// At most so many bytes, each after a silence of that length at most, and so many a second at
    /// least when that time is over.
    pub(crate) fn new(
        inner: Incoming,
        most: u64,
        silence: Duration,
        rate: u64,
        fate: &UploadFate,
    ) -> Self {
        Self::Stream(UploadStream {
            inner,
            left: most,
            silence: Silence::new(silence),
            pace: Pace::new(rate, silence),
            fate: fate.clone(),
        })
    }

    /// A body that has been read.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Whole(Some(bytes))
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl UploadStream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, BodyProblem>> {
        loop {
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => {
                    let left = self.pace.left();
                    ready!(self.silence.poll_too_long(cx, left));
                    return Poll::Ready(Err(if left < self.silence.limit {
                        BodyProblem::Slow
                    } else {
                        BodyProblem::Idle
                    }));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(BodyProblem::Broken)),
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            let waited = self.silence.broken();
            self.pace.came(0, waited);
            // Trailers would be headers that nobody has looked at.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = data.len() as u64;
            let Some(left) = self.left.checked_sub(length) else {
                return Poll::Ready(Err(BodyProblem::TooLong));
            };
            self.left = left;
            self.pace.came(length, Duration::ZERO);
            self.fate.0.pieces.fetch_add(1, Relaxed);
            return Poll::Ready(Ok(Some(Frame::data(data))));
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyProblem;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => {
                let polled = ready!(stream.poll(cx));
                if let Err(problem) = &polled {
                    stream.fate.set(*problem);
                }
                Poll::Ready(polled.transpose())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(None) => true,
            Self::Whole(Some(_)) => false,
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

/// The body of an answer on its way to the caller.
#[derive(Debug, Default)]
pub(crate) enum Download {
    #[default]
    Empty,
    Whole(Option<Bytes>),
    Stream(Box<DownloadStream>),
    /// The answer to a call by gRPC: a message, and trailers that say how it ended.
    Call(Box<(Option<Bytes>, Option<HeaderMap>)>),
}

#[derive(Debug)]
pub(crate) struct DownloadStream {
    inner: Incoming,
    silence: Silence,
    deadline: Option<Pin<Box<Sleep>>>,
    lease: Option<Lease>,
    in_flight: InFlight,
}

impl Download {
    pub(crate) fn stream(
        inner: Incoming,
        silence: Duration,
        deadline: Option<Instant>,
        lease: Option<Lease>,
        in_flight: InFlight,
    ) -> Self {
        if inner.is_end_stream() {
            if let Some(lease) = lease {
                lease.give_back();
            }
            return Self::Empty;
        }
        Self::Stream(Box::new(DownloadStream {
            inner,
            silence: Silence::new(silence),
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            lease,
            in_flight,
        }))
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    pub(crate) fn call(message: Bytes, trailers: HeaderMap) -> Self {
        Self::Call(Box::new((Some(message), Some(trailers))))
    }
}

impl DownloadStream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(BodyProblem::Time)));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => {
                ready!(self.silence.poll_too_long(cx, Duration::MAX));
                Poll::Ready(Some(Err(BodyProblem::Idle)))
            }
            Poll::Ready(frame) => {
                self.silence.broken();
                self.in_flight.moved();
                Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyProblem::Broken)))
            }
        }
    }
}

impl Drop for DownloadStream {
    /// The connection is good for another request only when nothing of this answer is left in it.
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.inner.is_end_stream()
        {
            lease.give_back();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyProblem;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyProblem>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Call(call) => {
                let message = call.0.take().map(Frame::data);
                let frame = message.or_else(|| call.1.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            Self::Stream(stream) => {
                let polled = ready!(stream.poll(cx));
                if polled.is_none()
                    && let Some(lease) = stream.lease.take()
                {
                    lease.give_back();
                }
                Poll::Ready(polled)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_none(),
            Self::Call(call) => call.0.is_none() && call.1.is_none(),
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            // Were the length known, it would be taken for the whole of it.
            Self::Call(_) => SizeHint::default(),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}
