//! One request to an API, sent again as often as the API may ask for it: with its own nonce (RFC 9449,
//! section 9), after another sign-in (RFC 9470), with a one-time password (`docs/step-up.md`).
//!
//! Not responsible for sending it: the program has its own HTTP library.

use std::time::Duration;

use countersign_oauth::{
    OtpDemand, OtpFailed, OtpHeard, OtpRefused, StepUp, Target, UnreadableStepUp, wants_dpop_nonce,
};
use url::Url;

use super::confirmation::{Confirmation, OtpPrompt};
use crate::error::NotSteppedUp;
use crate::transport::is_safe;
use crate::{Error, Secret, TokenSource};

/// More fields of one name than this are not looked at.
const MAX_FIELDS: usize = 32;

/// A request of a program, and what it takes until the API is content. The crate's own page has the loop that
/// belongs to it.
#[derive(Debug)]
pub struct Call<'a> {
    tokens: &'a TokenSource,
    method: String,
    url: Url,
    target: Option<Target>,
    min_ttl: Duration,
    confirmation: Option<Confirmation>,
    /// The value of `Step-Up` for the next request, and for no other.
    step_up: Option<Secret>,
    had_nonce: bool,
    signed_in: bool,
}

/// What to do after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum CallNext {
    /// It is the answer.
    Done,
    /// Send the same request once more, with the header fields of now.
    Again,
    /// The API wants the person to sign in like this; after [`Login::step_up`](crate::Login::step_up), send
    /// the same request once more. Said once: an API that asks again is not content with what the
    /// authorization server gives.
    SignIn(StepUp),
}

/// What an API's answer says in its header fields.
#[derive(Debug, Default)]
struct Said {
    www_authenticate: Vec<String>,
    retry_after: Option<String>,
    dpop_nonces: Vec<String>,
}

impl TokenSource {
    /// A request that is about to be sent: its method, in capitals, and its address.
    pub fn call(&self, method: &str, url: &Url) -> Call<'_> {
        Call {
            tokens: self,
            method: method.to_owned(),
            url: url.clone(),
            target: None,
            min_ttl: Duration::from_secs(60),
            confirmation: None,
            step_up: None,
            had_nonce: false,
            signed_in: false,
        }
    }
}

impl Call<'_> {
    /// With the token for another API than the session's own.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// With a token that is good for at least so long; a minute if nothing is said.
    #[must_use]
    pub fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = min_ttl;
        self
    }

    /// The header fields for the request that is sent now: names in lower case, and values, which are
    /// secrets. Each time they are others.
    ///
    /// Send them to this address and nowhere else: have the HTTP library follow no redirects, for it may
    /// take fields along that it does not know.
    ///
    /// # Errors
    /// As [`TokenSource::authorization`].
    pub fn headers(&mut self) -> Result<Vec<(&'static str, Secret)>, Error> {
        let authorization = match &self.target {
            None => self
                .tokens
                .authorization(&self.method, &self.url, self.min_ttl)?,
            Some(target) => {
                let token = self.tokens.token_for(target, self.min_ttl)?;
                self.tokens
                    .authorization_with(&token, &self.method, &self.url)?
            }
        };
        let mut headers = authorization.headers;
        headers.extend(self.step_up.take().map(|value| ("step-up", value)));
        Ok(headers)
    }

    /// What to do after an answer, by its status and all of its header fields: those of the crate `http`
    /// are taken as they are. Asks `person` where the API wants a one-time password.
    ///
    /// # Errors
    /// [`Error::NotSteppedUp`] when the API wants one and gets none that it takes;
    /// [`Error::Configuration`] when the address is neither `https` nor on this computer.
    pub fn heard<N: AsRef<str>, V: AsRef<[u8]>>(
        &mut self,
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
        person: &mut dyn OtpPrompt,
    ) -> Result<CallNext, Error> {
        let said = Said::of(headers);
        let learned = self.learn(&said)?;
        let found = said.otp(status);
        if let Some(confirmation) = &mut self.confirmation {
            return match confirmation.heard(found, self.tokens.context().clock()) {
                Ok(OtpHeard::Answer) => Ok(CallNext::Done),
                Ok(OtpHeard::AskAgain) => self.ask(person),
                Err(failed) => Err(failed.into()),
            };
        }
        if learned && !self.had_nonce && wants_dpop_nonce(status, said.challenges()) {
            self.had_nonce = true;
            return Ok(CallNext::Again);
        }
        let unreadable = |error: UnreadableStepUp| Box::new(NotSteppedUp::Otp(error.into()));
        match StepUp::find(status, said.challenges()).map_err(unreadable)? {
            Some(_) if self.signed_in => return Ok(CallNext::Done),
            Some(wanted) => {
                self.signed_in = true;
                // The new session may have a new key, for which no nonce is known.
                self.had_nonce = false;
                return Ok(CallNext::SignIn(wanted));
            }
            None => {}
        }
        match found.map_err(unreadable)? {
            Some(OtpDemand::Password(_)) if !is_safe(&self.url) => Err(Error::Configuration {
                what: "address",
                why: "a one-time password goes over https only".to_owned(),
            }),
            Some(OtpDemand::Password(challenge)) => {
                let clock = self.tokens.context().clock();
                let confirmation = Confirmation::new(challenge, &self.method, &self.url, clock);
                self.confirmation = Some(confirmation);
                self.ask(person)
            }
            Some(OtpDemand::Refused(refused)) => Err(refusal(refused)),
            None | Some(_) => Ok(CallNext::Done),
        }
    }

    fn ask(&mut self, person: &mut dyn OtpPrompt) -> Result<CallNext, Error> {
        let Some(confirmation) = &mut self.confirmation else {
            return Ok(CallNext::Done);
        };
        let header = confirmation.ask(person, self.tokens.context().clock());
        self.step_up = Some(header?);
        Ok(CallNext::Again)
    }

    /// Keeps the nonce for the proofs to come. Two of them are none.
    fn learn(&self, said: &Said) -> Result<bool, Error> {
        match said.dpop_nonces.as_slice() {
            [nonce] => self.tokens.take_dpop_nonce(&self.url, nonce),
            _ => Ok(false),
        }
    }
}

fn refusal(refused: OtpRefused) -> Error {
    Box::new(NotSteppedUp::Otp(OtpFailed::Refused(refused))).into()
}

impl Said {
    fn of<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut said = Self::default();
        for (name, value) in headers {
            let Ok(value) = std::str::from_utf8(value.as_ref()) else {
                continue;
            };
            let is = |known: &str| name.as_ref().eq_ignore_ascii_case(known);
            if is("www-authenticate") && said.www_authenticate.len() < MAX_FIELDS {
                said.www_authenticate.push(value.to_owned());
            } else if is("retry-after") {
                said.retry_after.get_or_insert_with(|| value.to_owned());
            } else if is("dpop-nonce") && said.dpop_nonces.len() < 2 {
                said.dpop_nonces.push(value.to_owned());
            }
        }
        said
    }

    fn challenges(&self) -> impl Iterator<Item = &str> {
        self.www_authenticate.iter().map(String::as_str)
    }

    fn otp(&self, status: u16) -> Result<Option<OtpDemand>, UnreadableStepUp> {
        OtpDemand::find(status, self.challenges(), self.retry_after.as_deref())
    }
}
