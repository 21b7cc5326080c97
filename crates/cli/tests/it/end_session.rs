//! `logout --end-session`: the browser's own session, which only the person can end.

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::{Seat, opened};

/// A server with a page to sign out on.
fn with_page(desk: Desk) -> Desk {
    let page = format!("{}/end_session", desk.provider.issuer());
    desk.provider
        .edit(Endpoint::OpenIdConfiguration, move |metadata| {
            metadata["end_session_endpoint"] = json!(page);
        });
    desk
}

#[test]
fn a_script_is_shown_the_page() {
    let mut desk = with_page(Desk::with_profile());
    desk.program("login").run().expect_code(0);
    desk.run("logout --end-session").expect_code(0);
    desk.note("Also when the tokens could not be revoked.");
    desk.program("login").run().expect_code(0);
    desk.provider.always(Endpoint::Revocation, Reply::new(503));
    desk.run("logout --end-session").expect_code(3);
    desk.provider.behave(Endpoint::Revocation);
    desk.note("The profile can ask for it, and a flag can do without.");
    desk.configure(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nend_session = true\n",
    );
    desk.program("login").run().expect_code(0);
    desk.run("logout").expect_code(0);
    desk.program("login").run().expect_code(0);
    desk.run("logout --end-session=false").expect_code(0);
    desk.check("logout-end-session");
}

#[test]
fn a_server_without_a_page_is_told_as_that() {
    let mut desk = Desk::signed_in();
    desk.run("logout --end-session").expect_code(0);
    desk.run("logout --end-session").expect_code(0);
    desk.check("logout-no-page");
}

#[test]
fn the_page_is_opened_for_a_person_and_names_nobody() {
    let desk = with_page(Desk::with_profile());
    desk.program("login").run().expect_code(0);
    let seat = Seat::at(&desk).browsers(&["xdg-open"]).env("DISPLAY", ":0");
    let left = seat.types("logout --end-session").end();
    assert!(left.status.success(), "{}", left.text);
    assert!(
        left.text.contains("A browser window was opened."),
        "{}",
        left.text
    );
    let address = opened(&desk);
    let expected = format!("{}/end_session?client_id=cli", desk.provider.issuer());
    assert_eq!(address, expected);
}
