//! The end of a session.

use std::time::Duration;

use countersign_oauth::preset::{EndSession, Revocation as RevocationQuirk};
use countersign_oauth::{
    Client, EndSessionRequest, Error as ExchangeError, RevocationFlow, TokenTypeHint,
};
use countersign_store::{Lock, Purpose};
use url::Url;

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

impl Revocation {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Revoked | Self::NoToken)
    }
}

/// The page on which a browser ends its session at the server. The person is asked there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogoutPage {
    /// This one. Its address names the application and nothing else.
    ///
    /// The ID token, which would spare the person a question, is not in it (`id_token_hint`): an address
    /// is an argument of the browser's command, which others on this computer can read, and stays in its
    /// history. A page of our own that sends it as a form would be at an address that can be read as
    /// well, by whoever is quicker than the browser.
    At(Url),
    /// The server names none.
    NotOffered,
    /// The provider's own wants more than that. How a person does it, as a sentence.
    ByPerson(&'static str),
    /// There was no session, or the server could not be asked.
    Unknown,
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
    /// Where a browser ends its session at the server (OpenID Connect RP-Initiated Logout 1.0).
    pub page: LogoutPage,
    /// How a person ends the session at the server, where the provider does not let the client do it.
    pub by_person: Option<&'static str>,
}

impl LogoutReport {
    /// Whether nothing is left that could still be used.
    pub fn is_complete(&self) -> bool {
        self.refresh_token.is_gone() && self.access_token.is_gone() && self.left_behind.is_none()
    }
}

/// Revokes the tokens of the session as far as the server allows within `limit`, and removes the
/// session from this computer, whatever the server does.
///
/// The refresh token goes first: with it, whoever has it could get new access tokens.
///
/// # Errors
/// [`Error::NotRemoved`] when everything was revoked and the session could not be removed from this
/// computer, [`Error::Storage`] when it could not be removed and may live on at the server as well.
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
    let hurried = context.hurried(limit);
    let provider = kept
        .as_ref()
        .map(|kept| Provider::of_session(&hurried, kept));
    let page = match (&kept, &provider) {
        (Some(kept), Some(Ok(provider))) => page(kept, provider),
        _ => LogoutPage::Unknown,
    };
    let revoked = kept
        .as_ref()
        .zip(provider)
        .map(|(kept, provider)| revoke(&hurried, kept, provider));
    let (mut refresh_token, access_token) =
        revoked.unwrap_or((Revocation::NoToken, Revocation::NoToken));
    if let (Some(error), Some(true)) = (locked_away, kept.as_ref().map(Session::has_refresh_token))
    {
        refresh_token = failed(&error);
    }
    let is_revoked = kept.is_some() && refresh_token.is_gone() && access_token.is_gone();
    let not_removed = |why| {
        if is_revoked {
            Error::NotRemoved(why)
        } else {
            Error::Storage(why)
        }
    };
    // What was got with the session first: whoever is stopped in between can log out again. But one
    // that cannot be removed must not keep the other.
    let forgotten = derived::forget(context, session);
    let removed = context.store().remove(session).map_err(not_removed)?;
    forgotten?;
    Ok(LogoutReport {
        removed: removed.existed,
        refresh_token,
        access_token,
        left_behind: removed.left_behind.map(|why| why.to_string()),
        page,
        by_person: kept.as_ref().and_then(by_person),
    })
}

/// Revokes what a login has brought that is not kept, as far as the server allows in a short time.
pub(crate) fn take_back(context: &Context, session: &Session) {
    let hurried = context.hurried(TAKING_BACK_LIMIT);
    let provider = Provider::of_session(&hurried, session);
    let _ = revoke(&hurried, session, provider);
}

fn page(session: &Session, provider: &Provider) -> LogoutPage {
    let quirk = session
        .known_preset()
        .map(|preset| preset.quirks.end_session);
    if let Some(EndSession::ByPerson(how)) = quirk {
        return LogoutPage::ByPerson(how);
    }
    let request = EndSessionRequest {
        client_id: Some(session.client_id()),
        ..EndSessionRequest::default()
    };
    let url = provider.metadata().end_session_url(&request);
    url.map_or(LogoutPage::NotOffered, LogoutPage::At)
}

fn revoke(
    context: &Context,
    session: &Session,
    provider: Result<Provider, Error>,
) -> (Revocation, Revocation) {
    let found = provider.and_then(|provider| Ok((provider, session.client()?)));
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
