//! A login from its lock to its end: the ways to sign in, one after the other.
//!
//! Not responsible for any of the ways, nor for which are open (`plan.rs`).

use std::time::Duration;

use countersign_oauth::preset::Preset;
use countersign_oauth::{Endpoint, Error as ExchangeError, PeerMisbehaved, StepUp};
use countersign_store::{Lock, Purpose, StoreError};

use crate::attempt::Attempt;
use crate::error::{AnotherWay, Explained};
use crate::person::TICK;
use crate::plan::Circumstances;
use crate::{
    Context, Error, Fallback, Login, Notice, Prompt, Session, SessionName, SignIn, Timestamp,
    browser, code, device, service, vaults,
};

/// How long to wait for another process that is signing in to the same session, when the caller has
/// no limit: as long as a device code usually lives.
const OTHER_LOGIN_LIMIT: Duration = Duration::from_secs(600);

/// What a login is run for.
#[derive(Debug)]
pub(crate) enum Occasion {
    /// Somebody wants to sign in.
    Asked,
    /// A program cannot do without a session, and found none that can be used.
    Needed {
        /// When the person of the one it found had signed in.
        found: Option<Timestamp>,
        /// What is wrong with it.
        why: Error,
    },
    /// An API asks for more than the sign-in that there is.
    Stronger {
        /// When the person of the session that was not enough had signed in.
        found: Timestamp,
        /// What would be enough.
        wanted: StepUp,
    },
}

/// Signs in and keeps the session.
///
/// Whoever signs in meanwhile does it for all who wait: theirs is taken if it is what was asked for. If
/// theirs comes to nothing, a person who asked to sign in gets their turn, and a program that only needs
/// a session does not open the next window.
pub(crate) fn run(
    login: &Login,
    prompt: &mut dyn Prompt,
    occasion: Occasion,
) -> Result<Session, Error> {
    let context = login.made_context()?;
    let name = login.name()?;
    let before = match &occasion {
        Occasion::Asked => look_at_existing(&context, &name, prompt)?.map(|it| it.signed_in_at()),
        Occasion::Needed { found, .. } => *found,
        Occasion::Stronger { found, .. } => Some(*found),
    };

    // Taking the lock writes to the directory: if that cannot be done, it shows before a person has
    // approved something that is then lost.
    let (_lock, waited) = take_login_lock(login, &context, &name, prompt)?;
    let existing = look_at_existing(&context, &name, prompt)?;
    let theirs = existing
        .filter(|session| Some(session.signed_in_at()) != before && !session.has_ended())
        .filter(|session| is_what_was_asked(login, session))
        .filter(|session| is_enough(&occasion, session, context.clock().now()));
    match (theirs, occasion) {
        (Some(session), _) => return Ok(session),
        (None, Occasion::Needed { why, .. }) if waited => return Err(why),
        _ => {}
    }
    context.store().check_room(&name).map_err(Error::Storage)?;
    // A keyring that wants a password asks for it now, and not after somebody has approved.
    let context = choose_vault(context, prompt)?;
    let attempt = Attempt::prepare(login, &context, &name)
        .map_err(|error| explained(error, login.known_preset().ok().flatten()))?;
    sign_in(&attempt, prompt).map_err(|error| explained(error, attempt.preset))
}

/// Finds out where the refresh token can be kept, and tells where it cannot.
fn choose_vault(context: Context, prompt: &mut dyn Prompt) -> Result<Context, Error> {
    let (chosen, passed_over) = context.known_vaults().for_login()?;
    for failed in passed_over {
        prompt.notice(&vaults::passed_over(&failed, chosen.chosen().kind()));
    }
    Ok(context.using(chosen))
}

/// What came of a way to sign in, if not an error.
pub(crate) enum Outcome {
    /// Somebody is signed in.
    SignedIn(Box<Session>),
    /// The person would rather take the next way.
    Turned,
}

