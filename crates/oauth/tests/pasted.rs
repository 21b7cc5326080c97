//! What a person pastes: an address, its parameters, or a bare code, with whatever clipboards, mails and
//! shells put around it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{
    CallbackError, Error, ErrorCode, NotOurs, PeerMisbehaved, PendingAuthorization,
};

const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";

fn pasted(pending: &PendingAuthorization, text: &str) -> String {
    match pending.accept_pasted(text) {
        Ok(code) => value(pending, &code),
        Err(error) => panic!("{text:?}: {error:?}"),
    }
}

#[test]
fn the_whole_address_its_parameters_and_the_bare_code_are_all_taken() {
    let pending = pending();
    let state = state(&pending);
    let parameters = format!("code={CODE}&state={state}");
    for text in [
        CODE.to_owned(),
        parameters.clone(),
        format!("?{parameters}"),
        format!("{REDIRECT_URI}?{parameters}"),
        format!("{REDIRECT_URI}?{parameters}#_=_"),
        format!("{REDIRECT_URI}?{parameters}#"),
        format!("127.0.0.1:49152/callback?{parameters}"),
        format!("/callback?{parameters}"),
        format!("HTTP://127.0.0.1:49152/callback?{parameters}"),
    ] {
        assert_eq!(pasted(&pending, &text), CODE, "{text}");
    }
}

#[test]
fn what_clipboards_mails_and_shells_put_around_it_is_taken_off() {
    let pending = pending();
    let state = state(&pending);
    let address = format!("{REDIRECT_URI}?code={CODE}&state={state}");
    let (head, tail) = address.split_at(50);
    for text in [
        format!("  {address}\r\n"),
        format!("\"{address}\""),
        format!("'{address}'\n"),
        format!("`{address}`"),
        format!("<{address}>"),
        format!("“{address}”"),
        format!("{head}\n{tail}"),
        format!("{head}\r\n    {tail}\n"),
        format!("\u{1b}[200~{address}\u{1b}[201~"),
        format!("\u{feff}{address}\u{200b}"),
        format!("\u{a0}{address}\u{a0}"),
        address
            .replace('?', "\\?")
            .replace('&', "\\&")
            .replace('=', "\\="),
        address.replace('&', "&amp;"),
        format!("'{CODE}' "),
        format!("{}\n{}", &CODE[..10], &CODE[10..]),
    ] {
        assert_eq!(pasted(&pending, &text), CODE, "{text:?}");
    }
}

/// What hosted pages show, or people cut out of an address bar.
#[test]
fn a_bare_code_may_hold_anything_a_code_may() {
    let pending = pending();
    for (text, code) in [
        ("4/0AX4XfWhabc", "4/0AX4XfWhabc"),
        ("4%2F0AX4XfWhabc", "4/0AX4XfWhabc"),
        ("100%sure-of-it", "100%sure-of-it"),
        ("abc%2-012345", "abc%2-012345"),
        ("MDEyMzQ1Njc4OQ==", "MDEyMzQ1Njc4OQ=="),
        ("0.AXEA*!$-_~xyz", "0.AXEA*!$-_~xyz"),
        ("a#b?c&d=e:f/g", "a#b?c&d=e:f/g"),
    ] {
        assert_eq!(pasted(&pending, text), code, "{text}");
    }
}

