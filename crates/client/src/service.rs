//! How an application signs in as itself (RFC 6749, section 4.4). There is nobody to show anything to.

use countersign_oauth::ClientCredentialsFlow;

use crate::attempt::Attempt;
use crate::drive::{Asleep, Attentive, drive};
use crate::{Error, Session, SignIn};

/// Signs the application in and keeps the session.
pub(crate) fn sign_in(attempt: &Attempt<'_>) -> Result<Session, Error> {
    let way = SignIn::ClientCredentials;
    let clock = attempt.context.clock();
    let mut client = attempt.client(way)?;
    let attentive = Attentive::new(attempt.context.transport(), clock);
    let metadata = attempt.provider.metadata();
    let tokens = attempt.tokens(&mut client, |client| {
        let mut flow = ClientCredentialsFlow::new(metadata, client, &attempt.request)?;
        drive(&mut flow, &attentive, clock, &mut Asleep(clock))
    })?;
    let expected = attempt.expected(&tokens)?;
    attempt.finish(way, &client, tokens, expected, &attentive)
}
