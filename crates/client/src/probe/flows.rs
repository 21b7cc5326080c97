//! Which flows the server lets this client use: asked, and then left alone.
//!
//! A device code and a pushed request run out by themselves. An authorization is asked for with
//! `prompt=none`, as an application asks that wants no page shown (OpenID Connect Core 1.0, section
//! 3.1.2.1); there is no person and no cookie, so nothing can come of it but an error.

use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_oauth::{
    CallbackError, ClientCredentialsFlow, Endpoint, Error as ExchangeError, ErrorCode, Flow,
    HttpRequest, HttpResponse, Refusal, TransportError, text::printable,
};
use url::Url;

use crate::attempt::Attempt;
use crate::drive::{Asleep, drive};
use crate::plan::Plan;
use crate::run::circumstances;
use crate::{Context, Error, Login, Obstacle, Provider, SignIn};

/// The longest title that is shown.
const MAX_TITLE: usize = 100;

/// Whether a server lets a client use a flow.
#[derive(Debug)]
#[non_exhaustive]
pub enum Allowed {
    /// It does.
    Yes,
    /// It does not, and says why.
    No(Error),
    /// It does not have the flow at all, or does not say where.
    NotOffered,
    /// The server could not be asked.
    Unreachable(Error),
    /// It showed a page of its own instead of an answer, as servers do that do not know the client or
    /// the redirect URI.
    Doubtful {
        /// The status of the page.
        status: u16,
        /// What the page is called.
        title: Option<String>,
    },
    /// What came back proves neither, in words that continue "it is not known, because".
    Unknown(String),
}

/// Asks for a device code and lets it run out.
pub fn device(login: &Login, provider: &Provider, limit: Duration) -> Allowed {
    ask(login, provider, limit, |attempt| {
        let client = attempt.client(SignIn::Device)?;
        let client = attempt.device_client(&client);
        let mut flow = attempt.request.start_device(provider.metadata(), &client)?;
        run(&mut flow, attempt.context)?;
        Ok(Allowed::Yes)
    })
}

/// Asks for a token as the client itself.
pub fn client_credentials(login: &Login, provider: &Provider, limit: Duration) -> Allowed {
    ask(login, provider, limit, |attempt| {
        let client = attempt.client(SignIn::ClientCredentials)?;
        let request = &attempt.request;
        let mut flow = ClientCredentialsFlow::new(provider.metadata(), &client, request)?;
        run(&mut flow, attempt.context)?;
        Ok(Allowed::Yes)
    })
}

/// Asks for an authorization that no person will give. `redirect_uri` must be the one that a login
/// would send.
pub fn code(login: &Login, provider: &Provider, redirect_uri: &str, limit: Duration) -> Allowed {
    ask(login, provider, limit, |attempt| {
        look(attempt, redirect_uri)
    })
}

/// The ways to sign in that are open, in the order in which the login would try them, and why the
/// others are not. Nobody is asked anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ways {
    /// The ways that are open, the first one first.
    pub open: Vec<SignIn>,
    /// The ways that are closed, and what keeps them closed.
    pub closed: Vec<(SignIn, Obstacle)>,
}

/// Which way the login would take. `pastes` says whether there is somebody to paste an answer.
///
/// # Errors
/// When the login contradicts itself.
pub fn ways(login: &Login, provider: &Provider, pastes: bool) -> Result<Ways, Error> {
    let context = login.made_context()?;
    let name = login.name()?;
    let attempt = Attempt::at(provider.clone(), login, &context, &name)?;
    let Plan { open, closed } = circumstances(&attempt, pastes).plan();
    Ok(Ways { open, closed })
}

