//! What every machine here has in common.
//!
//! Not responsible for: clocks, sockets and sleep, which belong to the driver.

use countersign_jose::Timestamp;

use crate::exchange::Exchange;
use crate::{Error, HttpRequest, HttpResponse, Misuse, TransportError};

/// What the driver does next.
#[derive(Debug)]
pub enum Step<T> {
    /// Send this, then call [`Flow::handle`] or [`Flow::transport_failed`], then poll again.
    Send(HttpRequest),
    /// Poll again at this time; earlier is harmless and gets the same answer.
    WaitUntil(Timestamp),
    /// The machine is finished; this is what it was for.
    Done(T),
}

/// An exchange with an authorization server, as a value.
///
/// A driver loops: [`poll`](Self::poll), do as told, tell what came back. After `Done` or an error the
/// machine is finished. Times given to one machine should come from a clock that does not run
/// backwards: one reading of the wall clock plus the time elapsed since, so that a laptop whose
/// clock is set right in the middle of a login does not wait for hours.
///
/// Calling in the wrong order is [`Error::Misuse`], never a panic.
pub trait Flow {
    /// What the machine is for.
    type Output;

    /// What to do at `now`.
    fn poll(&mut self, now: Timestamp) -> Result<Step<Self::Output>, Error>;

    /// Takes the answer to the request that [`poll`](Self::poll) last asked to send.
    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error>;

    /// Learns that there was no answer. If that ends the exchange, the next poll says so.
    fn transport_failed(&mut self, error: TransportError, now: Timestamp);
}

/// An exchange of one request and one answer: the whole machine but for the meaning of the answer.
#[derive(Debug)]
pub(crate) struct Once<T> {
    exchange: Exchange,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Ready,
    Sent,
    Answered(T),
    Failed(Error),
    Finished,
}

impl<T> Once<T> {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            state: State::Ready,
        }
    }

    /// The exchange, to be completed before it begins.
    pub(crate) fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(crate) fn poll(&mut self, now: Timestamp) -> Result<Step<T>, Error> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Ready => {
                let request = self.exchange.request(now)?;
                self.state = State::Sent;
                Ok(Step::Send(request))
            }
            State::Sent => {
                self.state = State::Sent;
                Err(Misuse::AnswerOutstanding.into())
            }
            State::Answered(output) => Ok(Step::Done(output)),
            State::Failed(error) => Err(error),
            State::Finished => Err(Misuse::Finished.into()),
        }
    }

    pub(crate) fn handle(
        &mut self,
        response: &HttpResponse,
        read: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(), Error> {
        if !matches!(self.state, State::Sent) {
            return Err(Misuse::NothingSent.into());
        }
        self.state = State::Finished;
        self.state = if self.exchange.wants_repeat(response)? {
            State::Ready
        } else {
            State::Answered(read().map_err(|error| self.exchange.redacted(error))?)
        };
        Ok(())
    }

    pub(crate) fn transport_failed(&mut self, error: TransportError) {
        if matches!(self.state, State::Sent) {
            self.state = State::Failed(Error::Transport {
                endpoint: self.exchange.endpoint(),
                source: error,
            });
        }
    }
}
