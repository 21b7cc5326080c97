//! `/setup`: the first account, made through the one-time link that the terminal printed.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::post::Post;
use super::refusal::Refusal;
use super::view::{Field, Problem, SetupForm};
use super::visitor::Visitor;
use super::waiting::Waiting;
use super::{Pages, query};
use crate::core::{AccountRejected, NewAccount, Setup};

/// `GET /setup?token=…`. Looking does not use the link up.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let token = query(&uri, "token").unwrap_or_default();
    if !pages
        .core()
        .setup_link_is_valid(&Secret::from(token.clone()), pages.app.now())?
    {
        return Err(Refusal::SetupLink);
    }
    let form = SetupForm {
        frame: pages.frame(&visitor),
        token,
        username: String::new(),
        name: String::new(),
        email: String::new(),
        problem: None,
    };
    pages.page(&visitor, StatusCode::OK, &form)
}

/// `POST /setup`.
pub(super) async fn submit(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let again = |field: Field, text: String| {
        let form = SetupForm {
            frame: pages.frame(&visitor),
            token: fields.text("token").to_owned(),
            username: fields.text("username").to_owned(),
            name: fields.text("name").to_owned(),
            email: fields.text("email").to_owned(),
            problem: Some(Problem { field, text }),
        };
        pages.page(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &form)
    };
    if fields.text("password") != fields.text("repeated") {
        return again(
            Field::Password,
            "The two passwords are not the same.".to_owned(),
        );
    }
    let optional = |name| Some(fields.text(name).trim().to_owned()).filter(|text| !text.is_empty());
    let account = NewAccount {
        username: fields.text("username").trim().to_owned(),
        name: optional("name"),
        email: optional("email"),
        password: Secret::from(fields.text("password").to_owned()),
    };
    let token = Secret::from(fields.text("token").to_owned());
    match pages
        .core()
        .create_first_account(&token, account, pages.app.now())
        .await?
    {
        Setup::Created(session) => {
            if let Some(old) = &visitor.session {
                pages.core().sign_out(old).await?;
            }
            let next = if session.is_halfway {
                Waiting::Nothing.set_up_path()
            } else {
                Waiting::Nothing.path()
            };
            Ok(pages.with_cookie(pages.redirect(&next), &session.token))
        }
        Setup::LinkInvalid => Err(Refusal::SetupLink),
        Setup::Rejected(why) => again(field(why), sentence(&why.to_string())),
    }
}

/// The field to mend.
fn field(why: AccountRejected) -> Field {
    match why {
        AccountRejected::UsernameMalformed | AccountRejected::UsernameTaken => Field::Username,
        AccountRejected::PasswordTooShort | AccountRejected::PasswordTooLong => Field::Password,
        // Groups are not typed on this page.
        AccountRejected::NameMalformed
        | AccountRejected::GroupMalformed
        | AccountRejected::NotInGroup => Field::Name,
    }
}

/// An error's line as a sentence for people.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