/// Asks as the login would.
fn ask(
    login: &Login,
    provider: &Provider,
    limit: Duration,
    asked: impl FnOnce(&Attempt<'_>) -> Result<Allowed, Error>,
) -> Allowed {
    let outcome = login.made_context().and_then(|context| {
        let context = context.hurried(limit);
        let name = login.name()?;
        asked(&Attempt::at(provider.clone(), login, &context, &name)?)
    });
    outcome.unwrap_or_else(told)
}

fn run<F: Flow>(flow: &mut F, context: &Context) -> Result<F::Output, Error> {
    let clock = context.clock();
    drive(flow, context.transport(), clock, &mut Asleep(clock))
}

/// What an error of one of the machines says about the flow.
fn told(error: Error) -> Allowed {
    match &error {
        Error::Exchange(ExchangeError::EndpointMissing(_)) => Allowed::NotOffered,
        Error::Exchange(exchange) if exchange.is_retryable() => Allowed::Unreachable(error),
        _ => Allowed::No(error),
    }
}

fn look(attempt: &Attempt<'_>, redirect_uri: &str) -> Result<Allowed, Error> {
    let mut request = attempt.request.clone();
    request.prompt = Some("none".to_owned());
    request.extra.retain(|(name, _)| name != "prompt");
    let client = attempt.client(SignIn::Browser)?;
    let (metadata, context) = (attempt.provider.metadata(), attempt.context);
    let mut flow = request.start_code(metadata, &client, redirect_uri, ring::provider())?;
    let pending = run(&mut flow, context)?;
    let question = HttpRequest::get(pending.url().clone());
    let location = match context.transport().send(&question, Duration::MAX) {
        Err(TransportError::Redirect { location: Some(to) }) => to,
        Ok(answer) => return Ok(page(&answer)),
        Err(source) => {
            return Err(ExchangeError::Transport {
                endpoint: Endpoint::Authorization,
                source,
            }
            .into());
        }
    };
    let Ok(to) = pending.url().join(&location) else {
        return Ok(Allowed::Unknown(
            "it sent the browser to no address".to_owned(),
        ));
    };
    if !is_back(&to, redirect_uri) {
        return Ok(elsewhere(&to));
    }
    Ok(match pending.accept(to.query().unwrap_or_default()) {
        // Nobody has signed in; a code for nobody is worth nothing, and is not redeemed.
        Ok(_) => Allowed::Yes,
        Err(CallbackError::Refused(refusal)) => answered(refusal),
        Err(error) => Allowed::No(ExchangeError::from(error).into()),
    })
}

/// The server came back: it knows the client and the redirect URI. What it wants is a person, unless
/// it says otherwise.
fn answered(refusal: Refusal) -> Allowed {
    match refusal.code {
        Some(
            ErrorCode::LoginRequired
            | ErrorCode::InteractionRequired
            | ErrorCode::ConsentRequired
            | ErrorCode::AccountSelectionRequired
            | ErrorCode::InsufficientUserAuthentication,
        ) => Allowed::Yes,
        Some(ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) => {
            Allowed::Unknown("the server is in trouble".to_owned())
        }
        _ => Allowed::No(ExchangeError::Refused(refusal).into()),
    }
}

/// A page instead of a redirect. What it says, only a person can read; what it is called, anybody.
fn page(answer: &HttpResponse) -> Allowed {
    let status = answer.status;
    match status {
        429 | 500.. => Allowed::Unreachable(
            ExchangeError::Unavailable {
                endpoint: Endpoint::Authorization,
                status,
                retry_after: None,
                refusal: None,
            }
            .into(),
        ),
        400.. => Allowed::Doubtful {
            status,
            title: title(&answer.body),
        },
        _ => Allowed::Unknown(format!(
            "the server answered with a page (status {status}) where only a browser can go on"
        )),
    }
}

/// The title of a page, fit to be printed, if it has a short one.
fn title(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(page);
    // Bytes stay where they are when ASCII letters change their case.
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    let text = printable(page.get(start..end)?);
    (!text.is_empty() && text.chars().count() <= MAX_TITLE).then_some(text)
}

/// The server sent the browser on to a page of its own: to sign in, or to an error.
fn elsewhere(to: &Url) -> Allowed {
    let error = to.query_pairs().find(|(name, _)| name == "error");
    match error {
        Some((_, code)) => {
            let description = to
                .query_pairs()
                .find(|(name, _)| name == "error_description");
            let description = description.map(|(_, text)| text.into_owned());
            let refusal = Refusal::new(Endpoint::Authorization, 302, &code, description.as_deref());
            Allowed::No(ExchangeError::Refused(refusal).into())
        }
        None => Allowed::Unknown("the server sent the browser on to sign in".to_owned()),
    }
}

/// Whether an address is the redirect URI with something after it.
fn is_back(to: &Url, redirect_uri: &str) -> bool {
    let mut bare = to.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    Url::parse(redirect_uri).is_ok_and(|expected| expected == bare)
}
