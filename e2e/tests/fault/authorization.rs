//! What can be wrong with what the browser brings back (RFC 6749, section 4.1.2; RFC 9207), and before
//! that with a request that is pushed (RFC 9126).

use countersign_testkit::Endpoint::PushedAuthorization as PAR;
use countersign_testkit::{Provider, Reply};
use serde_json::json;

use super::{Fault, always, dripping, fault, html, huge, raw_json, refuse, remove, set};

/// Nothing of this is the answer that is waited for, so the login waits until its time is over.
#[rustfmt::skip] // A table: one row, one line.
pub(crate) const STRAY: [Fault; 9] = [
    fault("another state", |p| answer(p, "state", Some("another")), "login_timed_out", 6),
    fault("no state", |p| answer(p, "state", None), "login_timed_out", 6),
    fault("an empty state", |p| answer(p, "state", Some("")), "login_timed_out", 6),
    fault("two states", |p| twice(p, "state"), "login_timed_out", 6),
    fault("two codes", |p| twice(p, "code"), "login_timed_out", 6),
    fault("two issuers", |p| twice(p, "iss"), "login_timed_out", 6),
    fault("neither code nor error", |p| answer(p, "code", None), "login_timed_out", 6),
    fault("an error for another state", refused_elsewhere, "login_timed_out", 6),
    fault("more than anybody reads", |p| answer(p, "code", Some(HUGE)), "login_timed_out", 6),
];

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 14] = [
    fault("the person says no in the browser", |p| p.deny("access_denied", None), "access_denied", 5),
    fault("a refusal without a promised issuer (django-oauth-toolkit)", unverified, "access_denied", 5),
    fault("a refusal with escape sequences", |p| p.deny("access_denied", Some("\u{1b}[31mno\u{202e}\r\nerror: forged")), "access_denied", 5),
    fault("the client may not have a code", |p| p.deny("unauthorized_client", None), "unauthorized_client", 7),
    fault("the scope is unknown in the browser", |p| p.deny("invalid_scope", None), "invalid_scope", 7),
    fault("the server is in trouble in the browser", |p| p.deny("server_error", None), "server_unavailable", 3),
    fault("the server is busy in the browser", |p| p.deny("temporarily_unavailable", None), "server_unavailable", 3),
    fault("an error that nobody has heard of in the browser", |p| p.deny("secret_ingredient_missing", None), "refused", 1),
    fault("an error that is no word", |p| p.deny("no\u{1b}[2J", None), "refused", 1),
    fault("the code of another issuer", |p| answer(p, "iss", Some("https://evil.example")), "issuer_mixed_up", 1),
    fault("the issuer with a slash more in the browser", slash, "issuer_mixed_up", 1),
    fault("a code without a promised issuer", |p| answer(p, "iss", None), "iss_missing", 1),
    fault("a code and an error", |p| p.edit_authorization_response(|a| a.push(pair("error", "access_denied"))), "access_denied", 5),
    fault("an empty code", |p| answer(p, "code", Some("")), "unusable_code", 1),
];

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const PUSHED: [Fault; 15] = [
    fault("a pushed request by an unknown client", |p| refuse(p, PAR, 401, "invalid_client"), "invalid_client", 7),
    fault("a pushed request by a client that may not", |p| refuse(p, PAR, 400, "unauthorized_client"), "unauthorized_client", 7),
    fault("a pushed request that is not understood", |p| refuse(p, PAR, 400, "invalid_request"), "invalid_request", 1),
    fault("a pushed request with an unknown scope", |p| refuse(p, PAR, 400, "invalid_scope"), "invalid_scope", 7),
    fault("a pushed request in trouble", |p| always(p, PAR, html(503)), "server_unavailable", 3),
    fault("a web page for a pushed request", |p| always(p, PAR, html(201)), "html_response", 1),
    fault("a pushed request elsewhere", |p| always(p, PAR, Reply::redirect(307, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("a pushed request that is not answered", |p| always(p, PAR, Reply::never()), "timeout", 3),
    fault("a pushed request whose answer drips", |p| always(p, PAR, dripping()), "timeout", 3),
    fault("a pushed request that is hung up on", |p| always(p, PAR, Reply::hangup()), "connection_closed", 3),
    fault("a pushed request with an answer of a megabyte", |p| always(p, PAR, huge()), "response_too_large", 1),
    fault("a pushed request without a reference", |p| remove(p, PAR, "request_uri"), "missing_member", 1),
    fault("two references", |p| always(p, PAR, raw_json("{\"request_uri\":\"urn:a\",\"request_uri\":\"urn:b\",\"expires_in\":60}")), "duplicate_member", 1),
    fault("a reference that is a number", |p| set(p, PAR, "request_uri", json!(7)), "wrong_member_type", 1),
    fault("an empty reference", |p| set(p, PAR, "request_uri", json!("")), "unusable_request_uri", 1),
];

/// More than a listener reads of one request.
const HUGE: &str = match std::str::from_utf8(&[b'x'; 20_000]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Gives a member of each answer this value, or takes it out.
fn answer(provider: &Provider, name: &'static str, value: Option<&'static str>) {
    provider.edit_authorization_response(move |answer| {
        answer.retain(|(known, _)| known != name);
        answer.extend(value.map(|value| pair(name, value)));
    });
}

fn twice(provider: &Provider, name: &'static str) {
    provider.edit_authorization_response(move |answer| {
        let again = answer.iter().find(|(known, _)| known == name).cloned();
        answer.extend(again);
    });
}

fn slash(provider: &Provider) {
    provider.edit_authorization_response(|answer| {
        for (_, value) in answer.iter_mut().filter(|(name, _)| name == "iss") {
            value.push('/');
        }
    });
}

fn refused_elsewhere(provider: &Provider) {
    provider.deny("access_denied", None);
    answer(provider, "state", Some("another"));
}

fn unverified(provider: &Provider) {
    provider.deny("access_denied", None);
    answer(provider, "iss", None);
}
