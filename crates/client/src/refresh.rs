//! Renewing a session: once, whoever asks at the same time, and never losing one by accident.
//!
//! The order is what makes it safe with servers that accept a refresh token a single time: take the
//! lock, read the session again, use what was read, ask the server, write the answer, let go.

use std::convert::Infallible;
use std::time::Duration;

use countersign_oauth::{
    Client, ClientCredentialsFlow, Error as ExchangeError, RefreshFlow, TokenResponse,
};
use countersign_store::{Lock, Opened, Origin, Purpose, StoreError};

use crate::context::Opening;
use crate::drive::{Asleep, Attentive, drive};
use crate::error::TriedBefore;
use crate::failure::Failure;
use crate::provider::IdTokenCheck;
use crate::run::explained;
use crate::{
    Clock, Context, Error, LoginRequired, Provider, Secret, Session, SessionName, SignIn, Timestamp,
};

/// How long one renewal may take, all its requests together.
pub(crate) const RENEWAL_LIMIT: Duration = Duration::from_secs(35);
/// How long to wait for another process that is renewing the same session: a little more, so that who
/// waits does not give up while who works may still succeed.
pub(crate) const LOCK_LIMIT: Duration = Duration::from_secs(40);
/// How long a renewal may take when there is a token that is still good. Not less: a server may have spent
/// the refresh token by the time it is given up, and its answer is then lost.
const BRIDGED_LIMIT: Duration = Duration::from_secs(10);
/// How long the keys of the server may take of that.
const KEYS_LIMIT: Duration = Duration::from_secs(5);
/// Whoever has waited this long for somebody whose renewal failed does not try the same again.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// How often to begin again because the session on disk is another than the one that was refused.
const ATTEMPTS: u32 = 3;
/// How often to look whether the other process is done: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const GREATEST_PAUSE: Duration = Duration::from_millis(100);

/// When somebody began to want a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    at: Timestamp,
    monotonic: Duration,
}

impl Since {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self {
            at: clock.now(),
            monotonic: clock.monotonic(),
        }
    }

    fn waited(self, clock: &dyn Clock) -> Duration {
        clock.monotonic().saturating_sub(self.monotonic)
    }
}

/// How long a caller who has a token that is still good waits for another who renews the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all: the token is as good as was asked for.
    No,
    /// A little: it is not.
    Briefly,
}

/// Renews the session called `name`, unless `enough` says of what is on disk that it needs no renewal. For
/// those who have nothing to go on with: they wait for whoever is at it, and if that takes long and comes
/// to nothing, they have waited long enough.
///
/// # Errors
/// [`Error::LoginRequired`] when there is no session, nothing to renew it with, or the server has
/// ended it; then that is noted on disk. After any other error the session is as it was.
pub(crate) fn renew(
    context: &Context,
    name: &SessionName,
    since: Since,
    enough: &mut dyn FnMut(&Session) -> bool,
) -> Result<Session, Error> {
    // Another process may have renewed it long ago, or be about to: then there is nothing to do.
    let awaited = wait_for_lock_or(context, name, Purpose::Refresh, LOCK_LIMIT, || {
        let session = read(context, name)?;
        if enough(&session) {
            return Ok(Some(session));
        }
        is_renewable(&session, name)?;
        if since.waited(context.clock()) >= LONG_WAIT
            && Failure::last(context, name, &session).is_some_and(|last| last.answers(since.at))
        {
            return Err(Error::NotRenewed(TriedBefore));
        }
        Ok(None)
    })?;
    match awaited {
        Awaited::Lock(lock) => under_lock(context, name, &lock, RENEWAL_LIMIT, enough),
        Awaited::Other(session) => Ok(session),
    }
}

