//! One request of a program, and all that an API may ask for before it answers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::collections::VecDeque;
use std::sync::Arc;

use countersign_client::{
    CallNext, Dpop, Error, ExitCategory, OtpPrompt, OtpQuestion, OtpReply, Secret, TokenSource,
};
use support::{FakeClock, Recorder, World};
use url::Url;

const KEY: &str = "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";

type Answer = (u16, Vec<(&'static str, String)>);

fn challenge(name: &str, more: &str) -> Answer {
    let value = format!(
        "Bearer error=\"insufficient_user_authentication\", otp_challenge=\"{name}\", \
         otp_methods=\"yubikey totp\", otp_expires_in=\"60\", otp_action=\"delete foobar\"{more}"
    );
    (401, vec![("WWW-Authenticate", value)])
}

fn says(status: u16, value: &str) -> Answer {
    let value = format!("Bearer error=\"insufficient_user_authentication\", {value}");
    (status, vec![("www-authenticate", value)])
}

const fn done() -> Answer {
    (200, Vec::new())
}

/// Somebody who types these lines, each after some seconds.
struct Typist {
    clock: Arc<FakeClock>,
    lines: VecDeque<(u64, OtpReply)>,
    saw: String,
}

impl Typist {
    fn of(world: &World, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| {
            let reply = match *line {
                "^C" => OtpReply::Stopped,
                "^D" | "late" => OtpReply::Nothing,
                line => OtpReply::Typed(Secret::new(line)),
            };
            (if *line == "late" { 60 } else { 1 }, reply)
        });
        Self {
            clock: Arc::clone(&world.clock),
            lines: lines.collect(),
            saw: String::new(),
        }
    }
}

impl OtpPrompt for Typist {
    fn one_time_password(&mut self, question: &OtpQuestion<'_>) -> OtpReply {
        self.saw.push_str(&question.text());
        self.saw.push_str(question.prompt());
        self.saw.push('\n');
        let (seconds, reply) = self.lines.pop_front().expect("nobody is asked so often");
        self.clock.pass(seconds);
        reply
    }
}

fn tokens(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

/// Makes the call of an API that answers like this: how it ended, and the `Step-Up` of each request.
fn call(
    world: &World,
    answers: &[Answer],
    person: &mut Typist,
) -> (Result<u16, Error>, Vec<Option<String>>) {
    let url = Url::parse("https://api.example.com/resources/foobar?x=1#top").unwrap();
    let tokens = tokens(world);
    let mut call = tokens.call("DELETE", &url);
    let mut sent = Vec::new();
    for (status, headers) in answers {
        let fields = call.headers().unwrap();
        let step_up = fields.iter().find(|(name, _)| *name == "step-up");
        sent.push(step_up.map(|(_, value)| value.expose().to_owned()));
        World::assert_discreet(&format!("{fields:?} {call:?}"));
        let headers = headers.iter().map(|(name, value)| (name, value));
        match call.heard(*status, headers, person) {
            Ok(CallNext::Again) => {}
            Ok(CallNext::Done) => return (Ok(*status), sent),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return (Err(error), sent),
        }
    }
    panic!("it goes on after {} answers", answers.len())
}

fn header(challenge: &str, method: &str, otp: &str) -> String {
    format!("challenge=\"{challenge}\", method={method}, otp=\"{otp}\"")
}

#[test]
fn a_person_confirms_and_the_request_goes_out_once_more() {
    let world = World::signed_in();
    let mut person = Typist::of(&world, &[KEY]);
    let (end, sent) = call(&world, &[challenge("c1", ""), done()], &mut person);
    assert_eq!(end.unwrap(), 200);
    assert_eq!(sent, [None, Some(header("c1", "yubikey", KEY))]);
    assert_eq!(
        person.saw,
        "https://api.example.com asks for a one-time password, to do this:\n\
        \x20 DELETE https://api.example.com/resources/foobar?x=1\n\
         The API calls that: delete foobar\n\
         please enter yubikey OTP or 6-digit code: \n"
    );
    // Nobody is asked where nothing is asked for.
    let (end, sent) = call(&world, &[(404, Vec::new())], &mut person);
    assert_eq!((end.unwrap(), sent), (404, vec![None]));
}

#[test]
fn what_does_not_do_is_said_and_three_are_the_most() {
    let world = World::signed_in();
    let mut person = Typist::of(&world, &["not that", KEY, "123 456", "654321"]);
    let answers = [
        challenge("c1", ""),
        challenge("c2", ", otp_error=replayed_otp"),
        challenge("c3", ", otp_error=wrong_otp"),
        challenge("c4", ", otp_error=wrong_otp"),
    ];
    let (end, sent) = call(&world, &answers, &mut person);
    let error = end.unwrap_err();
    assert_eq!(error.code(), "otp_wrong");
    assert_eq!(error.exit_category(), ExitCategory::StepUp);
    assert_eq!(
        error.to_string(),
        "three were typed, and none did: the one-time password is wrong"
    );
    assert_eq!(
        sent,
        [
            None,
            Some(header("c1", "yubikey", KEY)),
            Some(header("c2", "totp", "123456")),
            Some(header("c3", "totp", "654321")),
        ]
    );
    for words in [
        "That is neither: a Yubikey types 44 letters, an authenticator shows six digits.",
        "That one was used before. Touch the key again, or wait for the next code. Two tries are left.",
        "That is not it. One try is left.",
    ] {
        assert!(person.saw.contains(words), "{}", person.saw);
    }
}

#[test]
fn every_end_has_its_name_and_nothing_is_sent_after_it() {
    let world = World::signed_in();
    for (lines, answers, code, exit, requests) in [
        (&["^C"][..], vec![challenge("c", "")], "cancelled", 130, 1),
        (&["^D"], vec![challenge("c", "")], "otp_not_typed", 8, 1),
        (&["late"], vec![challenge("c", "")], "otp_timed_out", 6, 1),
        (&["x"; 10], vec![challenge("c", "")], "otp_not_typed", 8, 1),
        (
            &[KEY],
            vec![challenge("c", ""), challenge("d", "")],
            "otp_ignored",
            8,
            2,
        ),
        (
            &[KEY],
            vec![challenge("c", ""), says(429, "otp_error=locked")],
            "otp_locked",
            8,
            2,
        ),
        (
            &[],
            vec![says(503, "otp_error=unavailable")],
            "otp_unavailable",
            8,
            1,
        ),
        (
            &[],
            vec![says(401, "otp_error=no_device")],
            "otp_no_device",
            8,
            1,
        ),
        (
            &[],
            vec![challenge("c", ", otp_error=\"\\\"\"")],
            "otp_refused",
            8,
            1,
        ),
        (&[], vec![challenge("c d", "")], "step_up_unreadable", 8, 1),
    ] {
        let mut person = Typist::of(&world, lines);
        let (end, sent) = call(&world, &answers, &mut person);
        let error = end.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.exit_category().exit_code(), exit, "{code}");
        assert_eq!(sent.len(), requests, "{code}");
        assert!(!error.hints().is_empty(), "{code}");
        World::assert_discreet(&format!("{error:?} {error}"));
        assert!(!format!("{error:?}").contains(KEY));
    }
}

/// RFC 9470 and a password: the challenge belongs to the token, so the new token comes first.
#[test]
fn the_sign_in_comes_before_the_password_and_is_asked_for_once() {
    let world = World::signed_in();
    let url = Url::parse("https://api.example.com/").unwrap();
    let tokens = tokens(&world);
    let mut call = tokens.call("DELETE", &url);
    let mut person = Typist::of(&world, &["123456"]);
    let both = challenge("old", ", max_age=\"300\"");
    let _ = call.headers().unwrap();
    let heard = call.heard(both.0, both.1.clone(), &mut person).unwrap();
    assert!(matches!(heard, CallNext::SignIn(wanted) if wanted.max_age.is_some()));
    assert_eq!(person.saw, "", "the password is for another token");
    let fresh = challenge("new", "");
    assert_eq!(call.headers().unwrap().len(), 1);
    let heard = call.heard(fresh.0, fresh.1, &mut person).unwrap();
    assert_eq!(heard, CallNext::Again);
    let fields = call.headers().unwrap();
    assert!(fields[1].1.expose().starts_with("challenge=\"new\""));
    let heard = call.heard(both.0, both.1, &mut person);
    assert!(heard.is_err(), "{heard:?}");

    let mut call = tokens.call("DELETE", &url);
    let sign_in = says(401, "max_age=\"300\"");
    let hear = |call: &mut countersign_client::Call<'_>| {
        let mut person = Typist::of(&world, &[]);
        call.heard(sign_in.0, sign_in.1.clone(), &mut person)
            .unwrap()
    };
    assert!(matches!(hear(&mut call), CallNext::SignIn(_)));
    assert_eq!(hear(&mut call), CallNext::Done);
}

