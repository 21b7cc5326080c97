//! The live question who this is.

use std::time::Duration;

use countersign_oauth::preset::{IdentitySource, Preset};
use countersign_oauth::{
    DpopKey, Error as ExchangeError, ErrorCode, SubjectCheck, UserInfo, UserInfoFlow,
};

use crate::drive::{Asleep, drive};
use crate::{Context, Error, Identity, Provider, Secret, TokenSource};

/// Asks the server who the session belongs to (`OpenID` Connect Core, section 5.3), and so whether it
/// is still good there. An answer about another person than the one who signed in is refused.
///
/// # Errors
/// [`Error::LoginRequired`] when the session is over, [`Error::Exchange`] when the server is out of
/// reach or does not offer this.
pub fn userinfo(tokens: &TokenSource) -> Result<Identity, Error> {
    match ask(tokens) {
        // A token can be revoked before it expires. The session may still be good for another.
        Err(Error::Exchange(ExchangeError::Refused(refusal)))
            if refusal.code == Some(ErrorCode::InvalidToken) =>
        {
            tokens.refresh()?;
            ask(tokens)
        }
        decided => decided,
    }
}

fn ask(tokens: &TokenSource) -> Result<Identity, Error> {
    let access_token = tokens.access_token(Duration::ZERO)?;
    let session = tokens.session();
    let context = tokens.context();
    let provider = Provider::of_session(context, &session)?;
    let key = session.binding_key()?;
    let question = Question {
        access_token: &access_token,
        key: key.as_ref(),
        subject: session.identity().subject.as_deref(),
        preset: session.known_preset(),
    };
    question.ask(context, &provider)
}

/// The question, with all that it takes to ask it.
pub(crate) struct Question<'a> {
    pub(crate) access_token: &'a Secret,
    /// The key that the token is bound to.
    pub(crate) key: Option<&'a DpopKey>,
    /// Who it has to be.
    pub(crate) subject: Option<&'a str>,
    pub(crate) preset: Option<&'static Preset>,
}

impl Question<'_> {
    pub(crate) fn ask(&self, context: &Context, provider: &Provider) -> Result<Identity, Error> {
        let about = match self.subject {
            Some(subject) => SubjectCheck::SameAs(subject.to_owned()),
            None => SubjectCheck::NoIdToken,
        };
        let mut flow = UserInfoFlow::new(provider.metadata(), self.access_token, about)?;
        if let Some(key) = self.key {
            flow = flow.bound_to(key);
        }
        if let Some(IdentitySource::Api(names)) = self.preset.map(|preset| preset.quirks.identity) {
            flow = flow.naming(names);
        }
        let clock = context.clock();
        let answer: UserInfo = drive(&mut flow, context.transport(), clock, &mut Asleep(clock))?;
        let text = |name| answer.str(name).map(str::to_owned);
        Ok(Identity {
            subject: Some(answer.sub().to_owned()),
            name: text("name"),
            preferred_username: text("preferred_username"),
            email: text("email"),
            acr: None,
            auth_time: None,
        })
    }
}
