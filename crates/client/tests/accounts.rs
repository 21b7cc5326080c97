//! Several people at one server: each keeps their session, and nobody becomes somebody else unasked.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::fs;
use std::time::Duration;

use countersign_client::{
    Accounts, Error, ExitCategory, Found, OtherPerson, SessionName, SignedIn, TokenSource, logout,
};
use serde_json::json;
use support::{Recorder, World};

fn accounts(world: &World) -> Accounts {
    world.context.accounts(&World::name())
}

/// Whoever signs in from now on.
fn person(world: &World, subject: &str, email: &str) {
    let (subject, email) = (subject.to_owned(), email.to_owned());
    world.server.edit_id_token(move |claims| {
        claims["sub"] = json!(subject);
        claims["email"] = json!(email);
        claims["preferred_username"] = json!(email.split('@').next());
    });
}

fn sign_in(world: &World, named: Option<&str>) -> Result<SignedIn, Error> {
    accounts(world).sign_in(&world.login(), named, &mut Recorder::default())
}

fn sign_in_as(world: &World, subject: &str, named: Option<&str>) -> SignedIn {
    person(world, subject, &format!("{subject}@example.com"));
    sign_in(world, named).unwrap()
}

fn refused(world: &World, named: &str) -> OtherPerson {
    match sign_in(world, Some(named)).unwrap_err() {
        Error::OtherPerson(other) => *other,
        error => panic!("{error:?}"),
    }
}

fn labels(world: &World) -> Vec<(String, bool)> {
    let list = accounts(world).list().unwrap();
    list.into_iter().map(|a| (a.label, a.active)).collect()
}

fn name(text: &str) -> SessionName {
    SessionName::new(text).unwrap()
}

fn subject_of(world: &World, session: &str) -> Option<String> {
    let session = world.context.session(&name(session)).unwrap()?;
    session.identity().subject.clone()
}

const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn with_one_account_the_disk_is_as_it_would_be_without_any_of_this() {
    let (plain, world) = (World::signed_in(), World::new());
    for _ in 0..2 {
        sign_in(&world, None).unwrap();
    }
    let files = |world: &World| {
        let mut names = Vec::new();
        let mut open = vec![world.home.path().join("state")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                names.push(path.strip_prefix(world.home.path()).unwrap().to_owned());
                open.extend(path.is_dir().then_some(path));
            }
        }
        names.sort();
        names
    };
    assert_eq!(files(&world), files(&plain));
    let text = fs::read_to_string(world.file()).unwrap();
    assert!(!text.contains("has_others"), "{text}");
    assert_eq!(accounts(&world).active().unwrap(), Some(World::name()));
}

#[test]
fn whoever_else_signs_in_is_kept_beside_and_meant_from_then_on() {
    let world = World::new();
    let ada = sign_in_as(&world, "ada", None);
    assert_eq!((ada.name, ada.beside), (World::name(), false));
    let bob = sign_in_as(&world, "bob", None);
    assert_eq!(bob.name, name("default@bob@example.com"));
    assert!(bob.beside && bob.label == "bob@example.com");
    let expected = [("ada@example.com", false), ("bob@example.com", true)];
    assert_eq!(labels(&world), expected.map(|(l, a)| (l.to_owned(), a)));
    assert_eq!(subject_of(&world, "default").as_deref(), Some("ada"));

    // Who has an account keeps it, whichever is meant.
    let again = sign_in_as(&world, "ada", None);
    assert_eq!(again.name, World::name());
    assert_eq!(accounts(&world).active().unwrap(), Some(World::name()));
    // The first says that there are others, also after a renewal.
    let tokens = TokenSource::open(&world.context, &World::name()).unwrap();
    assert!(tokens.has_others());
    tokens.refresh().unwrap();
    accounts(&world).activate(&bob.name).unwrap();
    let first = TokenSource::open(&world.context, &World::name()).unwrap();
    assert!(first.has_others());
    assert_eq!(accounts(&world).active().unwrap(), Some(bob.name));
    assert!(world.server.seen("/revoke").is_empty());
}

#[test]
fn a_named_account_is_taken_by_nobody_else() {
    let world = World::new();
    sign_in_as(&world, "ada", None);
    let bob = sign_in_as(&world, "bob", Some("work"));
    assert_eq!(bob.name, name("default@work"));
    let before = world.context.session(&bob.name).unwrap().unwrap();
    let before = before.access_token().clone();

    person(&world, "eve", "eve@example.com");
    let error = sign_in(&world, Some("work")).unwrap_err();
    assert_eq!(error.code(), "other_person");
    assert_eq!(error.exit_category(), ExitCategory::Denied);
    assert_eq!(
        error.to_string(),
        "eve@example.com has signed in, and `work` is the account of bob@example.com"
    );
    // Nor do people get a second account by taking a new name for somebody else.
    person(&world, "ada", "ada@example.com");
    assert!(matches!(
        refused(&world, "home"),
        OtherPerson::KnownAs { known, .. } if known == "ada@example.com"
    ));
    person(&world, "eve", "eve@example.com");
    assert!(matches!(
        refused(&world, "dan@example.com"),
        OtherPerson::NotCalledSo { .. }
    ));
    world.server.edit("/token", |answer| {
        answer.as_object_mut().unwrap().remove("id_token");
    });
    assert!(matches!(
        refused(&world, "ada"),
        OtherPerson::Nameless { .. }
    ));
    // What they brought was taken back, and nothing else.
    let revoked = world.server.seen("/revoke").len();
    assert_eq!(revoked, 2 * 4);
    let after = world.context.session(&bob.name).unwrap().unwrap();
    assert_eq!(*after.access_token(), before);
    assert_eq!(labels(&world).len(), 2);
}

