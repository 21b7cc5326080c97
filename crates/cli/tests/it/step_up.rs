//! An API asks for a stronger or fresher sign-in (RFC 9470), and `countersign` answers it: once.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use countersign_testkit::{Endpoint, HttpServer, Reply, Request};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::https::{Asked, Https};
use crate::seat::{Left, Seat};

const MFA: &str =
    "Bearer error=\"insufficient_user_authentication\", acr_values=\"mfa\", max_age=\"300\"";

/// Somebody who signed in with no more than a password, and does not want to see QR codes.
fn desk(settings: &str) -> Desk {
    let desk = Desk::new();
    desk.configure(&format!(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\nqr = \"never\"\n{settings}"
    ));
    desk.program("login").run().expect_code(0);
    desk
}

fn asks(challenge: &str) -> Reply {
    Reply::json(401, &json!({ "refused": true })).with_header("www-authenticate", challenge)
}

/// An API that wants a second factor from whoever comes first, and is content with who comes then.
fn api(challenge: &str) -> HttpServer {
    let api = HttpServer::start();
    for method in ["GET", "POST", "PUT"] {
        let done = Reply::json(200, &json!({ "items": [] }));
        api.on_sequence(method, "/items", [asks(challenge), done]);
    }
    api
}

/// The next sign-ins are of this class.
fn reaches(desk: &Desk, acr: &'static str) {
    desk.provider
        .edit_id_token(move |_, claims| claims["acr"] = json!(acr));
}

fn seat(desk: &Desk) -> Seat<'_> {
    Seat::at(desk).env("PATH", "/usr/bin:/bin")
}

fn types(desk: &Desk, arguments: &str) -> Left {
    seat(desk)
        .types(&format!("--color never {arguments}"))
        .end()
}

/// The requests that a person was asked to approve, the first login not among them.
fn asked(desk: &Desk) -> Vec<Request> {
    let all = desk.provider.requests(Endpoint::DeviceAuthorization);
    all.into_iter().skip(1).collect()
}

fn show(desk: &mut Desk, api: &HttpServer, title: &str, left: &Left) {
    desk.note(title);
    let text = left.text.replace(&api.origin(), "API");
    desk.show_screen(&format!("{text}\n[{}]", left.status));
}

#[test]
fn the_api_asks_the_person_signs_in_and_the_request_is_sent_once_more() {
    let mut desk = desk("scope = [\"openid\", \"offline_access\", \"items\"]\n");
    let api = api(MFA);
    let before = desk.run_silently("token");
    reaches(&desk, "mfa");
    let output = desk.home.path().join("answer");
    let line = format!(
        "curl {} -sS --json {{\"n\":1}} -o {}",
        api.url("/items"),
        output.display()
    );
    let left = types(&desk, &line);
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(fs::read_to_string(output).unwrap(), "{\"items\":[]}");
    let [first, second] = <[Request; 2]>::try_from(api.requests()).unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(second.method, "POST");
    let after = desk.run_silently("token");
    assert!(before != after);
    for (request, token) in [(first, before), (second, after)] {
        let bearer = format!("Bearer {}", token.trim_end());
        assert_eq!(request.header("authorization"), Some(bearer.as_str()));
    }
    let asked = &asked(&desk)[0];
    for (name, value) in [
        ("acr_values", "mfa"),
        ("max_age", "300"),
        ("scope", "items offline_access openid"),
        ("login_hint", "ada@example.com"),
    ] {
        assert_eq!(asked.form_value(name).as_deref(), Some(value), "{name}");
    }
    show(&mut desk, &api, "The API wants a second factor.", &left);
    desk.check("step-up-curl");
}

