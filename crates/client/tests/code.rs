//! Logins by authorization code: what is asked, what may come back, and what it is worth.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{
    Context, Directories, Error, ExitCategory, HttpOptions, Login, SignIn, Transport,
};
use support::code::Demands;
use support::person::{Person, get, query};
use support::{Fault, World};
use url::Url;

fn login(world: &World) -> Login {
    world.login().flow(SignIn::Browser)
}

/// The login fails with this code; nothing is kept, and nothing secret is said.
fn assert_fails(world: &World, person: Person, code: &str, category: ExitCategory) -> Person {
    let (outcome, person) = person.go_through(world, &login(world));
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert_eq!(error.exit_category(), category, "{error:?}");
    assert!(!world.file().exists(), "a failed login leaves no session");
    World::assert_discreet(&format!("{error} {error:?} {:?}", error.hints()));
    World::assert_discreet(&person.heard());
    person
}

#[test]
fn a_browser_brings_the_answer_and_is_told_that_somebody_is_signed_in() {
    let world = World::with_browser();
    let (session, person) = Person::who_signs_in().go_through(&world, &login(&world));
    let session = session.unwrap();
    assert_eq!(session.flow(), Some(SignIn::Browser));
    assert_eq!(session.identity().name.as_deref(), Some("Ada Lovelace"));
    assert!(session.has_refresh_token() && !session.is_bound());

    let [shown] = &person.seen.authorizations[..] else {
        panic!("shown {} times", person.seen.authorizations.len())
    };
    assert!(shown.comes_back);
    assert_eq!((shown.flow, shown.paste), (SignIn::Browser, None));
    assert_eq!(shown.expires_in, Duration::from_secs(300));
    let asked = query(&shown.url);
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["redirect_uri"], shown.redirect_uri);
    assert!(shown.redirect_uri.starts_with("http://127.0.0.1:"));
    // 256 bits in base64url.
    for random in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked[random].len(), 43, "{random}");
    }
    assert_eq!(person.seen.finished, 1);

    let [page] = &person.pages()[..] else {
        panic!("{:?}", person.pages())
    };
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(
        page.contains("You are signed in") && page.contains("Ada Lovelace"),
        "{page}"
    );
    World::assert_discreet(&person.heard());
    // And the port is free again.
    assert_eq!(get(&Url::parse(&shown.redirect_uri).unwrap()), "");
    let kept = world.context.session(&World::name()).unwrap().unwrap();
    assert_eq!(kept.access_token(), session.access_token());
}

#[test]
fn what_the_server_refuses_is_shown_in_the_browser_and_in_the_terminal() {
    let world = World::with_browser();
    world.server.edit_redirect(|answer| {
        answer.retain(|(name, _)| name != "code");
        let description = "not <b>today</b> \u{1b}[31m";
        answer.push(("error".to_owned(), "access_denied".to_owned()));
        answer.push(("error_description".to_owned(), description.to_owned()));
    });
    let person = Person::who_signs_in();
    let person = assert_fails(&world, person, "access_denied", ExitCategory::Denied);
    let page = &person.pages()[0];
    assert!(page.starts_with("HTTP/1.1 400 "));
    assert!(page.contains("The sign-in was refused"));
    assert!(page.contains("not &lt;b&gt;today&lt;/b&gt; [31m"), "{page}");
    assert!(world.server.seen("/token").is_empty());
}

#[test]
fn an_answer_from_another_server_is_named_as_such() {
    let world = World::with_browser();
    world
        .server
        .edit_redirect(|answer| answer[2].1 = "https://evil.example".to_owned());
    let person = Person::who_signs_in();
    assert_fails(&world, person, "issuer_mixed_up", ExitCategory::Failure);
    let world = World::with_browser();
    world.server.edit_redirect(|answer| answer.truncate(2));
    let person = Person::who_signs_in();
    assert_fails(&world, person, "iss_missing", ExitCategory::Failure);
    assert!(world.server.seen("/token").is_empty());
}

#[test]
fn a_code_that_was_used_before_is_named_as_such() {
    let world = World::with_browser();
    // Somebody was faster.
    world
        .server
        .edit_redirect(|answer| answer[0].1 = "secret-code-0".to_owned());
    let person = Person::who_signs_in();
    let person = assert_fails(&world, person, "code_rejected", ExitCategory::Failure);
    assert!(person.pages()[0].contains("did not succeed"));
}

#[test]
fn a_code_of_somebody_elses_sign_in_does_not_fit_the_verifier() {
    let world = World::with_browser();
    // An attacker's own code, pasted by somebody who was talked into it: no `state` binds it.
    let person = Person::who(|desk| {
        let mut theirs = Url::parse(&desk.shown.url).unwrap();
        let pairs: Vec<(String, String)> = theirs.query_pairs().into_owned().collect();
        theirs
            .query_pairs_mut()
            .clear()
            .extend_pairs(pairs.iter().map(|(name, value)| {
                let value = if name == "code_challenge" { "x" } else { value };
                (name, value)
            }));
        let code = query(desk.server.visit(theirs.as_str()).as_str())["code"].clone();
        desk.paste(&code);
    });
    assert_fails(
        &world,
        person.pasting(),
        "code_rejected",
        ExitCategory::Failure,
    );
}

