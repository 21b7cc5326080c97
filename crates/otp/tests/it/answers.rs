//! Answers of validation servers: every status, and every way to tamper with one.

use std::time::Duration;

use countersign_otp::crypto::{Crypto, ring};
use countersign_otp::validation::{
    Answer, ApiKey, BadAnswer, Client, ConfigProblem, Fault, MAX_BODY, Nonce, Retry, Server,
    Status, SyncLevel,
};

use crate::common::{API_KEY, Lines, NOW, api_key, client, nonce, otp, providers, signature};

fn check(body: &[u8]) -> Result<Answer, BadAnswer> {
    check_with(body, &client(1), ring::provider())
}

fn check_with(body: &[u8], client: &Client, crypto: Crypto) -> Result<Answer, BadAnswer> {
    Answer::verify(body, client, &otp(), &nonce(), NOW, crypto)
}

fn refused(body: &[u8]) -> BadAnswer {
    check(body).unwrap_err()
}

#[test]
fn an_ok_says_what_the_key_said() {
    for crypto in providers() {
        let answer = check_with(&Lines::new("OK").signed(), &client(1), crypto).unwrap();
        assert_eq!(answer.status(), Status::Ok);
        let accepted = answer.accepted().unwrap();
        assert_eq!(accepted.public_id(), otp().public_id());
        assert_eq!(accepted.sync_level(), Some(100));
        assert_eq!(accepted.timestamp(), Some(12345));
        assert_eq!(accepted.counters(), Some((1, 0)));
    }
}

#[test]
fn every_status_is_told_apart_with_fault_and_retry() {
    let table = [
        ("OK", Status::Ok, Fault::None, Retry::Never),
        ("BAD_OTP", Status::BadOtp, Fault::Person, Retry::NewPassword),
        (
            "REPLAYED_OTP",
            Status::ReplayedOtp,
            Fault::Person,
            Retry::NewPassword,
        ),
        (
            "DELAYED_OTP",
            Status::DelayedOtp,
            Fault::Person,
            Retry::NewPassword,
        ),
        (
            "BAD_SIGNATURE",
            Status::BadSignature,
            Fault::Client,
            Retry::Corrected,
        ),
        (
            "MISSING_PARAMETER",
            Status::MissingParameter,
            Fault::Client,
            Retry::Corrected,
        ),
        (
            "NO_SUCH_CLIENT",
            Status::NoSuchClient,
            Fault::Client,
            Retry::Corrected,
        ),
        (
            "OPERATION_NOT_ALLOWED",
            Status::OperationNotAllowed,
            Fault::Client,
            Retry::Corrected,
        ),
        (
            "BACKEND_ERROR",
            Status::BackendError,
            Fault::Server,
            Retry::OtherServer,
        ),
        (
            "NOT_ENOUGH_ANSWERS",
            Status::NotEnoughAnswers,
            Fault::Server,
            Retry::OtherServer,
        ),
        (
            "REPLAYED_REQUEST",
            Status::ReplayedRequest,
            Fault::Server,
            Retry::OtherServer,
        ),
        (
            "SOMETHING_NEW",
            Status::Unknown,
            Fault::Server,
            Retry::OtherServer,
        ),
        ("ok", Status::Unknown, Fault::Server, Retry::OtherServer),
    ];
    assert_eq!(table.len(), Status::ALL.len() + 2);
    for (word, status, fault, retry) in table {
        let answer = check(&Lines::new(word).signed()).unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!((status.fault(), status.retry()), (fault, retry), "{word}");
        assert_eq!(answer.accepted().is_some(), status == Status::Ok, "{word}");
    }
}

/// Servers of Yubico's make say no more than this when they refuse.
#[test]
fn a_refusal_may_leave_out_otp_and_nonce() {
    for status in ["REPLAYED_OTP", "BAD_OTP", "BACKEND_ERROR"] {
        let short = Lines::new(status).without("otp").without("nonce");
        assert_eq!(
            check(&short.signed()).unwrap().status(),
            Status::from_wire(status)
        );
    }
}

#[test]
fn a_missing_signature_is_refused() {
    for body in [
        Lines::new("OK").unsigned(),
        Lines::new("OK").with("h", "").unsigned(),
        Lines::new("OK").with("h", " ").unsigned(),
    ] {
        let claimed = Some(Status::Ok);
        assert_eq!(refused(&body), BadAnswer::Unsigned { claimed });
    }
}

