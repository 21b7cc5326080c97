//! What comes back from the browser, or from the clipboard: RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207.
//! Each answer breaks one rule, and ends in one error.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{
    AuthorizationCode, CallbackError, CodeFlow, Error, ErrorCode, MAX_CALLBACK, Metadata, NotOurs,
    Origin, PeerMisbehaved, PendingAuthorization, Refusal,
};

const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";

fn promising() -> Metadata {
    let mut metadata = metadata();
    metadata.authorization_response_iss_parameter_supported = Some(true);
    metadata
}

fn state(pending: &PendingAuthorization) -> String {
    query(pending.url(), "state").unwrap()
}

/// The code as it would be redeemed.
fn value(pending: &PendingAuthorization, code: &AuthorizationCode) -> String {
    let flow = CodeFlow::new(&metadata(), &client(), pending, code).unwrap();
    field(&sent(&mut { flow }), "code").unwrap()
}

fn accepted(pending: &PendingAuthorization, parameters: &str) -> String {
    value(pending, &pending.accept(parameters).unwrap())
}

fn stray(result: Result<AuthorizationCode, CallbackError>) -> NotOurs {
    match result.unwrap_err() {
        CallbackError::NotOurs(reason) => reason,
        other => panic!("ends the sign-in: {other:?}"),
    }
}

