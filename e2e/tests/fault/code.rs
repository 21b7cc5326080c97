//! What can be wrong when a code is exchanged for tokens (RFC 6749, sections 4.1.3 and 5), with what the
//! ID token of this flow has besides (OpenID Connect Core 1.0, section 3.1.3.7), and with tokens that are
//! bound to a key (RFC 9449).

use countersign_testkit::Endpoint::Token as TOKEN;
use countersign_testkit::{Provider, Reply, Signature};
use serde_json::{Value, json};

use super::{Fault, always, dripping, error, fault, html, huge, raw_json, refuse, remove, set};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 24] = [
    fault("the code is not good", |p| refuse(p, TOKEN, 400, "invalid_grant"), "code_rejected", 1),
    fault("the code is not good under 403 (glewlwyd)", |p| refuse(p, TOKEN, 403, "invalid_code"), "refused", 1),
    fault("the client is unknown to the token endpoint", |p| refuse(p, TOKEN, 401, "invalid_client"), "invalid_client", 7),
    fault("the client may not exchange codes", |p| refuse(p, TOKEN, 400, "unauthorized_client"), "unauthorized_client", 7),
    fault("codes are not exchanged", |p| refuse(p, TOKEN, 400, "unsupported_grant_type"), "unsupported_grant_type", 7),
    fault("a refusal with an empty body", |p| always(p, TOKEN, Reply::new(400)), "refused_without_reason", 1),
    fault("a description that repeats code and verifier", echo, "code_rejected", 1),
    fault("an exchange in trouble", |p| always(p, TOKEN, html(503)), "server_unavailable", 3),
    fault("a web page for tokens", |p| always(p, TOKEN, html(200)), "html_response", 1),
    fault("an exchange elsewhere", |p| always(p, TOKEN, Reply::redirect(307, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("an exchange that never ends", |p| always(p, TOKEN, Reply::never()), "timeout", 3),
    fault("an exchange that drips", |p| always(p, TOKEN, dripping()), "timeout", 3),
    fault("an exchange hung up on", |p| always(p, TOKEN, Reply::hangup()), "connection_closed", 3),
    fault("an exchange cut short", |p| always(p, TOKEN, raw_json("{\"access_token\":\"secret-a")), "invalid_json", 1),
    fault("an exchange of a megabyte", |p| always(p, TOKEN, huge()), "response_too_large", 1),
    fault("an exchange without an access token", |p| remove(p, TOKEN, "access_token"), "missing_member", 1),
    fault("an exchange without an ID token", |p| remove(p, TOKEN, "id_token"), "id_token_missing", 1),
    fault("tokens bound to nobody asked for", |p| set(p, TOKEN, "token_type", json!("DPoP")), "unsupported_token_type", 1),
    fault("another nonce", |p| claim(p, "nonce", json!("another")), "id_token_nonce", 1),
    fault("no nonce", |p| claim(p, "nonce", Value::Null), "id_token_nonce_missing", 1),
    fault("a nonce that is a number", |p| claim(p, "nonce", json!(1)), "id_token_claim", 1),
    fault("the hash of another access token in this flow", |p| claim(p, "at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), "id_token_at_hash", 1),
    fault("a second audience in this flow", |p| claim(p, "aud", json!(["cli", "other"])), "id_token_untrusted_audience", 1),
    fault("a broken signature in this flow", |p| p.sign_with(Signature::Corrupt), "jose_bad_signature", 1),
];

/// Whoever asked for bound tokens gets them or nothing.
#[rustfmt::skip] // A table: one row, one line.
pub(crate) const BOUND: [Fault; 5] = [
    fault("tokens that anybody can use", |p| set(p, TOKEN, "token_type", json!("Bearer")), "token_not_bound", 1),
    fault("a proof that is refused", |p| refuse(p, TOKEN, 400, "invalid_dpop_proof"), "invalid_dpop_proof", 1),
    fault("a nonce is wanted and none is given", |p| refuse(p, TOKEN, 400, "use_dpop_nonce"), "dpop_nonce_missing", 1),
    fault("a nonce is wanted for ever", nonces, "use_dpop_nonce", 1),
    fault("a nonce with a line end", |p| always(p, TOKEN, nonce("a\tb")), "dpop_nonce_missing", 1),
];

fn claim(provider: &Provider, name: &'static str, value: Value) {
    provider.edit_id_token(move |_, claims| {
        let claims = claims.as_object_mut().unwrap();
        claims.insert(name.to_owned(), value.clone());
        claims.retain(|_, claim| !claim.is_null());
    });
}

fn nonce(value: &str) -> Reply {
    error(400, "use_dpop_nonce").with_header("dpop-nonce", value)
}

fn nonces(provider: &Provider) {
    let mut number = 0;
    provider.check(TOKEN, move |_| {
        number += 1;
        Some(nonce(&format!("nonce-{number}")))
    });
}

/// Some servers put the whole request into their message.
fn echo(provider: &Provider) {
    provider.check(TOKEN, |request| {
        let code = request.form_value("code").unwrap();
        let verifier = request.form_value("code_verifier").unwrap();
        let text = format!("code {code} does not fit {verifier}");
        Some(Reply::json(
            400,
            &json!({ "error": "invalid_grant", "error_description": text }),
        ))
    });
}
