//! Where refresh tokens are kept, and how they get from one place to another.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::desk::Desk;
use crate::seat::Seat;

const PASSPHRASE: &str = "correct horse battery staple";

fn file(desk: &Desk) -> String {
    let path = desk.home.state_dir().join("sessions/default.json");
    fs::read_to_string(path).expect("there is a session")
}

/// Whether the file shows the refresh token, as it does where nothing else was asked for.
fn is_open(desk: &Desk) -> bool {
    let session: serde_json::Value = serde_json::from_str(&file(desk)).expect("a session is JSON");
    session
        .pointer("/secrets/receipt/refresh_token")
        .is_some_and(serde_json::Value::is_string)
}

/// A desk at which somebody has signed in with a passphrase.
fn sealed() -> Desk {
    let desk = Desk::with_profile();
    let mut seat = Seat::at(&desk).types("login --store passphrase --qr never --color never");
    seat.see("New passphrase for the session:");
    seat.types_line("a slip of the hand");
    seat.see("The same once more:");
    seat.types_line(PASSPHRASE);
    seat.see("The two differ.");
    seat.types_line(PASSPHRASE);
    seat.see_that("the second question", |text| {
        text.matches("The same once more:").count() == 2
    });
    seat.types_line(PASSPHRASE);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert!(!left.written.contains("horse"), "{}", left.written);
    // It is asked for before anybody approves something that could then not be kept.
    let asked = left.text.find("New passphrase");
    assert!(asked < left.text.find("WDJB-MJHT"), "{}", left.text);
    assert!(!is_open(&desk));
    desk
}

#[test]
fn a_passphrase_is_typed_unseen_once_for_each_renewal_and_never_for_a_cached_token() {
    let mut desk = sealed();
    desk.run("token").expect_code(0);
    desk.run("token --force-refresh").expect_code(9);
    desk.run("status").expect_code(0);
    desk.note("At a terminal:");
    let mut seat = Seat::at(&desk).types("token --force-refresh --color never");
    seat.see("Passphrase of the session:");
    seat.types_line("a guess");
    seat.see("That is not it.");
    seat.types("correct horsx\u{7f}e battery stapleX\u{8}\n");
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert!(!left.written.contains("horse") && !left.written.contains("guess"));
    desk.show(&left.text);
    desk.check("passphrase");
}

#[test]
fn ctrl_c_at_a_passphrase_leaves_the_terminal_and_the_session_as_they_were() {
    let desk = sealed();
    let before = file(&desk);
    let mut seat = Seat::at(&desk).types("token --force-refresh");
    seat.see("Passphrase of the session:");
    seat.types("half of i\u{3}");
    let left = seat.end();
    assert_eq!(left.status.code(), Some(130), "{}", left.text);
    assert_eq!(file(&desk), before);
}

/// The terminal is compared by `end`.
#[test]
fn a_signal_at_a_passphrase_ends_the_program_and_leaves_the_terminal_as_it_was() {
    let desk = sealed();
    let before = file(&desk);
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut seat = Seat::at(&desk).types("token --force-refresh --color never");
        seat.see("Passphrase of the session:");
        seat.types("half of i");
        seat.signals(signal);
        let left = seat.end();
        assert_eq!(left.status.signal(), Some(signal.as_raw()), "{}", left.text);
        assert_eq!(left.cursor.1, 0, "{}", left.text);
        assert_eq!(file(&desk), before);
    }
}

#[test]
fn a_session_is_moved_and_can_be_used_from_there() {
    let mut desk = Desk::signed_in();
    assert!(is_open(&desk));
    let mut seat = Seat::at(&desk).types("store migrate --to passphrase --color never");
    for question in ["New passphrase for the session:", "The same once more:"] {
        seat.see(question);
        seat.types_line(PASSPHRASE);
    }
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    desk.show(&left.text);
    assert!(!is_open(&desk));
    desk.run("store migrate --to file").expect_code(9);
    let mut seat = Seat::at(&desk).types("store migrate --to file --all --color never");
    seat.see("Passphrase of the session:");
    seat.types_line(PASSPHRASE);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    desk.show(&left.text);
    assert!(is_open(&desk));
    desk.run("store migrate --to file").expect_code(0);
    desk.run("token --force-refresh").expect_code(0);
    desk.run("store migrate --to memory").expect_code(2);
    desk.run("logout").expect_code(0);
    desk.run("store migrate --to file").expect_code(0);
    desk.run("store migrate --to file --all").expect_code(0);
    desk.check("store");
}

#[test]
fn a_place_that_is_asked_for_by_name_is_used_or_the_login_fails() {
    let desk = Desk::with_profile();
    // There is no bus here, whether or not the program that would speak with it has been built.
    let refused = desk.program("login --store keyring").run().expect_code(9);
    assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("WDJB-MJHT"), "{}", refused.stderr);
    let refused = desk
        .program("login --store passphrase")
        .run()
        .expect_code(9);
    assert!(refused.stderr.contains("passphrase"), "{}", refused.stderr);
    desk.program("login").run().expect_code(0);
    let moved = desk.program("store migrate").run().expect_code(9);
    assert!(moved.stderr.contains("keyring"), "{}", moved.stderr);
    assert!(is_open(&desk));
}

#[test]
fn what_a_company_allows_no_flag_widens() {
    let mut desk = Desk::signed_in();
    desk.configure_system(
        "10-limits.toml",
        "[limits]\nallowed_stores = [\"keyring-key\", \"passphrase\"]\n",
    );
    desk.run("login --store file").expect_code(7);
    desk.run("store migrate --to kernel-key").expect_code(7);
    desk.export("COUNTERSIGN_STORE", "file");
    desk.run("login").expect_code(7);
    desk.check("store-limits");
}
