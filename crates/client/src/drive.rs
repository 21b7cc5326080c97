//! Runs the machines of `countersign-oauth`: sends what they ask for and waits when they say so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_oauth::{Flow, HttpRequest, HttpResponse, Method, Step, TransportError};

use crate::clock::Span;
use crate::offset::Offset;
use crate::{Clock, Error, Timestamp, Transport};

/// What happens between requests.
pub(crate) trait Waiting {
    /// Lets `duration` pass, or ends the exchange by an error.
    fn wait(&mut self, duration: Duration) -> Result<(), Error>;

    /// Hears of a request that failed and may be repeated.
    fn trouble(&mut self, why: &str) {
        let _ = why;
    }
}

/// For exchanges of a single request, in which there is nobody to show anything to.
pub(crate) struct Asleep<'a>(pub(crate) &'a dyn Clock);

impl Waiting for Asleep<'_> {
    fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        self.0.sleep(duration);
        Ok(())
    }
}

/// Runs `flow` to its end.
pub(crate) fn drive<F: Flow>(
    flow: &mut F,
    transport: &dyn Transport,
    clock: &dyn Clock,
    waiting: &mut dyn Waiting,
) -> Result<F::Output, Error> {
    let mut span = Span::begin(clock);
    loop {
        let now = span.now(clock);
        match flow.poll(now)? {
            Step::Done(output) => return Ok(output),
            Step::WaitUntil(at) => waiting.wait(at.since(now))?,
            Step::Send(request) => match transport.send(&request, Duration::MAX) {
                Ok(answer) => {
                    flow.handle(&answer, span.now(clock))?;
                    if answer.status == 429 || answer.status >= 500 {
                        waiting.trouble(&format!("the server answered {}", answer.status));
                    }
                }
                Err(error) => {
                    if error.is_retryable() {
                        waiting.trouble(&error.to_string());
                    }
                    flow.transport_failed(error, span.now(clock));
                }
            },
        }
    }
}

/// A transport that gives up at a point in time, however many requests are left.
pub(crate) struct Until {
    inner: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// By the monotonic clock.
    deadline: Duration,
}

impl Until {
    /// Gives up after `limit`, which begins now.
    pub(crate) fn new(inner: Arc<dyn Transport>, clock: Arc<dyn Clock>, limit: Duration) -> Self {
        let deadline = clock.monotonic().saturating_add(limit);
        Self {
            inner,
            clock,
            deadline,
        }
    }
}

impl Transport for Until {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        let left = self.deadline.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return Err(TransportError::Timeout);
        }
        self.inner.send(request, limit.min(left))
    }
}

/// A transport that notes what answers tell beside their content: the server's time, when the last
/// request was sent, and how long an answer may be kept.
pub(crate) struct Attentive<'a> {
    inner: &'a dyn Transport,
    clock: &'a dyn Clock,
    heard: Mutex<Heard>,
}

#[derive(Clone, Copy)]
struct Heard {
    offset: Offset,
    sent: Timestamp,
    max_age: Option<Duration>,
}

impl<'a> Attentive<'a> {
    pub(crate) fn new(inner: &'a dyn Transport, clock: &'a dyn Clock) -> Self {
        let heard = Heard {
            offset: Offset::default(),
            sent: clock.now(),
            max_age: None,
        };
        Self {
            inner,
            clock,
            heard: Mutex::new(heard),
        }
    }

    /// How far the server's clock is from ours.
    pub(crate) fn offset(&self) -> Offset {
        self.heard().offset
    }

    /// When the last request was sent, by our clock.
    pub(crate) fn last_sent(&self) -> Timestamp {
        self.heard().sent
    }

    /// How long what was fetched may be kept: the least of what the answers say, if any did.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        self.heard().max_age
    }

    fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Attentive<'_> {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        let sent = self.clock.now();
        let answer = self.inner.send(request, limit);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.sent = sent;
        match (&answer, request.method) {
            (Ok(answer), Method::Post) => heard.offset.learn(answer, sent, self.clock.now()),
            // What a GET brings may come out of somebody's cache, with the date of another day.
            (Ok(answer), Method::Get) if answer.status == 200 => {
                let ages = [heard.max_age, answer.max_age()];
                heard.max_age = ages.into_iter().flatten().min();
            }
            _ => {}
        }
        answer
    }
}
