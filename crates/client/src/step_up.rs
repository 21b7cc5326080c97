//! A login that an API asked for: the same person, for the same things, but more surely or more recently
//! (RFC 9470, section 4). And below, in rooms of their own, the one-time password that it may ask for, and
//! the request that goes out again for either.
//!
//! Not responsible for what an API wants ([`StepUp`]), nor for sending the request to it again: whoever
//! sent it knows whether that can be done. Once is enough. An API that asks a second time is not content
//! with what the authorization server gives, and will not be with a third sign-in either.

mod call;
mod confirmation;
mod terminal;

use std::time::Duration;

use countersign_oauth::{Error as ExchangeError, IdTokenError, StepUp};

use crate::accounts::{Placing, call};
use crate::error::NotSteppedUp;
use crate::run::{self, Occasion};
use crate::{
    Error, Identity, Login, LoginRequired, Prompt, Session, SignIn, Timestamp, TokenSource,
};

pub use self::call::{Call, CallNext};
pub use self::confirmation::{Confirmation, OtpPrompt, OtpQuestion, OtpReply, OtpSlip};
pub use self::terminal::OtpTerminal;

impl Identity {
    /// Whether the person signed in as `wanted` asks for it, as far as the ID token says.
    pub fn meets(&self, wanted: &StepUp, now: Timestamp) -> bool {
        let auth_time = self.auth_time.map(Timestamp::from_secs);
        wanted.is_met(self.acr.as_deref(), auth_time, now)
    }
}

impl Login {
    /// Signs the person of `tokens` in again, as `wanted` asks for it, and keeps the new session in the
    /// place of theirs. From then on `tokens` gives its tokens.
    ///
    /// Scopes, API and key are those of the session there is; the way to sign in, and all else, is this
    /// login's. Of several processes that are asked for the same at the same time, one signs in, and the
    /// others take the result if it is enough.
    ///
    /// The scope that `wanted` may name is not asked for: an API cannot widen what a login is for.
    ///
    /// # Errors
    /// [`Error::NotSteppedUp`] when the new sign-in is not what was asked for, as far as its ID token
    /// says, or when there is no person; [`Error::OtherPerson`] when somebody else has signed in; and as
    /// [`run`](Self::run). Whatever it is, the session is as it was.
    pub fn step_up(
        &self,
        tokens: &TokenSource,
        wanted: &StepUp,
        prompt: &mut dyn Prompt,
    ) -> Result<Session, Error> {
        let known = tokens.session();
        if known.flow() == Some(SignIn::ClientCredentials) {
            return Err(Box::new(NotSteppedUp::NoPerson).into());
        }
        if !tokens.is_for(self.issuer().as_str(), self.client_id()) {
            return Err(Error::LoginRequired {
                session: tokens.name().to_string(),
                reason: LoginRequired::NoSession,
            });
        }
        let found = known.signed_in_at();
        let login = self
            .clone()
            .repeating(&known)
            .demanding(wanted)
            .session_name(tokens.name().clone())
            .hinted(call(known.identity()))
            .placed_by(Placing::Instead(Box::new(known), tokens.name().clone()));
        let occasion = Occasion::Stronger {
            found,
            wanted: wanted.clone(),
        };
        let session = run::run(&login, prompt, occasion).map_err(|error| told(error, wanted))?;
        tokens.adopt(session.clone());
        Ok(session)
    }
}

/// The error, as one about what was asked for where it is that.
fn told(error: Error, wanted: &StepUp) -> Error {
    let missed = matches!(
        &error,
        Error::Exchange(ExchangeError::IdToken(
            IdTokenError::Acr { .. }
                | IdTokenError::AuthTimeMissing
                | IdTokenError::AuthenticationTooOld { .. }
        ))
    );
    if !missed {
        return error;
    }
    let wanted = wanted.clone();
    Box::new(NotSteppedUp::NotReached { wanted, error }).into()
}

/// The smaller of two ages, where either is given.
pub(crate) fn younger(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}
