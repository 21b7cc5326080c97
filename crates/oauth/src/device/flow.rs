//! Waiting for the person: the polling of RFC 8628, sections 3.4 and 3.5.

use std::time::Duration;

use countersign_jose::Timestamp;

use super::DeviceAuthorization;
use crate::error::{Endpoint, Misuse};
use crate::exchange::Exchange;
use crate::http::Form;
use crate::{
    Client, DpopKey, Error, ErrorCode, Flow, HttpResponse, Metadata, Refusal, Step, TokenResponse,
    TransportError, answer,
};

/// What `slow_down` adds to the interval, for good (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// Backing off doubles the wait up to this (or the interval, if that is longer).
const MAX_BACK_OFF: Duration = Duration::from_secs(60);
/// From the third `slow_down` in a row on, a client that adds five seconds each time is chasing a
/// server that does the same from a higher start, and would never catch up without a longer pause.
const CHASING: u32 = 3;

/// The machine that polls the token endpoint until the person has decided.
///
/// - The first request goes out one interval after the start, each other one at least an interval
///   after the answer to the one before.
/// - `slow_down` adds five seconds to the interval, and nothing ever takes them away.
/// - A server that is unavailable (429, 5xx, a web page, an empty answer) or a network that fails
///   makes it back off and go on, for at least as long as `Retry-After` says. The last problem is kept
///   in view ([`last_problem`](Self::last_problem)).
/// - A demand for a DPoP nonce (RFC 9449, section 8) is answered at once, and once a poll.
/// - Nothing is sent at or after `expires_at`. A wait that would pass it is cut, but never below the
///   interval, so that one last question is asked before the end.
#[derive(Debug)]
pub struct DeviceFlow {
    exchange: Exchange,
    dpop: Option<DpopKey>,
    expires_at: Timestamp,
    interval: Duration,
    /// Failures since the last proper answer.
    failures: u32,
    /// `slow_down` answers since the last other one.
    slow_downs: u32,
    last_problem: Option<Error>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting { until: Timestamp },
    Sent,
    Approved(TokenResponse),
    Failed(Error),
    Finished,
}

impl DeviceFlow {
    /// Starts to wait at `now`, the time of the device authorization response.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no token endpoint.
    pub fn new(
        metadata: &Metadata,
        client: &Client,
        authorization: &DeviceAuthorization,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let device_code = &authorization.device_code;
        let mut form = Form::default();
        form.add("grant_type", crate::grant::DEVICE_CODE);
        form.add("device_code", device_code.expose());
        let mut secrets = vec![device_code];
        if let Some(verifier) = &authorization.code_verifier {
            form.add("code_verifier", verifier.expose());
            secrets.push(verifier);
        }
        let mut flow = Self {
            exchange: Exchange::form(metadata, Endpoint::Token, client, form, &secrets)?,
            dpop: client.dpop.clone(),
            expires_at: authorization.expires_at,
            interval: authorization.interval,
            failures: 0,
            slow_downs: 0,
            last_problem: None,
            state: State::Finished,
        };
        flow.wait(now, flow.interval);
        Ok(flow)
    }

    /// When the codes stop working.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The least time between two polls, as it is now.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Why the last poll got no proper answer; nothing if it did.
    pub fn last_problem(&self) -> Option<&Error> {
        self.last_problem.as_ref()
    }

    /// Schedules the next request `wait` from now, which is never less than the interval.
    fn wait(&mut self, now: Timestamp, wait: Duration) {
        let remaining = self.expires_at.since(now);
        // A server that wants to be left alone past the end is asked once more before it: otherwise an
        // approval that has already been given would be lost.
        let last_chance = remaining.saturating_sub(self.interval);
        let wait = wait.min(last_chance).max(self.interval);
        self.state = State::Waiting { until: now + wait };
    }

    fn back_off(&mut self, now: Timestamp, error: Error) {
        self.failures = self.failures.saturating_add(1);
        let wait =
            doubled(self.interval, self.failures).max(error.retry_after().unwrap_or_default());
        self.last_problem = Some(error);
        self.wait(now, wait);
    }

