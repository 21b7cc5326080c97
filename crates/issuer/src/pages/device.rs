//! The device page (RFC 8628, sections 3.3 and 5.4): type the code, see who asks, decide.
//!
//! A link with the code in it saves the typing and nothing else. The confirmation is always
//! shown, a GET decides nothing, and a decision is bound to the code it was shown with.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::choice::Choice;
use super::post::Post;
use super::refusal::Refusal;
use super::view::{Confirm, EnterCode, Next, Outcome, Tone, Unmet};
use super::visitor::{Arrival, Visitor};
use super::waiting::Waiting;
use super::words::Code;
use super::{Pages, query, words};
use crate::core::{BrowserSession, CodeLookup, Decision, Missing, PendingDevice};
use crate::http::Peer;

/// `GET /device` and its short form `GET /d`, with or without `user_code`.
pub(super) async fn show(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    arrival: Arrival,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let Some(typed) = query(&uri, "user_code").filter(|typed| !typed.is_empty()) else {
        return enter_code(&pages, &visitor, StatusCode::OK, "", None);
    };
    let Some(code) = Code::parse(&typed) else {
        return enter_code(
            &pages,
            &visitor,
            StatusCode::BAD_REQUEST,
            typed,
            Some(NOT_A_CODE),
        );
    };
    let Some(session) = &visitor.session else {
        // Codes are looked up for accounts only, so nobody can guess at them from outside.
        return Ok(pages.redirect(&format!("/sign-in?user_code={}", code.shown)));
    };
    if arrival == Arrival::Foreign {
        // Another site's link must not spend this session's few wrong guesses, and whoever
        // followed one does well to compare the code once more.
        return enter_code(&pages, &visitor, StatusCode::OK, code.shown, None);
    }
    let now = pages.app.now();
    match pages
        .core()
        .lookup_user_code(&code.shown, session, peer, now)?
    {
        CodeLookup::Found(pending) => match pending.missing {
            None => confirm(&pages, &visitor, session, pending),
            Some(missing) => step_up(&pages, &visitor, session, pending, missing),
        },
        CodeLookup::Expired => Err(Refusal::CodeExpired),
        CodeLookup::Decided => Err(Refusal::CodeDecided),
        CodeLookup::Unknown => enter_code(
            &pages,
            &visitor,
            StatusCode::NOT_FOUND,
            code.shown,
            Some(UNKNOWN),
        ),
        CodeLookup::Limited { retry_after } => Err(Refusal::CodesLimited(retry_after)),
    }
}

/// `POST /device`: the code was typed, or compared.
pub(super) async fn enter(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let typed = fields.text("user_code");
    if let Some(code) = Code::parse(typed) {
        return Ok(redirect(&pages, &code));
    }
    enter_code(
        &pages,
        &visitor,
        StatusCode::UNPROCESSABLE_ENTITY,
        typed,
        Some(NOT_A_CODE),
    )
}

/// `POST /device/decision`: Approve or Deny.
pub(super) async fn decide(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let now = pages.app.now();
    let code = Code::parse(fields.text("user_code")).ok_or(Refusal::MalformedForm)?;
    let decision = fields.text("decision");
    let choice = match decision {
        // The button of the page that has no Approve.
        UNMET => Choice::Deny,
        _ => Choice::parse(decision).ok_or(Refusal::MalformedForm)?,
    };
    let Some(session) = &visitor.session else {
        return Ok(pages.redirect(&format!("/sign-in?user_code={}", code.shown)));
    };
    let rules = pages.core();
    let decision = match choice {
        _ if decision == UNMET => rules.cannot_meet(&code.shown, session, peer, now).await?,
        Choice::Approve => rules.approve(&code.shown, session, peer, now).await?,
        Choice::Deny => rules.deny(&code.shown, session, peer, now).await?,
    };
    let ending = match (decision, choice) {
        (Decision::Recorded, Choice::Approve) => Ending::Approved,
        (Decision::Recorded, Choice::Deny) => Ending::Denied,
        (Decision::Gone, _) => Ending::Gone,
        // The page asks for it, whatever was shown before.
        (Decision::Missing(_), _) => return Ok(redirect(&pages, &code)),
        (Decision::Limited { retry_after }, _) => return Err(Refusal::CodesLimited(retry_after)),
    };
    let receipt = pages.core().csrf_token(&ending.receipt_of(&visitor));
    Ok(pages.redirect(&format!(
        "/device/done?outcome={}&receipt={receipt}",
        ending.name()
    )))
}

