//! A token of the session, or one from elsewhere, exchanged for another (RFC 8693).
//!
//! What is exchanged is not used up, so nothing is locked: two processes that ask at the same time get two
//! tokens, and keep one. Not responsible for what the server makes of it, nor for the session, which no
//! refusal touches.

use std::time::Duration;

use countersign_jose::base64url;
use countersign_jose::crypto::ring;
use countersign_oauth::{
    Error as ExchangeError, ShownToken, Target, TokenExchange, TokenExchangeFlow, TokenTypeId,
};

use crate::context::Opening;
use crate::drive::{Asleep, Attentive, drive};
use crate::error::NotGiven;
use crate::other::check_audience;
use crate::run::explained;
use crate::{Error, OtherToken, Provider, TokenSource};

/// How long one exchange may take, all its requests together.
const LIMIT: Duration = Duration::from_secs(35);

/// Which token is exchanged, and for what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// In whose name the new token will be.
    pub subject: Subject,
    /// Whether this session's access token is sent as the actor's: whoever it is about will be seen to act
    /// for the subject.
    pub as_actor: bool,
    /// What the new token has to be; the server chooses if it is not said.
    pub requested: Option<TokenTypeId>,
    /// Which API it is for, and what it may do there.
    pub target: Target,
}

/// The token that is exchanged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Subject {
    /// The access token of the session.
    AccessToken,
    /// The ID token of the session.
    IdToken,
    /// Another one, whoever has issued it.
    Given(ShownToken),
}

impl Exchange {
    /// An exchange of `subject` for what the server chooses.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject,
            as_actor: false,
            requested: None,
            target: Target::default(),
        }
    }

    /// The name that the result is kept under. A token from elsewhere is in it as a digest.
    fn name(&self) -> String {
        let subject = match &self.subject {
            Subject::AccessToken => "access".to_owned(),
            Subject::IdToken => "id".to_owned(),
            Subject::Given(ShownToken { token, kind }) => {
                let digest = ring::provider().sha256(token.expose().as_bytes());
                format!("{kind} {}", base64url::encode(&digest))
            }
        };
        let parts = (
            subject,
            self.as_actor,
            self.requested.as_ref().map(TokenTypeId::to_string),
            &self.target.resources,
            &self.target.audiences,
            self.target.scopes.to_string(),
        );
        format!("exchange {}", serde_json::json!(parts))
    }
}

impl TokenSource {
    /// What the server gives for a token (RFC 8693), good for at least `min_ttl` more; a kept one at once
    /// while it is.
    ///
    /// # Errors
    /// [`Error::NotGiven`] when the server refuses, and what [`access_token`](Self::access_token) answers
    /// where a token of the session is shown. The session goes on.
    pub fn exchanged(&self, asked: &Exchange, min_ttl: Duration) -> Result<OtherToken, Error> {
        let what = asked.name();
        if let Some(kept) = self.kept_token(&what, Some(min_ttl))? {
            return Ok(kept);
        }
        match self.exchange(asked, &what, min_ttl) {
            Err(error) => self.bridged(&what, error),
            got => got,
        }
    }

    /// The same, even if the kept one is still good.
    ///
    /// # Errors
    /// As [`exchanged`](Self::exchanged).
    pub fn newly_exchanged(&self, asked: &Exchange) -> Result<OtherToken, Error> {
        self.exchange(asked, &asked.name(), Duration::ZERO)
    }

    fn exchange(
        &self,
        asked: &Exchange,
        what: &str,
        min_ttl: Duration,
    ) -> Result<OtherToken, Error> {
        let access_token = || {
            let kind = TokenTypeId::ACCESS_TOKEN;
            let token = self.access_token(min_ttl)?;
            Ok::<_, Error>(ShownToken { token, kind })
        };
        let subject = match &asked.subject {
            Subject::AccessToken => access_token()?,
            Subject::IdToken => ShownToken {
                token: self.id_token(min_ttl)?.ok_or_else(no_id_token)?,
                kind: TokenTypeId::ID_TOKEN,
            },
            Subject::Given(shown) => shown.clone(),
        };
        let actor = asked.as_actor.then(access_token).transpose()?;
        let exchange = TokenExchange {
            subject,
            actor,
            requested: asked.requested.clone(),
            target: asked.target.clone(),
        };

        let context = self.context().hurried(LIMIT);
        let session = self.session();
        // A vault is opened only for a secret that is needed.
        let session = if session.needs_secret() {
            let opened = context.opened(self.name(), Opening::Read)?;
            opened.ok_or_else(|| self.no_session())?.record
        } else {
            session
        };
        let provider = Provider::of_session(&context, &session)?;
        let client = session.client()?;
        let clock = context.clock();
        let attentive = Attentive::new(context.transport(), clock);
        let answered = TokenExchangeFlow::new(provider.metadata(), &client, &exchange)
            .map_err(Error::from)
            .and_then(|mut flow| drive(&mut flow, &attentive, clock, &mut Asleep(clock)));
        let answer = answered.map_err(|error| {
            let refused = matches!(error, Error::Exchange(ExchangeError::Refused(_)));
            let error = explained(error, session.known_preset());
            if refused {
                refusal(&asked.target, error)
            } else {
                error
            }
        })?;
        check_audience(&context, &provider, &asked.target, &answer.token)?;
        let sent = attentive.last_sent();
        let token = OtherToken {
            token: answer.token,
            token_type: answer.token_type,
            issued: Some(answer.issued),
            obtained_at: sent,
            expires_at: answer.expires_in.map(|lifetime| sent + lifetime),
        };
        // For the login whose token was shown: of another one, this says nothing.
        if self.session().signed_in_at() == session.signed_in_at() {
            self.keep_token(what, &token);
        }
        Ok(token)
    }
}

fn no_id_token() -> Error {
    Error::Configuration {
        what: "subject token",
        why: "the session has no ID token".to_owned(),
    }
}

fn refusal(target: &Target, error: Error) -> Error {
    let what = if target.is_empty() {
        "the server does not exchange the token".to_owned()
    } else {
        format!("the server does not exchange the token for one for {target}")
    };
    Error::NotGiven(Box::new(NotGiven::new(&what, error)))
}
