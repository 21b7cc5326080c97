//! The live question who this is.

use std::time::Duration;

use countersign_oauth::{Error as ExchangeError, ErrorCode, SubjectCheck, UserInfo, UserInfoFlow};

use crate::drive::{Asleep, drive};
use crate::{Error, Identity, Provider, TokenSource};

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
    let provider = Provider::discover(context, session.issuer(), &session.request().endpoints)?;
    let about = match &session.identity().subject {
        Some(subject) => SubjectCheck::SameAs(subject.clone()),
        None => SubjectCheck::NoIdToken,
    };
    let mut flow = UserInfoFlow::new(provider.metadata(), &access_token, about)?;
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
