//! A person confirms one request with a one-time password (`docs/step-up.md`).
//!
//! Not responsible for sending the request ([`Call`](super::Call)), nor for drawing: the caller brings
//! somebody to ask.

use std::fmt::Write as _;
use std::time::Duration;

use countersign_oauth::{
    NotOtp, OtpAnswers, OtpChallenge, OtpDemand, OtpError, OtpFailed, OtpHeard, OtpMethod,
    OtpPassword, UnreadableStepUp,
};
use url::Url;

use crate::error::NotSteppedUp;
use crate::{Clock, Secret, printable};

/// Lines that are no password, one after the other, before it is taken that nobody means to type one.
const MOST_SLIPS: u8 = 10;

/// Asks a person for a one-time password. Implemented by whoever owns the screen; [`OtpTerminal`] asks
/// at a terminal.
///
/// [`OtpTerminal`]: crate::OtpTerminal
pub trait OtpPrompt {
    /// Shows what is asked for, and waits for a line, no longer than [`remaining`] says.
    ///
    /// A Yubikey types 44 letters and presses Enter. The line is taken as it is typed: blanks and capital
    /// letters are no concern of the prompt.
    ///
    /// [`remaining`]: OtpQuestion::remaining
    fn one_time_password(&mut self, question: &OtpQuestion<'_>) -> OtpReply;
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtpReply {
    /// A line.
    Typed(Secret),
    /// Nothing: there was no time left, or nobody to ask.
    Nothing,
    /// The person wants to stop.
    Stopped,
}

/// What a person is asked. All of it is fit to print.
#[derive(Debug)]
#[non_exhaustive]
pub struct OtpQuestion<'a> {
    /// Who asks: the origin that the request went to.
    pub api: &'a str,
    /// What will be sent again, as this program knows it: method and address.
    pub request: &'a str,
    /// What the API calls it. Its word alone: show it below the request, and as somebody else's.
    pub action: Option<&'a str>,
    /// What will do, best first.
    pub methods: &'a [OtpMethod],
    /// How long there is time.
    pub remaining: Duration,
    /// How many may still be typed, this one included.
    pub tries_left: u8,
    /// What was wrong with the one before.
    pub slip: Option<OtpSlip<'a>>,
}

/// Why a person is asked once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpSlip<'a> {
    /// What was typed is no password, and was not sent.
    Malformed(&'a NotOtp),
    /// The API did not take it.
    Refused(&'a OtpError),
}

impl OtpQuestion<'_> {
    /// The line that a person types into.
    pub fn prompt(&self) -> &'static str {
        match (self.takes(OtpMethod::Yubikey), self.takes(OtpMethod::Totp)) {
            (true, true) => "please enter yubikey OTP or 6-digit code: ",
            (true, false) => "please enter yubikey OTP: ",
            _ => "please enter the 6-digit code: ",
        }
    }

    /// What stands above it: who asks for what the first time, what was wrong after that.
    pub fn text(&self) -> String {
        let Some(slip) = self.slip else {
            let mut text = format!(
                "{} asks for a one-time password, to do this:\n  {}\n",
                self.api, self.request
            );
            if let Some(action) = self.action {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "The API calls that: {action}");
            }
            return text;
        };
        let left = match self.tries_left {
            1 => "One try is left.",
            _ => "Two tries are left.",
        };
        match slip {
            OtpSlip::Malformed(error) if self.methods.len() > 1 => {
                format!("That is neither: {error}.\n")
            }
            OtpSlip::Malformed(error) => format!("That is no one-time password: {error}.\n"),
            OtpSlip::Refused(OtpError::Replayed) => {
                let next = match (self.takes(OtpMethod::Yubikey), self.takes(OtpMethod::Totp)) {
                    (true, true) => "Touch the key again, or wait for the next code.",
                    (true, false) => "Touch the key again.",
                    _ => "Wait for the next code.",
                };
                format!("That one was used before. {next} {left}\n")
            }
            OtpSlip::Refused(OtpError::Expired) => format!("That came too late. {left}\n"),
            OtpSlip::Refused(_) => format!("That is not it. {left}\n"),
        }
    }

    fn takes(&self, method: OtpMethod) -> bool {
        self.methods.contains(&method)
    }
}

/// One request, and the passwords that are typed for it.
#[derive(Debug)]
pub struct Confirmation {
    answers: OtpAnswers,
    api: String,
    request: String,
    action: Option<String>,
}

impl Confirmation {
    /// For a request that an API has just answered with this challenge.
    pub fn new(challenge: OtpChallenge, method: &str, url: &Url, clock: &dyn Clock) -> Self {
        Self {
            api: printable(&url.origin().ascii_serialization()),
            request: printable(&format!("{method} {}", without_fragment(url))),
            action: challenge.action.clone(),
            answers: OtpAnswers::new(challenge, clock.now()),
        }
    }

    /// Asks the person, until what was typed is a password: the value of the `Step-Up` header of the
    /// one request that is sent now.
    ///
    /// It goes to the origin that asked and to no other, so redirects are not followed with it; and into
    /// no argument of a program, and no log.
    ///
    /// # Errors
    /// [`NotSteppedUp::Stopped`], [`NotSteppedUp::NothingTyped`], and [`NotSteppedUp::Otp`] when it was
    /// too late.
    pub fn ask(
        &mut self,
        person: &mut dyn OtpPrompt,
        clock: &dyn Clock,
    ) -> Result<Secret, Box<NotSteppedUp>> {
        let Some(challenge) = self.answers.challenge().cloned() else {
            return Err(otp(OtpFailed::NotAsked));
        };
        let mut malformed: Option<NotOtp> = None;
        for _ in 0..MOST_SLIPS {
            let refused = challenge.error.as_ref().map(OtpSlip::Refused);
            let question = OtpQuestion {
                api: &self.api,
                request: &self.request,
                action: self.action.as_deref(),
                methods: &challenge.methods,
                remaining: self.answers.remaining(clock.now()),
                tries_left: self.answers.tries_left(),
                slip: malformed.as_ref().map(OtpSlip::Malformed).or(refused),
            };
            let reply = match question.remaining {
                Duration::ZERO => OtpReply::Nothing,
                _ => person.one_time_password(&question),
            };
            match reply {
                OtpReply::Stopped => return Err(NotSteppedUp::Stopped.into()),
                OtpReply::Nothing if self.answers.remaining(clock.now()).is_zero() => {
                    return Err(otp(OtpFailed::TimedOut));
                }
                OtpReply::Nothing => return Err(NotSteppedUp::NothingTyped.into()),
                OtpReply::Typed(line) => {
                    match OtpPassword::typed(line.expose(), &challenge.methods) {
                        Ok(password) => {
                            let header = self.answers.answer(&password, clock.now());
                            return header.map_err(otp);
                        }
                        Err(error) => malformed = Some(error),
                    }
                }
            }
        }
        Err(NotSteppedUp::NothingTyped.into())
    }

    /// What the answer to that request means; then [`ask`](Self::ask) again, or it is the end.
    ///
    /// # Errors
    /// [`NotSteppedUp::Otp`] when it is the end, and no answer to the request.
    pub fn heard(
        &mut self,
        found: Result<Option<OtpDemand>, UnreadableStepUp>,
        clock: &dyn Clock,
    ) -> Result<OtpHeard, Box<NotSteppedUp>> {
        let heard = self.answers.heard(found, clock.now());
        heard.map_err(otp)
    }
}

fn otp(failed: OtpFailed) -> Box<NotSteppedUp> {
    Box::new(NotSteppedUp::Otp(failed))
}

fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}
