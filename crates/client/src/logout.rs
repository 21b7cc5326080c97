//! The end of a session.

use std::time::Duration;

use countersign_oauth::preset::Revocation as RevocationQuirk;
use countersign_oauth::{Client, Error as ExchangeError, RevocationFlow, TokenTypeHint};
use countersign_store::{Lock, Purpose};

use crate::context::Opening;
use crate::derived;
use crate::drive::{Asleep, drive};
use crate::refresh::wait_for_lock;
use crate::{Context, Error, Provider, Secret, Session, SessionName};

/// How long a renewal that is under way may delay a logout, at most.
const RENEWAL_LIMIT: Duration = Duration::from_secs(5);
/// How long revoking may take where nobody asked for it.
const TAKING_BACK_LIMIT: Duration = Duration::from_secs(10);

/// What became of one token at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The server confirmed that the token is no longer good (RFC 7009, section 2.2).
    Revoked,
    /// The session had no such token.
    NoToken,
    /// The server publishes no revocation endpoint: the token lives until it expires.
    NotOffered,
    /// The server could not be asked, or refused: the token may live until it expires.
    Failed {
        /// What happened, one line, fit to print.
        why: String,
    },
}

/// What a logout did. The session is gone from this computer whatever the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutReport {
    /// Whether there was a session to remove.
    pub removed: bool,
    /// The refresh token at the server.
    pub refresh_token: Revocation,
    /// The access token at the server.
    pub access_token: Revocation,
    /// Why secrets of the session may still be where they were kept, one line, fit to print. This
    /// program has no use for them any more.
    pub left_behind: Option<String>,
    /// How a person ends the session at the server, where the provider does not let the client do it.
    pub by_person: Option<&'static str>,
}

impl LogoutReport {
    /// Whether nothing is left that could still be used.
    pub fn is_complete(&self) -> bool {
        let gone = |r: &Revocation| matches!(r, Revocation::Revoked | Revocation::NoToken);
        gone(&self.refresh_token) && gone(&self.access_token) && self.left_behind.is_none()
    }
}

/// Revokes the tokens of the session as far as the server allows within `limit`, and removes the
/// session from this computer, whatever the server does.
///
/// The refresh token goes first: with it, whoever has it could get new access tokens.
///
/// # Errors
/// [`Error::Storage`] when the session could not be removed from this computer, and only then.
pub fn logout(
    context: &Context,
    session: &SessionName,
    limit: Duration,
) -> Result<LogoutReport, Error> {
    // A renewal that is under way would write the session again after it was removed. One that
    // begins later finds nothing to renew.
    let _lock: Option<Lock> =
        wait_for_lock(context, session, Purpose::Refresh, limit.min(RENEWAL_LIMIT)).ok();
    // What cannot be read cannot be revoked, but it can be removed.
    let opened = context.opened(session, Opening::Read);
    let (kept, locked_away) = match opened {
        Ok(opened) => (opened.map(|opened| opened.record), None),
        Err(error) => (context.session(session).ok().flatten(), Some(error)),
    };
    let revoked = kept
        .as_ref()
        .map(|kept| revoke(&context.hurried(limit), kept));
    // What was got with the session first: whoever is stopped in between can log out again. But one
    // that cannot be removed must not keep the other.
    let forgotten = derived::forget(context, session);
    let removed = context.store().remove(session).map_err(Error::Storage)?;
    forgotten?;
    let (mut refresh_token, access_token) =
        revoked.unwrap_or((Revocation::NoToken, Revocation::NoToken));
    if let (Some(error), Some(true)) = (locked_away, kept.as_ref().map(Session::has_refresh_token))
    {
        refresh_token = failed(&error);
    }
    Ok(LogoutReport {
        removed: removed.existed,
        refresh_token,
        access_token,
        left_behind: removed.left_behind.map(|why| why.to_string()),
        by_person: kept.as_ref().and_then(by_person),
    })
}

/// Revokes what a login has brought that is not kept, as far as the server allows in a short time.
pub(crate) fn take_back(context: &Context, session: &Session) {
    let _ = revoke(&context.hurried(TAKING_BACK_LIMIT), session);
}

fn revoke(context: &Context, session: &Session) -> (Revocation, Revocation) {
    let found = Provider::of_session(context, session)
        .and_then(|provider| Ok((provider, session.client()?)));
    let (provider, client) = match found {
        Ok(found) => found,
        Err(error) => {
            let refresh = session
                .refresh_token()
                .map_or(Revocation::NoToken, |_| failed(&error));
            return (refresh, failed(&error));
        }
    };
    let one = |token: Option<&Secret>, hint| match token {
        None => Revocation::NoToken,
        Some(token) => revoke_one(context, &provider, &client, token, hint),
    };
    (
        one(session.refresh_token(), TokenTypeHint::RefreshToken),
        one(Some(session.access_token()), TokenTypeHint::AccessToken),
    )
}

fn revoke_one(
    context: &Context,
    provider: &Provider,
    client: &Client,
    token: &Secret,
    hint: TokenTypeHint,
) -> Revocation {
    let clock = context.clock();
    let outcome = RevocationFlow::new(provider.metadata(), client, token, hint)
        .map_err(Error::from)
        .and_then(|mut flow| drive(&mut flow, context.transport(), clock, &mut Asleep(clock)));
    match outcome {
        Ok(()) => Revocation::Revoked,
        Err(Error::Exchange(ExchangeError::EndpointMissing(_))) => Revocation::NotOffered,
        Err(error) => failed(&error),
    }
}

fn by_person(session: &Session) -> Option<&'static str> {
    match session.known_preset()?.quirks.revocation {
        RevocationQuirk::ByPerson(how) => Some(how),
        _ => None,
    }
}

/// What happened and why, in one line.
fn failed(error: &Error) -> Revocation {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    Revocation::Failed { why }
}
