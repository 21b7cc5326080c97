//! What can be wrong when a session is renewed (RFC 6749, sections 5 and 6). Only a refusal of the
//! refresh token itself ends the session.

use countersign_testkit::Endpoint::Token as TOKEN;
use countersign_testkit::{Reply, Signature};
use serde_json::json;

use super::{Fault, always, dripping, fault, html, huge, raw_json, refuse, remove};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 19] = [
    fault("the refresh token is invalid", |p| refuse(p, TOKEN, 400, "invalid_grant"), "login_required", 4),
    fault("the client is unknown by now", |p| refuse(p, TOKEN, 401, "invalid_client"), "invalid_client", 7),
    fault("a renewal in trouble", |p| always(p, TOKEN, html(503)), "server_unavailable", 3),
    fault("a renewal too often", |p| always(p, TOKEN, Reply::new(429)), "server_unavailable", 3),
    fault("a web page for a renewal", |p| always(p, TOKEN, html(200)), "html_response", 1),
    fault("a renewal elsewhere", |p| always(p, TOKEN, Reply::redirect(307, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("a renewal that never comes", |p| always(p, TOKEN, Reply::never()), "timeout", 3),
    fault("a renewal that drips", |p| always(p, TOKEN, dripping()), "timeout", 3),
    fault("a renewal hung up on", |p| always(p, TOKEN, Reply::hangup()), "connection_closed", 3),
    fault("a renewal cut short", |p| always(p, TOKEN, raw_json("{\"access_token\":\"secret-a")), "invalid_json", 1),
    fault("a renewal of a megabyte", |p| always(p, TOKEN, huge()), "response_too_large", 1),
    fault("a renewal with two tokens", |p| always(p, TOKEN, raw_json("{\"access_token\":\"secret-a\",\"access_token\":\"secret-b\"}")), "duplicate_member", 1),
    fault("a renewal without a token", |p| remove(p, TOKEN, "access_token"), "missing_member", 1),
    fault("an empty renewal", |p| always(p, TOKEN, Reply::new(200)), "empty_response", 1),
    fault("a renewal for somebody else", |p| p.edit_id_token(|_, claims| claims["sub"] = json!("eve")), "id_token_subject_changed", 1),
    fault("a renewal by somebody else", |p| p.edit_id_token(|_, claims| claims["iss"] = json!("https://evil.example")), "id_token_issuer", 1),
    fault("a renewal for another client", |p| p.edit_id_token(|_, claims| claims["aud"] = json!("other")), "id_token_audience", 1),
    fault("a renewal with a broken signature", |p| p.sign_with(Signature::Corrupt), "jose_bad_signature", 1),
    fault("a renewal without a signature", |p| p.sign_with(Signature::Unsecured), "jose_unsupported_algorithm", 1),
];
