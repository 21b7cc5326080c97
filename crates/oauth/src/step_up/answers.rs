//! The conversation with an API about one request that wants a one-time password.
//!
//! What holds, whatever an API answers: a password goes out once, to answer one challenge, and a person is
//! asked three times at most. No machine here ever answers by itself.
//!
//! Not responsible for: the person, the request, and the clock.

use std::time::Duration;

use countersign_jose::Timestamp;

use super::{OtpChallenge, OtpDemand, OtpError, OtpPassword, OtpRefused, UnreadableStepUp};
use crate::Secret;

/// How many passwords a person types for one request.
const MOST: u8 = 3;

/// Where a conversation stands.
///
/// Ask a person as [`challenge`](Self::challenge) says, within [`remaining`](Self::remaining); send the
/// request once more with the header that [`answer`](Self::answer) gives; and say what came of it to
/// [`heard`](Self::heard).
#[derive(Debug)]
pub struct OtpAnswers {
    state: State,
    until: Timestamp,
    typed: u8,
}

#[derive(Debug)]
enum State {
    Asking(OtpChallenge),
    /// What was asked, and the password is on its way.
    Sent,
    Over,
}

/// What an answer to the request with a password means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpHeard {
    /// It is the answer to the request.
    Answer,
    /// The password did not do, and another may.
    AskAgain,
}

/// No password came to the API, or none that it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtpFailed {
    /// Nobody typed one while there was time.
    #[error("nobody typed a one-time password in time")]
    TimedOut,
    /// The last of three did not do either.
    #[error("three were typed, and none did: {0}")]
    TooOften(OtpError),
    /// The API takes none now.
    #[error("{}", .0.error)]
    Refused(OtpRefused),
    /// The API got one, and asks as if it had not.
    #[error("the API got a one-time password, and asks for one again without a word about it")]
    Ignored,
    /// What it asks for cannot be read.
    #[error("the API asks for a one-time password, and not in a way that can be read")]
    Unreadable(#[from] UnreadableStepUp),
    /// The program answers what nobody asked.
    #[error("there is no challenge that this one-time password answers")]
    NotAsked,
}

impl OtpFailed {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TimedOut => "otp_timed_out",
            Self::TooOften(error) => error.code(),
            Self::Refused(refused) => refused.error.code(),
            Self::Ignored => "otp_ignored",
            Self::Unreadable(_) => "step_up_unreadable",
            Self::NotAsked => "otp_not_asked",
        }
    }
}

impl OtpAnswers {
    /// Begins with the challenge that an API sent, which came at `now`.
    pub fn new(challenge: OtpChallenge, now: Timestamp) -> Self {
        Self {
            until: now + challenge.expires_in,
            state: State::Asking(challenge),
            typed: 0,
        }
    }

    /// What a person is to be asked for; `None` when nothing is asked.
    pub fn challenge(&self) -> Option<&OtpChallenge> {
        match &self.state {
            State::Asking(challenge) => Some(challenge),
            State::Sent | State::Over => None,
        }
    }

    /// How long there is time to answer.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.until.since(now)
    }

    /// How many passwords may still be typed.
    pub fn tries_left(&self) -> u8 {
        MOST.saturating_sub(self.typed)
    }

    /// The value of the `Step-Up` header with which the request is sent once more, and once only.
    ///
    /// # Errors
    /// [`OtpFailed::TimedOut`] when it is too late, and then for good; [`OtpFailed::NotAsked`] when nothing
    /// is asked, or another kind of password.
    pub fn answer(&mut self, password: &OtpPassword, now: Timestamp) -> Result<Secret, OtpFailed> {
        let State::Asking(challenge) = &self.state else {
            return Err(OtpFailed::NotAsked);
        };
        if !challenge.methods.contains(&password.method()) {
            return Err(OtpFailed::NotAsked);
        }
        if now >= self.until {
            self.state = State::Over;
            return Err(OtpFailed::TimedOut);
        }
        let header = password.header(challenge);
        self.state = State::Sent;
        self.typed = self.typed.saturating_add(1);
        Ok(header)
    }

    /// What the answer to that request means: what it says about one-time passwords, as
    /// [`OtpDemand::find`] found it.
    ///
    /// # Errors
    /// When it is the end, and no answer to the request.
    pub fn heard(
        &mut self,
        found: Result<Option<OtpDemand>, UnreadableStepUp>,
        now: Timestamp,
    ) -> Result<OtpHeard, OtpFailed> {
        if !matches!(self.state, State::Sent) {
            return Err(OtpFailed::NotAsked);
        }
        self.state = State::Over;
        match found? {
            None => Ok(OtpHeard::Answer),
            Some(OtpDemand::Refused(refused)) => Err(OtpFailed::Refused(refused)),
            Some(OtpDemand::Password(challenge)) => match &challenge.error {
                None => Err(OtpFailed::Ignored),
                Some(error) if self.typed >= MOST => Err(OtpFailed::TooOften(error.clone())),
                Some(_) => {
                    self.until = now + challenge.expires_in;
                    self.state = State::Asking(challenge);
                    Ok(OtpHeard::AskAgain)
                }
            },
        }
    }
}