    /// What an error answer of the token endpoint means here.
    fn refused(
        &mut self,
        refusal: Refusal,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<(), Error> {
        let retry_after = response.retry_after().unwrap_or_default();
        match &refusal.code {
            Some(ErrorCode::AuthorizationPending) => {
                self.answered();
                self.slow_downs = 0;
                self.wait(now, retry_after);
                Ok(())
            }
            Some(ErrorCode::SlowDown) => {
                self.answered();
                self.slow_downs = self.slow_downs.saturating_add(1);
                self.interval = self.interval.saturating_add(SLOW_DOWN);
                // GitHub names the new interval in the answer.
                if let Some(named) = named_interval(response) {
                    self.interval = self.interval.max(named);
                }
                let chase = (self.slow_downs + 1).saturating_sub(CHASING);
                self.wait(now, doubled(self.interval, chase).max(retry_after));
                Ok(())
            }
            Some(ErrorCode::AccessDenied) => Err(Error::AccessDenied(refusal)),
            Some(ErrorCode::ExpiredToken) => Err(Error::DeviceCodeExpired { last_problem: None }),
            Some(ErrorCode::InvalidGrant) => Err(Error::DeviceCodeUnknown(refusal)),
            Some(ErrorCode::Other(name)) => match name.as_str() {
                // Names that servers made up for the same: django-oauth-toolkit (with 404), glewlwyd,
                // GitHub, and Entra ID.
                "device_not_found"
                | "invalid_code"
                | "incorrect_device_code"
                | "bad_verification_code" => Err(Error::DeviceCodeUnknown(refusal)),
                // Entra ID.
                "authorization_declined" => Err(Error::AccessDenied(refusal)),
                // GitHub, in the prose of its documentation.
                "token_expired" => Err(Error::DeviceCodeExpired { last_problem: None }),
                _ => Err(Error::Refused(refusal)),
            },
            _ => Err(Error::Refused(refusal)),
        }
    }

    fn answered(&mut self) {
        self.failures = 0;
        self.last_problem = None;
    }
}

impl Flow for DeviceFlow {
    type Output = TokenResponse;

    fn poll(&mut self, now: Timestamp) -> Result<Step<TokenResponse>, Error> {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Waiting { .. } if now >= self.expires_at => {
                let last_problem = self.last_problem.take().map(Box::new);
                Err(Error::DeviceCodeExpired { last_problem })
            }
            State::Waiting { until } if now < until => {
                self.state = State::Waiting { until };
                Ok(Step::WaitUntil(until.min(self.expires_at)))
            }
            State::Waiting { .. } => {
                let request = self.exchange.request(now)?;
                self.state = State::Sent;
                Ok(Step::Send(request))
            }
            State::Sent => {
                self.state = State::Sent;
                Err(Misuse::AnswerOutstanding.into())
            }
            State::Approved(tokens) => Ok(Step::Done(tokens)),
            State::Failed(error) => Err(error),
            State::Finished => Err(Misuse::Finished.into()),
        }
    }

    fn handle(&mut self, response: &HttpResponse, now: Timestamp) -> Result<(), Error> {
        if !matches!(self.state, State::Sent) {
            return Err(Misuse::NothingSent.into());
        }
        self.state = State::Finished;
        if self.exchange.wants_repeat(response)? {
            // Not a poll of its own: the server has not looked at the code yet.
            self.state = State::Waiting { until: now };
            return Ok(());
        }
        let answer = TokenResponse::bound(response, self.dpop.as_ref());
        match answer.map_err(|error| self.exchange.redacted(error)) {
            Ok(tokens) => {
                self.state = State::Approved(tokens);
                Ok(())
            }
            Err(Error::Refused(refusal)) => self.refused(refusal, response, now),
            Err(error) if error.is_retryable() => {
                self.back_off(now, error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn transport_failed(&mut self, error: TransportError, now: Timestamp) {
        if !matches!(self.state, State::Sent) {
            return;
        }
        self.exchange.lost();
        let retryable = error.is_retryable();
        let error = Error::Transport {
            endpoint: Endpoint::Token,
            source: error,
        };
        if retryable {
            self.back_off(now, error);
        } else {
            self.state = State::Failed(error);
        }
    }
}

/// `interval` doubled `times` over, up to the cap.
fn doubled(interval: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    interval
        .saturating_mul(factor)
        .min(MAX_BACK_OFF.max(interval))
}

fn named_interval(response: &HttpResponse) -> Option<Duration> {
    let members = answer::members(response).ok()?;
    answer::Object::new(Endpoint::Token, members)
        .seconds("interval")
        .ok()?
}