/// `GET /device/done`: how it ended. Only who decided has the receipt for it, so nobody can be
/// shown "approved" by a link.
pub(super) async fn done(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let ending = query(&uri, "outcome").and_then(|name| Ending::parse(&name));
    let receipt = query(&uri, "receipt").unwrap_or_default();
    match ending {
        Some(ending)
            if pages
                .core()
                .csrf_matches(&ending.receipt_of(&visitor), &receipt) =>
        {
            pages.page(&visitor, StatusCode::OK, &ending.page(&pages, &visitor))
        }
        _ => Ok(pages.redirect("/device")),
    }
}

/// To the device page with a code that was parsed.
fn redirect(pages: &Pages, code: &Code) -> Response {
    pages.redirect(&format!("/device?user_code={}", code.shown))
}

const NOT_A_CODE: &str =
    "That is not a code: it has eight letters, such as WDJB-MJHT, none of them a vowel.";
const UNKNOWN: &str = "No terminal waits with this code. Compare it letter by letter; if it has been \
                       there for a while, start the command again and use its new code.";

fn enter_code(
    pages: &Pages,
    visitor: &Visitor,
    status: StatusCode,
    typed: impl AsRef<str>,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let form = EnterCode {
        frame: pages.frame(visitor),
        // No more than the field takes: what is longer was not typed there.
        typed: typed.as_ref().chars().take(64).collect(),
        problem,
    };
    pages.page(visitor, status, &form)
}

/// What the button of [`Unmet`] sends.
const UNMET: &str = "unmet";

/// Has the person do what the request asks for, if they can.
fn step_up(
    pages: &Pages,
    visitor: &Visitor,
    session: &BrowserSession,
    pending: PendingDevice,
    missing: Missing,
) -> Result<Response, Refusal> {
    let code = Code::new(&pending.user_code);
    match missing {
        Missing::SignIn => Ok(pages.redirect(&Waiting::Device(code).sign_in_path())),
        Missing::SecondFactor => Ok(pages.redirect(&Waiting::Device(code).code_path())),
        Missing::Unmet => {
            let page = Unmet {
                frame: pages.frame(visitor),
                code,
                client_name: pending.client_name,
                account_username: session.account.username.clone(),
            };
            pages.page(visitor, StatusCode::OK, &page)
        }
    }
}

fn confirm(
    pages: &Pages,
    visitor: &Visitor,
    session: &BrowserSession,
    pending: PendingDevice,
) -> Result<Response, Refusal> {
    let now = pages.app.now();
    let page = Confirm {
        frame: pages.frame(visitor),
        code: Code::new(&pending.user_code),
        client_name: pending.client_name,
        client_id: pending.client_id,
        account_name: session.account.display_name().to_owned(),
        account_username: session.account.username.clone(),
        scopes: words::scopes(&pending.scopes),
        audiences: pending.audiences,
        address: pending
            .requested_from
            .map_or_else(|| "unknown".to_owned(), words::address),
        hostname: pending.claimed_host,
        command: pending.claimed_command,
        age: words::ago(now.since(pending.created_at)),
        remaining: words::span(pending.expires_at.since(now)),
    };
    pages.page(visitor, StatusCode::OK, &page)
}

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Approved,
    Denied,
    Gone,
}

impl Ending {
    fn parse(name: &str) -> Option<Self> {
        [Self::Approved, Self::Denied, Self::Gone]
            .into_iter()
            .find(|ending| ending.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Gone => "gone",
        }
    }

    /// What the receipt is made of: this ending, for this session. A cookie's value has no
    /// space in it, so this is never the secret of a form.
    fn receipt_of(self, visitor: &Visitor) -> Secret {
        Secret::from(format!("{} {}", self.name(), visitor.cookie.expose()))
    }

    fn page(self, pages: &Pages, visitor: &Visitor) -> Outcome {
        let (tone, title, text, next) = match self {
            Self::Approved => (
                Tone::Good,
                "Approved",
                "Return to your terminal: it goes on by itself within a few seconds. You can \
                 close this page.",
                None,
            ),
            Self::Denied => (
                Tone::Stop,
                "Denied",
                "The terminal that asked gets nothing and has been told so. If you did not start \
                 it, somebody else did: tell whoever looks after your sign-in.",
                None,
            ),
            Self::Gone => (
                Tone::Plain,
                "Too late for this code",
                "It expired or was decided already, and this changed nothing. If your terminal \
                 still waits, start the command again and use its new code.",
                Some(Next {
                    path: "/device",
                    label: "Enter another code",
                }),
            ),
        };
        Outcome {
            frame: pages.frame(visitor),
            tone,
            title: title.to_owned(),
            text: text.to_owned(),
            command: None,
            next,
        }
    }
}
