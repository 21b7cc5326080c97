//! `/end_session`: an application asks that its person be signed out of this browser (`OpenID`
//! Connect RP-Initiated Logout 1.0).
//!
//! Anybody can send a browser here, so the person is always asked. Only who is not signed in goes
//! straight on.

use axum::extract::{RawForm, State};
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::post::Post;
use super::refusal::Refusal;
use super::respond::redirect_away;
use super::view::{Leave, Outcome, SignOut, Tone};
use super::visitor::Visitor;
use super::{Pages, query, words};
use crate::core::{LogoutParameters, LogoutRequest};

/// `GET` and `POST /end_session`: from the query or from the form.
pub(super) async fn begin(
    State(pages): State<Pages>,
    RawForm(encoded): RawForm,
) -> Result<Response, Refusal> {
    let parameters = parameters(&encoded)?;
    let core = pages.core();
    let request = core.begin_logout(parameters)?.map_err(Refusal::Logout)?;
    // A form that another site has sent comes without our cookie; the redirect brings it back.
    let sealed = core.seal_logout(&request, pages.app.now());
    Ok(pages.redirect(&format!("/end_session/confirm?request={sealed}")))
}

/// `GET /end_session/confirm?request=…`.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let sealed = query(&uri, "request").unwrap_or_default();
    let request = resume(&pages, &sealed)?;
    let Some(session) = &visitor.session else {
        return match request.url() {
            Some(url) => redirect_away(&Secret::from(url)),
            None => Ok(pages.redirect(DONE)),
        };
    };
    let page = SignOut {
        frame: pages.frame(&visitor),
        request: sealed,
        client_name: request.client_name().map(str::to_owned),
        client_id: request.client_id().unwrap_or_default().to_owned(),
        account_name: session.account.display_name().to_owned(),
        account_username: session.account.username.clone(),
        another: request
            .account_id()
            .is_some_and(|account_id| account_id != session.account.id),
        destination: request.destination().as_ref().map(words::destination),
    };
    pages.page(&visitor, StatusCode::OK, &page)
}

/// `POST /end_session/decision`: Sign out or Stay.
pub(super) async fn decide(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let request = resume(&pages, fields.text("request"))?;
    match fields.text("decision") {
        "stay" => Ok(pages.redirect("/")),
        "sign-out" => {
            if let Some(session) = &visitor.session {
                pages.core().sign_out(session).await?;
            }
            signed_out(&pages, visitor, &request).map(|response| pages.without_cookie(response))
        }
        _ => Err(Refusal::MalformedForm),
    }
}

/// `GET /end_session/done`: says what is so.
pub(super) async fn done(
    State(pages): State<Pages>,
    visitor: Visitor,
) -> Result<Response, Refusal> {
    if visitor.session.is_some() {
        return Ok(pages.redirect("/"));
    }
    let page = Outcome {
        frame: pages.frame(&visitor),
        tone: Tone::Good,
        title: SIGNED_OUT.to_owned(),
        text: "This browser is no longer signed in. Terminals that you approved stay signed in; \
               to end one of them, type there:"
            .to_owned(),
        command: Some("countersign logout"),
        next: None,
    };
    pages.page(&visitor, StatusCode::OK, &page)
}

const DONE: &str = "/end_session/done";
const SIGNED_OUT: &str = "You are signed out";

fn signed_out(
    pages: &Pages,
    visitor: Visitor,
    request: &LogoutRequest,
) -> Result<Response, Refusal> {
    let (Some(url), Some(destination)) = (request.url(), request.destination()) else {
        return Ok(pages.redirect(DONE));
    };
    let visitor = Visitor {
        session: None,
        ..visitor
    };
    let leave = Leave {
        frame: pages.frame(&visitor),
        tone: Tone::Good,
        title: SIGNED_OUT,
        destination: words::destination(&destination),
        url: Secret::from(url),
    };
    pages.leave_by(&visitor, &leave)
}

fn resume(pages: &Pages, sealed: &str) -> Result<LogoutRequest, Refusal> {
    pages
        .core()
        .resume_logout(sealed, pages.app.now())?
        .map_err(Refusal::Logout)
}

/// The parameters that mean something here; `logout_hint` and `ui_locales` voice wishes.
fn parameters(encoded: &[u8]) -> Result<LogoutParameters, Refusal> {
    let mut parameters = LogoutParameters::default();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        let parameter = match name.as_ref() {
            "id_token_hint" => &mut parameters.id_token_hint,
            "client_id" => &mut parameters.client_id,
            "post_logout_redirect_uri" => &mut parameters.post_logout_redirect_uri,
            "state" => &mut parameters.state,
            _ => continue,
        };
        if value.is_empty() {
            continue;
        }
        if parameter.replace(value.into_owned()).is_some() {
            return Err(Refusal::MalformedForm);
        }
    }
    Ok(parameters)
}