fn refusal(result: Result<AuthorizationCode, CallbackError>) -> Refusal {
    match result.unwrap_err() {
        CallbackError::Refused(refusal) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

fn misbehaved(result: Result<AuthorizationCode, CallbackError>) -> PeerMisbehaved {
    match result.unwrap_err() {
        CallbackError::PeerMisbehaved(what) => what,
        other => panic!("no misbehaviour: {other:?}"),
    }
}

// --- the good answer --------------------------------------------------------------------------

#[test]
fn a_code_with_our_state_is_taken_in_any_order_beside_anything_unknown() {
    let pending = pending();
    let state = state(&pending);
    for parameters in [
        format!("code={CODE}&state={state}"),
        format!("state={state}&code={CODE}"),
        format!("session_state=x&code={CODE}&state={state}&session_state=y&scope=a+b&"),
        format!("&&code={CODE}&&state={state}&authuser=0&prompt=none&x"),
    ] {
        assert_eq!(accepted(&pending, &parameters), CODE, "{parameters}");
    }
}

#[test]
fn a_code_arrives_as_the_server_meant_it() {
    let pending = pending();
    let state = state(&pending);
    for (sent, meant) in [
        ("4%2F0AX4XfWh-x", "4/0AX4XfWh-x"),
        ("a%2Bb%3D%3D", "a+b=="),
        ("0.AXEA*!$-_~x", "0.AXEA*!$-_~x"),
        ("with+space", "with space"),
        ("100%25", "100%"),
    ] {
        let parameters = format!("code={sent}&state={state}");
        assert_eq!(accepted(&pending, &parameters), meant);
    }
}

// --- what is nobody's answer, and ends nothing ------------------------------------------------

#[test]
fn what_does_not_hold_our_state_is_not_ours_and_uses_nothing_up() {
    let pending = pending();
    let ours = state(&pending);
    let theirs = state(&common::pending());
    for (parameters, reason) in [
        (String::new(), NotOurs::StateMissing),
        (format!("code={CODE}"), NotOurs::StateMissing),
        ("error=access_denied".to_owned(), NotOurs::StateMissing),
        (format!("code={CODE}&state="), NotOurs::OtherState),
        (format!("code={CODE}&state={theirs}"), NotOurs::OtherState),
        (
            format!("error=access_denied&state={theirs}"),
            NotOurs::OtherState,
        ),
        (
            format!("code={CODE}&state={}", ours.to_uppercase()),
            NotOurs::OtherState,
        ),
        (format!("code={CODE}&state={ours}x"), NotOurs::OtherState),
        (
            format!("code={CODE}&state={}", &ours[..42]),
            NotOurs::OtherState,
        ),
        (format!("code={CODE}&State={ours}"), NotOurs::StateMissing),
        (format!("state={ours}"), NotOurs::NoAnswer),
        (
            format!("state={ours}&access_token=x&token_type=Bearer"),
            NotOurs::NoAnswer,
        ),
        (format!("response=a.b.c&state={ours}"), NotOurs::NoAnswer),
    ] {
        assert_eq!(stray(pending.accept(&parameters)), reason, "{parameters}");
    }
    // And then the real one.
    assert_eq!(
        accepted(&pending, &format!("code={CODE}&state={ours}")),
        CODE
    );
}

/// RFC 6749, section 3.1: two readers could see two values.
#[test]
fn a_parameter_that_is_there_twice_makes_it_nobodys_answer() {
    let pending = pending();
    let state = state(&pending);
    for (name, value) in [
        ("code", CODE),
        ("code", "other"),
        ("state", state.as_str()),
        ("iss", ISSUER),
    ] {
        let parameters = format!("code={CODE}&state={state}&iss={ISSUER}&{name}={value}");
        let reason = stray(pending.accept(&parameters));
        assert_eq!(reason, NotOurs::DuplicateParameter, "{name}");
    }
    for name in ["error", "error_description", "error_uri"] {
        let parameters = format!("error=x&state={state}&{name}=a&{name}=b");
        let reason = stray(pending.accept(&parameters));
        assert_eq!(reason, NotOurs::DuplicateParameter, "{name}");
    }
    // Percent-encoding hides no second one.
    let parameters = format!("code={CODE}&c%6Fde=other&state={state}");
    assert_eq!(
        stray(pending.accept(&parameters)),
        NotOurs::DuplicateParameter
    );
}

#[test]
fn an_oversize_answer_is_not_read() {
    let pending = pending();
    let state = state(&pending);
    let parameters = |padding| format!("code={CODE}&state={state}&x={}", "x".repeat(padding));
    let room = MAX_CALLBACK - parameters(0).len();
    assert_eq!(accepted(&pending, &parameters(room)), CODE);
    assert_eq!(
        stray(pending.accept(&parameters(room + 1))),
        NotOurs::TooLong
    );
    let pasted = "c".repeat(MAX_CALLBACK + 1);
    assert_eq!(stray(pending.accept_pasted(&pasted)), NotOurs::TooLong);
}

// --- refusals (RFC 6749, section 4.1.2.1) -----------------------------------------------------

#[test]
fn a_denial_is_told_apart_from_every_other_refusal() {
    let pending = pending();
    let state = state(&pending);
    let denied = pending
        .accept(&format!(
            "error=access_denied&error_description=no+thanks&state={state}"
        ))
        .unwrap_err();
    assert_eq!(denied.to_string(), "the sign-in was denied");
    assert_eq!(denied.code(), "access_denied");
    assert!(!denied.is_stray());
    let error = Error::from(denied);
    assert!(
        matches!(&error, Error::AccessDenied(r) if r.description.as_deref() == Some("no thanks"))
    );
    assert_eq!(error.origin(), Origin::Refused);

    for (sent, code) in [
        ("invalid_scope", "invalid_scope"),
        ("unauthorized_client", "unauthorized_client"),
        ("login_required", "login_required"),
        (
            "unmet_authentication_requirements",
            "unmet_authentication_requirements",
        ),
        ("server_error", "server_error"),
        ("made_up", "refused"),
        ("", "refused"),
    ] {
        let refused = pending
            .accept(&format!("error={sent}&state={state}"))
            .unwrap_err();
        assert_eq!(refused.code(), code);
        assert_eq!(
            refused.to_string(),
            "the authorization server refused the authorization request"
        );
        let error = Error::from(refused);
        assert_eq!(error.code(), code);
        assert!(!error.hints().is_empty());
    }
}

/// A code beside an error is nobody's promise.
#[test]
fn an_answer_with_code_and_error_is_a_refusal() {
    let pending = pending();
    let parameters = format!("code={CODE}&error=invalid_scope&state={}", state(&pending));
    let refusal = refusal(pending.accept(&parameters));
    assert_eq!(refusal.code, Some(ErrorCode::InvalidScope));
}

#[test]
fn the_servers_words_are_fit_for_a_terminal_and_hold_no_secret() {
    let pending = pending();
    let state = state(&pending);
    let parameters = format!(
        "error=x%1B%5B31m&state={state}&error_description=%1B%5D8%3B%3Bhttps%3A%2F%2Fevil%07a%0D%0Ab%E2%80%AEc+{state}\
         &error_uri=https%3A%2F%2Fid.example.com%2F%1B%5B2J"
    );
    let refusal = refusal(pending.accept(&parameters));
    assert_eq!(refusal.code, Some(ErrorCode::Other("x[31m".to_owned())));
    assert_eq!(
        refusal.description.as_deref(),
        Some("]8;;https://evila bc ****")
    );
    assert_eq!(refusal.uri.as_deref(), Some("https://id.example.com/[2J"));
}

// --- who answered (RFC 9207) ------------------------------------------------------------------

#[test]
fn a_server_that_promises_iss_is_held_to_it() {
    let pending = begin(&asked(), &promising(), &client());
    let state = state(&pending);
    let with = |iss: &str| pending.accept(&format!("code={CODE}&state={state}{iss}"));
    assert!(with("&iss=https%3A%2F%2Fid.example.com").is_ok());
    assert_eq!(misbehaved(with("")), PeerMisbehaved::IssMissing);
    for other in [
        "https%3A%2F%2Fid.example.com%2F",
        "https%3A%2F%2FID.example.com",
        "https%3A%2F%2Fevil.example%1B%5B31m",
        "",
    ] {
        let error = with(&format!("&iss={other}")).unwrap_err();
        assert_eq!(error.code(), "issuer_mixed_up", "{other}");
        assert!(!error.is_stray());
        let error = Error::from(error);
        assert_eq!(error.origin(), Origin::Protocol);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!cause.contains('\u{1b}'), "{cause}");
    }
}

/// Section 2.4: a server that sends it without promising it is held to it all the same.
#[test]
fn an_unpromised_iss_is_compared_all_the_same() {
    let pending = pending();
    let state = state(&pending);
    let with = |iss: &str| pending.accept(&format!("code={CODE}&state={state}{iss}"));
    assert!(with("").is_ok());
    assert!(with("&iss=https%3A%2F%2Fid.example.com").is_ok());
    let what = misbehaved(with("&iss=https%3A%2F%2Fevil.example"));
    let expected = PeerMisbehaved::MixedUp {
        expected: ISSUER.to_owned(),
        received: "https://evil.example".to_owned(),
    };
    assert_eq!(what, expected);
}

/// django-oauth-toolkit promises `iss` and leaves it out of its refusals: the person learns what was
/// said, and that it may have been said by somebody else.
#[test]
fn a_refusal_without_the_promised_iss_is_unverified() {
    let pending = begin(&asked(), &promising(), &client());
    let state = state(&pending);
    let unverified = refusal(pending.accept(&format!("error=access_denied&state={state}")));
    assert!(unverified.unverified);
    assert_eq!(
        unverified.to_string(),
        "the server answered `access_denied` (it is not certain that this server said it)"
    );
    let iss = "iss=https%3A%2F%2Fid.example.com";
    let verified = refusal(pending.accept(&format!("error=access_denied&state={state}&{iss}")));
    assert!(!verified.unverified);
    let iss = "iss=https%3A%2F%2Fevil.example";
    let mixed_up = pending.accept(&format!("error=access_denied&state={state}&{iss}"));
    assert_eq!(misbehaved(mixed_up).code(), "issuer_mixed_up");
    let honest = common::pending();
    let parameters = format!(
        "error=access_denied&state={}",
        query(honest.url(), "state").unwrap()
    );
    assert!(
        !refusal(honest.accept(&parameters)).unverified,
        "nothing was promised"
    );
}

/// RFC 6749, appendix A.11.
#[test]
fn a_code_that_is_none_ends_the_sign_in() {
    let pending = pending();
    let state = state(&pending);
    for code in ["", "%00", "a%0Ab", "%C3%A9", "%FF"] {
        let what = misbehaved(pending.accept(&format!("code={code}&state={state}")));
        assert_eq!(what, PeerMisbehaved::UnusableCode, "{code}");
    }
}

// --- what a person pastes ---------------------------------------------------------------------

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

#[test]
fn every_reason_has_a_code_of_its_own_and_a_hint() {
    let reasons = [
        NotOurs::TooLong,
        NotOurs::DuplicateParameter,
        NotOurs::StateMissing,
        NotOurs::OtherState,
        NotOurs::NoAnswer,
        NotOurs::OtherAddress,
        NotOurs::NotACode,
    ];
    let codes: std::collections::BTreeSet<&str> = reasons.into_iter().map(NotOurs::code).collect();
    assert_eq!(codes.len(), reasons.len());
    for reason in reasons {
        let error = Error::from(CallbackError::from(reason));
        assert_eq!(
            (error.code(), error.origin()),
            (reason.code(), Origin::Local)
        );
        assert!(!error.is_retryable());
        assert_eq!(error.hints(), [reason.hint()]);
    }
}