#[test]
fn a_password_goes_to_nobody_who_can_be_overheard() {
    let world = World::signed_in();
    let tokens = tokens(&world);
    let hear = |url: &str, lines: &[&str]| {
        let url = Url::parse(url).unwrap();
        let (status, headers) = challenge("c", "");
        let mut call = tokens.call("GET", &url);
        call.heard(status, headers, &mut Typist::of(&world, lines))
    };
    let refused = hear("http://api.example.com/", &[]).unwrap_err();
    assert_eq!(refused.code(), "configuration");
    let here = hear("http://127.0.0.1:8080/", &["123456"]);
    assert_eq!(here.unwrap(), CallNext::Again);
}

#[test]
fn a_nonce_that_an_api_wants_is_given_once_and_kept_for_the_next_call() {
    let world = World::new();
    let login = world.login().dpop(Dpop::Required);
    login.run(&mut Recorder::default()).unwrap();
    let tokens = tokens(&world);
    let url = Url::parse("https://api.example.com/items").unwrap();
    let nonce_of = |fields: &[(&'static str, Secret)]| {
        let proof = fields.iter().find(|(name, _)| *name == "dpop").unwrap();
        let payload = proof.1.expose().split('.').nth(1).unwrap().to_owned();
        let payload = countersign_jose::base64url::decode(&payload).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        payload["nonce"].as_str().map(str::to_owned)
    };
    let wants = |nonce: &str| {
        let value = "DPoP error=\"use_dpop_nonce\"".to_owned();
        [
            ("www-authenticate", value),
            ("DPoP-Nonce", nonce.to_owned()),
        ]
    };
    let mut person = Typist::of(&world, &[]);
    let mut call = tokens.call("GET", &url);
    assert_eq!(nonce_of(&call.headers().unwrap()), None);
    let heard = call.heard(401, wants("n-1"), &mut person).unwrap();
    assert_eq!(heard, CallNext::Again);
    assert_eq!(nonce_of(&call.headers().unwrap()).as_deref(), Some("n-1"));
    let heard = call.heard(401, wants("n-2"), &mut person).unwrap();
    assert_eq!(heard, CallNext::Done, "once is enough");
    // Every answer may bring the next one.
    let mut call = tokens.call("GET", &url);
    assert_eq!(nonce_of(&call.headers().unwrap()).as_deref(), Some("n-2"));
    let heard = call.heard(200, [("dpop-nonce", "n-3")], &mut person);
    assert_eq!(heard.unwrap(), CallNext::Done);
    let mut call = tokens.call("GET", &url);
    assert_eq!(nonce_of(&call.headers().unwrap()).as_deref(), Some("n-3"));
    let two = [("dpop-nonce", "n-4"), ("dpop-nonce", "n-5")];
    let _ = call.heard(200, two, &mut person).unwrap();
    assert_eq!(nonce_of(&call.headers().unwrap()).as_deref(), Some("n-3"));
}
