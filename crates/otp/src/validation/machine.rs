//! Several servers asked at once, as a value that a driver moves.
//!
//! Not responsible for: clocks, sockets and sleep, which belong to the driver.

use std::fmt::{self, Write as _};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Accepted, Answer, BadAnswer, Client, Nonce, Retry, Status};
use crate::Unspent;
use crate::crypto::Crypto;
use crate::yubico::Otp;

/// What the driver does next.
#[derive(Debug)]
pub enum Step {
    /// Send this, and poll again at once: the others are to be asked at the same time.
    Send(Question),
    /// Poll again when something was handled, or at this time since 1970.
    WaitUntil(Duration),
    /// The validation is finished.
    Done(Outcome),
}

/// A `GET` to one of the servers. The address holds the password: `Debug` shows the server alone.
pub struct Question {
    server: usize,
    name: String,
    url: Zeroizing<String>,
}

impl Question {
    /// Which server, as [`Validation::handle`] wants to be told.
    pub fn server(&self) -> usize {
        self.server
    }

    /// The whole address. It is not to be logged.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("server", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came of it. Only [`Accepted`](Self::Accepted) lets anybody pass, and only once it was
/// settled.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// A server said `OK`. The servers keep counters too, but two requests with one password may
    /// both pass them at the same moment: settle it with a counter of your own.
    Accepted(Unspent<Accepted>),
    /// A server said `OK` and not which counters the password had. Only for clients that take this
    /// ([`Client::danger_without_counters`]).
    AcceptedWithoutCounters(Accepted),
    /// A server said that the password is wrong or was used before.
    Refused(Refusal),
    /// No server said either in time. Refuse, and ask the person to try again.
    Undecided(Undecided),
}

/// A password was refused by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the validation server refused the one-time password: {status}")]
pub struct Refusal {
    status: Status,
}

impl Refusal {
    /// What the server said.
    pub fn status(&self) -> Status {
        self.status
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self.status {
            Status::ReplayedOtp => "otp_replayed",
            _ => "otp_wrong",
        }
    }
}

/// No server gave a verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no validation server could say whether the one-time password is right{}", told(.troubles))]
pub struct Undecided {
    troubles: Vec<(String, Trouble)>,
}

impl Undecided {
    /// The servers that were asked, and what was the matter with each.
    pub fn troubles(&self) -> &[(String, Trouble)] {
        &self.troubles
    }

    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        "otp_undecided"
    }

    /// Whether the configuration of the client is at fault, so that trying again is no use.
    pub fn needs_correction(&self) -> bool {
        !self.troubles.is_empty()
            && self.troubles.iter().all(|(_, trouble)| match trouble {
                Trouble::Status(status) => status.retry() == Retry::Corrected,
                Trouble::Answer(BadAnswer::Unsigned { .. } | BadAnswer::Signature { .. }) => true,
                _ => false,
            })
    }
}

/// What is the matter with each server, for the operator.
fn told(troubles: &[(String, Trouble)]) -> String {
    let mut text = String::new();
    for (at, (server, trouble)) in troubles.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{}{server}: {trouble}",
            if at == 0 { ": " } else { "; " }
        );
    }
    text
}

/// Why a server gave no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// It said so, and signed it.
    #[error("the server said {0}")]
    Status(Status),
    /// It cannot be believed.
    #[error(transparent)]
    Answer(BadAnswer),
    /// There was no answer to read.
    #[error("the server could not be reached")]
    Transport,
    /// It did not answer within the time limit.
    #[error("the server did not answer in time")]
    Late,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Asked,
    Out(Trouble),
}

enum Verdict {
    Open,
    Accepted(Accepted),
    Refused(Status),
    Told,
}

/// One password, asked of all servers of a client.
///
/// A driver polls, sends what it is told (all of it at the same time if it can), and tells what came
/// back. The first definitive answer decides: `OK`, `BAD_OTP`, `DELAYED_OTP` or `REPLAYED_OTP`, the
/// last of which takes back an `OK` that was not told yet. Every other status, and every answer that
/// cannot be believed, leaves the decision to the remaining servers. After the time limit nothing
/// counts any more.
pub struct Validation {
    client: Client,
    otp: Otp,
    nonce: Nonce,
    crypto: Crypto,
    query: Zeroizing<String>,
    deadline: Duration,
    states: Vec<State>,
    verdict: Verdict,
}

