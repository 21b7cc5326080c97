//! `/authorize`: an application asks for a code (RFC 6749, section 4.1; `OpenID` Connect Core 1.0,
//! section 3.1.2).
//!
//! The request is examined and sealed into the address of the page that asks for consent; from
//! there on the browser carries it. A request that was posted by another site comes without our
//! cookie, and has it again after that redirect. Consent is asked for every time: a program on
//! this machine cannot prove which one it is (RFC 8252, section 8.6), and a page that is always
//! there is one that people notice when it is not.

use axum::extract::{RawForm, State};
use axum::response::Response;
use http::{StatusCode, Uri};

use super::choice::Choice;
use super::post::Post;
use super::refusal::Refusal;
use super::respond::redirect_away;
use super::view::{Consent, Tone};
use super::visitor::Visitor;
use super::{Pages, query, words};
use crate::core::{
    AuthorizationParameters, AuthorizationProblem, AuthorizationRequest, AuthorizationResponse,
    BrowserSession, Destination, Standing, Unanswerable,
};

/// `GET` and `POST /authorize`: from the query or from the form.
pub(super) async fn begin(
    State(pages): State<Pages>,
    RawForm(encoded): RawForm,
) -> Result<Response, Refusal> {
    let parameters = AuthorizationParameters::parse(&encoded);
    let core = pages.core();
    match core.begin_authorization(parameters, pages.app.now()) {
        Ok(request) => Ok(pages.redirect(&consent_path(&core.seal_authorization(&request)))),
        // No form of ours led here, so the browser may be sent on at once.
        Err(AuthorizationProblem::Answered(response)) => redirect_away(&response.url),
        Err(problem) => Err(problem.into()),
    }
}

/// `GET /authorize/consent?request=…`: whoever is needed signs in, and is asked.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let sealed = query(&uri, "request").unwrap_or_default();
    let (request, session) = match stand(&pages, &visitor, &sealed).await? {
        Stand::Ready(request, session) => (request, session),
        Stand::Answer(response) => return Ok(response),
    };
    let destination = request.destination();
    let page = Consent {
        frame: pages.frame(&visitor),
        request: sealed,
        client_name: request.client_name().to_owned(),
        client_id: request.client_id().to_owned(),
        account_name: session.account.display_name().to_owned(),
        account_username: session.account.username.clone(),
        scopes: words::scopes(&request.scopes()),
        audiences: request.audiences().to_vec(),
        here: matches!(destination, Destination::ThisMachine { .. }),
        destination: words::destination(&destination),
    };
    pages.page(&visitor, StatusCode::OK, &page)
}

/// `POST /authorize/decision`: Approve or Deny.
pub(super) async fn decide(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let choice = Choice::parse(fields.text("decision")).ok_or(Refusal::MalformedForm)?;
    let (request, session) = match stand(&pages, &visitor, fields.text("request")).await? {
        Stand::Ready(request, session) => (request, session),
        Stand::Answer(response) => return Ok(response),
    };
    let core = pages.core();
    match choice {
        Choice::Approve => {
            let approved = core.approve_authorization(&request, session, pages.app.now());
            let response = approved.await?;
            pages.leave(&visitor, Tone::Good, "Approved", &response)
        }
        Choice::Deny => {
            let response = core.deny_authorization(&request).await?;
            pages.leave(&visitor, Tone::Stop, "Denied", &response)
        }
    }
}

/// How things stand with a request that the browser has brought.
enum Stand<'a> {
    /// The person of this session can decide.
    Ready(Box<AuthorizationRequest>, &'a BrowserSession),
    /// The browser has to go elsewhere first, or for good.
    Answer(Response),
}

async fn stand<'a>(
    pages: &Pages,
    visitor: &'a Visitor,
    sealed: &str,
) -> Result<Stand<'a>, Refusal> {
    let now = pages.app.now();
    let core = pages.core();
    let refused = |response: &AuthorizationResponse| {
        pages.leave(visitor, Tone::Plain, "This cannot be approved", response)
    };
    let request = match core.resume_authorization(sealed, now) {
        Ok(request) => request,
        Err(AuthorizationProblem::Answered(response)) => {
            return refused(&response).map(Stand::Answer);
        }
        Err(problem) => return Err(problem.into()),
    };
    let session = visitor.session.as_ref();
    let answer = match (
        core.authorization_standing(&request, session, now)?,
        session,
    ) {
        (Standing::Consent, Some(session)) => {
            return Ok(Stand::Ready(Box::new(request), session));
        }
        (Standing::Granted, Some(session)) => {
            let approved = core.approve_authorization(&request, session, now);
            redirect_away(&approved.await?.url)?
        }
        (Standing::Answered(response), _) if request.is_silent() => redirect_away(&response.url)?,
        (Standing::Answered(response), _) => refused(&response)?,
        (Standing::SecondFactor, Some(_)) => pages.redirect(&code_path(sealed)),
        (Standing::Consent | Standing::Granted | Standing::SecondFactor | Standing::SignIn, _) => {
            pages.redirect(&sign_in_path(sealed))
        }
    };
    Ok(Stand::Answer(answer))
}

/// The page that asks for consent. A request that was sealed here is base64url.
pub(super) fn consent_path(sealed: &str) -> String {
    format!("/authorize/consent?request={sealed}")
}

/// Where the person signs in for a request.
fn sign_in_path(sealed: &str) -> String {
    format!("/sign-in?request={sealed}")
}

/// Where the person proves a second factor for a request.
fn code_path(sealed: &str) -> String {
    format!("/sign-in/code?request={sealed}")
}

impl From<AuthorizationProblem> for Refusal {
    fn from(problem: AuthorizationProblem) -> Self {
        match problem {
            AuthorizationProblem::Shown(problem) => Self::Authorization(problem),
            AuthorizationProblem::Internal(error) => error.into(),
            // Whoever can answer does so; what is left cannot go on.
            AuthorizationProblem::Answered(_) => Self::Authorization(Unanswerable::Gone),
        }
    }
}
