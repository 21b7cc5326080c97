//! Several servers at once: who decides, and when it is over.

use std::time::Duration;

use countersign_otp::crypto::ring;
use countersign_otp::validation::{
    BadAnswer, Client, Outcome, Question, Status, Step, Trouble, Validation,
};
use countersign_otp::{Counter, Replayed};

use crate::common::{Lines, NOW, client, nonce, otp, secrets};

fn begin(client: &Client) -> (Validation, Vec<Question>) {
    let mut validation = client.validate(&otp(), nonce(), NOW, ring::provider());
    let mut questions = Vec::new();
    loop {
        match validation.poll(NOW) {
            Step::Send(question) => questions.push(question),
            Step::WaitUntil(at) => {
                assert_eq!(at, NOW + Duration::from_secs(10));
                return (validation, questions);
            }
            Step::Done(outcome) => panic!("{outcome:?}"),
        }
    }
}

fn done(validation: &mut Validation, now: Duration) -> Outcome {
    match validation.poll(now) {
        Step::Done(outcome) => outcome,
        step => panic!("{step:?}"),
    }
}

fn is_waiting(validation: &mut Validation) -> bool {
    matches!(validation.poll(NOW), Step::WaitUntil(_))
}

#[test]
fn all_servers_are_asked_the_same_at_once() {
    let (_, questions) = begin(&client(3));
    let queries: Vec<_> = questions
        .iter()
        .enumerate()
        .map(|(at, question)| {
            assert_eq!(question.server(), at);
            let start = format!("https://v{at}.example.com/wsapi/2.0/verify?");
            question.url().strip_prefix(&start).unwrap()
        })
        .collect();
    assert!(queries.iter().all(|query| *query == queries[0]));
    assert_eq!(
        *queries[0],
        *client(3).query(&otp(), &nonce(), ring::provider())
    );
    let shown = format!("{questions:?}");
    assert!(shown.contains("v1.example.com") && !shown.contains(otp().expose()));
}

#[test]
fn the_first_ok_wins() {
    let (mut validation, _) = begin(&client(3));
    validation.handle(1, &Lines::new("OK").signed(), NOW);
    let Outcome::Accepted(unspent) = done(&mut validation, NOW) else {
        panic!("not accepted")
    };
    // In the same order as offline.
    assert_eq!(
        unspent.position(),
        secrets().decrypt(&otp()).unwrap().position()
    );
    let accepted = unspent.settle(Counter::Moved).unwrap();
    assert_eq!(accepted.public_id(), otp().public_id());
}

#[test]
fn an_ok_for_a_password_that_another_request_took_is_a_replay() {
    let (mut validation, _) = begin(&client(1));
    validation.handle(0, &Lines::new("OK").signed(), NOW);
    let Outcome::Accepted(unspent) = done(&mut validation, NOW) else {
        panic!("not accepted")
    };
    assert_eq!(unspent.settle(Counter::Behind).unwrap_err(), Replayed);
}

#[test]
fn a_refusal_is_final() {
    for (status, code) in [
        ("BAD_OTP", "otp_wrong"),
        ("REPLAYED_OTP", "otp_replayed"),
        ("DELAYED_OTP", "otp_wrong"),
    ] {
        let (mut validation, _) = begin(&client(2));
        validation.handle(0, &Lines::new(status).signed(), NOW);
        validation.handle(1, &Lines::new("OK").signed(), NOW);
        let Outcome::Refused(refusal) = done(&mut validation, NOW) else {
            panic!("not refused")
        };
        assert_eq!(refusal.status(), Status::from_wire(status));
        assert_eq!(refusal.code(), code);
    }
}

#[test]
fn a_replayed_otp_takes_back_an_ok_that_was_not_told() {
    let (mut validation, _) = begin(&client(2));
    validation.handle(0, &Lines::new("OK").signed(), NOW);
    validation.handle(1, &Lines::new("REPLAYED_OTP").signed(), NOW);
    let outcome = done(&mut validation, NOW);
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}

#[test]
fn a_bad_otp_does_not_take_back_an_ok() {
    let (mut validation, _) = begin(&client(2));
    validation.handle(0, &Lines::new("OK").signed(), NOW);
    validation.handle(1, &Lines::new("BAD_OTP").signed(), NOW);
    assert!(matches!(done(&mut validation, NOW), Outcome::Accepted(_)));
}

#[test]
fn statuses_that_decide_nothing_wait_for_the_others() {
    for status in [
        "BACKEND_ERROR",
        "NOT_ENOUGH_ANSWERS",
        "REPLAYED_REQUEST",
        "BAD_SIGNATURE",
        "MISSING_PARAMETER",
        "NO_SUCH_CLIENT",
        "OPERATION_NOT_ALLOWED",
        "SOMETHING_NEW",
    ] {
        let (mut validation, _) = begin(&client(2));
        validation.handle(0, &Lines::new(status).signed(), NOW);
        assert!(is_waiting(&mut validation), "{status}");
        validation.handle(1, &Lines::new("OK").signed(), NOW);
        assert!(
            matches!(done(&mut validation, NOW), Outcome::Accepted(_)),
            "{status}"
        );
    }
}

