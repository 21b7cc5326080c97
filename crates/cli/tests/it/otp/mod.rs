//! An API asks for a one-time password (`docs/step-up.md`), and `countersign curl` asks the person for it.
//!
//! The API is scripted, and follows the specification. The real one is in the end-to-end tests.

mod people;
mod programs;

use countersign_testkit::{HttpServer, Reply, Request};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::{Left, Seat, Seated};

/// Passwords of one key, none of which is ever the same.
const TOUCHES: [&str; 3] = [
    "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded",
    "ccccccbcgujhkkkfdirjvlllbbcrrhcctnedgleuvvhl",
    "ccccccbcgujhvtbcletvfrtkgbkhbtdtdlnckuchhrkv",
];
const ACTION: &str = ", otp_action=\"delete resource foobar\"";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.configure("[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nqr = \"never\"\n");
    desk.program("login").run().expect_code(0);
    desk
}

/// The answer that asks for a password, with a challenge of this name.
fn asks(name: &str, methods: &str, more: &str) -> Reply {
    let challenge = format!(
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"this request needs a one-time password\", \
         otp_challenge=\"v1.{name}\", otp_methods=\"{methods}\", otp_expires_in=\"60\"{more}"
    );
    Reply::new(401).with_header("www-authenticate", &challenge)
}

fn says(status: u16, error: &str) -> Reply {
    let challenge =
        format!("Bearer error=\"insufficient_user_authentication\", otp_error=\"{error}\"");
    Reply::new(status)
        .with_header("www-authenticate", &challenge)
        .with_header("retry-after", "900")
}

fn done() -> Reply {
    Reply::json(200, &json!({ "deleted": "foobar" }))
}

/// An API that answers like this, to whatever.
fn api(answers: impl IntoIterator<Item = Reply>) -> HttpServer {
    let api = HttpServer::start();
    let answers: Vec<Reply> = answers.into_iter().collect();
    for method in ["GET", "POST", "DELETE", "HEAD"] {
        api.on_sequence(method, "/resources/foobar", answers.clone());
    }
    api
}

/// A person at a terminal of their own.
fn seat(desk: &Desk) -> Seat<'_> {
    Seat::at(desk).env("PATH", "/usr/bin:/bin").controlling()
}

fn curl(desk: &Desk, api: &HttpServer, arguments: &str) -> Seated {
    let line = format!("--color never curl {} -sS", api.url("/resources/foobar"));
    seat(desk).types(&format!("{line} {arguments}"))
}

const PROMPTS: [&str; 3] = [
    "please enter yubikey OTP: ",
    "please enter the 6-digit code: ",
    "please enter yubikey OTP or 6-digit code: ",
];

/// Types each of these when it is asked for.
fn answered(mut seated: Seated, passwords: &[&str]) -> Left {
    for (round, password) in passwords.iter().enumerate() {
        seated.see_that("the prompt", |text| {
            let asked = PROMPTS
                .iter()
                .map(|prompt| text.matches(prompt.trim_end()).count());
            let last = text.lines().last().unwrap_or_default();
            asked.sum::<usize>() == round + 1 && PROMPTS.iter().any(|it| it.trim_end() == last)
        });
        seated.types_line(password);
    }
    seated.end()
}

/// The `Step-Up` fields that the API got, request by request.
fn stepped_up(api: &HttpServer) -> Vec<Option<String>> {
    let of = |request: &Request| request.header("step-up").map(str::to_owned);
    api.requests().iter().map(of).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "like what it is compared with")]
fn field(name: &str, method: &str, otp: &str) -> Option<String> {
    Some(format!(
        "challenge=\"v1.{name}\", method={method}, otp=\"{otp}\""
    ))
}

fn show(desk: &mut Desk, api: &HttpServer, title: &str, left: &Left) {
    for touch in TOUCHES {
        assert!(!left.written.contains(touch), "{}", left.written);
    }
    desk.note(title);
    let text = left.text.replace(&api.origin(), "API");
    desk.show_screen(&format!("{text}\n[{}]", left.status));
}