/// The same for those who have a token that is still good: `None` when somebody else is at it, or the
/// server is left alone because it did not answer a moment ago.
///
/// # Errors
/// As [`renew`].
pub(crate) fn renew_if_free(
    context: &Context,
    name: &SessionName,
    wait: Wait,
    enough: &mut dyn FnMut(&Session) -> bool,
) -> Result<Option<Session>, Error> {
    let limit = match wait {
        Wait::No => Duration::ZERO,
        Wait::Briefly => BRIDGED_LIMIT,
    };
    let awaited = wait_for_lock_or(context, name, Purpose::Refresh, limit, || {
        let session = read(context, name)?;
        if enough(&session) {
            return Ok(Some(Some(session)));
        }
        is_renewable(&session, name)?;
        let failure = Failure::last(context, name, &session);
        let rests = failure.is_some_and(|last| last.is_resting(context.clock().now()));
        Ok(rests.then_some(None))
    });
    match awaited {
        Ok(Awaited::Lock(lock)) => {
            under_lock(context, name, &lock, BRIDGED_LIMIT, enough).map(Some)
        }
        Ok(Awaited::Other(decided)) => Ok(decided),
        Err(Error::LockTimeout { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(context: &Context, name: &SessionName) -> Result<Session, Error> {
    context
        .session(name)?
        .ok_or_else(|| required(name, LoginRequired::NoSession))
}

fn required(name: &SessionName, reason: LoginRequired) -> Error {
    Error::LoginRequired {
        session: name.to_string(),
        reason,
    }
}

/// Renews the session for all who wait for the lock, or leaves them word that it could not be done.
fn under_lock(
    context: &Context,
    name: &SessionName,
    lock: &Lock,
    limit: Duration,
    enough: &mut dyn FnMut(&Session) -> bool,
) -> Result<Session, Error> {
    // What follows may unlock a keyring. That is not done for somebody who need not.
    let session = read(context, name)?;
    if enough(&session) {
        return Ok(session);
    }
    is_renewable(&session, name)?;
    let renewed = ask_until_settled(context, name, limit, enough);
    if let Err(error) = &renewed {
        Failure::now(context, &session, error).note(lock);
    }
    renewed
}

fn ask_until_settled(
    context: &Context,
    name: &SessionName,
    limit: Duration,
    enough: &mut dyn FnMut(&Session) -> bool,
) -> Result<Session, Error> {
    let hurried = context.hurried(limit);
    let open = || {
        context
            .opened(name, Opening::Update)?
            .ok_or_else(|| required(name, LoginRequired::NoSession))
    };
    let mut opened = open()?;
    let mut attempts = 0;
    loop {
        let Opened {
            record: mut session,
            mut origin,
        } = opened;
        if enough(&session) {
            return Ok(session);
        }
        let means = means(&session, name)?;
        let mut keeper = Keeper {
            context,
            name,
            origin: &mut origin,
        };
        let rejected = match ask(&hurried, &mut session, &means, &mut keeper) {
            Ok(()) => {
                return keep(context, name, &origin, session).map_err(|error| match error {
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
            return Err(required(name, LoginRequired::Rejected));
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
        Err(StoreError::Overtaken { .. }) => read(context, name),
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

/// Where a session is kept while its renewal is under way.
struct Keeper<'a> {
    context: &'a Context,
    name: &'a SessionName,
    origin: &'a mut Origin,
}

impl Keeper<'_> {
    fn keep(&mut self, session: &Session) -> Result<(), Error> {
        let store = self.context.store();
        let saved = store.update(self.name, self.origin, session);
        let saved = saved.map_err(Error::Storage)?;
        self.context.known_vaults().announce(&saved);
        *self.origin = saved.origin;
        Ok(())
    }
}

/// Asks the server for new tokens and puts them into the session.
///
/// From the moment at which a server that rotates its tokens sends its answer, the new refresh token is in
/// this process alone. So nothing is waited for before it is on disk: the keys that the ID token is
/// checked with are there before the answer is, or the refresh token is kept before they are asked for.
fn ask(
    context: &Context,
    session: &mut Session,
    means: &Means,
    keeper: &mut Keeper<'_>,
) -> Result<(), Error> {
    let provider = Provider::of_session(context, session)?;
    let client = session.client()?;
    let keys = session
        .id_token()
        .and_then(|_| provider.some_keys(&context.hurried(KEYS_LIMIT)).ok());
    let attentive = Attentive::new(context.transport(), context.clock());
    let tokens = exchange(
        context.clock(),
        session,
        means,
        &provider,
        &client,
        &attentive,
    )?;
    let id_token = match &tokens.id_token {
        Some(token) => {
            let expected = session.expected(&tokens)?;
            let mut kept = false;
            let checked = provider.check_id_token_with(
                &IdTokenCheck {
                    context,
                    token,
                    expected: &expected,
                    offset: attentive.offset(),
                },
                keys,
                &mut || {
                    let Some(refresh_token) = &tokens.refresh_token else {
                        return Ok(());
                    };
                    kept = true;
                    keeper.keep(&session.with_refresh_token(refresh_token))
                },
            );
            match checked {
                Ok(checked) => Some(checked),
                // It says what it must not. Nothing that came with it is believed.
                Err(error @ Error::Exchange(ExchangeError::IdToken(_)))
                    if !is_unknown_key(&error) =>
                {
                    if kept {
                        keeper.keep(session)?;
                    }
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

/// The request itself.
fn exchange(
    clock: &dyn Clock,
    session: &Session,
    means: &Means,
    provider: &Provider,
    client: &Client,
    attentive: &Attentive<'_>,
) -> Result<TokenResponse, Error> {
    let metadata = provider.metadata();
    match means {
        Means::RefreshToken(token) => {
            let mut flow = RefreshFlow::new(metadata, client, token)?;
            drive(&mut flow, attentive, clock, &mut Asleep(clock))
        }
        Means::Credentials => {
            let request = session.request().again()?;
            let mut flow = ClientCredentialsFlow::new(metadata, client, &request)?;
            drive(&mut flow, attentive, clock, &mut Asleep(clock))
        }
    }
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
    let reason = if session.has_ended() {
        LoginRequired::Rejected
    } else {
        LoginRequired::Expired
    };
    Err(required(name, reason))
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