#[test]
fn a_sign_in_that_comes_to_nothing_leaves_the_session_as_it_was() {
    let mut desk = desk("");
    let before = desk.run_silently("token");
    let api = HttpServer::start();
    api.on("GET", "/items", asks(MFA));
    let line = format!("curl {} -sS", api.url("/items"));

    let denied = Reply::json(400, &json!({ "error": "access_denied" }));
    desk.provider.first(Endpoint::Token, [denied]);
    let left = types(&desk, &line);
    assert_eq!(left.status.code(), Some(5), "{}", left.text);
    show(&mut desk, &api, "The person declines.", &left);

    reaches(&desk, "pwd");
    let left = types(&desk, &line);
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(
        &mut desk,
        &api,
        "The server asks for a password and no more.",
        &left,
    );

    desk.provider.edit_id_token(|_, claims| {
        claims["acr"] = json!("mfa");
        claims["auth_time"] = json!(claims["iat"].as_i64().unwrap() - 1000);
    });
    let left = types(&desk, &line);
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(
        &mut desk,
        &api,
        "The server asks nobody, because somebody is signed in.",
        &left,
    );

    desk.provider.edit_id_token(|_, claims| {
        claims["auth_time"] = claims["iat"].clone();
        claims["sub"] = json!("bob");
        claims["email"] = json!("bob@example.com");
    });
    let left = types(&desk, &line);
    assert_eq!(left.status.code(), Some(5), "{}", left.text);
    show(&mut desk, &api, "Somebody else signs in.", &left);

    desk.provider.pending_polls(1000);
    // What the environment says of logins holds for this one.
    let seat = seat(&desk).env("COUNTERSIGN_LOGIN_TIMEOUT", "1s");
    let left = seat.types(&format!("--color never {line}")).end();
    assert_eq!(left.status.code(), Some(6), "{}", left.text);
    show(&mut desk, &api, "Nobody approves.", &left);

    assert_eq!(api.requests().len(), 5, "nothing was sent again");
    assert_eq!(desk.run_silently("token"), before);
    desk.check("step-up-failures");
}

#[test]
fn an_api_that_is_never_content_is_asked_twice() {
    let mut desk = desk("");
    reaches(&desk, "mfa");
    let api = HttpServer::start();
    api.on("GET", "/items", asks(MFA));
    let left = types(&desk, &format!("curl {} -sS", api.url("/items")));
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    assert_eq!((api.requests().len(), asked(&desk).len()), (2, 1));
    show(
        &mut desk,
        &api,
        "The token of the new sign-in is not enough.",
        &left,
    );
    desk.check("step-up-again");
}

#[test]
fn ctrl_c_leaves_all_as_it_was() {
    let desk = desk("");
    let before = desk.run_silently("token");
    let api = api(MFA);
    desk.provider.pending_polls(1000);
    let seat = seat(&desk).types(&format!("curl {} -sS", api.url("/items")));
    seat.see("Waiting for approval");
    seat.interrupt();
    let left = seat.end();
    assert_eq!(left.status.signal(), Some(2), "{:?}", left.status);
    assert_eq!(left.cursor.1, 0, "{}", left.text);
    assert_eq!(api.requests().len(), 1);
    assert_eq!(desk.run_silently("token"), before);
}

#[test]
fn a_program_gets_the_challenge_and_an_exit_code() {
    let mut desk = desk("");
    let api = HttpServer::start();
    desk.hide(&api.origin(), "API");
    let url = api.url("/items");
    for challenge in [
        MFA,
        "Bearer error=\"insufficient_user_authentication\"",
        "DPoP error=\"insufficient_user_authentication\", acr_values=\"phr mfa\", scope=\"items\"",
    ] {
        api.on("GET", "/items", asks(challenge));
        let done = desk.program(&format!("curl {url} -s")).run().expect_code(8);
        let object: Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(object["error"], "insufficient_user_authentication");
        assert_eq!(object["api"], api.origin());
        // What the API said is what curl was asked for.
        assert_eq!(done.stdout, "{\"refused\":true}");
        let shown = done.stderr.replace(&api.origin(), "API");
        desk.show(&shown);
    }
    desk.note("At a terminal, and nobody may be asked.");
    let left = types(&desk, &format!("--no-input curl {url} -s"));
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    assert!(
        left.text.starts_with("{\"acr_values\"") || left.text.starts_with("{\"api\""),
        "{}",
        left.text
    );
    desk.note("Nobody can sign in for a token that somebody else brought.");
    let brought = seat(&desk).env("COUNTERSIGN_TOKEN", "abc");
    let left = brought.types(&format!("--color never curl {url} -s")).end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(&mut desk, &api, "", &left);
    desk.note("What cannot be read is not guessed.");
    api.on("GET", "/items", asks(&MFA.replace("300", "soon\u{1b}[2J")));
    api.on("POST", "/items", asks(&MFA.replace("300", "soon")));
    let left = types(&desk, &format!("curl {url} -s -X POST"));
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    show(&mut desk, &api, "", &left);
    assert!(asked(&desk).is_empty());
    desk.check("step-up-programs");
}

