//! An API wants its own nonce in the proof that goes with a bound token (RFC 9449, section 9).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_testkit::{HttpServer, Reply, Request};
use serde_json::{Value, json};

use crate::desk::Desk;

/// Somebody whose token is bound to a key.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\ndpop = \"required\"\n",
    );
    desk.program("login").run().expect_code(0);
    desk
}

/// The nonce in the proof of a request.
fn nonce(request: &Request) -> Option<String> {
    let payload = request.header("dpop")?.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    payload.get("nonce")?.as_str().map(str::to_owned)
}

fn wants(nonce: &str) -> Reply {
    Reply::json(401, &json!({ "refused": true }))
        .with_header("www-authenticate", "DPoP error=\"use_dpop_nonce\"")
        .with_header("dpop-nonce", nonce)
}

fn done() -> Reply {
    Reply::json(200, &json!({ "items": [] }))
}

fn api(answers: &[Reply]) -> HttpServer {
    let api = HttpServer::start();
    for method in ["GET", "POST"] {
        api.on_sequence(method, "/items", answers.to_vec());
    }
    api
}

fn nonces(api: &HttpServer) -> Vec<Option<String>> {
    api.requests().iter().map(nonce).collect()
}

#[test]
fn the_request_goes_out_once_more_with_the_nonce() {
    let desk = desk();
    let server = api(&[wants("n-1"), done()]);
    let line = format!("curl {} -sS -d a=b", server.url("/items"));
    let done = desk.program(&line).run().expect_code(0);
    assert_eq!(done.stdout, "{\"items\":[]}", "one answer");
    assert_eq!(nonces(&server), [None, Some("n-1".to_owned())]);
    assert!(server.requests().iter().all(|it| it.body == b"a=b"));
}

#[test]
fn once_is_enough_and_what_is_no_nonce_is_none() {
    let desk = desk();
    let twice = api(&[wants("n-1"), wants("n-2"), done()]);
    let garbled = api(&[wants("no\"nonce"), done()]);
    let two = api(&[wants("n-1").with_header("dpop-nonce", "n-2"), done()]);
    for (server, requests) in [(twice, 2), (garbled, 1), (two, 1)] {
        let line = format!("curl {} -sS", server.url("/items"));
        let done = desk.program(&line).run().expect_code(0);
        assert_eq!(done.stdout, "{\"refused\":true}", "the last answer");
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn what_was_piped_in_is_gone() {
    let mut desk = desk();
    let server = api(&[wants("n-1"), done()]);
    desk.hide(&server.origin(), "API");
    let line = format!("curl {} -sS --data-binary @-", server.url("/items"));
    let program = desk.program(&line).stdin("a body");
    let done = desk.record("curl API/items -sS --data-binary @-", program);
    assert_eq!(done.code(), Some(1));
    assert_eq!(server.requests().len(), 1);
    desk.check("curl-nonce");
}

#[test]
fn a_bearer_token_has_no_proof_and_a_nonce_is_nothing_to_it() {
    let desk = Desk::signed_in();
    let server = api(&[wants("n-1"), done()]);
    let line = format!("curl {} -sS", server.url("/items"));
    desk.program(&line).run().expect_code(0);
    assert_eq!(nonces(&server), [None]);
}

/// Each answer may bring the next one, also the one that asks for a password.
#[test]
fn the_latest_nonce_goes_with_the_password() {
    let desk = desk();
    let asks = Reply::new(401)
        .with_header(
            "www-authenticate",
            "DPoP error=\"insufficient_user_authentication\", otp_challenge=\"c\", \
             otp_methods=\"totp\", otp_expires_in=\"60\"",
        )
        .with_header("dpop-nonce", "n-2");
    let server = api(&[wants("n-1"), asks, done()]);
    let line = format!("curl {} -sS", server.url("/items"));
    let mut seated = crate::seat::Seat::at(&desk)
        .env("PATH", "/usr/bin:/bin")
        .controlling()
        .types(&line);
    seated.see("6-digit code:");
    seated.types_line("123456");
    let left = seated.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let given = ["n-1", "n-2"].map(|it| Some(it.to_owned()));
    assert_eq!(nonces(&server)[1..], given);
}

/// From one process to the next, for the API that it came from.
#[test]
fn the_next_process_has_the_nonce_of_the_last_answer() {
    let desk = desk();
    let with_next = done().with_header("dpop-nonce", "n-2");
    let server = api(&[wants("n-1"), with_next, done(), wants("n-3"), done()]);
    let other = api(&[done()]);
    let get = |server: &HttpServer| {
        let line = format!("curl {} -sS", server.url("/items"));
        desk.program(&line).run().expect_code(0);
        nonces(server)
    };
    let given = |names: &[&str]| -> Vec<Option<String>> {
        let names = names.iter().map(|it| Some((*it).to_owned()));
        std::iter::once(None).chain(names).collect()
    };
    assert_eq!(get(&server), given(&["n-1"]));
    assert_eq!(get(&server), given(&["n-1", "n-2"]), "one request");
    // One that has become old costs what it did without.
    assert_eq!(get(&server), given(&["n-1", "n-2", "n-2", "n-3"]));
    assert_eq!(get(&other), [None]);
}
