//! One sign-in between the service and the authorization server, as a value: what is said, what is waited
//! for, and when it is over.
//!
//! Ask it what comes next at a time, do that, and tell it what happened. Times are those of a monotonic
//! clock. It never waits itself, and every wait it asks for has an end.
//!
//! Not responsible for who may ask (`door`), nor for what verified claims allow (`rules`).

use std::fmt;
use std::time::Duration;

use countersign_client::Secret;

use crate::config::Show;
use crate::prompt::{self, Shown, Who};
use crate::revoke::Unclaimed;
use crate::rules::Person;

/// The first prompt comes within this, or not at all: sshd pads longer waits to twice as long.
const FIRST: Duration = Duration::from_secs(3);
/// How long an answer is held before the question is asked again: longer than the five seconds between two
/// polls (RFC 8628, section 3.5), so that whoever approves and then presses Enter is not asked again.
const HOLD: Duration = Duration::from_secs(6);
/// The longest that the module hears nothing.
const SILENCE: Duration = Duration::from_millis(3500);
/// How often a service without prompts is told that we are still here: it notices by it that the client
/// is gone.
const BEAT: Duration = Duration::from_secs(1);
/// How often the question is asked again.
const MOST_AGAIN: u32 = 5;

/// What happened.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The authorization server has begun.
    Shown(Shown),
    /// The person pressed Enter.
    Answered(Secret),
    /// What was pasted is no code; nothing has been sent.
    NotACode,
    /// The person has signed in.
    Signed(Box<Signed>),
    /// It failed.
    Failed(Failure),
}

/// A person who has signed in, by an ID token that was verified.
pub(crate) struct Signed {
    pub(crate) person: Person,
    /// How long the access token lives, if the server says.
    pub(crate) access_expires_in: Option<Duration>,
    pub(crate) refresh_token: Option<Unclaimed>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("access_expires_in", &self.access_expires_in)
            .field("refreshable", &self.refresh_token.is_some())
            .finish_non_exhaustive()
    }
}

/// Why nobody has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// For the journal.
    pub(crate) why: String,
}

