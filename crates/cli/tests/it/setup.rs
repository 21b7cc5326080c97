//! `countersign setup`: what it prints, and what it asks and writes at a terminal.

use countersign_testkit::{Endpoint, Reply};
use serde_json::json;

use crate::desk::Desk;
use crate::seat::Seat;

#[test]
fn the_steps_for_every_provider() {
    let mut desk = Desk::new();
    desk.run("setup").expect_code(0);
    for provider in [
        "auth0", "cognito", "entra", "github", "google", "keycloak", "okta", "oidc", "oauth",
    ] {
        desk.run(&format!("setup {provider}")).expect_code(0);
    }
    desk.note("A name that is none, and a configuration that cannot be read.");
    desk.run("setup octa").expect_code(2);
    desk.configure("profile = 3");
    desk.run("setup oidc --print").expect_code(0);
    desk.check("setup");
}

/// What is shown to a person who sets up a provider, and the file that comes of it.
fn session(desk: &Desk, arguments: &str, answers: &[(&str, &str)]) -> (i32, String, String) {
    let mut seat = Seat::at(desk).size(100, 60).types(arguments);
    for (question, answer) in answers {
        seat.see(question);
        seat.types_line(answer);
    }
    let left = seat.end();
    let file = desk.home.config_dir().join("config.toml");
    let file = std::fs::read_to_string(file).unwrap_or_default();
    (left.status.code().unwrap_or(-1), left.text, file)
}

#[test]
fn a_profile_is_written_after_the_server_was_asked() {
    let mut desk = Desk::new();
    desk.provider.deny("login_required", None);
    let issuer = desk.provider.issuer();
    let again = "the issuer is not an absolute URL\nIssuer, such as https://login.example.com:";
    let answers = [
        ("Name of the profile [default]:", ""),
        (
            "Issuer, such as https://login.example.com:",
            "login.example.com",
        ),
        (again, &issuer),
        ("Client id:", "terminal"),
    ];
    let (code, screen, file) = session(&desk, "setup oidc", &answers);
    assert_eq!(code, 0, "{screen}");
    desk.show(&screen);
    desk.show(&file);
    desk.run("profile list").expect_code(0);
    desk.run("login").expect_code(0);
    desk.check("setup-terminal");
}

#[test]
fn parts_of_an_issuer_are_asked_for_by_their_name() {
    let desk = Desk::new();
    // Nobody answers there, so it is written by somebody who knows better.
    let answers = [
        ("Name of the profile", "work"),
        ("The organisation, such as acme", "acme.invalid"),
        ("authorization server, such as default", "default"),
        ("Client id:", "0oa1"),
        ("Write the profile all the same?", "y"),
    ];
    let (code, screen, file) = session(&desk, "setup okta", &answers);
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("https://acme.invalid/oauth2/default"),
        "{screen}"
    );
    assert!(screen.contains("fault:"), "{screen}");
    let expected = "[profile.work]\nprovider = \"okta\"\norg = \"acme.invalid\"\n\
                    server = \"default\"\nclient_id = \"0oa1\"\n";
    assert!(file.contains(expected), "{file}");
}

#[test]
fn nothing_is_written_by_who_says_no_or_leaves() {
    let desk = Desk::new();
    let refusal = json!({ "error": "unauthorized_client" });
    desk.provider
        .always(Endpoint::DeviceAuthorization, Reply::json(400, &refusal));
    let answers = [
        ("Name of the profile", ""),
        ("Client id:", "terminal"),
        ("Write the profile all the same?", ""),
    ];
    let (code, screen, file) = session(&desk, "setup oidc --issuer ISSUER", &answers);
    assert_eq!((code, file.as_str()), (1, ""), "{screen}");
    assert!(screen.contains("The device grant may not be used by this client."));
    let (code, screen, file) = session(&desk, "setup oidc", &[("Name of the profile", "\u{4}")]);
    assert_eq!((code, file.as_str()), (7, ""), "{screen}");
}

#[test]
fn flags_answer_beforehand() {
    let desk = Desk::new();
    desk.provider.deny("login_required", None);
    let arguments = "setup auth0 -p work --issuer ISSUER --client-id terminal --audience stock";
    let (code, screen, file) = session(&desk, arguments, &[]);
    assert_eq!(code, 0, "{screen}");
    let issuer = desk.provider.issuer();
    let expected = format!(
        "[profile.work]\nprovider = \"auth0\"\nissuer = \"{issuer}\"\nclient_id = \"terminal\"\n\
         audience = \"stock\"\n"
    );
    assert!(file.contains(&expected), "{file}");
}

#[test]
fn a_profile_that_is_there_is_not_overwritten() {
    let desk = Desk::with_profile();
    let (code, screen, _) = session(&desk, "setup oidc -p default --issuer ISSUER", &[]);
    assert_eq!(code, 2, "{screen}");
    assert!(
        screen.contains("there is a profile `default` already"),
        "{screen}"
    );
}
