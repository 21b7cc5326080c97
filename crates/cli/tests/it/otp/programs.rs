//! Pipes, programs, and all the places where a password must not go.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use countersign_testkit::{HttpServer, Program, Reply};
use serde_json::{Value, json};

use super::*;
use crate::https::{Asked, Https};

/// What was typed before anybody asked is no answer, and neither is what comes on standard input.
#[test]
fn the_terminal_alone_is_asked() {
    let mut desk = desk();
    let server = api([asks("1", "totp", ""), done()]);
    let output = desk.home.path().join("answer");
    let line = |server: &HttpServer, arguments: &str| {
        let url = server.url("/resources/foobar");
        format!("--color never curl {url} -sS {arguments}")
    };
    let seated = seat(&desk)
        .piping("111111\n")
        .printing_to(output.clone())
        .types(&line(&server, "-X DELETE"));
    let left = answered(seated, &["123456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(stepped_up(&server)[1], field("1", "totp", "123456"));
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        "{\"deleted\":\"foobar\"}"
    );
    let title = "Both ends are pipes, and somebody sits there.";
    show(&mut desk, &server, title, &left);

    let server = api([asks("1", "totp", ""), done()]);
    let seat = seat(&desk).piping("a body");
    let left = seat.types(&line(&server, "--data-binary @-")).end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].body, b"a body");
    show(&mut desk, &server, "The body came through a pipe.", &left);
    desk.check("otp-piped");
}

/// As a build job is run: with no terminal that could be opened.
fn without_terminal(desk: &Desk, arguments: &str) -> Program {
    let alone = |command: Vec<String>| {
        let before = ["/usr/bin/setsid", "--wait"].map(str::to_owned);
        before.into_iter().chain(command).collect()
    };
    desk.wrapped(alone, arguments)
}

#[test]
fn a_program_gets_the_challenge_and_an_exit_code() {
    let mut desk = desk();
    let server = api([asks("1", "yubikey totp", ACTION)]);
    desk.hide(&server.origin(), "API");
    let line = format!("curl {} -s", server.url("/resources/foobar"));
    let done = without_terminal(&desk, &line).run().expect_code(8);
    let object: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(object["otp_methods"], json!(["yubikey", "totp"]));
    assert_eq!(object["otp_action"], "delete resource foobar");
    assert!(!done.stderr.contains("v1.1"), "{}", done.stderr);
    desk.note("No terminal.");
    desk.show(&done.stderr);
    desk.note("A terminal, and nobody may be asked.");
    let left = seat(&desk)
        .types(&format!("--color never --no-input {line}"))
        .end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    desk.show_screen(&left.text.replace(&server.origin(), "API"));
    desk.note("A build job with a terminal at which nobody sits.");
    let left = seat(&desk)
        .env("CI", "true")
        .types(&format!("--color never {line}"))
        .end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    desk.show_screen(&left.text.replace(&server.origin(), "API"));
    assert!(stepped_up(&server).iter().all(Option::is_none));
    // Whoever brings a password has asked for it, and does what is to be done.
    let brings = without_terminal(&desk, &line).args(["-H", "Step-Up: challenge=\"v1.1\""]);
    brings.run().expect_code(0);
    desk.check("otp-programs");
}

/// Who reads standard output reads one answer, and it is the last.
#[test]
fn standard_output_has_one_answer() {
    let desk = desk();
    let output = desk.home.path().join("answer");
    let prints = |server: &HttpServer, passwords: &[&str]| {
        let line = format!("curl {} -sS -i", server.url("/resources/foobar"));
        let seated = seat(&desk).printing_to(output.clone()).types(&line);
        answered(seated, passwords);
        fs::read_to_string(&output).unwrap()
    };
    let wrong = |name: &str| asks(name, "totp", ", otp_error=wrong_otp").with_body("no");
    let server = api([asks("1", "totp", "").with_body("no"), wrong("2"), done()]);
    let printed = prints(&server, &["111111", "222222"]);
    assert!(printed.starts_with("HTTP/1.1 200"), "{printed}");
    assert!(!printed.contains("401"), "{printed}");
    let server = api([asks("1", "totp", ""), wrong("2"), wrong("3"), wrong("4")]);
    let printed = prints(&server, &["111111", "222222", "333333"]);
    assert_eq!(printed.matches("HTTP/1.1 401").count(), 1, "{printed}");
    assert!(printed.contains("v1.4"), "{printed}");
}