/// What kind of failure it is: what the person is told, and what the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The person, or the server on their behalf, said no.
    Denied,
    /// Nobody approved in time.
    Expired,
    /// The person gave up.
    GivenUp,
    /// The server is away.
    Unreachable,
    /// The server said something that cannot be believed.
    Unbelievable,
    /// The server does not let this client do that.
    Misconfigured,
    /// The worker is gone.
    Interrupted,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, why: impl Into<String>) -> Self {
        Self {
            kind,
            why: why.into(),
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Show this and bring the answer.
    Prompt(String),
    /// Show this.
    Info(String),
    /// Say that we are at work.
    Working,
    /// Give this to the authorization server as the code.
    Redeem(Secret),
    /// Nothing until then, or until something happens.
    Wait(Duration),
    /// It is over.
    End(Result<Box<Signed>, Failure>),
}

/// A sign-in under way.
#[derive(Debug)]
pub(crate) struct Conversation {
    who: Who,
    show: Show,
    auto_continue: bool,
    begun: Duration,
    deadline: Duration,
    /// When the module last heard of us.
    said: Duration,
    again: u32,
    shown: Option<Shown>,
    outcome: Option<Result<Box<Signed>, Failure>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For the authorization server to begin.
    Beginning,
    /// A question is due.
    Due(String),
    /// For the person.
    Asking,
    /// For the authorization server, after an answer.
    Holding {
        until: Duration,
    },
    /// A code is to be redeemed.
    Pasted(Secret),
    /// For the authorization server to take the code.
    Redeeming,
    /// For the authorization server, with nothing asked.
    Streaming {
        beat: Duration,
    },
    Over,
}

impl Conversation {
    /// Begins at `now`. It ends by itself after `limit`.
    pub(crate) fn new(
        who: Who,
        show: Show,
        auto_continue: bool,
        limit: Duration,
        now: Duration,
    ) -> Self {
        Self {
            who,
            show,
            auto_continue,
            begun: now,
            deadline: now + limit,
            said: now,
            again: 0,
            shown: None,
            outcome: None,
            state: State::Beginning,
        }
    }

    /// Whether a question is open at the module, which hears nothing until it is answered.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking)
    }

    /// Whether the service waits for us, with nothing asked: it does not look after its client meanwhile.
    pub(crate) fn is_holding(&self) -> bool {
        matches!(self.state, State::Holding { .. } | State::Redeeming)
    }

    fn left(&self, now: Duration) -> Duration {
        self.deadline.saturating_sub(now)
    }

    /// What happened at `now`.
    pub(crate) fn hear(&mut self, heard: Heard, now: Duration) {
        match heard {
            Heard::Shown(shown) => {
                if !matches!(self.state, State::Beginning) {
                    return;
                }
                if let Shown::Device { expires_in, .. } = &shown {
                    self.deadline = self.deadline.min(now + *expires_in);
                }
                self.state = if self.auto_continue && matches!(shown, Shown::Device { .. }) {
                    State::Streaming { beat: now }
                } else {
                    State::Due(prompt::first(&self.who, &shown, self.show, self.left(now)))
                };
                self.shown = Some(shown);
            }
            Heard::Answered(text) => self.answered(text, now),
            Heard::NotACode => {
                if matches!(self.state, State::Redeeming) {
                    self.ask_again(prompt::not_a_code(self.left(now)));
                }
            }
            Heard::Signed(signed) => self.outcome = Some(Ok(signed)),
            Heard::Failed(failure) => self.outcome = Some(Err(failure)),
        }
    }

    fn answered(&mut self, text: Secret, now: Duration) {
        // Nobody asked, or nobody asks any more.
        if !self.is_asking() {
            return;
        }
        // The module has had its turn, and waits from now on.
        self.said = now;
        let typed = text.expose().trim();
        if typed.eq_ignore_ascii_case("q") {
            let failure = Failure::new(FailureKind::GivenUp, "the person gave up");
            self.outcome.get_or_insert(Err(failure));
        }
        self.state = match &self.shown {
            Some(Shown::Paste { .. }) if typed.is_empty() => {
                self.ask_again(prompt::not_a_code(self.left(now)));
                return;
            }
            Some(Shown::Paste { .. }) => State::Pasted(text),
            // Whatever was typed, a password perhaps, is looked at no further.
            _ => State::Holding { until: now + HOLD },
        };
    }

    /// Asks again, if that has not been done too often.
    fn ask_again(&mut self, text: String) {
        if self.again >= MOST_AGAIN {
            let why = format!("asked {MOST_AGAIN} times more, and nothing came");
            self.outcome
                .get_or_insert(Err(Failure::new(FailureKind::Expired, why)));
            return;
        }
        self.again += 1;
        self.state = State::Due(text);
    }

    /// What comes next at `now`.
    pub(crate) fn next(&mut self, now: Duration) -> Next {
        // Somebody who is being asked is not interrupted by good news or bad: the module cannot hear it.
        // The deadline is another matter, because nobody is waited for beyond it.
        if !self.is_asking()
            && let Some(outcome) = self.outcome.take()
        {
            self.state = State::Over;
            return Next::End(outcome);
        }
        if now >= self.deadline && !matches!(self.state, State::Over) {
            // Also when somebody approved, and nobody has said so at the prompt.
            return self.end(Err(Failure::new(
                FailureKind::Expired,
                "nobody approved in time",
            )));
        }
        match &mut self.state {
            State::Beginning if now >= self.begun + FIRST => {
                let why = "the authorization server has not answered within 3 s";
                self.end(Err(Failure::new(FailureKind::Unreachable, why)))
            }
            State::Beginning => Next::Wait((self.begun + FIRST).min(self.deadline)),
            State::Due(text) => {
                let text = std::mem::take(text);
                self.said = now;
                self.state = State::Asking;
                Next::Prompt(text)
            }
            State::Asking => Next::Wait(self.deadline),
            State::Holding { until } if now >= *until => {
                let left = self.left(now);
                self.ask_again(prompt::again(left));
                self.next(now)
            }
            State::Holding { until } => {
                let until = *until;
                self.quietly(until, now)
            }
            State::Pasted(text) => {
                let text = text.clone();
                self.state = State::Redeeming;
                Next::Redeem(text)
            }
            State::Redeeming => self.quietly(self.deadline, now),
            State::Streaming { beat } if now >= *beat => {
                *beat = now + BEAT;
                self.said = now;
                // The first time with the text, then with nothing: the client shows nothing of that.
                let text = match self.shown.take() {
                    Some(shown) => prompt::announced(&self.who, &shown, self.left(now)),
                    None => String::new(),
                };
                Next::Info(text)
            }
            State::Streaming { beat } => Next::Wait((*beat).min(self.deadline)),
            State::Over => {
                let why = "it is over already";
                Next::End(Err(Failure::new(FailureKind::Interrupted, why)))
            }
        }
    }

    /// Waits until `until`, and lets the module hear of us meanwhile.
    fn quietly(&mut self, until: Duration, now: Duration) -> Next {
        let due = self.said + SILENCE;
        if now >= due {
            self.said = now;
            return Next::Working;
        }
        Next::Wait(until.min(due).min(self.deadline))
    }

    fn end(&mut self, outcome: Result<Box<Signed>, Failure>) -> Next {
        self.state = State::Over;
        Next::End(outcome)
    }
}

#[cfg(test)]
mod tests;
