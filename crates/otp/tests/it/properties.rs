//! What holds for every password, code and answer, and what no input may do.

use std::time::Duration;

use countersign_otp::Counter;
use countersign_otp::crypto::{Hash, ring};
use countersign_otp::oath::{Code, Digits, Enrolment, Hotp, Secret, Totp};
use countersign_otp::validation::Answer;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{KeyFile, Keyboard, Otp, Secrets};
use proptest::prelude::*;

use crate::common::{Lines, NOW, client, nonce, otp, secrets};

const MODHEX: &[u8; 16] = b"cbdefghijklnrtuv";

/// The text with one bit of what modhex stands for turned.
fn flip(text: &str, bit: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let letter = &mut bytes[bit / 4];
    let value = MODHEX.iter().position(|it| it == letter).unwrap();
    *letter = MODHEX[value ^ (1 << (bit % 4))];
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_bit_of_a_password_can_be_flipped() {
    let otp = otp();
    for bit in 48..176 {
        let changed = Otp::parse(&flip(otp.expose(), bit)).unwrap();
        assert!(secrets().decrypt(&changed).is_err(), "bit {bit}");
    }
    // In front of the block it is another person's id, which chooses other secrets.
    for bit in 0..48 {
        let changed = Otp::parse(&flip(otp.expose(), bit)).unwrap();
        assert_ne!(changed.public_id(), otp.public_id(), "bit {bit}");
    }
}

#[test]
fn no_bit_of_an_answer_can_be_flipped() {
    let answer = Lines::new("OK").signed();
    let check = |body: &[u8]| {
        Answer::verify(body, &client(1), &otp(), &nonce(), NOW, ring::provider()).is_ok()
    };
    assert!(check(&answer));
    for at in 0..answer.len() {
        // A line may end in either way, so the carriage return is not signed.
        if answer[at] == b'\r' {
            continue;
        }
        for bit in 0..8 {
            let mut changed = answer.clone();
            changed[at] ^= 1 << bit;
            assert!(!check(&changed), "bit {bit} of byte {at}");
        }
    }
    for length in 0..answer.len() - 2 {
        assert!(!check(&answer[..length]), "cut to {length}");
    }
}

fn hashes() -> impl Strategy<Value = Hash> {
    prop::sample::select(Hash::ALL.to_vec())
}

fn digits() -> impl Strategy<Value = Digits> {
    prop::sample::select(Digits::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_password_survives_the_round_trip(
        private_id: [u8; 6],
        aes_key: [u8; 16],
        id in "([cbdefghijklnrtuv]{2}){0,8}",
        counter in 0..=0x7fff_u16,
        session_use: u8,
        timestamp in 0..1_u32 << 24,
        random: u16,
    ) {
        let secrets = Secrets::new(private_id, aes_key);
        let mut key = SimulatedKey::new(id.parse().unwrap(), secrets.clone())
            .at(counter, session_use, timestamp);
        let otp = key.press(random);
        prop_assert_eq!(otp.public_id().as_str(), id);
        prop_assert_eq!(Otp::parse(otp.expose()).unwrap(), otp.clone());
        let unspent = secrets.decrypt(&otp).unwrap();
        let position = unspent.position();
        prop_assert_eq!(position, u64::from(counter) * 256 + u64::from(session_use));
        let said = unspent.settle(Counter::Moved).unwrap();
        prop_assert_eq!(said.counter(), counter);
        prop_assert_eq!(said.session_use(), session_use);
        prop_assert_eq!(said.timestamp(), timestamp);
        prop_assert_eq!(said.random(), random);
    }

    #[test]
    fn one_bit_of_a_secret_is_enough_to_refuse(
        private_id: [u8; 6], aes_key: [u8; 16], bit in 0..176_usize, random: u16,
    ) {
        let mut key = SimulatedKey::new("cccccccccccb".parse().unwrap(), Secrets::new(private_id, aes_key));
        let otp = key.press(random);
        let (mut private_id, mut aes_key) = (private_id, aes_key);
        match bit.checked_sub(48) {
            Some(bit) => aes_key[bit / 8] ^= 1 << (bit % 8),
            None => private_id[bit / 8] ^= 1 << (bit % 8),
        }
        prop_assert!(Secrets::new(private_id, aes_key).decrypt(&otp).is_err());
    }

    #[test]
    fn any_text_is_an_otp_or_an_error(text in "\\PC{0,60}") {
        for otp in [
            Otp::parse(&text),
            Otp::parse_typed(&text, Keyboard::Usual),
            Otp::parse_typed(&text, Keyboard::Dvorak),
        ].into_iter().flatten() {
            prop_assert!(Otp::parse(otp.expose()).is_ok());
        }
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(body: Vec<u8>) {
        let answer = Answer::verify(&body, &client(1), &otp(), &nonce(), NOW, ring::provider());
        prop_assert!(answer.is_err());
    }

    #[test]
    fn any_text_is_a_key_file_or_an_error(text in "[a-f0-9,#\n ykmsYubico OTP]{0,200}") {
        if let Err(error) = KeyFile::parse(&text) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn any_text_is_an_address_or_an_error(text in "(otpauth://[th]otp/)?\\PC{0,80}") {
        if let Ok(enrolment) = Enrolment::parse(&text) {
            prop_assert_eq!(Enrolment::parse(&enrolment.to_uri()), Ok(enrolment));
        }
    }

    #[test]
    fn an_address_survives_the_round_trip(
        secret: [u8; 20], hash in hashes(), digits in digits(), period in 1..=300_u64,
        counter in 0..=i64::MAX.cast_unsigned(),
        issuer in "([a-zé&=?/%+#]( [a-zé&=?/%+#])?){0,10}", account in "[a-z@.é&=?/%+#]{1,20}",
    ) {
        let secret = Secret::from_random(secret);
        let totp = Totp::new(secret.clone()).hash(hash).digits(digits).period(period).unwrap();
        let hotp = Hotp::new(secret).hash(hash).digits(digits);
        for enrolment in [
            Enrolment::totp(&issuer, &account, totp).unwrap(),
            Enrolment::hotp(&issuer, &account, hotp, counter).unwrap(),
        ] {
            prop_assert_eq!(Enrolment::parse(&enrolment.to_uri()), Ok(enrolment));
        }
    }

    #[test]
    fn a_code_is_taken_at_its_own_step_and_no_digit_of_it_can_be_changed(
        secret: [u8; 32], hash in hashes(), digits in digits(), secs in 0..1_u64 << 33,
        at in 0..6_usize, by in 1..10_u8,
    ) {
        let totp = Totp::new(Secret::from_random(secret)).hash(hash).digits(digits)
            .drift(countersign_otp::oath::Drift::NONE);
        let now = Duration::from_secs(secs);
        let code = totp.code_at(now, ring::provider()).to_string();
        let unspent = totp.verify(&Code::parse(&code).unwrap(), now, ring::provider()).unwrap();
        prop_assert_eq!(unspent.position(), secs / 30);
        let mut changed = code.into_bytes();
        changed[at] = b'0' + (changed[at] - b'0' + by) % 10;
        let changed = Code::parse(std::str::from_utf8(&changed).unwrap()).unwrap();
        prop_assert!(totp.verify(&changed, now, ring::provider()).is_err());
    }
}
