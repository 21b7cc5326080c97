//! `/factors`: what a person has beside the password, set up and taken away.
//!
//! Whoever finds an open browser must not make its account theirs for good: every change wants a
//! second factor that was proved a moment ago, the first one a password that was typed then.
//! Somebody on the way in who has to have one comes to the same two pages.

use axum::extract::State;
use axum::response::Response;
use countersign_jose::base64url;
use countersign_oauth::Secret;
use http::{StatusCode, Uri};

use super::claimant::Person;
use super::post::Post;
use super::qr::Qr;
use super::refusal::Refusal;
use super::view::{FactorLine, Factors, RecoveryCodes, RemoveFactor, SetUpKey, SetUpTotp};
use super::visitor::Visitor;
use super::waiting::Waiting;
use super::{Pages, query, words};
use crate::core::{
    Enrolment, EnrolmentRefused, Factor, FactorId, Missing, SecondFactorPolicy, TotpOffer,
};
use crate::http::Peer;

const AWAY: &str = "Nobody can check this key just now: the servers that know it do not answer. Nothing was set \
                    up; touch it again in a minute.";

/// `GET /factors`.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
) -> Result<Response, Refusal> {
    are_used(&pages)?;
    let Some(session) = &visitor.session else {
        return Ok(pages.redirect(&Waiting::Factors.sign_in_path()));
    };
    let core = pages.core();
    let account_id = &session.account.id;
    let page = Factors {
        frame: pages.frame(&visitor),
        lines: core
            .factors(account_id)?
            .iter()
            .map(|factor| line(&pages, factor))
            .collect(),
        codes_left: core.recovery_codes_left(account_id)?,
        can_claim: core.has_claimable_key(account_id)?,
        policy: core.second_factor_policy(),
    };
    pages.page(&visitor, StatusCode::OK, &page)
}