/// Tries the ways that are open until one of them leads in, or the person has had enough.
fn sign_in(attempt: &Attempt<'_>, prompt: &mut dyn Prompt) -> Result<Session, Error> {
    let wanted = attempt.login.flow_wanted();
    let plan = circumstances(attempt, prompt.takes_paste()).plan();
    let mut open = plan.open.into_iter();
    let Some(mut way) = open.next() else {
        let closed = plan.closed;
        return Err(Error::NoWayToSignIn { closed });
    };
    if wanted == SignIn::Auto {
        let place = attempt.place.place();
        prompt.notice(&Notice::Chosen { flow: way, place });
    }
    let mut closed = plan.closed.into_iter();
    if let Some((_, obstacle)) = closed.find(|(closed, _)| *closed == wanted) {
        let fallback = fallback(attempt, wanted, way, obstacle.to_string());
        if !prompt.offer(&fallback) {
            let flow = wanted;
            let error = Error::WayClosed { flow, obstacle };
            return Err(another_way(wanted, error, way, open.as_slice()));
        }
    }
    loop {
        let next = open.clone().next();
        let failed = match sign_in_by(way, attempt, next, prompt) {
            Ok(Outcome::SignedIn(session)) => return Ok(*session),
            Ok(Outcome::Turned) => None,
            Err(error) if leaves_another_way(&error, attempt.preset) => Some(error),
            Err(error) => return Err(error),
        };
        let Some(next) = open.next() else {
            // Nobody turns to a way that is not there.
            return Err(failed.unwrap_or(Error::Cancelled));
        };
        if let Some(error) = failed {
            let fallback = fallback(attempt, way, next, in_words(&error, attempt.preset));
            if !prompt.offer(&fallback) {
                return Err(another_way(way, error, next, open.as_slice()));
            }
        }
        way = next;
    }
}

fn sign_in_by(
    way: SignIn,
    attempt: &Attempt<'_>,
    next: Option<SignIn>,
    prompt: &mut dyn Prompt,
) -> Result<Outcome, Error> {
    let session = match way {
        SignIn::Device => device::sign_in(attempt, prompt)?,
        SignIn::ClientCredentials => service::sign_in(attempt)?,
        SignIn::Auto | SignIn::Browser | SignIn::Paste => {
            return code::sign_in(way, attempt, next, prompt);
        }
    };
    Ok(Outcome::SignedIn(Box::new(session)))
}

/// What decides between the ways. `pastes` says whether there is somebody to paste an answer.
pub(crate) fn circumstances(attempt: &Attempt<'_>, pastes: bool) -> Circumstances {
    let login = attempt.login;
    let metadata = attempt.provider.metadata();
    let exists = |flow: fn(&Preset) -> bool| attempt.preset.is_none_or(flow);
    Circumstances {
        chosen: login.flow_wanted(),
        allowed: login.flows_allowed(),
        device: metadata.device_authorization_endpoint.is_some()
            && exists(|preset| preset.flows.device.exists()),
        code: metadata.authorization_endpoint.is_some()
            && exists(|preset| preset.flows.code.exists()),
        obstacle: browser::obstacle(login.browser_wanted(), &attempt.place),
        reach: attempt.place.reach(),
        hosted: attempt.redirect.is_hosted(),
        pastes,
        credentials: attempt.has_credentials(),
    }
}

pub(crate) fn fallback(attempt: &Attempt<'_>, from: SignIn, to: SignIn, why: String) -> Fallback {
    Fallback {
        from,
        to,
        why,
        asked_for: attempt.login.flow_wanted() == from,
    }
}

fn another_way(tried: SignIn, error: Error, next: SignIn, further: &[SignIn]) -> Error {
    let others = std::iter::once(next).chain(further.iter().copied());
    Error::AnotherWay(Box::new(AnotherWay {
        tried,
        error,
        others: others.collect(),
    }))
}

/// Whether what went wrong is about the way to sign in, and not about the person or the client: then
/// another way may be open.
fn leaves_another_way(error: &Error, preset: Option<&'static Preset>) -> bool {
    let exchange = match error {
        Error::PortsInUse { .. } | Error::Listener(_) => return true,
        Error::Exchange(exchange) => exchange,
        _ => return false,
    };
    match exchange {
        // The server names none, or names one and has nothing there.
        ExchangeError::EndpointMissing(endpoint)
        | ExchangeError::PeerMisbehaved {
            endpoint,
            what: PeerMisbehaved::Html { .. },
        } => is_of_one_way(*endpoint),
        ExchangeError::Refused(refusal) if refusal.code.is_none() => {
            is_of_one_way(refusal.endpoint)
        }
        exchange => meaning(exchange, preset).is_some_and(|meaning| meaning.other_flow),
    }
}