#[test]
fn a_pasted_answer_is_checked_like_one_that_came_by_itself() {
    let pending = begin(&asked(), &promising(), &client());
    let (ours, theirs) = (state(&pending), state(&common::pending()));
    let with = |parameters: String| pending.accept_pasted(&format!("{REDIRECT_URI}?{parameters}"));
    assert_eq!(
        stray(with(format!("code={CODE}&state={theirs}"))),
        NotOurs::OtherState
    );
    assert_eq!(stray(with(format!("code={CODE}"))), NotOurs::StateMissing);
    assert_eq!(
        stray(pending.accept_pasted(&format!("code={CODE}"))),
        NotOurs::StateMissing
    );
    assert_eq!(
        stray(pending.accept_pasted(REDIRECT_URI)),
        NotOurs::StateMissing
    );
    let missing = with(format!("code={CODE}&state={ours}"));
    assert_eq!(misbehaved(missing), PeerMisbehaved::IssMissing);
    let mixed = with(format!("code={CODE}&state={ours}&iss=https://evil.example"));
    assert_eq!(misbehaved(mixed).code(), "issuer_mixed_up");
    let denied = with(format!("error=access_denied&state={ours}&iss={ISSUER}"));
    assert_eq!(refusal(denied).code, Some(ErrorCode::AccessDenied));
    assert!(with(format!("code={CODE}&state={ours}&iss={ISSUER}")).is_ok());
    let bare = format!("code={CODE}&state={ours}&iss={ISSUER}");
    assert!(pending.accept_pasted(&bare).is_ok());
}

#[test]
fn an_address_of_another_place_is_refused_whatever_it_holds() {
    let pending = pending();
    let parameters = format!("code={CODE}&state={}", state(&pending));
    for address in [
        "https://127.0.0.1:49152/callback",
        "http://127.0.0.1:49153/callback",
        "http://127.0.0.1/callback",
        "http://localhost:49152/callback",
        "http://127.0.0.1:49152/",
        "http://127.0.0.1:49152/callback/",
        "http://127.0.0.1:49152/Callback",
        "http://ada@127.0.0.1:49152/callback",
        "http://ada:pw@127.0.0.1:49152/callback",
        "http://127.0.0.1:49152@evil.example/callback",
        "https://evil.example/callback",
        "evil.example/callback",
        "//evil.example/callback",
        "/other",
        "javascript://127.0.0.1:49152/callback",
        "file:///callback",
        "://",
    ] {
        let text = format!("{address}?{parameters}");
        assert_eq!(
            stray(pending.accept_pasted(&text)),
            NotOurs::OtherAddress,
            "{text}"
        );
    }
    // The page to sign in at, copied before signing in.
    let reason = stray(pending.accept_pasted(pending.url().as_str()));
    assert_eq!(reason, NotOurs::OtherAddress);
    assert!(Error::from(CallbackError::from(reason)).hints()[0].contains("after signing in"));
}

#[test]
fn an_answer_in_the_fragment_was_not_asked_for_and_is_not_read() {
    let pending = pending();
    let text = format!("{REDIRECT_URI}#code={CODE}&state={}", state(&pending));
    assert_eq!(stray(pending.accept_pasted(&text)), NotOurs::StateMissing);
}

#[test]
fn a_hosted_page_with_its_own_query_and_a_private_scheme_are_recognised() {
    for redirect_uri in [
        "https://login.example.com/cli?app=1",
        "com.example.app:/callback",
        "http://localhost:6363",
        "http://[::1]:8080/cb",
    ] {
        let start = asked().start_code(
            &metadata(),
            &client(),
            redirect_uri,
            countersign_jose::crypto::ring::provider(),
        );
        let Ok(countersign_oauth::Step::Done(pending)) =
            countersign_oauth::Flow::poll(&mut start.unwrap(), T0)
        else {
            panic!("not done at once")
        };
        let joint = if redirect_uri.contains('?') { '&' } else { '?' };
        let text = format!("{redirect_uri}{joint}code={CODE}&state={}", state(&pending));
        assert_eq!(pasted(&pending, &text), CODE);
    }
}

#[test]
fn a_stray_word_is_not_sent_to_the_server_as_a_code() {
    let pending = pending();
    for text in [
        "",
        " ",
        "\n",
        "y",
        "yes",
        "cancel",
        "quit",
        "short-1",
        "what is a code?",
        "a b c d e f",
        "\u{1b}[A\u{1b}[B",
        "ünïcödé-code",
        "%00%00%00%00%00%00%00%00",
    ] {
        assert_eq!(
            stray(pending.accept_pasted(text)),
            NotOurs::NotACode,
            "{text:?}"
        );
    }
}
