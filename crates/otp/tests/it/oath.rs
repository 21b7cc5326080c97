//! HOTP, TOTP and their enrolment.

use std::time::Duration;

use countersign_otp::crypto::{Hash, ring};
use countersign_otp::oath::{
    Code, Digits, Drift, Enrolment, Hotp, Kind, Secret, Totp, UriProblem, WeakSecret, WrongCode,
};

use crate::common::NOW;

fn secret() -> Secret {
    Secret::from_bytes(b"12345678901234567890").unwrap()
}

fn totp() -> Totp {
    Totp::new(secret())
}

fn at(steps: i64) -> Duration {
    let secs = NOW.as_secs().cast_signed() + 30 * steps;
    Duration::from_secs(secs.cast_unsigned())
}

#[test]
fn a_code_is_read_strictly_and_what_a_person_adds_only_where_it_is_asked_for() {
    for good in ["000000", "1234567", "12345678"] {
        assert_eq!(Code::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "12345",
        "123456789",
        "12345a",
        "123 456",
        "+12345",
        "１２３４５６",
        "123456\n",
    ] {
        assert!(Code::parse(bad).is_err(), "{bad:?}");
    }
    for typed in ["123456\n", " 123 456 ", "12 34\t56\r\n"] {
        assert_eq!(Code::parse_typed(typed).unwrap().to_string(), "123456");
    }
    for bad in ["123-456", "123\u{a0}456", "123456\0", &" ".repeat(40)] {
        assert!(Code::parse_typed(bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        format!("{:?}", Code::parse("123456").unwrap()),
        "Code(****)"
    );
}

#[test]
fn a_code_is_taken_within_its_window_and_not_beyond() {
    let crypto = ring::provider();
    for (drift, allowed) in [
        (Drift::NONE, 0..=0),
        (Drift::default(), -1..=1),
        (Drift::steps(3), -3..=3),
    ] {
        let totp = totp().drift(drift);
        for steps in -5..=5 {
            let code = totp.code_at(at(steps), crypto);
            let taken = totp.verify(&code, NOW, crypto);
            assert_eq!(taken.is_ok(), allowed.contains(&steps), "{drift:?} {steps}");
            if let Ok(unspent) = taken {
                assert_eq!(unspent.position(), totp.step_at(at(steps)));
                let found = unspent.settle(countersign_otp::Counter::Moved).unwrap();
                assert_eq!(found.off(), steps);
            }
        }
    }
}

#[test]
fn a_step_is_taken_once_and_none_before_it_any_more() {
    let crypto = ring::provider();
    let mut kept: Option<u64> = None;
    let mut present = |steps: i64| {
        let unspent = totp()
            .verify(&totp().code_at(at(steps), crypto), NOW, crypto)
            .unwrap();
        let outcome = if kept < Some(unspent.position()) {
            kept = Some(unspent.position());
            countersign_otp::Counter::Moved
        } else {
            countersign_otp::Counter::Behind
        };
        unspent.settle(outcome).is_ok()
    };
    assert!(present(0));
    assert!(!present(0), "the same step");
    assert!(
        !present(-1),
        "an earlier step, although it is within the window"
    );
    assert!(present(1));
}

#[test]
fn the_window_has_an_end_at_both_ends_of_time() {
    let crypto = ring::provider();
    let code = totp().code_at(Duration::ZERO, crypto);
    assert!(totp().verify(&code, Duration::ZERO, crypto).is_ok());
    let other = Code::parse("12345678").unwrap();
    for period in [1, 30] {
        let totp = totp().period(period).unwrap();
        for now in [Duration::MAX, Duration::from_secs(i64::MAX.cast_unsigned())] {
            assert!(totp.verify(&other, now, crypto).is_err());
            assert!(totp.remaining(now) <= Duration::from_secs(period));
        }
    }
    let hotp = Hotp::new(secret());
    for next in [i64::MAX.cast_unsigned(), u64::MAX] {
        assert!(hotp.verify(&other, next, u32::MAX, crypto).is_err());
        assert!(
            hotp.resynchronize(&other, &other, next, u32::MAX, crypto)
                .is_err()
        );
    }
}

#[test]
fn a_code_of_another_length_or_hash_is_wrong() {
    let crypto = ring::provider();
    let eight = totp().digits(Digits::Eight);
    let code = eight.code_at(NOW, crypto).to_string();
    assert!(
        eight
            .verify(&Code::parse(&code).unwrap(), NOW, crypto)
            .is_ok()
    );
    let six = Code::parse(&code[2..]).unwrap();
    assert_eq!(eight.verify(&six, NOW, crypto).unwrap_err(), WrongCode);
    assert!(
        totp().verify(&six, NOW, crypto).is_ok(),
        "the last six are the six digits"
    );
    assert!(totp().hash(Hash::Sha256).verify(&six, NOW, crypto).is_err());
    assert!(
        totp()
            .period(60)
            .unwrap()
            .verify(&six, NOW, crypto)
            .is_err()
    );
    assert!(totp().period(0).is_none() && totp().period(301).is_none());
}

#[test]
fn how_long_a_code_is_shown_is_told() {
    let start = Duration::from_secs(1_795_659_720);
    assert_eq!(totp().remaining(start), Duration::from_secs(30));
    assert_eq!(
        totp().remaining(start + Duration::from_millis(29_500)),
        Duration::from_millis(500)
    );
}

#[test]
fn a_counting_device_is_looked_for_ahead_and_never_behind() {
    let crypto = ring::provider();
    let hotp = Hotp::new(secret());
    for (counter, next, look_ahead, is_taken) in [
        (10, 10, 0, true),
        (11, 10, 0, false),
        (15, 10, 5, true),
        (16, 10, 5, false),
        (9, 10, 5, false),
    ] {
        let code = hotp.code_at(counter, crypto);
        let taken = hotp.verify(&code, next, look_ahead, crypto);
        assert_eq!(taken.is_ok(), is_taken, "{counter} {next} {look_ahead}");
        if let Ok(unspent) = taken {
            assert_eq!(unspent.position(), counter);
        }
    }
}

#[test]
fn a_device_is_found_again_by_two_codes_in_a_row() {
    let crypto = ring::provider();
    let hotp = Hotp::new(secret());
    let code = |counter| hotp.code_at(counter, crypto);
    let resynchronize =
        |first: u64, second: u64| hotp.resynchronize(&code(first), &code(second), 10, 200, crypto);
    assert_eq!(resynchronize(150, 151).unwrap().position(), 151);
    assert!(resynchronize(151, 150).is_err(), "the other way round");
    assert!(resynchronize(150, 150).is_err(), "the same code twice");
    assert!(resynchronize(150, 152).is_err(), "with one left out");
    assert!(resynchronize(211, 212).is_err(), "beyond the window");
    assert!(resynchronize(9, 10).is_err(), "from before");
    // No caller can make this the way to guess: a window has an end.
    let far = (code(1011), code(1012));
    assert!(
        hotp.resynchronize(&far.0, &far.1, 10, u32::MAX, crypto)
            .is_err()
    );
}

#[test]
fn a_secret_has_16_to_128_bytes() {
    for (length, is_good) in [
        (0, false),
        (15, false),
        (16, true),
        (128, true),
        (129, false),
    ] {
        assert_eq!(Secret::from_bytes(&vec![1; length]).is_ok(), is_good);
    }
    let text = secret().to_base32();
    assert_eq!(text.as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(Secret::from_base32(&text.to_lowercase()), Ok(secret()));
    assert_eq!(
        Secret::from_base32("JBSWY3DPEHPK3PXP"),
        Err(WeakSecret::Length)
    );
    assert_eq!(Secret::from_base32("1"), Err(WeakSecret::Base32));
    assert_eq!(
        format!("{:?} {:?}", secret(), totp().period(9))
            .matches("****")
            .count(),
        2
    );
}

#[test]
fn an_address_is_written_and_read_again() {
    for enrolment in [
        Enrolment::totp("Example", "ada@example.com", totp()).unwrap(),
        Enrolment::totp("", "ada", totp()).unwrap(),
        Enrolment::totp(
            "Größe & Söhne?",
            "ada l/ovelace%",
            totp()
                .hash(Hash::Sha512)
                .digits(Digits::Eight)
                .period(60)
                .unwrap(),
        )
        .unwrap(),
        Enrolment::hotp(
            "Example",
            "ada",
            Hotp::new(secret()).digits(Digits::Seven),
            42,
        )
        .unwrap(),
    ] {
        assert_eq!(Enrolment::parse(&enrolment.to_uri()), Ok(enrolment));
    }
    let uri = Enrolment::totp("Big Co", "ada@example.com", totp()).unwrap();
    assert_eq!(
        uri.to_uri().as_str(),
        "otpauth://totp/Big%20Co:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=Big%20Co&algorithm=SHA1&digits=6&period=30"
    );
    assert!(!format!("{uri:?}").contains("GEZDG"));
}

#[test]
fn addresses_of_others_are_read() {
    let secret = "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let read = |uri: &str| Enrolment::parse(uri).unwrap();
    let it = read(&format!(
        "OTPAUTH://TOTP/Example%3A%20ada?{secret}&image=https%3A%2F%2Fx"
    ));
    assert_eq!((it.issuer(), it.account()), ("Example", "ada"));
    assert_eq!(it.as_totp(), Some(&totp()));
    let it = read(&format!(
        "otpauth://totp/ada?{secret}&issuer=Example&algorithm=sha256"
    ));
    assert_eq!((it.issuer(), it.account()), ("Example", "ada"));
    let it = read(&format!("otpauth://hotp/ada?{secret}&counter=7&digits=6"));
    assert_eq!(it.kind(), &Kind::Hotp(Hotp::new(self::secret()), 7));
    assert_eq!(it.issuer(), "");
}

#[test]
fn an_address_that_can_be_read_in_two_ways_is_refused() {
    let secret = "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    for (uri, problem) in [
        ("https://example.com/".to_owned(), UriProblem::Form),
        (format!("otpauth:totp/ada?{secret}"), UriProblem::Form),
        ("otpauth://totp/ada".to_owned(), UriProblem::Form),
        (
            format!("otpauth://totp/{}?{secret}", "a".repeat(2048)),
            UriProblem::Form,
        ),
        (format!("otpauth://motp/ada?{secret}"), UriProblem::Kind),
        (format!("otpauth://totp/?{secret}"), UriProblem::Name),
        (format!("otpauth://totp/a:b:c?{secret}"), UriProblem::Name),
        (format!("otpauth://totp/a%0ab?{secret}"), UriProblem::Name),
        (
            format!("otpauth://totp/a%e2%80%aeb?{secret}"),
            UriProblem::Name,
        ),
        (
            format!("otpauth://totp/One:ada?{secret}&issuer=Two"),
            UriProblem::Issuers,
        ),
        (
            "otpauth://totp/ada?issuer=One".to_owned(),
            UriProblem::Secret(None),
        ),
        (
            "otpauth://totp/ada?secret=JBSWY3DP".to_owned(),
            UriProblem::Secret(Some(WeakSecret::Length)),
        ),
        (
            format!("otpauth://totp/ada?{secret}&{secret}"),
            UriProblem::Twice("secret"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&digits=6&digits=6"),
            UriProblem::Twice("digits"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&digits=5"),
            UriProblem::Parameter("digits"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&digits=+6"),
            UriProblem::Parameter("digits"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&period=0"),
            UriProblem::Parameter("period"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&period="),
            UriProblem::Parameter("period"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&algorithm=MD5"),
            UriProblem::Parameter("algorithm"),
        ),
        (
            format!("otpauth://hotp/ada?{secret}"),
            UriProblem::Parameter("counter"),
        ),
        (
            format!("otpauth://totp/ada?{secret}&issuer=%zz"),
            UriProblem::Parameter("issuer"),
        ),
    ] {
        let error = Enrolment::parse(&uri).unwrap_err();
        assert_eq!(error, problem, "{uri}");
        assert!(!error.to_string().contains("GEZD"));
    }
}

#[test]
fn names_that_cannot_be_told_apart_again_are_not_written() {
    for (issuer, account) in [
        ("a:b", "ada"),
        ("a", "a:b"),
        ("a", ""),
        (" a", "ada"),
        ("a", "ada\n"),
        ("a", &"x".repeat(129)),
    ] {
        let error = Enrolment::totp(issuer, account, totp()).unwrap_err();
        assert_eq!(error, UriProblem::Name, "{issuer:?} {account:?}");
    }
}