/// Whether only one way to sign in has to do with the endpoint.
fn is_of_one_way(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::DeviceAuthorization | Endpoint::Authorization | Endpoint::PushedAuthorization
    )
}

/// What the provider's refusal means; what the specifications say of it, at a provider that is not
/// known.
fn meaning(
    error: &ExchangeError,
    preset: Option<&'static Preset>,
) -> Option<countersign_oauth::preset::Meaning> {
    let refusal = error.refusal()?;
    preset
        .or_else(|| Preset::by_name("oidc"))?
        .explain_refusal(refusal)
}

/// What went wrong, in one line for a person who is about to decide.
pub(crate) fn in_words(error: &Error, preset: Option<&'static Preset>) -> String {
    if let Error::Exchange(exchange) = error
        && let Some(meaning) = meaning(exchange, preset)
    {
        return meaning.sentence.trim_end_matches('.').to_owned();
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The error with what the provider means by it, if that is known.
pub(crate) fn explained(error: Error, preset: Option<&'static Preset>) -> Error {
    let (Error::Exchange(exchange), Some(preset)) = (&error, preset) else {
        return match error {
            Error::AnotherWay(mut another) => {
                another.error = explained(another.error, preset);
                Error::AnotherWay(another)
            }
            other => other,
        };
    };
    match meaning(exchange, Some(preset)) {
        Some(meaning) => Error::Explained(Box::new(Explained::new(error, meaning))),
        None => error,
    }
}

/// Takes the lock of logins, waiting for another process that is at it. Says whether it had to wait.
fn take_login_lock(
    login: &Login,
    context: &Context,
    name: &SessionName,
    prompt: &mut dyn Prompt,
) -> Result<(Lock, bool), Error> {
    let clock = context.clock();
    let start = clock.monotonic();
    let limit = login.limit().unwrap_or(OTHER_LOGIN_LIMIT);
    let mut waited = false;
    loop {
        if let Some(lock) = context
            .store()
            .try_lock(name, Purpose::Login)
            .map_err(Error::Storage)?
        {
            return Ok((lock, waited));
        }
        if !waited {
            prompt.notice(&Notice::WaitingForLogin);
            waited = true;
        }
        if prompt.cancelled() {
            return Err(Error::Cancelled);
        }
        let passed = clock.monotonic().saturating_sub(start);
        if passed >= limit {
            return Err(Error::LockTimeout { waited: passed });
        }
        clock.sleep(TICK);
    }
}

/// Reads the session that is about to be replaced, and stops if it must or could not be.
fn look_at_existing(
    context: &Context,
    name: &SessionName,
    prompt: &mut dyn Prompt,
) -> Result<Option<Session>, Error> {
    match context.store().load::<Session>(name) {
        Ok(existing) => Ok(existing.map(|loaded| loaded.record)),
        Err(StoreError::Damaged { set_aside, .. }) => {
            prompt.notice(&Notice::SessionSetAside { kept_as: set_aside });
            Ok(None)
        }
        // Writing the new one repairs these.
        Err(
            StoreError::WrongMode { .. }
            | StoreError::TooLarge { .. }
            | StoreError::HardLink { .. },
        ) => Ok(None),
        Err(error) => Err(Error::Storage(error)),
    }
}

/// Whether a session that another process has made meanwhile is enough for what this one is for.
fn is_enough(occasion: &Occasion, session: &Session, now: Timestamp) -> bool {
    match occasion {
        Occasion::Stronger { wanted, .. } => session.identity().meets(wanted, now),
        Occasion::Asked | Occasion::Needed { .. } => true,
    }
}

fn is_what_was_asked(login: &Login, session: &Session) -> bool {
    *session.request() == login.request() && session.client_id() == login.client_id()
}
