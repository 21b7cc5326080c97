//! What a person sees and types.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use countersign_testkit::{HttpServer, Reply, Request};
use rustix::process::Signal;

use super::*;

#[test]
fn a_touch_and_the_request_goes_out_once_more() {
    let mut desk = desk();
    let output = desk.home.path().join("answer");
    let delete = format!("-X DELETE -d reason=old -o {}", output.display());

    let server = api([asks("1", "yubikey", ACTION), done()]);
    let left = answered(curl(&desk, &server, &delete), &TOUCHES[..1]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(
        stepped_up(&server),
        [None, field("1", "yubikey", TOUCHES[0])]
    );
    let [first, second] = <[Request; 2]>::try_from(server.requests()).unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(
        first.header("authorization"),
        second.header("authorization")
    );
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        "{\"deleted\":\"foobar\"}"
    );
    show(&mut desk, &server, "The API wants a touch.", &left);

    let server = api([asks("1", "totp", ""), done()]);
    let left = answered(curl(&desk, &server, &delete), &["123 456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(stepped_up(&server), [None, field("1", "totp", "123456")]);
    show(
        &mut desk,
        &server,
        "The API wants a code, and has no words for it.",
        &left,
    );

    let server = api([asks("1", "yubikey totp", ACTION), done()]);
    let left = answered(curl(&desk, &server, &delete), &["no password", "654321"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(stepped_up(&server), [None, field("1", "totp", "654321")]);
    show(
        &mut desk,
        &server,
        "Either will do, and something else is typed first.",
        &left,
    );
    desk.check("otp-right");
}

#[test]
fn what_does_not_do_is_asked_for_again_and_three_are_the_most() {
    let mut desk = desk();
    let wrong = |name: &str| asks(name, "yubikey", ", otp_error=wrong_otp");
    let server = api([asks("1", "yubikey", ACTION), wrong("2"), done()]);
    let left = answered(curl(&desk, &server, ""), &TOUCHES[..2]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(
        stepped_up(&server),
        [
            None,
            field("1", "yubikey", TOUCHES[0]),
            field("2", "yubikey", TOUCHES[1])
        ]
    );
    show(&mut desk, &server, "The first is of another key.", &left);

    let server = api([
        asks("1", "yubikey", ACTION),
        wrong("2"),
        wrong("3"),
        wrong("4"),
    ]);
    let left = answered(curl(&desk, &server, ""), &TOUCHES);
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    assert_eq!(stepped_up(&server).len(), 4);
    show(&mut desk, &server, "All three are.", &left);

    let replayed = asks("2", "totp", ", otp_error=replayed_otp");
    let expired = asks("3", "totp", ", otp_error=expired");
    let server = api([asks("1", "totp", ""), replayed, expired, done()]);
    let left = answered(curl(&desk, &server, ""), &["123456", "234567", "345678"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    show(
        &mut desk,
        &server,
        "A code that was used, and one that came late.",
        &left,
    );
    desk.check("otp-wrong");
}

#[test]
fn where_nothing_that_is_typed_helps_it_is_said_what_does() {
    let mut desk = desk();
    for (title, status, error, exit) in [
        ("Too many were wrong before.", 429, "locked", 8),
        ("The API knows no key of this person.", 401, "no_device", 8),
        (
            "The validation servers are out of reach.",
            503,
            "unavailable",
            8,
        ),
        ("A word from the future.", 401, "moon_phase", 8),
    ] {
        let server = api([says(status, error)]);
        let left = curl(&desk, &server, "").end();
        assert_eq!(left.status.code(), Some(exit), "{}", left.text);
        assert_eq!(server.requests().len(), 1);
        show(&mut desk, &server, title, &left);
    }
    let server = api([asks("1", "yubikey", ""), says(429, "locked")]);
    let left = answered(curl(&desk, &server, ""), &TOUCHES[..1]);
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(&mut desk, &server, "This one was one too many.", &left);
    let server = api([asks("1", "yubikey", ""), asks("2", "yubikey", "")]);
    let left = answered(curl(&desk, &server, ""), &TOUCHES[..1]);
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(
        &mut desk,
        &server,
        "The API does not know what it asked for.",
        &left,
    );
    let server = api([asks("1", "webauthn", "")]);
    let left = curl(&desk, &server, "").end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(
        &mut desk,
        &server,
        "It wants what is not known here.",
        &left,
    );
    desk.check("otp-refused");
}

#[test]
fn nobody_types_in_time() {
    let mut desk = desk();
    let server = HttpServer::start();
    let soon = Reply::new(401).with_header(
        "www-authenticate",
        "Bearer error=\"insufficient_user_authentication\", otp_challenge=\"c\", \
         otp_methods=\"yubikey\", otp_expires_in=\"1\"",
    );
    server.on("GET", "/resources/foobar", soon);
    let mut seated = curl(&desk, &server, "");
    seated.see("OTP:");
    // Begun, and not ended: nothing of it may become the shell's next command.
    seated.types("rm -rf");
    let (left, next_line) = seated.end_and_read_on();
    assert_eq!(left.status.code(), Some(6), "{}", left.text);
    assert_eq!(next_line, "\n");
    assert_eq!(server.requests().len(), 1);
    let shown = left.text.replace(&"*".repeat(6), "");
    let left = Left {
        text: shown,
        ..left
    };
    show(&mut desk, &server, "Nobody is there.", &left);
    desk.check("otp-timeout");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let mut desk = desk();
    let before = desk.run_silently("token");
    let server = api([asks("1", "yubikey", ACTION), done()]);
    let mut seated = curl(&desk, &server, "");
    seated.see("OTP:");
    seated.types("cccccc\x03and a half");
    let (left, next_line) = seated.end_and_read_on();
    assert_eq!(left.status.code(), Some(130), "{}", left.text);
    assert!(!next_line.contains("cccc"), "{next_line}");
    assert_eq!(left.cursor.1, 0, "{}", left.text);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(desk.run_silently("token"), before);
    desk.note("Ctrl-C after six letters.");
    let text = left.text.replace(&server.origin(), "API");
    let text = text.split("and a half").next().unwrap_or_default();
    desk.show_screen(&format!("{}\n[{}]", text.trim_end(), left.status));
    desk.check("otp-ctrl-c");
}

/// The terminal is compared by `end`.
#[test]
fn a_signal_while_it_is_typed_leaves_the_terminal_as_it_was() {
    let desk = desk();
    for signal in [Signal::TERM, Signal::HUP] {
        let server = api([asks("1", "yubikey", ACTION), done()]);
        let mut seated = curl(&desk, &server, "");
        seated.see("OTP:");
        seated.types("cccccc");
        seated.see("******");
        seated.signals(signal);
        let (left, next_line) = seated.end_and_read_on();
        assert_eq!(left.status.signal(), Some(signal.as_raw()), "{}", left.text);
        assert_eq!(next_line, "\n");
        assert_eq!(left.cursor.1, 0, "{}", left.text);
        assert_eq!(server.requests().len(), 1);
    }
}