#[test]
fn a_wrong_signature_is_refused() {
    let right = signature(&Lines::new("OK").0, &API_KEY);
    for h in [
        signature(&Lines::new("BAD_OTP").0, &API_KEY),
        right.trim_end_matches('=').to_owned(),
        format!("{right}="),
        right[..24].to_owned(),
        "AAAA".to_owned(),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        "not base64".to_owned(),
    ] {
        let claimed = Some(Status::Ok);
        let body = Lines::new("OK").with("h", &h).unsigned();
        assert_eq!(refused(&body), BadAnswer::Signature { claimed }, "{h}");
    }
}

/// What a server does that does not know the client: there is no key to sign with.
#[test]
fn an_answer_signed_with_no_key_is_refused_and_its_claim_is_named() {
    let body = Lines::new("NO_SUCH_CLIENT").signed_with(b"");
    let claimed = Some(Status::NoSuchClient);
    let error = refused(&body);
    assert_eq!(error, BadAnswer::Signature { claimed });
    assert!(error.to_string().ends_with("(it claims NO_SUCH_CLIENT)"));
    assert!(error.hint().unwrap().contains("client id"));
}

#[test]
fn an_answer_signed_for_another_client_is_refused() {
    let body = Lines::new("OK").signed_with(&[9; 20]);
    assert!(matches!(refused(&body), BadAnswer::Signature { .. }));
}

#[test]
fn any_changed_value_breaks_the_signature() {
    let right = Lines::new("BAD_OTP");
    let h = signature(&right.0, &API_KEY);
    for (name, value) in [
        ("status", "OK"),
        ("otp", "ccccccbchvthdvgtiblfkbgturecfllberrvkinnctnn"),
        ("nonce", "askjdnkajsndjkasndkjsnae"),
        ("t", "2026-11-26T02:22:26Z0278"),
        ("sl", "99"),
        ("timestamp", "12346"),
        ("sessioncounter", "2"),
        ("sessionuse", "1"),
        ("added", "1"),
    ] {
        let body = right.clone().with(name, value).with("h", &h).unsigned();
        assert!(
            matches!(refused(&body), BadAnswer::Signature { .. }),
            "{name}"
        );
    }
    let body = right.without("sl").with("h", &h).unsigned();
    assert!(matches!(refused(&body), BadAnswer::Signature { .. }));
}

#[test]
fn a_wrong_nonce_is_refused() {
    for (nonce, status) in [
        ("askjdnkajsndjkasndkjsnae", "OK"),
        ("", "OK"),
        ("x", "REPLAYED_OTP"),
    ] {
        let body = Lines::new(status).with("nonce", nonce).signed();
        assert_eq!(refused(&body), BadAnswer::Echo("nonce"), "{nonce:?}");
    }
}

#[test]
fn a_wrong_otp_echo_is_refused() {
    let other = "ccccccbchvthdvgtiblfkbgturecfllberrvkinnctnn";
    for (otp, status) in [(other, "OK"), ("", "OK"), (other, "BAD_OTP")] {
        let body = Lines::new(status).with("otp", otp).signed();
        assert_eq!(refused(&body), BadAnswer::Echo("otp"), "{otp:?}");
    }
}

#[test]
fn an_ok_without_otp_or_nonce_is_refused() {
    for name in ["otp", "nonce"] {
        let body = Lines::new("OK").without(name).signed();
        assert_eq!(refused(&body), BadAnswer::Missing(name));
    }
}

/// The answer to the first request with a password, given to the second: its nonce is another.
#[test]
fn a_replayed_answer_is_refused() {
    let body = Lines::new("OK").signed();
    let fresh = Nonce::from_random([1; 16]);
    let again = Answer::verify(&body, &client(1), &otp(), &fresh, NOW, ring::provider());
    assert_eq!(again.unwrap_err(), BadAnswer::Echo("nonce"));
}

