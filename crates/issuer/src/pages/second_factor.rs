//! `/sign-in/code`: the second factor, after the password or beside a sign-in that had none.

use axum::extract::State;
use axum::response::Response;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::Pages;
use super::claimant::Person;
use super::post::Post;
use super::refusal::Refusal;
use super::view::SecondFactorForm;
use super::visitor::{Arrival, Visitor};
use super::waiting::Waiting;
use crate::core::{
    BrowserSession, Claimant, CodeLookup, FactorKind, Missing, ProvedFactor, Standing,
};
use crate::http::Peer;

const WRONG: &str = "That code is not right. An authenticator shows another one every half minute: \
                     type the one it shows now.";
const AWAY: &str = "Nobody can check your Yubikey just now: the servers that know it do not answer. Touch it \
                    again in a minute, or use an authenticator or a recovery code.";
const USED: &str = "That code was used already. Wait for the next one, or touch the key once more.";

/// `GET /sign-in/code`.
pub(super) async fn show(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    arrival: Arrival,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_query(&pages, &uri)?;
    let Some(person) = Person::of(&pages, &visitor)? else {
        return Ok(pages.redirect(&waiting.sign_in_path()));
    };
    let has_one = pages.core().has_second_factor(&person.account().id)?;
    let needed = match &person {
        Person::Halfway(_) if !has_one => return Ok(pages.redirect(&waiting.set_up_path())),
        Person::Halfway(_) => true,
        Person::SignedIn(session) => {
            has_one
                && missing(&pages, session, &waiting, arrival, peer)? == Some(Missing::SecondFactor)
        }
    };
    if !needed {
        return Ok(pages.redirect(&waiting.path()));
    }
    ask(&pages, &visitor, &person, waiting, StatusCode::OK, None)
}

/// `POST /sign-in/code`.
pub(super) async fn submit(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_fields(&pages, &fields)?;
    let Some(person) = Person::of(&pages, &visitor)? else {
        return Ok(pages.redirect(&waiting.sign_in_path()));
    };
    let typed = Secret::from(fields.text("code").to_owned());
    let proved = pages
        .core()
        .prove_second_factor(person.claimant(), &typed, peer, pages.app.now())
        .await?;
    let (status, problem) = match proved {
        // As after a password: a value that the browser never had before.
        ProvedFactor::Accepted(new) => {
            return Ok(pages.with_cookie(pages.redirect(&waiting.path()), &new.token));
        }
        ProvedFactor::Gone => return Ok(pages.redirect(&waiting.sign_in_path())),
        ProvedFactor::Limited { retry_after } => return Err(Refusal::FactorsLimited(retry_after)),
        ProvedFactor::Refused => (StatusCode::FORBIDDEN, WRONG),
        ProvedFactor::Replayed => (StatusCode::FORBIDDEN, USED),
        ProvedFactor::Undecided(undecided) => {
            pages.app.report(&undecided);
            (StatusCode::SERVICE_UNAVAILABLE, AWAY)
        }
    };
    ask(&pages, &visitor, &person, waiting, status, Some(problem))
}

/// What somebody signed in has to do before that which waits can go on.
pub(super) fn missing(
    pages: &Pages,
    session: &BrowserSession,
    waiting: &Waiting,
    arrival: Arrival,
    peer: std::net::IpAddr,
) -> Result<Option<Missing>, Refusal> {
    let rules = pages.core();
    let now = pages.app.now();
    Ok(match waiting {
        Waiting::Nothing => None,
        Waiting::Factors => rules.missing_for_factors(Claimant::SignedIn(session), now)?,
        // Another site's link must not spend this session's few wrong guesses: the device page
        // has the code compared first.
        Waiting::Device(_) if arrival == Arrival::Foreign => None,
        Waiting::Device(code) => match rules.lookup_user_code(&code.shown, session, peer, now)? {
            CodeLookup::Found(pending) => pending.missing,
            _ => None,
        },
        Waiting::Application(request, _) => {
            match rules.authorization_standing(request, Some(session), now)? {
                Standing::SignIn => Some(Missing::SignIn),
                Standing::SecondFactor => Some(Missing::SecondFactor),
                _ => None,
            }
        }
    })
}

fn ask(
    pages: &Pages,
    visitor: &Visitor,
    person: &Person,
    waiting: Waiting,
    status: StatusCode,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let factors = pages.core().factors(&person.account().id)?;
    let form = SecondFactorForm {
        frame: pages.frame(visitor),
        who: person.who(),
        has_totp: factors.iter().any(|it| it.kind == FactorKind::Totp),
        has_key: factors.iter().any(|it| it.kind != FactorKind::Totp),
        waiting,
        problem,
    };
    pages.page(visitor, status, &form)
}
