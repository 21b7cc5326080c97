//! What can be wrong when the server is asked who somebody is (OpenID Connect Core 1.0, section
//! 5.3), and when it is told that somebody leaves (RFC 7009).

use countersign_e2e::Cli;
use countersign_testkit::Endpoint::{Revocation as REVOCATION, Userinfo as USERINFO};
use countersign_testkit::{Provider, Reply};
use serde_json::json;

use super::{
    Fault, always, dripping, error, fault, html, huge, in_parallel, raw_json, records, refuse,
    remove, set,
};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 15] = [
    fault("another person", |p| set(p, USERINFO, "sub", json!("eve")), "userinfo_subject_mismatch", 1),
    fault("nobody", |p| remove(p, USERINFO, "sub"), "missing_member", 1),
    fault("a number for a person", |p| set(p, USERINFO, "sub", json!(1)), "wrong_member_type", 1),
    fault("a person named twice", |p| always(p, USERINFO, raw_json("{\"sub\":\"ada\",\"sub\":\"ada\"}")), "duplicate_member", 1),
    fault("the token is refused", |p| refuse(p, USERINFO, 401, "invalid_token"), "invalid_token", 4),
    fault("the scope is refused", |p| refuse(p, USERINFO, 403, "insufficient_scope"), "insufficient_scope", 1),
    fault("a person in a token", |p| always(p, USERINFO, Reply::text(200, "application/jwt", "e30.e30.AA")), "userinfo_is_jwt", 1),
    fault("a person on a web page", |p| always(p, USERINFO, html(200)), "html_response", 1),
    fault("a person in trouble", |p| always(p, USERINFO, html(503)), "server_unavailable", 3),
    fault("a person elsewhere", |p| always(p, USERINFO, Reply::redirect(302, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("a person cut short", |p| always(p, USERINFO, raw_json("{\"sub\":\"ada")), "invalid_json", 1),
    fault("a person of a megabyte", |p| always(p, USERINFO, huge()), "response_too_large", 1),
    fault("a person who never comes", |p| always(p, USERINFO, Reply::never()), "timeout", 3),
    fault("a person who drips", |p| always(p, USERINFO, dripping()), "timeout", 3),
    fault("a person hung up on", |p| always(p, USERINFO, Reply::hangup()), "connection_closed", 3),
];

type Spoil = fn(&Provider);

#[rustfmt::skip] // A table: one row, one line.
const FAREWELLS: [(&str, Spoil); 8] = [
    ("in good order", |_| ()),
    ("in trouble", |p| always(p, REVOCATION, html(503))),
    ("refused", |p| always(p, REVOCATION, error(400, "unsupported_token_type"))),
    ("elsewhere", |p| always(p, REVOCATION, Reply::redirect(302, "https://elsewhere.example/"))),
    ("never", |p| always(p, REVOCATION, Reply::never())),
    ("hung up on", |p| always(p, REVOCATION, Reply::hangup())),
    ("a megabyte", |p| always(p, REVOCATION, huge())),
    ("not HTTP", |p| always(p, REVOCATION, Reply::raw("bye"))),
];

/// Signs out while the server does each of these at its revocation endpoint.
pub(crate) fn sign_out_from_all() {
    in_parallel(&FAREWELLS, |(name, spoil)| {
        let provider = Provider::start();
        let cli = Cli::new();
        let issuer = provider.issuer();
        cli.run(&format!(
            "login --issuer {issuer} --client-id cli --no-browser"
        ))
        .expect_code(0);
        spoil(&provider);
        let done = cli.run("logout --timeout 1s");
        let left = records(&cli.home().state_dir());
        let told = provider.requests(REVOCATION).iter().any(|request| {
            request
                .form_value("token")
                .is_some_and(|token| token.starts_with("secret-refresh-"))
        });
        let leaked = done.stderr.contains("secret-") || done.stdout.contains("secret-");
        let ended = match *name {
            "in good order" => done.code() == Some(0),
            // Deleted here, and the person knows that the server may not have.
            _ => done.code() == Some(3) && done.stderr.contains("code: not_revoked"),
        };
        if ended && left.is_empty() && told && !leaked {
            return Ok(());
        }
        Err(format!(
            "{name}: {:?}, told {told}, left {left:?}\n{}",
            done.code(),
            done.stderr
        ))
    });
}
