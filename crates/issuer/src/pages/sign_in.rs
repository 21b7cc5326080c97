//! `/sign-in` and `/sign-out`.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::post::Post;
use super::refusal::Refusal;
use super::view::SignInForm;
use super::visitor::Visitor;
use super::words::Code;
use super::{Pages, device, query};
use crate::core::SignIn;
use crate::http::Peer;

/// `GET /sign-in`, with `user_code` when a login waits behind it.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let code = query(&uri, "user_code").and_then(|typed| Code::parse(&typed));
    if visitor.session.is_some() {
        return Ok(after(&pages, code.as_ref()));
    }
    let form = SignInForm {
        frame: pages.frame(&visitor),
        code,
        username: String::new(),
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
    let code = Code::parse(fields.text("user_code"));
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
            Ok(pages.with_cookie(after(&pages, code.as_ref()), &new.token))
        }
        SignIn::Refused => {
            let form = SignInForm {
                frame: pages.frame(&visitor),
                code,
                username: username.to_owned(),
                problem: Some("The username or the password is not right."),
            };
            pages.page(&visitor, StatusCode::FORBIDDEN, &form)
        }
        SignIn::Limited { retry_after } => Err(Refusal::SignInsLimited(retry_after)),
    }
}

/// `POST /sign-out`; `everywhere`, or with `user_code` to come back to that login as somebody
/// else.
pub(super) async fn sign_out(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    if let Some(session) = &visitor.session {
        if fields.text("everywhere") == "yes" {
            pages.core().sign_out_everywhere(session).await?;
        } else {
            pages.core().sign_out(session).await?;
        }
    }
    let next = match Code::parse(fields.text("user_code")) {
        Some(code) => format!("/sign-in?user_code={}", code.shown),
        None => "/".to_owned(),
    };
    Ok(pages.without_cookie(pages.redirect(&next)))
}

/// Where a sign-in leads: to the login that waits, or home. There is no other way to say where.
fn after(pages: &Pages, code: Option<&Code>) -> Response {
    match code {
        Some(code) => device::redirect(pages, code),
        None => pages.redirect("/"),
    }
}