#[test]
fn what_was_piped_in_is_not_sent_again_and_the_sign_in_is_kept() {
    let mut desk = desk("");
    reaches(&desk, "mfa");
    let api = api(MFA);
    let before = desk.run_silently("token");
    let line = format!(
        "--color never curl {} -sS --data-binary @-",
        api.url("/items")
    );
    let left = seat(&desk).piping("a body").types(&line).end();
    assert_eq!(left.status.code(), Some(8), "{}", left.text);
    let requests = api.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, b"a body");
    assert!(desk.run_silently("token") != before);
    // And the line that was advised does it.
    let again = seat(&desk).piping("a body").types(&line).end();
    assert_eq!(again.status.code(), Some(0), "{}", again.text);
    assert_eq!(asked(&desk).len(), 1);
    show(&mut desk, &api, "The body came through a pipe.", &left);
    desk.check("step-up-piped");
}

/// Who reads standard output reads one answer, and it is the last.
#[test]
fn standard_output_has_one_answer() {
    let desk = desk("");
    reaches(&desk, "mfa");
    let output = desk.home.path().join("answer");
    let prints = |arguments: &str, api: &HttpServer| {
        let seat = seat(&desk).printing_to(output.clone());
        let left = seat
            .types(&format!("curl {} -sS {arguments}", api.url("/items")))
            .end();
        (left, fs::read_to_string(&output).unwrap())
    };
    let (left, printed) = prints("", &api(MFA));
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(printed, "{\"items\":[]}");
    let (_, printed) = prints("-i", &api(MFA));
    assert!(printed.starts_with("HTTP/1.1 200"), "{printed}");
    assert!(!printed.contains("401"), "{printed}");
    // Another answer comes as it is, long ones as well, whoever listens.
    let long = HttpServer::start();
    let body = "0123456789".repeat(100_000);
    long.on("GET", "/items", Reply::new(401).with_body(body.clone()));
    assert!(prints("", &long).1 == body);
    long.on("GET", "/items", Reply::new(200).with_body(body.clone()));
    assert!(prints("", &long).1 == body);
    // When nothing comes of it, what the API said is what there is.
    let denied = Reply::json(400, &json!({ "error": "access_denied" }));
    desk.provider.first(Endpoint::Token, [denied]);
    let (left, printed) = prints("", &api(MFA));
    assert_eq!(left.status.code(), Some(5), "{}", left.text);
    assert_eq!(printed, "{\"refused\":true}");
    // With -D the heads are the person's, and so is the answer.
    let heads = desk.home.path().join("heads");
    let (left, printed) = prints(&format!("-D {}", heads.display()), &api(MFA));
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(printed, "{\"refused\":true}");
    assert!(fs::read_to_string(heads).unwrap().contains("401"));
}

#[test]
fn who_is_not_the_api_cannot_have_anybody_sign_in() {
    let desk = desk("");
    let (api, elsewhere) = (HttpServer::start(), HttpServer::start());
    elsewhere.on("GET", "/", asks(MFA));
    api.on("GET", "/items", Reply::redirect(302, &elsewhere.url("/")));
    let left = types(&desk, &format!("curl {} -sSL", api.url("/items")));
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    assert_eq!(elsewhere.requests().len(), 1);
    assert!(asked(&desk).is_empty());
}