#[test]
fn an_id_token_that_does_not_answer_this_request_ends_the_login() {
    type Spoil = fn(&mut serde_json::Value);
    let cases: [(Spoil, &str); 4] = [
        (|claims| claims["nonce"] = "other".into(), "id_token_nonce"),
        (
            |claims| drop(claims.as_object_mut().unwrap().remove("nonce")),
            "id_token_nonce_missing",
        ),
        (
            |claims| claims["iss"] = "https://evil.example".into(),
            "id_token_issuer",
        ),
        (
            |claims| claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA".into(),
            "id_token_at_hash",
        ),
    ];
    for (spoil, code) in cases {
        let world = World::with_browser();
        world.server.edit_id_token(spoil);
        let person = assert_fails(&world, Person::who_signs_in(), code, ExitCategory::Failure);
        assert!(person.pages()[0].contains(code), "{:?}", person.pages());
    }
}

#[test]
fn how_the_person_authenticated_must_be_as_asked() {
    let world = World::with_browser();
    let asking = login(&world)
        .acr_values("phr mfa")
        .max_age(Duration::from_secs(60))
        .login_hint("ada@example.com");
    let (outcome, person) = Person::who_signs_in().go_through(&world, &asking);
    let asked = query(&person.seen.authorizations[0].url);
    assert_eq!(asked["acr_values"], "phr mfa");
    assert_eq!(asked["max_age"], "60");
    assert_eq!(asked["login_hint"], "ada@example.com");
    assert_eq!(outcome.unwrap_err().code(), "id_token_acr");
    world.server.edit_id_token(|claims| {
        claims["acr"] = "mfa".into();
        claims["auth_time"] = (claims["iat"].as_i64().unwrap() - 10).into();
    });
    let session = Person::who_signs_in()
        .go_through(&world, &asking)
        .0
        .unwrap();
    assert_eq!(session.identity().acr.as_deref(), Some("mfa"));
    world.server.edit_id_token(|claims| {
        claims["auth_time"] = (claims["iat"].as_i64().unwrap() - 4000).into();
    });
    let error = Person::who_signs_in()
        .go_through(&world, &asking)
        .0
        .unwrap_err();
    assert_eq!(error.code(), "id_token_authentication_too_old");
}

#[test]
fn a_refresh_token_is_asked_for_as_the_book_says() {
    let world = World::with_browser();
    let prompt_of = |login: Login| {
        let (outcome, person) = Person::who_signs_in().go_through(&world, &login);
        outcome.unwrap();
        query(&person.seen.authorizations[0].url)
            .get("prompt")
            .cloned()
    };
    assert_eq!(prompt_of(login(&world)).as_deref(), Some("consent"));
    assert_eq!(
        prompt_of(login(&world).prompt("login")).as_deref(),
        Some("login consent")
    );
    assert_eq!(
        prompt_of(login(&world).prompt("none")).as_deref(),
        Some("none")
    );
    assert_eq!(prompt_of(login(&world).scopes(["openid"])), None);
}

#[test]
fn an_exchange_that_fails_is_shown_as_failed_and_keeps_the_session_there_was() {
    let world = World::with_browser();
    Person::who_signs_in()
        .go_through(&world, &login(&world))
        .0
        .unwrap();
    let before = std::fs::read(world.file()).unwrap();
    world
        .server
        .next("/token", Fault::Text(502, "<html>bad gateway"));
    let (outcome, person) = Person::who_signs_in().go_through(&world, &login(&world));
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    assert!(
        person.pages()[0].contains("did not succeed"),
        "{:?}",
        person.pages()
    );
    assert_eq!(std::fs::read(world.file()).unwrap(), before);
}

#[test]
fn a_session_that_cannot_be_kept_is_not_called_a_success_in_the_browser() {
    let world = World::with_browser();
    let sessions = world.file().parent().unwrap().to_owned();
    let person = Person::who(move |desk| {
        let back = desk.sign_in();
        // Meanwhile something takes the place of the file.
        std::fs::create_dir_all(sessions.join("default.json")).unwrap();
        desk.open(&back);
    });
    let (outcome, person) = person.go_through(&world, &login(&world));
    assert_eq!(outcome.unwrap_err().exit_category(), ExitCategory::Storage);
    assert!(
        person.pages()[0].contains("did not succeed"),
        "{:?}",
        person.pages()
    );
}

#[test]
fn the_request_is_pushed_where_the_server_requires_it() {
    let world = World::with_browser();
    world.server.demands(Demands {
        par: true,
        ..Demands::default()
    });
    let (session, person) = Person::who_signs_in().go_through(&world, &login(&world));
    session.unwrap();
    let shown = &person.seen.authorizations[0];
    let mut names: Vec<String> = query(&shown.url).into_keys().collect();
    names.sort();
    assert_eq!(names, ["client_id", "request_uri"]);
    assert_eq!(shown.opens_within, Some(Duration::from_secs(60)));
    let [pushed] = &world.server.seen("/par")[..] else {
        panic!("pushed once")
    };
    assert_eq!(pushed.form["redirect_uri"], shown.redirect_uri);
    assert_eq!(pushed.form["response_type"], "code");
}

#[test]
fn a_server_that_cannot_be_reached_is_noticed_before_anybody_is_bothered() {
    let world = World::with_browser();
    let directories = Directories::new(world.home.path().join("s"), world.home.path().join("c"));
    let context = Context::new(directories, HttpOptions::default())
        .with_transport(Arc::clone(&world.server) as Arc<dyn Transport>);
    world.server.go_down();
    let login = login(&world).context(context);
    let (outcome, person) = Person::idle().go_through(&world, &login);
    let error: Error = outcome.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    assert!(person.seen.authorizations.is_empty());
}
