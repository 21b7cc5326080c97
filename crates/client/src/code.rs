//! How a login by authorization code runs (RFC 6749, section 4.1; RFC 8252): a browser, and the answer
//! that comes back to the listener or is pasted, whichever is first.
//!
//! Not responsible for the rules of the exchange (`countersign-oauth`), for the connections
//! (`listener.rs`), nor for what it looks like in the terminal.

mod pages;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_oauth::{
    AuthorizationCode, AuthorizationRequest, CallbackError, Client, CodeFlow,
    Error as ExchangeError, NotOurs, PendingAuthorization,
};

use crate::attempt::{Attempt, tell_of_clocks};
use crate::browser::{self, Opening};
use crate::drive::{Asleep, Attentive, drive};
use crate::listener::{Listener, Page, Verdict};
use crate::person::{Person, TICK};
use crate::run::{Outcome, fallback};
use crate::{
    AuthorizationPrompt, BrowserOutcome, Clock, Error, Notice, Paste, PasteRefused, Prompt,
    Session, SignIn,
};

/// How long a person has, when the caller has no limit.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// How often to look whether the browser is back or something was pasted.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a browser that brought the answer waits for what comes of it.
const HOLD: Duration = Duration::from_secs(10);
/// The port of a redirect URI that nobody can listen on. The answer is in the address all the same.
const SOME_PORT: u16 = 49152;

/// Signs a person in and keeps the session. `next` is the way that is left if this one is closed.
pub(crate) fn sign_in(
    way: SignIn,
    attempt: &Attempt<'_>,
    next: Option<SignIn>,
    prompt: &mut dyn Prompt,
) -> Result<Outcome, Error> {
    let clock = attempt.context.clock();
    let client = attempt.client(way)?;
    let attentive = Attentive::new(attempt.context.transport(), clock);

    // Before anybody is sent to a page that could come back too early.
    let (listener, redirect_uri) = listen(way, attempt, prompt)?;
    let mut asking = request(attempt).start_code(
        attempt.provider.metadata(),
        &client,
        &redirect_uri,
        ring::provider(),
    )?;
    let pending = drive(&mut asking, &attentive, clock, &mut Asleep(clock))?;
    tell_of_clocks(&attentive, prompt);

    let waited = wait(way, attempt, &pending, listener, next, prompt);
    prompt.finished();
    match waited? {
        Waited::Turned => Ok(Outcome::Turned),
        Waited::Answer(answer, listener) => {
            let finish = || {
                let code = answer.map_err(ExchangeError::from)?;
                redeem(way, attempt, client, &pending, &code, &attentive)
            };
            let session = show_result(attempt, listener, finish)?;
            Ok(Outcome::SignedIn(Box::new(session)))
        }
    }
}

/// Listens for the browser, where it is to come back here, and says where that is.
fn listen(
    way: SignIn,
    attempt: &Attempt<'_>,
    prompt: &mut dyn Prompt,
) -> Result<(Option<Listener>, String), Error> {
    let redirect = &attempt.redirect;
    if redirect.is_hosted() {
        return Ok((None, redirect.uri(0)));
    }
    let mut taken = |port, next| prompt.notice(&Notice::PortInUse { port, next });
    match Listener::bind(redirect, &mut taken) {
        Ok(listener) => {
            let uri = redirect.uri(listener.port());
            Ok((Some(listener), uri))
        }
        // Whoever pastes needs no listener; with one, a tunnel to it will do as well.
        Err(_) if way == SignIn::Paste => {
            let port = redirect.ports().first().copied().unwrap_or(SOME_PORT);
            Ok((None, redirect.uri(port)))
        }
        Err(error) => Err(error),
    }
}

/// What is asked for, with what the code flow needs in addition to get a refresh token.
fn request(attempt: &Attempt<'_>) -> AuthorizationRequest {
    let mut request = attempt.request.clone();
    let quirks = attempt.quirks();
    quirks.ask_for_refresh_token(&mut request);
    request
}

/// What ended the waiting.
enum Waited {
    /// The answer to this sign-in, and the listener if the browser may be waiting there.
    Answer(Result<AuthorizationCode, CallbackError>, Option<Listener>),
    /// The person takes another way.
    Turned,
}

