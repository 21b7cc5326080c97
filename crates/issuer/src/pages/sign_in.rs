//! `/sign-in` and `/sign-out`.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::Pages;
use super::post::Post;
use super::refusal::Refusal;
use super::view::SignInForm;
use super::visitor::Visitor;
use super::waiting::Waiting;
use crate::core::{SignIn, Standing};
use crate::http::Peer;

/// `GET /sign-in`, with `user_code` or `request` when something waits behind it.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_query(&pages, &uri)?;
    if !is_needed(&pages, &visitor, &waiting)? {
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
            if let Some(old) = &visitor.session {
                pages.core().sign_out(old).await?;
            }
            Ok(pages.with_cookie(pages.redirect(&waiting.path()), &new.token))
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
    if let Some(session) = &visitor.session {
        if fields.text("everywhere") == "yes" {
            pages.core().sign_out_everywhere(session).await?;
        } else {
            pages.core().sign_out(session).await?;
        }
    }
    let next = match &waiting {
        Waiting::Nothing => "/".to_owned(),
        waiting => waiting.sign_in_path(),
    };
    Ok(pages.without_cookie(pages.redirect(&next)))
}

/// Whether a password has to be typed: also by who is signed in, if an application wants it.
fn is_needed(pages: &Pages, visitor: &Visitor, waiting: &Waiting) -> Result<bool, Refusal> {
    let session = visitor.session.as_ref();
    Ok(match waiting {
        Waiting::Nothing | Waiting::Device(_) => session.is_none(),
        Waiting::Application(request, _) => {
            let now = pages.app.now();
            let standing = pages.core().authorization_standing(request, session, now)?;
            matches!(standing, Standing::SignIn)
        }
    })
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