#[test]
fn a_bound_token_gets_a_new_key_and_a_new_proof() {
    let desk = desk("dpop = \"required\"\n");
    reaches(&desk, "mfa");
    let api = api(&MFA.replace("Bearer", "DPoP"));
    let left = types(&desk, &format!("curl {} -sS", api.url("/items")));
    assert_eq!(left.status.code(), Some(0), "{}", left.text);
    let [first, second] = <[Request; 2]>::try_from(api.requests()).unwrap();
    let proof = |request: &Request| request.header("dpop").map(str::to_owned).unwrap();
    assert!(proof(&first) != proof(&second));
}

#[test]
fn two_terminals_sign_in_once() {
    let desk = desk("");
    reaches(&desk, "mfa");
    desk.provider.pending_polls(1_000_000);
    let (one, other) = (api(MFA), api(MFA));
    let curl = |api: &HttpServer| format!("--color never curl {} -sS", api.url("/items"));
    let first = seat(&desk).types(&curl(&one));
    first.see("Waiting for approval");
    let second = seat(&desk).types(&curl(&other));
    second.see("another");
    desk.provider.pending_polls(0);
    for left in [first.end(), second.end()] {
        assert_eq!(left.status.code(), Some(0), "{}", left.text);
    }
    assert_eq!(asked(&desk).len(), 1);
    let token = |api: &HttpServer| api.requests()[1].header("authorization").map(str::to_owned);
    assert_eq!(token(&one), token(&other));
}

#[test]
fn a_scope_that_is_missing_is_said() {
    let mut desk = desk("");
    let api = HttpServer::start();
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"items:write\"";
    api.on(
        "GET",
        "/items",
        Reply::new(403).with_header("www-authenticate", challenge),
    );
    let left = types(&desk, &format!("curl {} -sS", api.url("/items")));
    assert_eq!(left.status.code(), Some(0), "curl's own:\n{}", left.text);
    show(&mut desk, &api, "The token has too little scope.", &left);
    desk.check("step-up-scope");
}

#[test]
fn ahead_of_time() {
    let mut desk = desk("");
    desk.run("stepup --acr mfa").expect_code(8);
    reaches(&desk, "mfa");
    desk.run("stepup --acr phr --acr mfa --max-age 5m")
        .expect_code(0);
    desk.note("Once it is there, nobody is asked.");
    desk.run("stepup --acr mfa --max-age 5m").expect_code(0);
    desk.run("stepup --resource https://stock.example.com --max-age 5m")
        .expect_code(0);
    assert_eq!(asked(&desk).len(), 2);
    desk.note("Who names nothing signs in now.");
    desk.run("stepup").expect_code(0);
    assert_eq!(asked(&desk)[2].form_value("max_age").as_deref(), Some("0"));
    desk.run("stepup --acr gr\u{fc}n").expect_code(2);
    desk.run("logout").expect_code(0);
    desk.run("stepup").expect_code(4);
    desk.export("COUNTERSIGN_TOKEN", "abc");
    desk.run("stepup").expect_code(2);
    desk.check("step-up-ahead");
}

#[test]
fn a_proxy_passes_the_challenge_on_and_says_what_to_type() {
    let desk = desk("");
    let api = Https::start(desk.home.path(), |_: &Asked| {
        let header = ("www-authenticate", MFA.to_owned());
        (401, vec![header], b"no".to_vec())
    });
    let file = api.ca_file().display();
    let line = format!(
        "--ca-cert {file} exec --proxy API_URL={} -- sh -c",
        api.url("/v1")
    );
    let script = "for n in 1 2 3; do curl -si \"$API_URL/items\"; done";
    let done = desk.program(&line).arg(script).run().expect_code(0);
    assert_eq!(
        done.stdout.matches("HTTP/1.1 401").count(),
        3,
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains(MFA), "{}", done.stdout);
    let said = format!(
        "{} asks for a sign-in by `mfa`, made at most 300 s ago: countersign stepup --acr mfa --max-age 300s\n",
        api.url("").trim_end_matches('/')
    );
    assert_eq!(
        done.stderr.matches(&said).count(),
        1,
        "{said}\n{}",
        done.stderr
    );
    assert!(asked(&desk).is_empty());
}