#[test]
fn answers_that_cannot_be_believed_decide_nothing() {
    for body in [
        Lines::new("OK").unsigned(),
        Lines::new("REPLAYED_OTP").unsigned(),
        Lines::new("REPLAYED_OTP").signed_with(b""),
        Lines::new("BAD_OTP")
            .with("nonce", "askjdnkajsndjkasndkjsnae")
            .signed(),
        Lines::new("OK")
            .with("t", "2020-01-01T00:00:00Z0000")
            .signed(),
    ] {
        let (mut validation, _) = begin(&client(2));
        validation.handle(0, &body, NOW);
        assert!(is_waiting(&mut validation));
        validation.handle(1, &Lines::new("OK").signed(), NOW);
        assert!(matches!(done(&mut validation, NOW), Outcome::Accepted(_)));
    }
}

#[test]
fn when_all_have_spoken_and_none_decided_nobody_passes() {
    let (mut validation, _) = begin(&client(4));
    validation.handle(0, &Lines::new("BACKEND_ERROR").signed(), NOW);
    validation.handle(1, &Lines::new("OK").unsigned(), NOW);
    validation.transport_failed(2);
    assert!(is_waiting(&mut validation));
    validation.handle(3, &Lines::new("REPLAYED_REQUEST").signed(), NOW);
    let Outcome::Undecided(undecided) = done(&mut validation, NOW) else {
        panic!("decided")
    };
    let troubles: Vec<_> = undecided.troubles().iter().map(|(_, it)| *it).collect();
    let claimed = Some(Status::Ok);
    assert_eq!(
        troubles,
        [
            Trouble::Status(Status::BackendError),
            Trouble::Answer(BadAnswer::Unsigned { claimed }),
            Trouble::Transport,
            Trouble::Status(Status::ReplayedRequest),
        ]
    );
    assert!(!undecided.needs_correction());
}

#[test]
fn a_client_that_is_set_up_wrong_is_told_so() {
    let (mut validation, _) = begin(&client(2));
    validation.handle(0, &Lines::new("NO_SUCH_CLIENT").signed_with(b""), NOW);
    validation.handle(1, &Lines::new("BAD_SIGNATURE").signed(), NOW);
    let Outcome::Undecided(undecided) = done(&mut validation, NOW) else {
        panic!("decided")
    };
    assert!(undecided.needs_correction());
}

#[test]
fn the_time_limit_ends_it_and_what_comes_later_counts_for_nothing() {
    let (mut validation, _) = begin(&client(2));
    validation.handle(0, &Lines::new("BACKEND_ERROR").signed(), NOW);
    let late = NOW + Duration::from_secs(10);
    validation.handle(1, &Lines::new("OK").signed(), late);
    let Outcome::Undecided(undecided) = done(&mut validation, late) else {
        panic!("decided")
    };
    assert_eq!(undecided.troubles()[1].1, Trouble::Late);
}

#[test]
fn an_ok_within_the_limit_is_told_after_it_too() {
    let (mut validation, _) = begin(&client(1));
    validation.handle(0, &Lines::new("OK").signed(), NOW + Duration::from_secs(9));
    let outcome = done(&mut validation, NOW + Duration::from_secs(11));
    assert!(matches!(outcome, Outcome::Accepted(_)));
}

#[test]
fn nothing_is_accepted_after_the_end() {
    let (mut validation, _) = begin(&client(2));
    validation.handle(0, &Lines::new("BAD_OTP").signed(), NOW);
    assert!(matches!(done(&mut validation, NOW), Outcome::Refused(_)));
    validation.handle(1, &Lines::new("OK").signed(), NOW);
    assert!(matches!(done(&mut validation, NOW), Outcome::Undecided(_)));
}

#[test]
fn a_server_that_was_not_asked_has_no_say() {
    let mut validation = client(2).validate(&otp(), nonce(), NOW, ring::provider());
    validation.handle(0, &Lines::new("OK").signed(), NOW);
    validation.handle(7, &Lines::new("OK").signed(), NOW);
    assert!(matches!(validation.poll(NOW), Step::Send(_)));
    validation.handle(1, &Lines::new("OK").signed(), NOW);
    // And one that was asked has it once.
    validation.handle(0, &Lines::new("BACKEND_ERROR").signed(), NOW);
    validation.handle(0, &Lines::new("OK").signed(), NOW);
    assert!(matches!(validation.poll(NOW), Step::Send(_)));
    assert!(is_waiting(&mut validation));
}

#[test]
fn without_servers_nobody_passes() {
    let mut validation = client(0).validate(&otp(), nonce(), NOW, ring::provider());
    assert!(matches!(done(&mut validation, NOW), Outcome::Undecided(_)));
}
