//! Signing in with a browser: it comes back by itself, or the person brings the answer; whichever is
//! first wins, and the other ends cleanly.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;

use countersign_testkit::{Browser, Endpoint};
use url::Url;

use crate::desk::Desk;
use crate::seat::{Seat, Seated, opened};

/// A desktop, with room on the screen for what is pasted.
fn desktop(desk: &Desk) -> Seat<'_> {
    Seat::at(desk)
        .env("DISPLAY", ":0")
        .browsers(&["xdg-open"])
        .size(80, 40)
}

/// Where the browser would be sent once the person has signed in.
fn answer(address: &str) -> String {
    let mut browser = Browser::new();
    browser.hold("http://127.0.0.1:");
    let page = browser.get(address);
    page.location().into()
}

fn port(address: &str) -> u16 {
    let address = Url::parse(address).expect("an address");
    address.port().expect("a port")
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn asked(seat: &Seated, desk: &Desk) -> String {
    seat.see("Enter:");
    opened(desk)
}

#[test]
fn the_browser_comes_back_by_itself() {
    let mut desk = Desk::with_profile();
    let seat = desktop(&desk).types("login --color never");
    let address = asked(&seat, &desk);
    assert_eq!(seat.address(), address, "what is opened is what is shown");
    let page = Browser::new().get(&address);
    assert_eq!(page.status, 200, "{}", page.body);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(left.cursor.1, 0);
    desk.show_screen(&left.text);
    desk.run("status").expect_code(0);
    desk.check("browser");
}

/// Some commands say that they failed, and a window is there; and the address can be opened by hand.
#[test]
fn a_question_does_not_keep_out_a_browser_that_comes_back_after_all() {
    let desk = Desk::with_profile();
    let seat = Seat::at(&desk)
        .env("COUNTERSIGN_BROWSER", "/bin/false")
        .size(80, 40)
        .types("login --flow browser --color never");
    seat.see("instead? [Y/n]");
    let page = Browser::new().get(&seat.address());
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert!(left.text.contains("Welcome"), "{}", left.text);
    assert_eq!(left.cursor.1, 0);
}

#[test]
fn the_address_is_a_link_where_the_terminal_shows_one() {
    let desk = Desk::with_profile();
    let seat = desktop(&desk).env("VTE_VERSION", "7600").types("login");
    let address = asked(&seat, &desk);
    Browser::new().get(&address);
    let left = seat.end();
    let link = format!("\r\n\x1b]8;;{address}\x1b\\{address}\x1b]8;;\x1b\\\r\n");
    assert!(left.written.contains(&link), "{}", left.written);
}

#[test]
fn a_paste_wins_and_nobody_listens_any_more() {
    let mut desk = Desk::with_profile();
    let mut seat = desktop(&desk).types("login --color never");
    let answer = answer(&asked(&seat, &desk));
    assert!(is_listening(port(&answer)));
    seat.types_line(&answer);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert!(!is_listening(port(&answer)));
    desk.show_screen(&left.text);
    desk.check("browser-paste");
}

#[test]
fn the_browser_wins_and_what_was_half_typed_is_not_left_for_the_shell() {
    let desk = Desk::with_profile();
    let mut seat = desktop(&desk).types("login --color never");
    let address = asked(&seat, &desk);
    seat.types("rm -rf half-typed");
    seat.see("half-typed");
    Browser::new().get(&address);
    let (left, next_line) = seat.end_and_read_on();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(next_line, "\n");
    assert!(!left.text.contains("half-typed"), "{}", left.text);
    assert!(
        left.text.contains("Welcome, Ada Lovelace."),
        "{}",
        left.text
    );
}

#[test]
fn the_code_alone_is_enough_and_may_come_with_what_terminals_add() {
    for (before, after) in [("", ""), ("\x1b[200~  ", "\x1b[201~"), ("\u{200b}", "\r")] {
        let desk = Desk::with_profile();
        let mut seat = desktop(&desk).types("login --color never");
        let answer = Url::parse(&answer(&asked(&seat, &desk))).expect("an address");
        let code = answer.query_pairs().find(|(name, _)| name == "code");
        let (_, code) = code.expect("a code");
        seat.types_line(&format!("{before}{code}{after}"));
        let left = seat.end();
        assert_eq!(left.status.code(), Some(0), "{}", left.text);
    }
}

#[test]
fn what_is_not_the_answer_is_refused_and_waiting_goes_on() {
    let mut desk = Desk::with_profile();
    // Large enough to hold what is typed.
    let mut seat = desktop(&desk).size(80, 150).types("login --color never");
    let answer = answer(&asked(&seat, &desk));
    let foreign = answer.replace("state=", "state=x");
    seat.types_line(&foreign);
    seat.see("another sign-in");
    seat.types_line("https://id.example.com/somewhere/else?a=b");
    seat.see("another page");
    seat.types_line("!");
    seat.see("no code in that");
    seat.types_line(&"y".repeat(5000));
    seat.see("longer than a line of a terminal");
    seat.types_line(&answer);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    // Of what was typed, only what was said of it is kept.
    let said: Vec<&str> = left
        .text
        .lines()
        .filter(|line| !line.contains("yyyy") && !line.contains("state="))
        .collect();
    desk.show_screen(&said.join("\n"));
    desk.check("browser-refused");
}

#[test]
fn the_end_of_file_key_leaves_the_browser_to_come_back() {
    let desk = Desk::with_profile();
    let mut seat = desktop(&desk).types("login --color never");
    let address = asked(&seat, &desk);
    seat.types("\x04");
    Browser::new().get(&address);
    let left = seat.end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
}

#[test]
fn ctrl_c_while_something_is_typed_leaves_a_clean_terminal() {
    let desk = Desk::with_profile();
    let mut seat = desktop(&desk).controlling().types("login --color never");
    let address = asked(&seat, &desk);
    let port = port(&redirect_uri(&address));
    seat.types("half-typed");
    seat.see("half-typed");
    seat.types("\x03");
    let (left, next_line) = seat.end_and_read_on();
    // As `setsid` passes it on; for a shell it is the signal itself.
    let interrupted = left.status.signal() == Some(2) || left.status.code() == Some(130);
    assert!(interrupted, "{:?}", left.status);
    assert_eq!(next_line, "\n");
    assert!(!is_listening(port));
    assert!(desk.provider.requests(Endpoint::Token).is_empty());
}

fn redirect_uri(address: &str) -> String {
    let address = Url::parse(address).expect("an address");
    let uri = address
        .query_pairs()
        .find(|(name, _)| name == "redirect_uri");
    uri.expect("a redirect URI").1.into_owned()
}
