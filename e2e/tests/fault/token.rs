//! What can be wrong while the client polls (RFC 8628, section 3.5; RFC 6749, section 5).

use countersign_testkit::Endpoint::{DeviceAuthorization as DEVICE, Token as TOKEN};
use countersign_testkit::{Provider, Reply};
use serde_json::json;

use super::{Fault, always, dripping, error, fault, html, huge, raw_json, refuse, remove, set};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 30] = [
    fault("the person says no", |p| refuse(p, TOKEN, 400, "access_denied"), "access_denied", 5),
    fault("the code has expired", |p| refuse(p, TOKEN, 400, "expired_token"), "expired_token", 6),
    fault("the code is invalid", |p| refuse(p, TOKEN, 400, "invalid_grant"), "device_code_unknown", 1),
    fault("the code is not found", |p| refuse(p, TOKEN, 404, "device_not_found"), "device_code_unknown", 1),
    fault("the client is unknown at the end", |p| refuse(p, TOKEN, 401, "invalid_client"), "invalid_client", 7),
    fault("the client may not at the end", |p| refuse(p, TOKEN, 400, "unauthorized_client"), "unauthorized_client", 7),
    fault("the grant is unknown", |p| refuse(p, TOKEN, 400, "unsupported_grant_type"), "unsupported_grant_type", 7),
    fault("an error that nobody has heard of", |p| refuse(p, TOKEN, 400, "secret_ingredient_missing"), "refused", 1),
    fault("an error under success", |p| refuse(p, TOKEN, 200, "access_denied"), "access_denied", 5),
    fault("a description with escape sequences", escape, "access_denied", 5),
    fault("a description that repeats the device code", echo, "access_denied", 5),
    fault("pending for ever", |p| hurried(p, error(400, "authorization_pending")), "expired_token", 6),
    fault("slow_down for ever", |p| hurried(p, error(400, "slow_down")), "expired_token", 6),
    fault("a bad gateway for ever", |p| hurried(p, html(502)), "expired_token", 6),
    fault("too many requests for ever", |p| hurried(p, Reply::new(429).with_header("retry-after", "3600")), "expired_token", 6),
    fault("a captive portal for ever", |p| hurried(p, html(200)), "expired_token", 6),
    fault("silence for ever", |p| hurried(p, Reply::never()), "expired_token", 6),
    fault("drops for ever", |p| hurried(p, dripping()), "expired_token", 6),
    fault("closed connections for ever", |p| hurried(p, Reply::hangup()), "expired_token", 6),
    fault("tokens elsewhere", |p| always(p, TOKEN, Reply::redirect(302, "https://elsewhere.example/?secret-x")), "redirect_refused", 7),
    fault("tokens cut short", |p| always(p, TOKEN, raw_json("{\"access_token\":\"secret-abc")), "invalid_json", 1),
    fault("two access tokens", |p| always(p, TOKEN, raw_json("{\"access_token\":\"secret-a\",\"access_token\":\"secret-b\",\"token_type\":\"Bearer\"}")), "duplicate_member", 1),
    fault("tokens of a megabyte", |p| always(p, TOKEN, huge()), "response_too_large", 1),
    fault("tokens that are not HTTP", |p| always(p, TOKEN, Reply::raw("{\"access_token\":\"secret-a\"}")), "malformed_http", 1),
    fault("no access token", |p| remove(p, TOKEN, "access_token"), "missing_member", 1),
    fault("an empty access token", |p| set(p, TOKEN, "access_token", json!("")), "unusable_token", 1),
    fault("an access token of two lines", |p| set(p, TOKEN, "access_token", json!("secret-a\r\nX-Evil: 1")), "unusable_token", 1),
    fault("no token type", |p| remove(p, TOKEN, "token_type"), "missing_member", 1),
    fault("a token type of another kind", |p| set(p, TOKEN, "token_type", json!("mac")), "unsupported_token_type", 1),
    fault("a lifetime that is a list", |p| set(p, TOKEN, "expires_in", json!([600])), "wrong_member_type", 1),
];

/// The server goes on for ever, the codes do not.
fn hurried(provider: &Provider, reply: Reply) {
    set(provider, DEVICE, "expires_in", json!(3));
    provider.always(TOKEN, reply);
}

fn escape(provider: &Provider) {
    let text = "\u{1b}[31mno\u{1b}]0;title\u{7} \u{202e}kcab\u{9b}2J\r\nerror: forged";
    let answer = json!({ "error": "access_denied", "error_description": text });
    provider.always(TOKEN, Reply::json(400, &answer));
}

/// Some servers put the whole request into their message.
fn echo(provider: &Provider) {
    provider.server().on_fn("POST", TOKEN.path(), |request| {
        let code = request.form_value("device_code").unwrap();
        let text = format!("the code {code} was denied");
        Reply::json(
            400,
            &json!({ "error": "access_denied", "error_description": text }),
        )
    });
}