#[test]
fn an_old_timestamp_is_refused_and_so_is_one_from_the_future() {
    for (t, seconds) in [
        ("2026-11-26T02:17:25Z0000", 301),
        ("2026-11-26T02:27:27Z", 301),
        ("2025-11-26T02:22:26.277Z", 31_535_999),
        ("1970-01-01T00:00:00Z0000", 1_795_659_746),
    ] {
        let error = refused(&Lines::new("OK").with("t", t).signed());
        assert_eq!(error, BadAnswer::Time { seconds }, "{t}");
        assert!(error.hint().unwrap().contains("clocks"));
    }
    for t in ["2026-11-26T02:17:27Z0000", "2026-11-26T02:27:26.000Z"] {
        assert!(
            check(&Lines::new("OK").with("t", t).signed()).is_ok(),
            "{t}"
        );
    }
    let strict = client(1).clock_tolerance(Duration::from_secs(1));
    let body = Lines::new("OK")
        .with("t", "2026-11-26T02:22:24Z0000")
        .signed();
    assert!(check_with(&body, &strict, ring::provider()).is_err());
}

#[test]
fn a_missing_or_unreadable_time_is_refused() {
    let body = Lines::new("OK").without("t").signed();
    assert_eq!(refused(&body), BadAnswer::Missing("t"));
    for t in ["", "now", "1795659746", "2026-11-26T02:22:26+00:00"] {
        let body = Lines::new("OK").with("t", t).signed();
        assert_eq!(refused(&body), BadAnswer::Malformed("t"), "{t:?}");
    }
}

#[test]
fn a_missing_status_is_refused() {
    let body = Lines::new("OK").without("status").signed();
    assert_eq!(refused(&body), BadAnswer::Missing("status"));
}

#[test]
fn a_line_twice_is_refused() {
    for name in ["status", "otp", "nonce", "h", "t"] {
        let mut body = Lines::new("OK").signed();
        body.extend(format!("{name}=OK\r\n").bytes());
        assert_eq!(refused(&body), BadAnswer::Twice, "{name}");
    }
}

/// Requests need no signature, so anybody can make a server sign a nonce of his own. If it repeats a `&`
/// in it, the signed text can be cut into other lines than the server wrote.
#[test]
fn an_answer_cannot_be_cut_into_other_lines() {
    let ok = Lines::new("OK");
    let mut sorted = ok.0.clone();
    sorted.sort();
    // What comes behind the forged lines in the signed text ends in one that nobody knows.
    let tail = "zzz=";
    let forged: Vec<String> = sorted.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let text = format!("{}&{tail}", forged.join("&"));
    let (name, nonce) = text.split_once('=').unwrap();
    let rest = Lines(Vec::new()).with("otp", "x").with("status", "BAD_OTP");
    let signed = rest.clone().with(name, nonce);
    let h = signature(&signed.0, &API_KEY);
    let cut = ok.with("zzz", "&otp=x&status=BAD_OTP").with("h", &h);
    assert_eq!(signature(&cut.0, &API_KEY), h, "both have one signature");
    assert_eq!(refused(&cut.unsigned()), BadAnswer::Ambiguous);
    assert_eq!(
        refused(&Lines::new("OK").with("a&b", "c").signed()),
        BadAnswer::Ambiguous
    );
}

#[test]
fn lines_that_are_not_known_are_tolerated() {
    let body = Lines::new("OK")
        .with("flavour", "a=b c")
        .with("A", "")
        .signed();
    assert!(check(&body).is_ok());
    let mut body = Lines::new("OK").signed();
    body.extend(b"\r\nno equals sign\n\n");
    assert!(check(&body).is_ok());
    // The order of the lines does not matter, nor which kind of line ends there are.
    let mut turned = Lines::new("OK");
    turned.0.reverse();
    let body = String::from_utf8(turned.signed())
        .unwrap()
        .replace('\r', "");
    assert!(check(body.as_bytes()).is_ok());
}

#[test]
fn what_is_no_answer_is_refused() {
    assert_eq!(refused(b""), BadAnswer::Unsigned { claimed: None });
    assert_eq!(refused(b"<html>"), BadAnswer::Unsigned { claimed: None });
    assert_eq!(refused("status=ÖK".as_bytes()), BadAnswer::NotText);
    assert_eq!(refused(b"status=OK\0"), BadAnswer::NotText);
    assert_eq!(refused(b"\xff\xfe"), BadAnswer::NotText);
    assert_eq!(refused(&[b'a'; MAX_BODY + 1]), BadAnswer::TooLarge);
    let many = (0..100).fold(Lines(Vec::new()), |lines, at| {
        lines.with(&format!("k{at}"), "")
    });
    assert_eq!(refused(&many.signed()), BadAnswer::TooLarge);
}

