//! Renewing a session: once, whoever asks at the same time, and never losing one by accident.
//!
//! The order is what makes it safe with servers that accept a refresh token a single time: take the
//! lock, read the session again, use what was read, ask the server, write the answer, let go.

use std::convert::Infallible;
use std::time::Duration;

use countersign_oauth::{ClientCredentialsFlow, Error as ExchangeError, RefreshFlow};
use countersign_store::{Lock, Origin, Purpose, StoreError};

use crate::context::Opening;
use crate::drive::{Asleep, Attentive, drive};
use crate::run::explained;
use crate::{Context, Error, LoginRequired, Provider, Secret, Session, SessionName, SignIn};

/// How long one renewal may take, all its requests together.
pub(crate) const RENEWAL_LIMIT: Duration = Duration::from_secs(35);
/// How long to wait for another process that is renewing the same session: a little more, so that who
/// waits does not give up while who works may still succeed.
pub(crate) const LOCK_LIMIT: Duration = Duration::from_secs(40);
/// How often to begin again because the session on disk is another than the one that was refused.
const ATTEMPTS: u32 = 3;
/// How often to look whether the other process is done: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const GREATEST_PAUSE: Duration = Duration::from_millis(100);

/// Renews the session called `name`, unless `enough` says of what is on disk that it needs no renewal.
///
/// # Errors
/// [`Error::LoginRequired`] when there is no session, nothing to renew it with, or the server has
/// ended it; then that is noted on disk. After any other error the session is as it was.
pub(crate) fn renew(
    context: &Context,
    name: &SessionName,
    enough: &mut dyn FnMut(&Session) -> bool,
) -> Result<Session, Error> {
    let required = |reason| Error::LoginRequired {
        session: name.to_string(),
        reason,
    };
    let read = || {
        context
            .session(name)?
            .ok_or_else(|| required(LoginRequired::NoSession))
    };

    // Another process may have renewed it long ago, or be about to: then there is nothing to do.
    let awaited = wait_for_lock_or(context, name, Purpose::Refresh, LOCK_LIMIT, || {
        let session = read()?;
        if enough(&session) {
            return Ok(Some(session));
        }
        is_renewable(&session, name).map(|()| None)
    })?;
    let _lock = match awaited {
        Awaited::Lock(lock) => lock,
        Awaited::Other(session) => return Ok(session),
    };

    // What follows may unlock a keyring. That is not done for somebody who need not.
    let session = read()?;
    if enough(&session) {
        return Ok(session);
    }
    is_renewable(&session, name)?;

    let hurried = context.hurried(RENEWAL_LIMIT);
    let open = || {
        context
            .opened(name, Opening::Update)?
            .ok_or_else(|| required(LoginRequired::NoSession))
    };
    let mut opened = open()?;
    let mut attempts = 0;
    loop {
        let mut session = opened.record;
        if enough(&session) {
            return Ok(session);
        }
        let means = means(&session, name)?;
        let rejected = match ask(&hurried, &mut session, &means) {
            Ok(()) => {
                return keep(context, name, &opened.origin, session).map_err(|error| match error {
                    Error::Storage(why) => Error::NotKept(why),
                    other => other,
                });
            }
            Err(error @ Error::Exchange(ExchangeError::RefreshRejected(_))) => error,
            Err(error) => return Err(explained(error, session.known_preset())),
        };
        opened = open()?;
        if means.are_of(&opened.record) {
            opened.record.end();
            keep(context, name, &opened.origin, opened.record)?;
            return Err(required(LoginRequired::Rejected));
        }
        // A program that takes no locks has renewed the session, or somebody has signed in again: it
        // is the token that was old, not the session that is over.
        attempts += 1;
        if attempts == ATTEMPTS {
            return Err(rejected);
        }
    }
}

/// Writes the session again. Somebody who could not wait for the lock may have signed in meanwhile: then
/// it is theirs that counts.
pub(crate) fn keep(
    context: &Context,
    name: &SessionName,
    origin: &Origin,
    session: Session,
) -> Result<Session, Error> {
    match context.store().update(name, origin, &session) {
        Ok(saved) => {
            context.known_vaults().announce(&saved);
            Ok(session.was_in(Some(saved.origin.kept_in())))
        }
        Err(StoreError::Overtaken { .. }) => {
            context.session(name)?.ok_or_else(|| Error::LoginRequired {
                session: name.to_string(),
                reason: LoginRequired::NoSession,
            })
        }
        Err(error) => Err(Error::Storage(error)),
    }
}

