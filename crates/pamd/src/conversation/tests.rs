//! Sign-ins played through without waiting.

use super::*;
use crate::config::Qr;

const NO_QR: Show = Show {
    qr: Qr::Never,
    qr_invert: false,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1000 + seconds)
}

fn begun(auto_continue: bool) -> Conversation {
    let who = Who {
        host: "db1".to_owned(),
        account: "ada".to_owned(),
        rhost: String::new(),
    };
    Conversation::new(who, NO_QR, auto_continue, Duration::from_secs(110), at(0))
}

fn device(expires_in: u64) -> Heard {
    Heard::Shown(Shown::Device {
        user_code: "WDJB-MJHT".to_owned(),
        verification_uri: "https://id.example/device".to_owned(),
        verification_uri_complete: None,
        expires_in: Duration::from_secs(expires_in),
    })
}

fn signed() -> Heard {
    Heard::Signed(Box::new(Signed {
        person: Person::parse(br#"{"sub":"ada"}"#).unwrap(),
        access_expires_in: None,
        refresh_token: None,
    }))
}

fn enter() -> Heard {
    Heard::Answered(Secret::new(""))
}

fn prompt(next: Next) -> String {
    match next {
        Next::Prompt(text) => text,
        other => panic!("{other:?}"),
    }
}

fn failure(next: Next) -> FailureKind {
    match next {
        Next::End(Err(failure)) => failure.kind,
        other => panic!("{other:?}"),
    }
}

/// A conversation whose first question is open.
fn asking() -> Conversation {
    let mut talk = begun(false);
    assert!(matches!(talk.next(at(0)), Next::Wait(until) if until == at(3)));
    talk.hear(device(600), at(1));
    assert!(prompt(talk.next(at(1))).contains("WDJB-MJHT"));
    assert!(matches!(talk.next(at(1)), Next::Wait(until) if until == at(110)));
    talk
}

#[test]
fn approved_first_and_then_enter() {
    let mut talk = asking();
    talk.hear(signed(), at(20));
    assert!(
        matches!(talk.next(at(20)), Next::Wait(_)),
        "nobody is interrupted"
    );
    talk.hear(enter(), at(25));
    assert!(matches!(talk.next(at(25)), Next::End(Ok(_))));
}

#[test]
fn enter_first_and_then_approved() {
    let mut talk = asking();
    talk.hear(enter(), at(20));
    assert!(matches!(talk.next(at(20)), Next::Wait(_)));
    talk.hear(signed(), at(22));
    assert!(matches!(talk.next(at(22)), Next::End(Ok(_))));
}

#[test]
fn enter_too_early_is_asked_again_five_times_and_no_more() {
    // As a client without a terminal does, which answers at once.
    let mut talk = asking();
    let mut now = at(10);
    for _ in 0..5 {
        talk.hear(enter(), now);
        // The module is not left without a word, and a second passes at least.
        let said = now + SILENCE;
        assert!(matches!(talk.next(now), Next::Wait(until) if until == said));
        assert!(matches!(talk.next(said), Next::Working));
        now += HOLD;
        let text = prompt(talk.next(now));
        let left = at(110).saturating_sub(now).as_secs();
        assert!(
            text.starts_with(&format!("Not approved yet, {left} s left.")),
            "{text}"
        );
    }
    talk.hear(enter(), now);
    assert_eq!(failure(talk.next(now + HOLD)), FailureKind::Expired);
}

#[test]
fn what_is_typed_at_the_prompt_changes_nothing_but_q() {
    let mut talk = asking();
    talk.hear(Heard::Answered(Secret::new("my password")), at(20));
    assert!(matches!(talk.next(at(20)), Next::Wait(_)));
    let mut talk = asking();
    talk.hear(Heard::Answered(Secret::new(" Q ")), at(20));
    assert_eq!(failure(talk.next(at(20))), FailureKind::GivenUp);
}

#[test]
fn nobody_is_waited_for_beyond_the_deadline() {
    let mut talk = asking();
    talk.hear(signed(), at(109));
    // Approved, and nobody at the prompt: that is no sign-in.
    assert_eq!(failure(talk.next(at(110))), FailureKind::Expired);
    let mut talk = asking();
    talk.hear(enter(), at(108));
    assert!(matches!(talk.next(at(108)), Next::Wait(until) if until == at(110)));
    assert_eq!(failure(talk.next(at(110))), FailureKind::Expired);
    // The code of the server ends sooner.
    let mut talk = begun(false);
    talk.hear(device(30), at(1));
    prompt(talk.next(at(1)));
    assert!(matches!(talk.next(at(1)), Next::Wait(until) if until == at(31)));
}

#[test]
fn the_server_has_three_seconds_to_begin() {
    let mut talk = begun(false);
    assert_eq!(failure(talk.next(at(3))), FailureKind::Unreachable);
    let mut talk = begun(false);
    talk.hear(
        Heard::Failed(Failure::new(FailureKind::Misconfigured, "x")),
        at(1),
    );
    assert_eq!(failure(talk.next(at(1))), FailureKind::Misconfigured);
}

#[test]
fn a_refusal_is_told_at_the_next_enter() {
    let mut talk = asking();
    talk.hear(
        Heard::Failed(Failure::new(FailureKind::Denied, "x")),
        at(20),
    );
    talk.hear(enter(), at(21));
    assert_eq!(failure(talk.next(at(21))), FailureKind::Denied);
}

#[test]
fn a_service_without_prompts_hears_from_us_every_second() {
    let mut talk = begun(true);
    talk.hear(device(600), at(1));
    let mut seen = Vec::new();
    for second in 1..5 {
        match talk.next(at(second)) {
            Next::Info(text) => seen.push(text),
            other => panic!("{other:?}"),
        }
        assert!(matches!(talk.next(at(second)), Next::Wait(until) if until == at(second + 1)));
    }
    assert!(seen[0].contains("WDJB-MJHT") && seen[1..].iter().all(String::is_empty));
    talk.hear(signed(), at(5));
    assert!(matches!(talk.next(at(5)), Next::End(Ok(_))));
}

#[test]
fn a_pasted_code_is_redeemed_and_nonsense_is_asked_again() {
    let mut talk = begun(false);
    let url = "https://id.example/authorize".to_owned();
    talk.hear(Heard::Shown(Shown::Paste { url }), at(1));
    prompt(talk.next(at(1)));
    talk.hear(Heard::Answered(Secret::new("")), at(5));
    assert!(prompt(talk.next(at(5))).starts_with("That is not the code."));
    talk.hear(Heard::Answered(Secret::new("hello")), at(6));
    assert!(matches!(talk.next(at(6)), Next::Redeem(text) if text.expose() == "hello"));
    talk.hear(Heard::NotACode, at(6));
    assert!(prompt(talk.next(at(6))).starts_with("That is not the code."));
    talk.hear(Heard::Answered(Secret::new("a-real-code")), at(8));
    assert!(matches!(talk.next(at(8)), Next::Redeem(_)));
    assert!(matches!(talk.next(at(8)), Next::Wait(_)));
    assert!(matches!(talk.next(at(12)), Next::Working));
    talk.hear(signed(), at(13));
    assert!(matches!(talk.next(at(13)), Next::End(Ok(_))));
}

#[test]
fn an_answer_that_nobody_asked_for_is_no_answer() {
    let mut talk = begun(false);
    talk.hear(enter(), at(0));
    talk.hear(Heard::NotACode, at(0));
    assert!(matches!(talk.next(at(0)), Next::Wait(until) if until == at(3)));
    let mut talk = asking();
    talk.hear(device(5), at(2));
    assert!(matches!(talk.next(at(2)), Next::Wait(until) if until == at(110)));
}