#[test]
fn the_server_is_told_who_is_expected_when_there_is_a_choice() {
    let world = World::new();
    let asked = |key: &str| {
        let seen = world.server.seen("/device").pop().unwrap();
        seen.form.get(key).cloned()
    };
    sign_in_as(&world, "ada", None);
    sign_in_as(&world, "ada", None);
    assert_eq!((asked("login_hint"), asked("prompt")), (None, None));
    sign_in_as(&world, "bob", Some("bob@example.com"));
    assert_eq!(asked("login_hint").as_deref(), Some("bob@example.com"));
    assert_eq!(asked("prompt").as_deref(), Some("login"));
    sign_in_as(&world, "bob", None);
    assert_eq!(asked("login_hint").as_deref(), Some("bob"));
    assert_eq!(asked("prompt"), None);
    sign_in_as(&world, "ada", Some("ada"));
    assert_eq!(asked("login_hint").as_deref(), Some("ada"));
    // Whoever says so themselves is heard.
    person(&world, "dan", "dan@example.com");
    let login = world.login().login_hint("d").prompt("consent");
    let signed_in = accounts(&world).sign_in(&login, Some("dan"), &mut Recorder::default());
    assert_eq!(signed_in.unwrap().name, name("default@dan"));
    assert_eq!(asked("login_hint").as_deref(), Some("d"));
    assert_eq!(asked("prompt").as_deref(), Some("consent"));
}

#[test]
fn an_account_is_found_by_what_people_call_it() {
    let world = World::new();
    sign_in_as(&world, "ada", None);
    sign_in_as(&world, "bob", None);
    sign_in_as(&world, "root", Some("admin"));
    person(&world, "2", "ada@example.org");
    sign_in(&world, None).unwrap();
    let found = |word: &str| match accounts(&world).find(word).unwrap() {
        Found::One(account) => account.name.to_string(),
        Found::Several(labels) => labels.join(" or "),
        Found::Nobody => "nobody".to_owned(),
    };
    assert_eq!(found("ADA@example.com"), "default");
    assert_eq!(found("bob"), "default@bob@example.com");
    assert_eq!(found("admin"), "default@admin");
    assert_eq!(found("root"), "default@admin");
    assert_eq!(found("ada"), "ada@example.com or ada@example.org");
    assert_eq!(found("eve"), "nobody");
    assert_eq!(found("b"), "nobody");
}

#[test]
fn when_the_account_that_is_meant_signs_out_nobody_is_meant() {
    let world = World::new();
    sign_in_as(&world, "ada", None);
    let bob = sign_in_as(&world, "bob", None);
    logout(&world.context, &bob.name, LIMIT).unwrap();
    accounts(&world).settle().unwrap();
    assert_eq!(accounts(&world).active().unwrap(), Some(bob.name.clone()));
    assert_eq!(labels(&world), [("ada@example.com".to_owned(), false)]);

    // Once chosen, the only one is again as if there had never been another.
    accounts(&world).activate(&World::name()).unwrap();
    assert_eq!(labels(&world), [("ada@example.com".to_owned(), true)]);
    let text = fs::read_to_string(world.file()).unwrap();
    assert!(!text.contains("has_others"), "{text}");
    assert!(accounts(&world).chosen().unwrap().is_none());

    // The first one leaves, and the other is still not taken for it.
    sign_in_as(&world, "bob", None);
    accounts(&world).activate(&World::name()).unwrap();
    logout(&world.context, &World::name(), LIMIT).unwrap();
    accounts(&world).settle().unwrap();
    assert_eq!(accounts(&world).active().unwrap(), Some(World::name()));
    logout(&world.context, &bob.name, LIMIT).unwrap();
    accounts(&world).settle().unwrap();
    assert!(accounts(&world).chosen().unwrap().is_none());
}

#[test]
fn where_nobody_says_who_it_was_there_is_one_account() {
    let world = World::new();
    world.server.edit("/token", |answer| {
        answer.as_object_mut().unwrap().remove("id_token");
    });
    for _ in 0..2 {
        assert_eq!(sign_in(&world, None).unwrap().name, World::name());
    }
    // Named ones are told apart by their names.
    let other = sign_in(&world, Some("other")).unwrap();
    assert_eq!(other.name, name("default@other"));
    assert_eq!(sign_in(&world, None).unwrap().name, other.name);
}

#[test]
fn a_choice_that_somebody_tampered_with_leads_to_no_other_profile() {
    let world = World::new();
    sign_in_as(&world, "ada", None);
    sign_in_as(&world, "bob", None);
    let file = world.home.path().join("state/accounts/default.json");
    for text in ["other", "default2@bob", "../../x", "defaul"] {
        let record = json!({ "version": 1, "record": { "session": text } });
        fs::write(&file, record.to_string()).unwrap();
        assert_eq!(accounts(&world).active().unwrap(), None, "{text}");
    }
}

#[test]
fn two_people_of_one_name_have_two_accounts() {
    let world = World::new();
    for (subject, expected) in [
        ("1", "default"),
        ("2", "default@ada@example.com-2"),
        ("3", "default@ada@example.com-3"),
    ] {
        person(&world, subject, "ada@example.com");
        assert_eq!(sign_in(&world, None).unwrap().name, name(expected));
    }
}