/// `GET /factors/totp`: a secret is offered.
pub(super) async fn show_totp(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_query(&pages, &uri)?;
    let person = match allowed(&pages, &visitor, &waiting)? {
        Ok(person) => person,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let offer = pages
        .core()
        .offer_totp(person.claimant(), pages.app.now())?;
    ask_totp(&pages, &visitor, &person, waiting, offer, None)
}

/// `POST /factors/totp`: a code of it has come back.
pub(super) async fn set_up_totp(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_fields(&pages, &fields)?;
    let person = match allowed(&pages, &visitor, &waiting)? {
        Ok(person) => person,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let now = pages.app.now();
    let core = pages.core();
    let offer = Secret::from(fields.text("offer").to_owned());
    let typed = Secret::from(fields.text("code").to_owned());
    let enrolment = core.enrol_totp(person.claimant(), &offer, &typed, now);
    match enrolment.await? {
        Enrolment::Refused(why) => {
            let resumed = core.resume_totp_offer(person.claimant(), &offer, now)?;
            let offer = match resumed {
                Some(offer) => offer,
                None => core.offer_totp(person.claimant(), now)?,
            };
            ask_totp(&pages, &visitor, &person, waiting, offer, Some(why))
        }
        other => ended(&pages, &visitor, &waiting, other),
    }
}

/// `GET /factors/yubikey`.
pub(super) async fn show_key(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_query(&pages, &uri)?;
    match allowed(&pages, &visitor, &waiting)? {
        Ok(person) => ask_key(&pages, &visitor, &person, waiting, StatusCode::OK, None),
        Err(elsewhere) => Ok(elsewhere),
    }
}

/// `POST /factors/yubikey`: the key was touched.
pub(super) async fn claim_key(
    State(pages): State<Pages>,
    Peer(peer): Peer,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    let waiting = Waiting::from_fields(&pages, &fields)?;
    let person = match allowed(&pages, &visitor, &waiting)? {
        Ok(person) => person,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let typed = Secret::from(fields.text("code").to_owned());
    let enrolment = pages
        .core()
        .enrol_yubikey(person.claimant(), &typed, peer, pages.app.now());
    match enrolment.await? {
        Enrolment::Refused(why) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            ask_key(
                &pages,
                &visitor,
                &person,
                waiting,
                status,
                Some(problem(why)),
            )
        }
        Enrolment::Undecided(undecided) => {
            pages.app.report(&undecided);
            let status = StatusCode::SERVICE_UNAVAILABLE;
            ask_key(&pages, &visitor, &person, waiting, status, Some(AWAY))
        }
        other => ended(&pages, &visitor, &waiting, other),
    }
}

/// `POST /factors/recovery`: other recovery codes.
pub(super) async fn renew_codes(
    State(pages): State<Pages>,
    Post { visitor, .. }: Post,
) -> Result<Response, Refusal> {
    are_used(&pages)?;
    let Some(session) = &visitor.session else {
        return Ok(pages.redirect(&Waiting::Factors.sign_in_path()));
    };
    let renewed = pages.core().renew_recovery_codes(session, pages.app.now());
    match renewed.await? {
        Ok(codes) if codes.is_empty() => Ok(pages.redirect("/factors")),
        Ok(codes) => show_codes(&pages, &visitor, codes, &Waiting::Factors),
        Err(missing) => Ok(pages.redirect(&path_for(missing, &Waiting::Factors))),
    }
}

/// `GET /factors/remove?factor=…`: asks once more.
pub(super) async fn ask_removal(
    State(pages): State<Pages>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Refusal> {
    let waiting = Waiting::Factors;
    let person = match allowed(&pages, &visitor, &waiting)? {
        Ok(person) => person,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let asked = query(&uri, "factor").unwrap_or_default();
    let factors = pages.core().factors(&person.account().id)?;
    let id = factor_id(&asked).ok_or(Refusal::NotFound)?;
    let factor = factors.iter().find(|factor| factor.id == id);
    let page = RemoveFactor {
        frame: pages.frame(&visitor),
        factor: line(&pages, factor.ok_or(Refusal::NotFound)?),
        is_last: factors.len() == 1,
    };
    pages.page(&visitor, StatusCode::OK, &page)
}

/// `POST /factors/remove`.
pub(super) async fn remove(
    State(pages): State<Pages>,
    Post { visitor, fields }: Post,
) -> Result<Response, Refusal> {
    are_used(&pages)?;
    let id = factor_id(fields.text("factor")).ok_or(Refusal::MalformedForm)?;
    let Some(session) = &visitor.session else {
        return Ok(pages.redirect(&Waiting::Factors.sign_in_path()));
    };
    let removed = pages.core().remove_factor(session, &id, pages.app.now());
    match removed.await? {
        // Gone already is as good.
        Ok(_) => Ok(pages.redirect("/factors")),
        Err(missing) => Ok(pages.redirect(&path_for(missing, &Waiting::Factors))),
    }
}

/// Whoever may set a factor up now, or where they have to go first.
fn allowed(
    pages: &Pages,
    visitor: &Visitor,
    waiting: &Waiting,
) -> Result<Result<Person, Response>, Refusal> {
    are_used(pages)?;
    let Some(person) = Person::of(pages, visitor)? else {
        return Ok(Err(pages.redirect(&waiting.sign_in_path())));
    };
    let now = pages.app.now();
    let missing = pages.core().missing_for_factors(person.claimant(), now)?;
    Ok(match (missing, &person) {
        (None, _) => Ok(person),
        (Some(missing), Person::Halfway(_)) => Err(pages.redirect(&path_for(missing, waiting))),
        // Who is signed in comes here for these pages, whatever else waits.
        (Some(missing), Person::SignedIn(_)) => {
            Err(pages.redirect(&path_for(missing, &Waiting::Factors)))
        }
    })
}

/// Where somebody does what is missing.
fn path_for(missing: Missing, waiting: &Waiting) -> String {
    match missing {
        Missing::SignIn | Missing::Unmet => waiting.sign_in_path(),
        Missing::SecondFactor => waiting.code_path(),
    }
}

/// There are no such pages where there are no second factors.
fn are_used(pages: &Pages) -> Result<(), Refusal> {
    match pages.core().second_factor_policy() {
        SecondFactorPolicy::Off => Err(Refusal::NotFound),
        _ => Ok(()),
    }
}

/// The end of a set-up that did not fail at its form.
fn ended(
    pages: &Pages,
    visitor: &Visitor,
    waiting: &Waiting,
    enrolment: Enrolment,
) -> Result<Response, Refusal> {
    match enrolment {
        Enrolment::Done(done) if done.recovery_codes.is_empty() => {
            Ok(pages.with_cookie(pages.redirect(&waiting.path()), &done.session.token))
        }
        Enrolment::Done(done) => {
            let page = show_codes(pages, visitor, done.recovery_codes, waiting)?;
            Ok(pages.with_cookie(page, &done.session.token))
        }
        Enrolment::Missing(missing) => Ok(pages.redirect(&path_for(missing, waiting))),
        Enrolment::Limited { retry_after } => Err(Refusal::FactorsLimited(retry_after)),
        Enrolment::Refused(_) | Enrolment::Undecided(_) => Ok(pages.redirect("/factors")),
    }
}

fn show_codes(
    pages: &Pages,
    visitor: &Visitor,
    codes: Vec<Secret>,
    waiting: &Waiting,
) -> Result<Response, Refusal> {
    let page = RecoveryCodes {
        frame: pages.frame(visitor),
        codes,
        next: waiting.path(),
    };
    pages.page(visitor, StatusCode::OK, &page)
}

fn ask_totp(
    pages: &Pages,
    visitor: &Visitor,
    person: &Person,
    waiting: Waiting,
    offer: TotpOffer,
    refused: Option<EnrolmentRefused>,
) -> Result<Response, Refusal> {
    let form = SetUpTotp {
        frame: pages.frame(visitor),
        who: person.who(),
        halfway: matches!(person, Person::Halfway(_)),
        can_claim: pages.core().has_claimable_key(&person.account().id)?,
        // Without a picture there is still the text.
        qr: Qr::new(&offer.uri),
        groups: words::groups_of_four(&offer.secret),
        offer: offer.sealed,
        waiting,
        problem: refused.map(problem),
    };
    pages.page(visitor, status(refused), &form)
}

fn ask_key(
    pages: &Pages,
    visitor: &Visitor,
    person: &Person,
    waiting: Waiting,
    status: StatusCode,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let form = SetUpKey {
        frame: pages.frame(visitor),
        who: person.who(),
        halfway: matches!(person, Person::Halfway(_)),
        any: pages.core().asks_key_servers(),
        waiting,
        problem,
    };
    pages.page(visitor, status, &form)
}

fn status(refused: Option<EnrolmentRefused>) -> StatusCode {
    match refused {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn problem(refused: EnrolmentRefused) -> &'static str {
    match refused {
        EnrolmentRefused::WrongCode => {
            "That is not the code it shows now. Type the next one; if it never fits, the clock of \
             the device is off."
        }
        EnrolmentRefused::OfferExpired => {
            "That took too long. Here is a new secret: remove the one you scanned, and scan this."
        }
        EnrolmentRefused::NoOtp => {
            "That is not what a Yubikey types: 44 letters, none of them a digit. Touch the key once, \
             with the cursor in the field."
        }
        EnrolmentRefused::UnknownKey => {
            "This key cannot be set up here. Touch it once more; if it is still refused, have it \
             imported for you by whoever runs this issuer."
        }
        EnrolmentRefused::TooMany => {
            "You have as many second factors as you may. Remove one first."
        }
        EnrolmentRefused::Gone => {
            "Your account has changed meanwhile. Nothing was set up; try again."
        }
    }
}

fn line(pages: &Pages, factor: &Factor) -> FactorLine {
    let now = pages.app.now();
    FactorLine {
        id: base64url::encode(&factor.id),
        public_id: factor.kind.public_id().map(str::to_owned),
        since: words::ago(now.since(factor.since)),
        used: factor.used_at.map(|at| words::ago(now.since(at))),
    }
}

fn factor_id(text: &str) -> Option<FactorId> {
    base64url::decode(text).ok()?.try_into().ok()
}