/// Shows the address, opens the browser, and waits for the answer from either side.
fn wait(
    way: SignIn,
    attempt: &Attempt<'_>,
    pending: &PendingAuthorization,
    mut listener: Option<Listener>,
    next: Option<SignIn>,
    prompt: &mut dyn Prompt,
) -> Result<Waited, Error> {
    let clock = attempt.context.clock();
    let limit = attempt.login.limit().unwrap_or(LIMIT);
    let end = clock.monotonic() + limit;
    show(way, attempt, pending, listener.is_some(), limit, prompt);
    let opening = if way == SignIn::Paste {
        Opening::ended(BrowserOutcome::NotWanted)
    } else {
        let browser = attempt.login.browser_wanted();
        let opening = browser::open(browser, &attempt.place, pending.url(), clock);
        prompt.notice(&Notice::Browser(opening.outcome()));
        opening
    };
    // A device code needs no browser here. Pasting is what is going on anyway.
    let turn = next.filter(|next| *next == SignIn::Device);
    let mut seen = Glance::default();
    // Whoever is asked may be at the page already, opened by hand or by a command that only said that it
    // failed. The question must not keep the answer out, nor go on for longer than there is time.
    let offer = |prompt: &mut dyn Prompt, listener: &mut Option<Listener>, seen: &mut Glance| {
        let why = BrowserOutcome::Failed.text().to_owned();
        let mut settled = || {
            seen.look(listener.as_mut(), pending, clock);
            seen.answer.is_some() || clock.monotonic() >= end
        };
        turn.is_some_and(|to| {
            prompt.offer_meanwhile(&fallback(attempt, way, to, why), &mut settled)
        })
    };
    if opening.outcome() == BrowserOutcome::Failed && offer(prompt, &mut listener, &mut seen) {
        return Ok(Waited::Turned);
    }

    let mut person = Person::new(prompt, clock, opening, limit, Some(limit));
    let mut until_tick = Duration::ZERO;
    loop {
        if until_tick.is_zero() {
            if person.tick()? && offer(person.prompt, &mut listener, &mut seen) {
                return Ok(Waited::Turned);
            }
            until_tick = TICK;
        }
        seen.look(listener.as_mut(), pending, clock);
        seen.tell(person.prompt);
        if let Some(answer) = seen.answer {
            return Ok(Waited::Answer(answer, listener));
        }
        if let Some(pasted) = person.prompt.pasted() {
            match pending.accept_pasted(pasted.expose()) {
                Err(CallbackError::NotOurs(reason)) => {
                    person.prompt.paste_refused(&PasteRefused::new(reason));
                }
                // The listener ends with this, and so does its port.
                answer => return Ok(Waited::Answer(answer, None)),
            }
        }
        clock.sleep(GLANCE);
        until_tick = until_tick.saturating_sub(GLANCE);
    }
}

fn show(
    way: SignIn,
    attempt: &Attempt<'_>,
    pending: &PendingAuthorization,
    listening: bool,
    limit: Duration,
    prompt: &mut dyn Prompt,
) {
    let login = attempt.login;
    let paste = if attempt.redirect.is_hosted() {
        Paste::Code
    } else {
        Paste::Address
    };
    let now = attempt.context.clock().now();
    prompt.show_authorization(&AuthorizationPrompt {
        flow: way,
        url: pending.url().to_string(),
        opens_within: pending.expires_at().map(|until| until.since(now)),
        redirect_uri: pending.redirect_uri().to_owned(),
        comes_back: listening,
        paste: prompt.takes_paste().then_some(paste),
        expires_in: limit,
        issuer: login.issuer().as_str().to_owned(),
        client_id: login.client_id().to_owned(),
    });
}

/// What has come to the listener.
#[derive(Default)]
struct Glance {
    answer: Option<Result<AuthorizationCode, CallbackError>>,
    strays: Vec<NotOurs>,
}

impl Glance {
    /// Looks once more.
    fn look(
        &mut self,
        listener: Option<&mut Listener>,
        pending: &PendingAuthorization,
        clock: &dyn Clock,
    ) {
        let Some(listener) = listener else { return };
        listener.turn(clock.monotonic(), &mut |query| {
            match pending.accept(query) {
                Err(CallbackError::NotOurs(reason)) => {
                    self.strays.push(reason);
                    Verdict::Stray(pages::stray(reason))
                }
                // A page that is loaded again brings the same a second time.
                ours => {
                    self.answer.get_or_insert(ours);
                    Verdict::Answer
                }
            }
        });
    }

    /// Tells of what came and was not ours.
    fn tell(&mut self, prompt: &mut dyn Prompt) {
        for reason in self.strays.drain(..) {
            let what = reason.to_string();
            prompt.notice(&Notice::Ignored { what });
        }
    }
}

/// Trades the code for tokens and keeps the session.
fn redeem(
    way: SignIn,
    attempt: &Attempt<'_>,
    mut client: Client,
    pending: &PendingAuthorization,
    code: &AuthorizationCode,
    attentive: &Attentive<'_>,
) -> Result<Session, Error> {
    let clock = attempt.context.clock();
    let metadata = attempt.provider.metadata();
    let tokens = attempt.tokens(&mut client, |client| {
        let mut flow = CodeFlow::new(metadata, client, pending, code)?;
        drive(&mut flow, attentive, clock, &mut Asleep(clock))
    })?;
    let expected = pending.expected_id_token(&tokens);
    attempt.finish(way, &client, tokens, expected, attentive)
}

/// Runs `finish`, and shows what came of it to the browser that is waiting at the listener. If that
/// takes too long, a thread beside it lets the browser go with what is known by then.
fn show_result(
    attempt: &Attempt<'_>,
    listener: Option<Listener>,
    finish: impl FnOnce() -> Result<Session, Error>,
) -> Result<Session, Error> {
    let Some(listener) = listener else {
        return finish();
    };
    let page = |result: &Result<Session, Error>| match result {
        Ok(session) => pages::signed_in(session),
        Err(error) => pages::failed(error, attempt.login.client_id(), attempt.preset),
    };
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel::<Page>();
        let waiting = thread::Builder::new().spawn_scoped(scope, move || {
            listener.conclude_by(&told, HOLD, &pages::unfinished());
        });
        let result = finish();
        if waiting.is_ok() {
            // The page was let go of already if nobody hears this.
            let _ = tell.send(page(&result));
        }
        result
    })
}
