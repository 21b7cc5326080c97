//! `/sign-in` and `/sign-out`.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::Pages;
use super::claimant::Person;
use super::post::Post;
use super::refusal::Refusal;
use super::second_factor;
use super::view::SignInForm;
use super::visitor::{Arrival, Visitor};
use super::waiting::Waiting;
use crate::core::{Missing, SignIn};
use crate::http::Peer;

/// `GET /sign-in`, with `user_code` or `request` when something waits behind it.
pub(super) async fn show(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    arrival: Arrival,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_query(&pages, &uri)?;
    // A password has to be typed also by who is signed in, if what waits wants it.
    if let Some(session) = &visitor.session
        && second_factor::missing(&pages, session, &waiting, arrival, peer)?
            != Some(Missing::SignIn)
    {
        return Ok(pages.redirect(&waiting.path()));
    }
    let form = SignInForm {
        frame: pages.frame(&visitor),
        username: expected(&pages, &visitor, &waiting)?,
        waiting,
        problem: None,
    };
    pages.page(&visitor, StatusCode::OK, &form)
}

/// `POST /sign-in`.
pub(super) async fn submit(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_fields(&pages, &fields)?;
    let username = fields.text("username");
    let password = Secret::from(fields.text("password").to_owned());
    match pages
        .core()
        .sign_in(username, &password, peer, pages.app.now())
        .await?
    {
        SignIn::Accepted(new) => {
            // The browser gets a value it never had before, so one that was planted in it
            // earlier opens nothing; and a session it had ends here.
            end(&pages, &visitor).await?;
            let next = if new.is_halfway {
                waiting.code_path()
            } else {
                waiting.path()
            };
            Ok(pages.with_cookie(pages.redirect(&next), &new.token))
        }
        SignIn::Refused => {
            let form = SignInForm {
                frame: pages.frame(&visitor),
                waiting,
                username: username.to_owned(),
                problem: Some("The username or the password is not right."),
            };
            pages.page(&visitor, StatusCode::FORBIDDEN, &form)
        }
        SignIn::Limited { retry_after } => Err(Refusal::SignInsLimited(retry_after)),
    }
}

/// `POST /sign-out`; `everywhere`, or with `user_code` or `request` to come back to that as
/// somebody else.
pub(super) async fn sign_out(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_fields(&pages, &fields)?;
    match &visitor.session {
        Some(session) if fields.text("everywhere") == "yes" => {
            pages.core().sign_out_everywhere(session).await?;
        }
        _ => end(&pages, &visitor).await?,
    }
    let next = match &waiting {
        Waiting::Nothing => "/".to_owned(),
        waiting => waiting.sign_in_path(),
    };
    Ok(pages.without_cookie(pages.redirect(&next)))
}

/// Ends the session that a browser has, or the half of one.
async fn end(pages: &Pages, visitor: &Visitor) -> Result<(), Refusal> {
    match Person::of(pages, visitor)? {
        Some(Person::SignedIn(session)) => pages.core().sign_out(&session).await?,
        Some(Person::Halfway(half)) => pages.core().drop_half_session(&half).await?,
        None => {}
    }
    Ok(())
}

/// The user name to begin with: whom the application expects, or who has to sign in again.
fn expected(pages: &Pages, visitor: &Visitor, waiting: &Waiting) -> Result<String, Refusal> {
    let hinted = match waiting {
        Waiting::Application(request, _) => pages.core().expected_username(request)?,
        _ => None,
    };
    let present = visitor.session.as_ref();
    Ok(hinted
        .or_else(|| present.map(|session| session.account.username.clone()))
        .unwrap_or_default())
}