impl Validation {
    pub(super) fn new(
        client: Client,
        otp: Otp,
        nonce: Nonce,
        now: Duration,
        crypto: Crypto,
    ) -> Self {
        Self {
            query: client.query(&otp, &nonce, crypto),
            deadline: now.saturating_add(client.time_limit),
            states: vec![State::Ready; client.servers.len()],
            verdict: Verdict::Open,
            client,
            otp,
            nonce,
            crypto,
        }
    }

    /// What to do at `now` (the time since 1970). After it was [`Step::Done`] once, nothing is
    /// accepted any more.
    pub fn poll(&mut self, now: Duration) -> Step {
        match std::mem::replace(&mut self.verdict, Verdict::Told) {
            Verdict::Accepted(accepted) => {
                return Step::Done(match accepted.into_unspent() {
                    Ok(unspent) => Outcome::Accepted(unspent),
                    Err(accepted) => Outcome::AcceptedWithoutCounters(accepted),
                });
            }
            Verdict::Refused(status) => return Step::Done(Outcome::Refused(Refusal { status })),
            Verdict::Told => return self.undecided(),
            Verdict::Open => {}
        }
        let is_over = self.states.iter().all(|it| matches!(it, State::Out(_)));
        if now >= self.deadline || is_over {
            return self.undecided();
        }
        self.verdict = Verdict::Open;
        match self.next_question() {
            Some(question) => Step::Send(question),
            None => Step::WaitUntil(self.deadline),
        }
    }

    fn next_question(&mut self) -> Option<Question> {
        let server = self.states.iter().position(|it| *it == State::Ready)?;
        *self.states.get_mut(server)? = State::Asked;
        let name = self.client.servers.get(server)?.as_str();
        let mut url = Zeroizing::new(String::with_capacity(name.len() + 1 + self.query.len()));
        url.push_str(name);
        url.push('?');
        url.push_str(&self.query);
        Some(Question {
            server,
            name: name.to_owned(),
            url,
        })
    }

    /// Takes the body of a server's answer, whatever its HTTP status was: the signature decides.
    /// What was not asked for, or comes too late, is passed over.
    pub fn handle(&mut self, server: usize, body: &[u8], now: Duration) {
        if !self.is_asked(server) || now >= self.deadline {
            return;
        }
        let answer = Answer::verify(body, &self.client, &self.otp, &self.nonce, now, self.crypto);
        let trouble = match answer {
            Ok(answer) => {
                let status = answer.status();
                match (status, answer.accepted(), &self.verdict) {
                    (_, Some(accepted), Verdict::Open) => {
                        self.verdict = Verdict::Accepted(accepted);
                    }
                    (Status::ReplayedOtp, _, Verdict::Open | Verdict::Accepted(_))
                    | (Status::BadOtp | Status::DelayedOtp, _, Verdict::Open) => {
                        self.verdict = Verdict::Refused(status);
                    }
                    _ => {}
                }
                Trouble::Status(status)
            }
            Err(bad) => Trouble::Answer(bad),
        };
        self.put_out(server, trouble);
    }

    /// Learns that a server gave no answer.
    pub fn transport_failed(&mut self, server: usize) {
        if self.is_asked(server) {
            self.put_out(server, Trouble::Transport);
        }
    }

    fn is_asked(&self, server: usize) -> bool {
        self.states.get(server) == Some(&State::Asked)
    }

    fn put_out(&mut self, server: usize, trouble: Trouble) {
        if let Some(state) = self.states.get_mut(server) {
            *state = State::Out(trouble);
        }
    }

    fn undecided(&self) -> Step {
        let troubles = self
            .client
            .servers
            .iter()
            .zip(&self.states)
            .map(|(server, state)| {
                let trouble = match state {
                    State::Out(trouble) => *trouble,
                    State::Ready | State::Asked => Trouble::Late,
                };
                (server.as_str().to_owned(), trouble)
            })
            .collect();
        Step::Done(Outcome::Undecided(Undecided { troubles }))
    }
}

/// The servers, and neither password nor key.
impl fmt::Debug for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validation")
            .field("servers", &self.client.servers)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
