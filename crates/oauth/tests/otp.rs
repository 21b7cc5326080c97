//! What an API's answer says about one-time passwords, what is sent back, and that it never goes on for ever.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::time::Duration;

use countersign_oauth::text::printable;
use countersign_oauth::{
    OtpAnswers, OtpChallenge, OtpDemand, OtpError, OtpFailed, OtpHeard, OtpMethod, OtpPassword,
    StepUp, Timestamp, UnreadableStepUp, wants_dpop_nonce,
};
use proptest::prelude::*;

const ERROR: &str = "Bearer error=\"insufficient_user_authentication\"";
const ASKS: &str = "Bearer error=\"insufficient_user_authentication\", \
    error_description=\"this request needs a one-time password\", otp_challenge=\"v1.1790000000.n-_.~m\", \
    otp_methods=\"yubikey totp\", otp_expires_in=\"60\", otp_action=\"delete resource foobar\"";
const YUBIKEY: &str = "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn find(status: u16, value: &str) -> Result<Option<OtpDemand>, UnreadableStepUp> {
    OtpDemand::find(status, [value], Some("900"))
}

/// What is asked for, in a shape that is easy to write down.
fn read(status: u16, value: &str) -> String {
    match find(status, value) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(OtpDemand::Password(asked))) => {
            let methods: Vec<&str> = asked.methods.iter().map(|it| it.as_str()).collect();
            let action = asked.action.unwrap_or_default();
            let error = asked.error.map(|it| it.code()).unwrap_or_default();
            let life = asked.expires_in.as_secs();
            format!("{} {life} [{action}] {error}", methods.join(" "))
        }
        Ok(Some(OtpDemand::Refused(refused))) => {
            let wait = refused.retry_after.map_or(0, |wait| wait.as_secs());
            format!("{} {wait}", refused.error.code())
        }
        Ok(Some(_)) => unreachable!("there is no third"),
        Err(error) => format!("unreadable: {error}"),
    }
}

