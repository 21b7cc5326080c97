//! `/`: what this is, and who is signed in.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::refusal::Refusal;
use super::view::{Home, Welcome};
use super::visitor::Visitor;
use super::{Pages, words};
use crate::core::SecondFactorPolicy;

/// `GET /`.
pub(super) async fn show(
    State(pages): State<Pages>,
    visitor: Visitor,
) -> Result<Response, Refusal> {
    let frame = pages.frame(&visitor);
    let Some(session) = &visitor.session else {
        return pages.page(&visitor, StatusCode::OK, &Welcome { frame });
    };
    let now = pages.app.now();
    let account = &session.account;
    let core = pages.core();
    let second_factors = match core.second_factor_policy() {
        SecondFactorPolicy::Off => None,
        _ => Some(core.factors(&account.id)?.len()),
    };
    let home = Home {
        frame,
        username: account.username.clone(),
        name: account.display_name().to_owned(),
        email: account.email.clone(),
        second_factors,
        groups: account.groups.join(", "),
        since: words::ago(now.since(session.authenticated_at)),
        remaining: words::wait(session.expires_at.since(now)),
    };
    pages.page(&visitor, StatusCode::OK, &home)
}