#[test]
fn a_password_follows_no_redirect() {
    let desk = desk();
    let elsewhere = HttpServer::start();
    elsewhere.on("GET", "/", Reply::new(200));
    let server = api([
        asks("1", "totp", ""),
        Reply::redirect(302, &elsewhere.url("/")),
    ]);
    let left = answered(curl(&desk, &server, "-L --retry 3"), &["123456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert!(left.text.contains("is not taken along"), "{}", left.text);
    assert_eq!(server.requests().len(), 2);
    assert!(elsewhere.requests().is_empty());

    // What asks from elsewhere is an answer like any other.
    let server = HttpServer::start();
    server.on(
        "GET",
        "/resources/foobar",
        Reply::redirect(302, &elsewhere.url("/asks")),
    );
    elsewhere.on("GET", "/asks", asks("1", "totp", ""));
    let left = curl(&desk, &server, "-L").end();
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    // And on the same server it is another request.
    server.on("GET", "/resources/foobar", Reply::redirect(302, "/other"));
    server.on("GET", "/other", asks("1", "totp", ""));
    let left = curl(&desk, &server, "-L").end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    let hint = format!("hint: countersign curl {}", server.url("/other"));
    assert!(left.text.contains(&hint), "{}", left.text);
    assert!(stepped_up(&server).iter().all(Option::is_none));
    assert!(stepped_up(&elsewhere).iter().all(Option::is_none));
}

#[test]
fn an_attempt_that_fails_is_not_made_again() {
    let desk = desk();
    let server = api([asks("1", "totp", ""), Reply::new(503)]);
    let left = answered(curl(&desk, &server, "--retry 5"), &["123456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(server.requests().len(), 2);
}

/// A sign-in and a password for one request: the password belongs to the token.
#[test]
fn the_sign_in_comes_first_and_the_password_is_for_the_new_token() {
    let desk = desk();
    desk.provider
        .edit_id_token(|_, claims| claims["acr"] = json!("mfa"));
    let server = api([
        asks("old", "totp", ", acr_values=\"mfa\""),
        asks("new", "totp", ""),
        done(),
    ]);
    let left = answered(curl(&desk, &server, ""), &["123456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(
        stepped_up(&server),
        [None, None, field("new", "totp", "123456")]
    );
    let requests = server.requests();
    let token = |at: usize| requests[at].header("authorization").map(str::to_owned);
    assert_ne!(token(0), token(1));
    assert_eq!(token(1), token(2));
}

/// The real curl, behind a stand-in that notes what it was started with.
#[test]
fn the_password_is_in_no_argument_no_variable_and_on_no_screen() {
    let desk = desk();
    let directory = desk.home.path().join("bin");
    fs::create_dir(&directory).unwrap();
    let (path, note) = (directory.join("curl"), desk.home.path().join("noted"));
    let script = format!(
        "#!/bin/sh\n{{ printf '%s\\n' \"$@\"; env; }} >> {}\nexec /usr/bin/curl \"$@\"\n",
        note.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let server = api([asks("1", "yubikey", ACTION), done()]);
    let line = format!("-vv curl {} -v", server.url("/resources/foobar"));
    let search = format!("{}:/usr/bin:/bin", directory.display());
    let seated = Seat::at(&desk)
        .controlling()
        .size(200, 100)
        .env("PATH", search)
        .types(&line);
    let left = answered(seated, &TOUCHES[..1]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(stepped_up(&server)[1], field("1", "yubikey", TOUCHES[0]));
    let noted = fs::read_to_string(note).unwrap();
    assert_eq!(noted.matches("--config").count(), 2, "{noted}");
    for open in [&noted, &left.written] {
        assert!(!open.contains(TOUCHES[0]), "{open}");
        desk.no_secret_is_in(open);
    }
    let sent = left.written.to_ascii_lowercase();
    assert!(sent.contains("> step-up: ****"), "{sent}");
}

#[test]
fn a_proxy_passes_both_on_and_says_what_to_do_once() {
    let desk = desk();
    let challenge = "Bearer error=\"insufficient_user_authentication\", otp_challenge=\"v1.x\", \
        otp_methods=\"totp\", otp_expires_in=\"60\"";
    let api = Https::start(desk.home.path(), move |asked: &Asked| {
        match asked.header("step-up") {
            None => {
                let header = ("www-authenticate", challenge.to_owned());
                (401, vec![header], b"no".to_vec())
            }
            Some(value) => (200, Vec::new(), value.as_bytes().to_vec()),
        }
    });
    let file = api.ca_file().display();
    let line = format!(
        "--ca-cert {file} exec --proxy API_URL={} -- sh -c",
        api.url("/v1")
    );
    let value = "challenge=\"v1.x\", method=totp, otp=\"123456\"";
    let script = format!(
        "curl -si $API_URL/items; curl -si $API_URL/items; curl -s $API_URL/items -H 'Step-Up: {value}'"
    );
    let done = desk.program(&line).arg(&script).run().expect_code(0);
    assert_eq!(done.stdout.matches(challenge).count(), 2, "{}", done.stdout);
    assert!(done.stdout.ends_with(value), "{}", done.stdout);
    let said = format!("countersign stepup {}\n", api.url("/v1/items"));
    assert_eq!(
        done.stderr.matches(&said).count(),
        1,
        "{said}\n{}",
        done.stderr
    );
    assert!(!done.stderr.contains("123456"), "{}", done.stderr);
}

#[test]
fn what_is_good_for_a_while_is_got_ahead_of_time() {
    let mut desk = desk();
    let server = api([asks("1", "totp", ACTION), Reply::new(204)]);
    let line = |server: &HttpServer| {
        let url = server.url("/resources/foobar");
        seat(&desk).types(&format!("--color never stepup {url}"))
    };
    let left = answered(line(&server), &["123456"]);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.method == "HEAD"));
    assert_eq!(stepped_up(&server)[1], field("1", "totp", "123456"));
    let nothing = api([Reply::new(404)]);
    let left_alone = line(&nothing).end();
    assert_eq!(left_alone.status.code(), Some(0), "{}", left_alone.text);
    show(&mut desk, &server, "The API wants a code.", &left);
    show(&mut desk, &nothing, "It wants none.", &left_alone);
    desk.run("stepup http://api.example.com/").expect_code(2);
    desk.check("otp-ahead");
}