fn asked(value: &str) -> OtpChallenge {
    match find(401, value) {
        Ok(Some(OtpDemand::Password(challenge))) => challenge,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_asked_for_in_all_its_forms() {
    let with = |from: &str, to: &str| read(401, &ASKS.replace(from, to));
    assert_eq!(read(401, ASKS), "yubikey totp 60 [delete resource foobar] ");
    assert_eq!(
        with("Bearer", "Basic realm=\"x\", DPoP algs=\"ES256\","),
        "yubikey totp 60 [delete resource foobar] "
    );
    assert_eq!(
        with("yubikey totp", "webauthn  totp new totp"),
        "totp 60 [delete resource foobar] ",
        "unknown words are for others"
    );
    assert_eq!(
        with("\"60\"", "86400"),
        "yubikey totp 3600 [delete resource foobar] ",
        "nobody waits that long"
    );
    assert_eq!(
        with(
            "otp_action=\"delete resource foobar\"",
            "otp_error=wrong_otp"
        ),
        "yubikey totp 60 [] otp_wrong"
    );
    assert_eq!(
        with("delete resource foobar", "say \\\"yes\\\""),
        "yubikey totp 60 [say \"yes\"] "
    );
    let twice = [ASKS.to_owned(), ASKS.replace("Bearer", "DPoP")];
    let found = OtpDemand::find(401, twice.iter().map(String::as_str), None);
    assert!(matches!(found, Ok(Some(OtpDemand::Password(_)))));
}

/// The examples of the specification, which whoever writes the other side works with as well.
#[test]
fn the_published_examples() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../resource/vectors/step-up.json")).unwrap();
    let text = |of: &serde_json::Value, name: &str| of[name].as_str().map(str::to_owned);
    let answers = vectors["answers"].as_array().unwrap();
    let mut seen = Vec::new();
    for answer in answers {
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        let value = text(answer, "www_authenticate").unwrap();
        let wait = text(answer, "retry_after");
        let found = OtpDemand::find(status, [value.as_str()], wait.as_deref()).unwrap();
        let code = match found {
            None => "nothing",
            Some(OtpDemand::Password(asked)) => asked.error.map_or("asks", |error| error.code()),
            Some(OtpDemand::Refused(refused)) => {
                let seconds = refused.retry_after.map(|wait| wait.as_secs().to_string());
                assert_eq!(seconds, wait);
                refused.error.code()
            }
            Some(_) => unreachable!("there is no third"),
        };
        assert!(!code.contains("refused"), "{value}");
        seen.push(code.to_owned());
    }
    for code in [
        "asks",
        "otp_wrong",
        "otp_replayed",
        "otp_expired",
        "otp_locked",
        "otp_no_device",
        "otp_unavailable",
        "nothing",
    ] {
        assert!(seen.iter().any(|it| it == code), "{code}: {seen:?}");
    }
    let written = vectors["step_up"]["good"].as_array().unwrap();
    let mut count = 0;
    for example in written {
        let of = |name: &str| text(example, name).unwrap();
        let method = OtpMethod::from_name(&of("method")).unwrap();
        let value = ASKS.replace("v1.1790000000.n-_.~m", &of("challenge"));
        let password = OtpPassword::new(method, &of("otp")).unwrap();
        let header = OtpAnswers::new(asked(&value), NOW).answer(&password, NOW);
        // The last one is as nobody writes it, and may be.
        count += usize::from(header.unwrap().expose() == of("field"));
    }
    assert!(count >= 2, "{count}");
}

#[test]
fn what_cannot_be_read_is_not_guessed() {
    let long = "x".repeat(513);
    let many = "x ".repeat(17);
    for (from, to) in [
        ("v1.1790000000.n-_.~m", ""),
        ("v1.1790000000.n-_.~m", "a b"),
        ("v1.1790000000.n-_.~m", "a\\\""),
        ("v1.1790000000.n-_.~m", "gr\u{fc}n"),
        ("v1.1790000000.n-_.~m", long.as_str()),
        (", otp_methods=\"yubikey totp\"", ""),
        ("yubikey totp", ""),
        ("yubikey totp", "webauthn"),
        ("yubikey totp", many.as_str()),
        (", otp_expires_in=\"60\"", ""),
        ("\"60\"", "0"),
        ("\"60\"", "\"-1\""),
        ("\"60\"", "\"+1\""),
        ("\"60\"", "\"1m\""),
        ("\"60\"", "99999999999"),
        ("delete resource", "l\u{f6}schen"),
        ("delete resource", "a\u{202e}b"),
        ("delete resource foobar", &"x".repeat(129)),
    ] {
        let said = read(401, &ASKS.replace(from, to));
        assert!(said.starts_with("unreadable: `otp_"), "{to}: {said}");
    }
    let two = [ASKS.to_owned(), ASKS.replace("v1.", "v2.")];
    let found = OtpDemand::find(401, two.iter().map(String::as_str), None);
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn it_is_found_where_it_may_be_and_nowhere_else() {
    for (status, value) in [
        (200, ASKS.to_owned()),
        (403, ASKS.to_owned()),
        (401, ERROR.to_owned()),
        (401, ASKS.replace("Bearer", "Basic")),
        (
            401,
            ASKS.replace("insufficient_user_authentication", "invalid_token"),
        ),
        // A control character makes it no header value at all.
        (401, ASKS.replace("delete", "de\u{1b}[2Jlete")),
        (401, format!("{ASKS}, otp_challenge=\"again\"")),
    ] {
        assert_eq!(read(status, &value), "nothing", "{status} {value}");
    }
}

#[test]
fn an_end_is_an_end_whatever_comes_with_it() {
    for (status, error, expected) in [
        (429, "locked", "otp_locked 900"),
        (401, "no_device", "otp_no_device 900"),
        (403, "no_device", "otp_no_device 900"),
        (503, "unavailable", "otp_unavailable 900"),
        (401, "new_word", "otp_refused 900"),
        // Without a fresh challenge there is nothing to answer.
        (401, "wrong_otp", "otp_wrong 900"),
    ] {
        assert_eq!(
            read(status, &format!("{ERROR}, otp_error=\"{error}\"")),
            expected
        );
    }
    assert_eq!(
        read(401, &format!("{ASKS}, otp_error=\"locked\"")),
        "otp_locked 900"
    );
}

/// RFC 9470 and this in one answer: first the sign-in, and then the API asks anew.
#[test]
fn a_sign_in_that_is_wanted_as_well_comes_first() {
    assert_eq!(StepUp::find(401, [ASKS]), Ok(None));
    let value = format!("{ERROR}, otp_error=\"no_device\"");
    assert_eq!(StepUp::find(401, [value.as_str()]), Ok(None));
    for more in ["acr_values=\"mfa\"", "max_age=\"300\""] {
        let both = format!("{ASKS}, {more}");
        assert!(StepUp::find(401, [both.as_str()]).unwrap().is_some());
        assert!(find(401, &both).unwrap().is_some());
    }
}

#[test]
fn what_is_typed_is_recognised_or_not_sent() {
    use OtpMethod::{Totp, Yubikey};
    let typed = |line: &str, methods: &[OtpMethod]| {
        let password = OtpPassword::typed(line, methods);
        password.map(|password| password.method()).ok()
    };
    let both = &[Yubikey, Totp];
    assert_eq!(typed(YUBIKEY, both), Some(Yubikey));
    assert_eq!(
        typed(&format!(" {}\r\n", YUBIKEY.to_uppercase()), both),
        Some(Yubikey)
    );
    assert_eq!(typed("123 456", both), Some(Totp));
    assert_eq!(typed("12345678", &[Totp]), Some(Totp));
    for line in ["", "12345", "123456789", "12345a", "cccc", "\u{661}23456"] {
        assert_eq!(typed(line, both), None, "{line}");
    }
    assert_eq!(typed(YUBIKEY, &[Totp]), None);
    assert_eq!(typed("123456", &[Yubikey]), None);
    assert_eq!(typed(&YUBIKEY.replace('c', "a"), both), None, "no modhex");
    assert_eq!(typed(&YUBIKEY.repeat(2), both), None);
    let refused = OtpPassword::typed("hunter2 hunter2", both).unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

fn password() -> OtpPassword {
    OtpPassword::new(OtpMethod::Yubikey, YUBIKEY).unwrap()
}

#[test]
fn the_header_is_a_dictionary_and_shows_nothing_by_itself() {
    let mut answers = OtpAnswers::new(asked(ASKS), NOW);
    let header = answers.answer(&password(), NOW).unwrap();
    assert_eq!(
        header.expose(),
        format!("challenge=\"v1.1790000000.n-_.~m\", method=yubikey, otp=\"{YUBIKEY}\"")
    );
    let shown = format!("{:?} {:?} {header:?} {answers:?}", password(), asked(ASKS));
    assert!(
        !shown.contains(YUBIKEY) && !shown.contains("1790000000.n"),
        "{shown}"
    );
}

#[test]
fn a_password_goes_out_once_and_three_are_the_most() {
    let wrong = format!("{ASKS}, otp_error=wrong_otp");
    let mut answers = OtpAnswers::new(asked(ASKS), NOW);
    for left in [3, 2, 1] {
        assert_eq!(answers.tries_left(), left);
        assert!(answers.challenge().is_some());
        answers.answer(&password(), NOW).unwrap();
        assert_eq!(answers.challenge(), None);
        assert_eq!(answers.answer(&password(), NOW), Err(OtpFailed::NotAsked));
        let heard = answers.heard(find(401, &wrong), NOW);
        let expected = match left {
            1 => Err(OtpFailed::TooOften(OtpError::Wrong)),
            _ => Ok(OtpHeard::AskAgain),
        };
        assert_eq!(heard, expected);
    }
    assert_eq!(answers.answer(&password(), NOW), Err(OtpFailed::NotAsked));
    let late = answers.heard(find(401, &wrong), NOW);
    assert_eq!(late, Err(OtpFailed::NotAsked));
}

#[test]
fn whatever_else_comes_back_is_the_end() {
    let end = |status: u16, value: &str| {
        let mut answers = OtpAnswers::new(asked(ASKS), NOW);
        answers.answer(&password(), NOW).unwrap();
        let heard = answers.heard(find(status, value), NOW);
        assert_eq!(answers.answer(&password(), NOW), Err(OtpFailed::NotAsked));
        heard.map_err(|failed| failed.code())
    };
    assert_eq!(end(200, ""), Ok(OtpHeard::Answer));
    assert_eq!(end(404, ""), Ok(OtpHeard::Answer));
    assert_eq!(
        end(401, "Bearer error=\"invalid_token\""),
        Ok(OtpHeard::Answer)
    );
    assert_eq!(end(401, ASKS), Err("otp_ignored"));
    assert_eq!(
        end(429, &format!("{ERROR}, otp_error=locked")),
        Err("otp_locked")
    );
    assert_eq!(
        end(401, &ASKS.replace("yubikey totp", "webauthn")),
        Err("step_up_unreadable")
    );
}

#[test]
fn what_comes_too_late_is_not_sent() {
    let after = |seconds| NOW + Duration::from_secs(seconds);
    let mut answers = OtpAnswers::new(asked(ASKS), NOW);
    assert_eq!(answers.remaining(after(20)), Duration::from_secs(40));
    let only_totp =
        OtpAnswers::new(asked(&ASKS.replace("yubikey totp", "totp")), NOW).answer(&password(), NOW);
    assert_eq!(only_totp, Err(OtpFailed::NotAsked));
    assert_eq!(
        answers.answer(&password(), after(60)),
        Err(OtpFailed::TimedOut)
    );
    assert_eq!(answers.answer(&password(), NOW), Err(OtpFailed::NotAsked));
    // A fresh challenge has its own time.
    let mut answers = OtpAnswers::new(asked(ASKS), NOW);
    answers.answer(&password(), after(59)).unwrap();
    let expired = find(401, &format!("{ASKS}, otp_error=expired"));
    assert_eq!(answers.heard(expired, after(61)), Ok(OtpHeard::AskAgain));
    assert_eq!(answers.remaining(after(62)), Duration::from_secs(59));
}

#[test]
fn a_server_that_wants_its_nonce_is_known() {
    let value = "DPoP error=\"use_dpop_nonce\", error_description=\"Resource server requires nonce in DPoP proof\"";
    assert!(wants_dpop_nonce(401, [value]));
    assert!(!wants_dpop_nonce(400, [value]));
    assert!(!wants_dpop_nonce(401, ["DPoP error=\"invalid_token\""]));
}

proptest! {
    /// Whatever an API sends: it is read or refused, and what is shown of it is short and plain.
    #[test]
    fn any_challenge_ends_in_something_that_can_be_shown(
        challenge in any::<String>(), action in any::<String>(), error in any::<String>(), life in any::<String>(),
    ) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!(
            "{ERROR}, otp_challenge=\"{}\", otp_methods=totp, otp_expires_in=\"{}\", otp_action=\"{}\", otp_error=\"{}\"",
            escaped(&challenge), escaped(&life), escaped(&action), escaped(&error)
        );
        match find(401, &value) {
            Ok(None) => {}
            Ok(Some(OtpDemand::Password(asked))) => {
                let action = asked.action.unwrap_or_default();
                prop_assert!(action.len() <= 128);
                prop_assert_eq!(printable(&action), action);
            }
            Ok(Some(OtpDemand::Refused(refused))) => {
                let shown = refused.error.to_string();
                prop_assert_eq!(printable(&shown), shown);
            }
            Ok(Some(_)) => unreachable!("there is no third"),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