/// What a session is renewed with.
pub(crate) enum Means {
    /// The refresh token (RFC 6749, section 6).
    RefreshToken(Secret),
    /// What the client signs in with as itself: the same request once more (RFC 6749, section 4.4.3).
    Credentials,
}

impl Means {
    /// Whether it is still these that the session would be renewed with.
    fn are_of(&self, session: &Session) -> bool {
        matches!(self, Self::RefreshToken(token) if session.refresh_token() == Some(token))
    }
}

/// Asks the server for new tokens and puts them into the session.
fn ask(context: &Context, session: &mut Session, means: &Means) -> Result<(), Error> {
    let provider = Provider::of_session(context, session)?;
    let metadata = provider.metadata();
    let client = session.client()?;
    let attentive = Attentive::new(context.transport(), context.clock());
    let clock = context.clock();
    let tokens = match means {
        Means::RefreshToken(token) => {
            let mut flow = RefreshFlow::new(metadata, &client, token)?;
            drive(&mut flow, &attentive, clock, &mut Asleep(clock))?
        }
        Means::Credentials => {
            let request = session.request().again()?;
            let mut flow = ClientCredentialsFlow::new(metadata, &client, &request)?;
            drive(&mut flow, &attentive, clock, &mut Asleep(clock))?
        }
    };
    let id_token = match &tokens.id_token {
        Some(token) => {
            let offset = attentive.offset();
            let checked =
                provider.check_id_token(context, token, &session.expected(&tokens)?, offset);
            match checked {
                Ok(checked) => Some(checked),
                // It says what it must not. Nothing that came with it is believed.
                Err(error @ Error::Exchange(ExchangeError::IdToken(_)))
                    if !is_unknown_key(&error) =>
                {
                    return Err(error);
                }
                // It could not be checked. It is as if the server had sent none, which it may: the
                // one that was checked before stays. The refresh token is spent by now, and an
                // accident with keys must not cost the session.
                Err(_) => None,
            }
        }
        None => None,
    };
    session.renew(tokens, id_token, attentive.last_sent());
    Ok(())
}

fn is_unknown_key(error: &Error) -> bool {
    matches!(error, Error::Exchange(exchange) if exchange.may_be_stale_keys())
}

/// What the session can be renewed with, or why there is nothing.
pub(crate) fn means(session: &Session, name: &SessionName) -> Result<Means, Error> {
    is_renewable(session, name)?;
    let token = session.refresh_token().cloned();
    let token = token.filter(|_| session.flow() != Some(SignIn::ClientCredentials));
    Ok(token.map_or(Means::Credentials, Means::RefreshToken))
}

/// Whether there is something to renew the session with: a question for which nothing is unlocked.
pub(crate) fn is_renewable(session: &Session, name: &SessionName) -> Result<(), Error> {
    if session.flow() == Some(SignIn::ClientCredentials) || session.has_refresh_token() {
        return Ok(());
    }
    Err(Error::LoginRequired {
        session: name.to_string(),
        reason: if session.has_ended() {
            LoginRequired::Rejected
        } else {
            LoginRequired::Expired
        },
    })
}

/// Takes a lock of the session, waiting for whoever holds it, but not for ever.
pub(crate) fn wait_for_lock(
    context: &Context,
    name: &SessionName,
    purpose: Purpose,
    limit: Duration,
) -> Result<Lock, Error> {
    match wait_for_lock_or(context, name, purpose, limit, || Ok(None::<Infallible>))? {
        Awaited::Lock(lock) => Ok(lock),
        Awaited::Other(never) => match never {},
    }
}

/// What came first.
pub(crate) enum Awaited<T> {
    Lock(Lock),
    Other(T),
}

/// Takes a lock of the session, unless `other` happens first. Looks for that before each attempt.
pub(crate) fn wait_for_lock_or<T>(
    context: &Context,
    name: &SessionName,
    purpose: Purpose,
    limit: Duration,
    mut other: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Awaited<T>, Error> {
    let clock = context.clock();
    let store = context.store();
    let start = clock.monotonic();
    let mut pause = FIRST_LOOK;
    loop {
        if let Some(happened) = other()? {
            return Ok(Awaited::Other(happened));
        }
        if let Some(lock) = store.try_lock(name, purpose).map_err(Error::Storage)? {
            return Ok(Awaited::Lock(lock));
        }
        let waited = clock.monotonic().saturating_sub(start);
        if waited >= limit {
            return Err(Error::LockTimeout { waited });
        }
        clock.sleep(pause);
        pause = (pause * 2).min(GREATEST_PAUSE);
    }
}