#[test]
fn an_ok_without_counters_is_refused_unless_the_client_takes_it() {
    for name in ["sessioncounter", "sessionuse"] {
        let body = Lines::new("OK").without(name).signed();
        assert_eq!(refused(&body), BadAnswer::Missing(name));
        let lax = client(1).danger_without_counters();
        let answer = check_with(&body, &lax, ring::provider()).unwrap();
        assert_eq!(answer.accepted().unwrap().counters(), None);
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for name in ["sl", "timestamp", "sessioncounter", "sessionuse"] {
        for value in ["", "-1", "+1", "1.0", "0x1", "99999999999", " 1"] {
            let body = Lines::new("OK").with(name, value).signed();
            assert_eq!(refused(&body), BadAnswer::Malformed(name), "{value:?}");
        }
    }
}

/// Servers pass on the counter with the bit of Caps Lock in it.
#[test]
fn caps_lock_does_not_move_a_key_forward() {
    let body = Lines::new("OK").with("sessioncounter", "32769").signed();
    let accepted = check(&body).unwrap().accepted().unwrap();
    assert_eq!(accepted.counters(), Some((1, 0)));
}

#[test]
fn a_request_is_signed_over_all_of_it() {
    let client = client(1).sync_level(SyncLevel::Percent(50)).sync_seconds(8);
    for crypto in providers() {
        let query = client.query(&otp(), &nonce(), crypto);
        let mut parameters: Vec<(String, String)> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let names: Vec<_> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["id", "nonce", "otp", "timestamp", "sl", "timeout", "h"]
        );
        let h = parameters.pop().unwrap().1;
        let h = h
            .replace("%2B", "+")
            .replace("%2F", "/")
            .replace("%3D", "=");
        assert_eq!(h, signature(&parameters, &API_KEY));
    }
    let query = client.clone().danger_without_counters();
    let query = query.query(&otp(), &nonce(), ring::provider());
    assert!(!query.contains("timestamp"));
    for (level, value) in [
        (SyncLevel::Fast, "sl=fast&"),
        (SyncLevel::Secure, "sl=secure&"),
        (SyncLevel::Percent(0), "sl=1&"),
        (SyncLevel::Percent(200), "sl=100&"),
    ] {
        let query = client.clone().sync_level(level);
        let query = query.query(&otp(), &nonce(), ring::provider());
        assert!(query.contains(value), "{value}");
    }
}

#[test]
fn a_configuration_that_would_send_passwords_in_the_clear_is_refused() {
    for good in [
        "https://api.yubico.com/wsapi/2.0/verify",
        "https://otp.example.com:8443/verify",
        "http://127.0.0.1:8000/wsapi/2.0/verify",
        "http://localhost/verify",
        "http://[::1]:8000/verify",
    ] {
        assert_eq!(Server::new(good).unwrap().as_str(), good);
    }
    for bad in [
        "http://otp.example.com/verify",
        "http://localhost.example.com/verify",
        "http://127.0.0.1.example.com/verify",
        "http://127.0.0.1:80@example.com/verify",
        "http://127.0.0.1:/verify",
        "https:///verify",
        "https://:443/verify",
        "https://example.com/verify?id=1",
        "https://example.com/verify#x",
        "https://user@example.com/verify",
        "https://example.com/ver ify",
        "https://example.com/verify\n",
        "ftp://example.com/",
        "example.com",
        "",
    ] {
        assert_eq!(Server::new(bad), Err(ConfigProblem::Server), "{bad:?}");
    }
}

#[test]
fn ids_keys_and_nonces_have_their_form() {
    for id in ["", "0", "087", "-1", "8 7", "abc", "99999999999999999999"] {
        assert_eq!(Client::new(id, api_key()).unwrap_err(), ConfigProblem::Id);
    }
    for key in ["", "AAAA", "not base64", "AAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(ApiKey::from_base64(key).unwrap_err(), ConfigProblem::ApiKey);
    }
    for nonce in [
        "",
        "short",
        &"a".repeat(41),
        "aaaaaaaaaaaaaaa&",
        "aaaaaaaaaaaaaaaé",
    ] {
        assert_eq!(Nonce::parse(nonce), Err(ConfigProblem::Nonce), "{nonce:?}");
    }
    let made = Nonce::from_random([0xab; 16]);
    assert_eq!(made.as_str(), "ab".repeat(16));
    assert_eq!(Nonce::parse(made.as_str()), Ok(made));
    assert!(!format!("{:?}", client(2)).contains("[1, 2"));
}
