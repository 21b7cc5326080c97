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
    CallbackError, Error, ErrorCode, MAX_CALLBACK, NotOurs, Origin, PeerMisbehaved,
    PendingAuthorization,
};

const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";

fn accepted(pending: &PendingAuthorization, parameters: &str) -> String {
    value(pending, &pending.accept(parameters).unwrap())
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

/// These two stand for a status that a redirect cannot have.
#[test]
fn a_server_in_trouble_may_be_asked_again() {
    let pending = pending();
    for (sent, stands_for) in [("server_error", 500), ("temporarily_unavailable", 503)] {
        let parameters = format!("error={sent}&state={}", state(&pending));
        let refused = pending.accept(&parameters).unwrap_err();
        assert_eq!(refused.code(), sent);
        let error = Error::from(refused);
        assert!(error.is_retryable(), "{error:?}");
        assert!(matches!(error, Error::Unavailable { status, .. } if status == stands_for));
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
