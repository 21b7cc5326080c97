//! Yubico OTPs as text, and what a key may and may not do.

use countersign_otp::yubico::{Keyboard, MalformedOtp, Otp, PublicId};
use countersign_otp::{Counter, Replayed};

use crate::common::{key, otp, secrets};

#[test]
fn a_password_is_read_strictly() {
    let good = otp();
    let text = good.expose();
    assert_eq!(Otp::parse(text).unwrap().expose(), text);
    assert_eq!(good.public_id().as_str(), "ccccccbchvth");
    for changed in [
        format!("{text}\n"),
        format!(" {text}"),
        text.to_uppercase(),
        text.replacen('c', "a", 1),
        text.replacen("cc", "é", 1),
        text.replacen('c', "\0", 1),
    ] {
        assert_eq!(Otp::parse(&changed), Err(MalformedOtp::Alphabet));
    }
    for changed in [
        String::new(),
        format!("ccccc{text}"),
        text[1..].to_owned(),
        text[13..].to_owned(),
        text.repeat(2),
    ] {
        assert_eq!(Otp::parse(&changed), Err(MalformedOtp::Length));
    }
}

#[test]
fn two_letters_more_are_a_password_of_somebody_else() {
    let shifted = Otp::parse(&format!("{}cc", otp().expose())).unwrap();
    assert_ne!(shifted.public_id(), otp().public_id());
    assert!(secrets().decrypt(&shifted).is_err());
}

#[test]
fn a_key_without_a_public_id_is_read_too() {
    let text = &otp().expose()[12..].to_owned();
    let bare = Otp::parse(text).unwrap();
    assert!(bare.public_id().is_empty());
    assert!(secrets().decrypt(&bare).is_ok());
}

#[test]
fn what_a_keyboard_adds_is_taken_off_where_it_is_asked_for() {
    let text = otp().expose().to_owned();
    for typed in [
        format!("{text}\n"),
        format!("{text}\r\n"),
        format!("  {text}\t"),
        text.to_uppercase(),
    ] {
        let otp = Otp::parse_typed(&typed, Keyboard::Usual).unwrap();
        assert_eq!(otp.expose(), text);
    }
    for typed in [
        format!("{} {}", &text[..20], &text[20..]),
        format!("{text}\u{a0}"),
        format!("{text}\n{text}"),
        format!("{text}\0"),
    ] {
        assert!(Otp::parse_typed(&typed, Keyboard::Usual).is_err());
    }
}

#[test]
fn the_other_keyboard_layout_is_undone_only_if_the_caller_says_so() {
    let text = otp().expose().to_owned();
    let dvorak: String = text
        .chars()
        .map(|c| {
            let at = "cbdefghijklnrtuv".find(c).unwrap();
            char::from(b"jxe.uidchtnbpygk"[at])
        })
        .collect();
    let read = Otp::parse_typed(&dvorak, Keyboard::Dvorak).unwrap();
    assert_eq!(read.expose(), text);
    assert_eq!(
        Otp::parse_typed(&dvorak, Keyboard::Usual),
        Err(MalformedOtp::Alphabet)
    );
    assert_eq!(
        Otp::parse_typed(&text, Keyboard::Dvorak),
        Err(MalformedOtp::Alphabet)
    );
}

#[test]
fn a_public_id_has_an_even_number_of_up_to_16_letters() {
    for text in ["", "cc", "dteffuje", "ccccccbchvth", "dlcfffckrcdedlcf"] {
        assert_eq!(text.parse::<PublicId>().unwrap().to_string(), text);
    }
    for text in ["c", "cccccccccccccccccc", "Cc", "xx", "c ", "cé"] {
        assert!(text.parse::<PublicId>().is_err(), "{text:?}");
    }
}

#[test]
fn passwords_stand_in_the_order_in_which_a_key_makes_them() {
    let mut key = key();
    let mut last = None;
    for at in 0..600_u16 {
        if at % 100 == 99 {
            key.replug();
        }
        key.let_pass(80);
        let unspent = secrets().decrypt(&key.press(at)).unwrap();
        assert!(last < Some(unspent.position()), "password {at}");
        last = Some(unspent.position());
    }
    // Longer than a session's 256 passwords without pulling it out.
    for at in 0..600_u16 {
        let unspent = secrets().decrypt(&key.press(at)).unwrap();
        assert!(last < Some(unspent.position()), "password {at}");
        last = Some(unspent.position());
    }
}

/// Bit 15 of the counter is the Caps Lock key and no count: taken for one, a password that was typed
/// with it would lock out all others of the key.
#[test]
fn caps_lock_does_not_move_a_key_forward() {
    let plain = secrets().decrypt(&key().at(7, 3, 0).press(1)).unwrap();
    let caps = secrets()
        .decrypt(&key().at(7, 3, 0).with_caps_lock().press(1))
        .unwrap();
    assert_eq!(plain.position(), caps.position());
    assert!(!plain.settle(Counter::Moved).unwrap().caps_lock());
    assert!(caps.settle(Counter::Moved).unwrap().caps_lock());
}

#[test]
fn the_end_of_a_keys_life_is_within_the_order() {
    let last = key().at(0x7fff, 255, 0x00ff_ffff).press(0xffff);
    let unspent = secrets().decrypt(&last).unwrap();
    assert_eq!(unspent.position(), (1 << 23) - 1);
    let said = unspent.settle(Counter::Moved).unwrap();
    assert_eq!((said.counter(), said.session_use()), (0x7fff, 255));
    assert_eq!(said.timestamp(), 0x00ff_ffff);
}

#[test]
fn a_password_that_is_behind_gives_nothing() {
    let unspent = secrets().decrypt(&otp()).unwrap();
    assert_eq!(unspent.settle(Counter::Behind), Err(Replayed));
}

#[test]
fn neither_passwords_nor_secrets_are_printed() {
    let otp = otp();
    let unspent = secrets().decrypt(&otp).unwrap();
    let shown = format!("{otp:?} {unspent:?} {:?} {:?}", secrets(), key());
    assert!(shown.contains("Otp(ccccccbchvth ****)"), "{shown}");
    assert!(!shown.contains(&otp.expose()[12..]), "{shown}");
    assert!(
        !shown.contains("[7, 7") && !shown.contains("random"),
        "{shown}"
    );
}
