//! What a person sees at a terminal.

use std::os::unix::process::ExitStatusExt as _;

use crate::desk::Desk;
use crate::seat::Seat;

#[test]
fn a_login_on_an_ordinary_terminal() {
    let mut desk = Desk::with_profile();
    desk.provider.pending_polls(1);
    let seat = Seat::at(&desk).types("login --color never");
    let waiting = seat.see("Waiting for approval of WDJB-MJHT … 9:5");
    assert!(
        waiting.lines().count() <= 23,
        "nothing has left the screen:\n{waiting}"
    );
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0));
    let text = left.text;
    assert!(!text.contains("Waiting"), "the line is gone:\n{text}");
    assert_eq!(left.cursor.1, 0, "the cursor is at the start of a line");
    desk.show(&without_qr(&text));
    desk.check("terminal-24-rows");
}

#[test]
fn a_login_on_a_large_terminal_and_on_a_narrow_one() {
    let mut desk = Desk::with_profile();
    for (columns, rows) in [(80, 45), (30, 45)] {
        desk.note(&format!("{columns} columns, {rows} rows"));
        let seat = Seat::at(&desk).size(columns, rows);
        let left = seat.types("login --color never").end();
        assert_eq!(left.status.code(), Some(0));
        desk.show(&without_qr(&left.text));
    }
    desk.check("terminal-sizes");
}

#[test]
fn without_a_profile_a_person_is_asked() {
    let mut desk = Desk::new();
    let mut seat = Seat::at(&desk).types("login --qr never --color never");
    seat.see("Issuer URL:");
    seat.types_line(&desk.provider.issuer());
    seat.see("Client id [cli]:");
    seat.types_line("");
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    desk.show(&left.text);
    desk.run("profile list").expect_code(0);
    desk.check("terminal-first-time");
}

#[test]
fn nothing_is_asked_when_asking_is_forbidden() {
    let mut desk = Desk::new();
    let left = Seat::at(&desk)
        .types("--no-input login --color never")
        .end();
    assert_eq!(left.status.code(), Some(7));
    desk.show(&left.text);
    desk.check("terminal-no-input");
}

#[test]
fn ctrl_c_leaves_a_clean_terminal() {
    let desk = Desk::with_profile();
    desk.provider.pending_polls(1000);
    let seat = Seat::at(&desk).types("login");
    seat.see("Waiting for approval");
    seat.interrupt();
    let left = seat.end();
    // A shell reports this as 130.
    assert_eq!(left.status.signal(), Some(2), "{:?}", left.status);
    assert_eq!(left.cursor.1, 0, "at the start of a line:\n{}", left.text);
    assert!(desk.program("status").run().code() == Some(4));
}

#[test]
fn the_qr_code_on_the_screen_is_black_on_white_whatever_the_terminal() {
    let desk = Desk::with_profile();
    desk.provider.pending_polls(1000);
    let seat = Seat::at(&desk).types("login");
    seat.see("Waiting for approval");
    seat.look(|screen| {
        // The first row of the code, below two lines of text: its border.
        let cell = screen.cell(3, 10).unwrap();
        assert_eq!(cell.fgcolor(), vt100::Color::Idx(16));
        assert_eq!(cell.bgcolor(), vt100::Color::Idx(231));
        // Beside it the terminal's own colours.
        let beside = screen.cell(3, 70).unwrap();
        assert_eq!(beside.bgcolor(), vt100::Color::Default);
    });
    seat.interrupt();
    seat.end();
}

/// The QR code is different in every run, because the port is in it.
fn without_qr(text: &str) -> String {
    let is_qr = |line: &str| line.contains(['█', '▀', '▄']);
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        if !is_qr(line) {
            lines.push(line);
        } else if lines.last() != Some(&"(QR code)") {
            lines.push("(QR code)");
        }
    }
    lines.join("\n")
}
