//! Requests that are not answered with the page they asked for.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::view::{Next, Tone};
use super::words;
use crate::core::{self, InvalidLogout, Unanswerable};

/// Why a request is refused, each with its status and its words.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// There is no such page.
    NotFound,
    /// The form is larger than any of ours.
    TooLarge,
    /// The body is not a form.
    UnsupportedForm,
    /// The form cannot be read.
    MalformedForm,
    /// The form's token is missing or belongs to another browser or session.
    FormExpired,
    /// Another site's page sent the form.
    ForeignOrigin,
    /// The request was sent to a host name that is not ours.
    Misdirected,
    /// The set-up link was used, is too old, or was never made.
    SetupLink,
    /// The login's time was over before anybody decided.
    CodeExpired,
    /// Somebody decided on the login already.
    CodeDecided,
    /// An application's request that it cannot be told about.
    Authorization(Unanswerable),
    /// A logout request that is not put before anybody.
    Logout(InvalidLogout),
    /// Too many wrong codes.
    CodesLimited(Duration),
    /// Too many wrong passwords.
    SignInsLimited(Duration),
    /// Too many wrong second factors.
    FactorsLimited(Duration),
    /// Something failed here, for reasons of our own; only the operator is told which.
    Failed(Arc<dyn Error + Send + Sync>),
    /// Any other status that came up on the way.
    Other(StatusCode),
}

/// What a refusal says.
pub(super) struct Words {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) command: Option<&'static str>,
    pub(super) next: Option<Next>,
}

const START: Next = Next {
    path: "/",
    label: "Go to the start page",
};
const CODE: Next = Next {
    path: "/device",
    label: "Enter a code",
};

impl Refusal {
    /// The status it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::SetupLink => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Authorization(Unanswerable::Expired | Unanswerable::Gone)
            | Self::Logout(InvalidLogout::Expired)
            | Self::CodeExpired
            | Self::CodeDecided => StatusCode::GONE,
            Self::MalformedForm | Self::Authorization(_) | Self::Logout(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::FormExpired | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::CodesLimited(_) | Self::SignInsLimited(_) | Self::FactorsLimited(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Other(status) => *status,
        }
    }

    /// What the page says.
    pub(super) fn words(&self) -> Words {
        match self {
            Self::NotFound => plain(
                "No such page",
                "There is nothing at this address.",
                Some(START),
            ),
            Self::TooLarge => plain(
                "That was too much",
                "The form was larger than any form here. Nothing was changed.",
                Some(START),
            ),
            Self::UnsupportedForm | Self::MalformedForm => plain(
                "The form could not be read",
                "Nothing was changed. Go back, reload the page and try again.",
                Some(START),
            ),
            Self::FormExpired => plain(
                "This form has expired",
                "Nothing was changed. You may have signed in or out since the page was loaded, or \
                 your browser keeps no cookies. Open the page again and repeat.",
                Some(START),
            ),
            Self::ForeignOrigin => plain(
                "This came from another site",
                "Nothing was changed. A page that is not ours tried to send this form for you; if \
                 you trusted a link, be careful with it.",
                Some(START),
            ),
            Self::Misdirected => plain(
                "Not the right address",
                "This server does not answer under the name your browser used.",
                None,
            ),
            Self::SetupLink => Words {
                command: Some("countersign-issuer user add NAME"),
                ..plain(
                    "This link is no longer valid",
                    "It works once and only for a while. If there is an account already, sign in \
                     with it; else start the issuer again for a new link, or create an account on \
                     the issuer’s machine:",
                    Some(Next {
                        path: "/sign-in",
                        label: "Sign in",
                    }),
                )
            },
            Self::CodeExpired => plain(
                "This code has expired",
                "Nothing was approved. Start the command in your terminal again and use its new \
                 code.",
                Some(CODE),
            ),
            Self::CodeDecided => plain(
                "This code was used already",
                "A code takes one decision, and this one was approved or denied. If that was you, \
                 all is well: look at your terminal. If not, tell whoever looks after your \
                 sign-in.",
                Some(CODE),
            ),
            Self::Authorization(problem) => authorization(*problem),
            Self::Logout(problem) => logout(*problem),
            Self::CodesLimited(retry_after) => limited(
                "Too many wrong codes",
                "To keep codes from being guessed, none is accepted for now.",
                *retry_after,
            ),
            Self::SignInsLimited(retry_after) => limited(
                "Too many attempts",
                "To keep passwords from being guessed, none is checked for now.",
                *retry_after,
            ),
            Self::FactorsLimited(retry_after) => limited(
                "Too many wrong codes",
                "To keep second factors from being guessed, none is checked for now. If it was not \
                 you, somebody knows your password: change it.",
                *retry_after,
            ),
            Self::Failed(_) => plain(
                "Something went wrong here",
                "The issuer could not do this just now. Nothing you did was wrong: try again in a \
                 moment.",
                None,
            ),
            Self::Other(StatusCode::METHOD_NOT_ALLOWED) => plain(
                "This page cannot be used that way",
                "The address is right, but it does not take this kind of request.",
                Some(START),
            ),
            Self::Other(status) => plain(
                status.canonical_reason().unwrap_or("This did not work"),
                "The request could not be answered.",
                Some(START),
            ),
        }
    }
}

/// Words without a command.
fn plain(title: &str, text: &str, next: Option<Next>) -> Words {
    Words {
        tone: Tone::Plain,
        title: title.to_owned(),
        text: text.to_owned(),
        command: None,
        next,
    }
}

/// What is said to somebody who has to wait.
fn limited(title: &str, why: &str, retry_after: Duration) -> Words {
    let text = format!("{why} Try again in {}.", words::wait(retry_after));
    plain(title, &text, None)
}

/// What a person is told whose application has made a request that leads nowhere. The last
/// sentence is for whoever writes the application; what the request said is not repeated, for
/// anybody can have made it.
fn authorization(problem: Unanswerable) -> Words {
    let (title, text) = match problem {
        Unanswerable::Expired => (
            "This sign-in took too long",
            "Nothing was approved. Start it again from the application.".to_owned(),
        ),
        Unanswerable::Gone => (
            "Too late for this sign-in",
            "It was used already, or your account has changed meanwhile. Nothing was approved. \
             Start it again from the application."
                .to_owned(),
        ),
        Unanswerable::UnknownPushedRequest => (
            "This sign-in cannot go on",
            format!(
                "It was used already, or is too old. Nothing was approved. Start it again from \
                 the application. If that does not help, tell whoever looks after it: {problem}."
            ),
        ),
        _ => (
            "This sign-in cannot go on",
            format!(
                "The application that sent you here is not known, or asked to be answered at an \
                 address that is not its own. Nothing was approved. Tell whoever looks after it: \
                 {problem}."
            ),
        ),
    };
    plain(title, &text, None)
}

fn logout(problem: InvalidLogout) -> Words {
    let text = match problem {
        InvalidLogout::Expired => {
            "The page was open for too long. You can sign out from the start page.".to_owned()
        }
        _ => format!(
            "The application that sent you here made a mistake; you can sign out from the start \
             page. Tell whoever looks after it: {problem}."
        ),
    };
    plain("You were not signed out", &text, Some(START))
}

impl Refusal {
    /// A failure of our own.
    pub(super) fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<core::Error> for Refusal {
    fn from(error: core::Error) -> Self {
        Self::failed(error)
    }
}

/// The status alone; [`super::respond::finish`] puts the page around it.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::CodesLimited(wait) | Self::SignInsLimited(wait) | Self::FactorsLimited(wait) =
            self
        {
            // Rounded up: who comes back at this second is let in.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}
