//! A sign-in that an API asked for (RFC 9470, section 4): whose it is, what it is for, and who makes it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::time::Duration;

use countersign_client::{
    Clock as _, Error, ExitCategory, NotSteppedUp, OtherPerson, Secret, SignIn, StepUp, TokenSource,
};
use serde_json::json;
use support::{Recorder, World};

const MINUTE: Duration = Duration::from_secs(60);

fn mfa() -> StepUp {
    StepUp::new(&["phr mfa".to_owned()], Some(5 * MINUTE)).unwrap()
}

/// The next sign-ins are by this class, and made now.
fn reaches(world: &World, acr: &'static str) {
    let clock = std::sync::Arc::clone(&world.clock);
    world.server.edit_id_token(move |claims| {
        claims["acr"] = json!(acr);
        claims["auth_time"] = json!(clock.seconds());
    });
}

fn tokens(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

fn token(tokens: &TokenSource) -> String {
    tokens.access_token(MINUTE).unwrap().expose().to_owned()
}

#[test]
fn the_new_sign_in_is_for_what_the_old_one_was_for() {
    let world = World::new();
    let first = world
        .login()
        .scopes(["openid", "offline_access", "stock:write"])
        .resource("https://stock.example.com")
        .max_age(60 * MINUTE);
    reaches(&world, "pwd");
    first.run(&mut Recorder::default()).unwrap();
    let tokens = tokens(&world);
    let before = token(&tokens);
    reaches(&world, "mfa");
    // Whoever asks for more than the session has, does not get it this way.
    let login = world.login().scope("admin").max_age(MINUTE);
    let session = login
        .step_up(&tokens, &mfa(), &mut Recorder::default())
        .unwrap();
    let asked = world.server.seen("/device").pop().unwrap();
    for (name, value) in [
        ("scope", "offline_access openid stock:write"),
        ("resource", "https://stock.example.com"),
        ("acr_values", "phr mfa"),
        // The profile is stricter than the API.
        ("max_age", "60"),
    ] {
        assert_eq!(
            asked.form.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert!(session.identity().meets(&mfa(), world.clock.now()));
    assert!(token(&tokens) != before);
    assert_eq!(token(&tokens), token(&self::tokens(&world)));
}

#[test]
fn what_is_not_reached_and_who_is_somebody_else_leave_the_session() {
    let world = World::new();
    reaches(&world, "pwd");
    world.login().run(&mut Recorder::default()).unwrap();
    let tokens = tokens(&world);
    let before = token(&tokens);
    let step_up = |world: &World| {
        let login = world.login();
        let failed = login.step_up(&tokens, &mfa(), &mut Recorder::default());
        assert_eq!(token(&tokens), before);
        assert_eq!(token(&self::tokens(world)), before);
        failed.unwrap_err()
    };
    let error = step_up(&world);
    assert_eq!(error.code(), "step_up_not_reached");
    assert_eq!(error.exit_category(), ExitCategory::StepUp);
    reaches(&world, "mfa");
    world.server.edit_id_token(|claims| {
        claims.as_object_mut().unwrap().remove("auth_time");
    });
    let error = step_up(&world);
    assert!(matches!(
        error,
        Error::NotSteppedUp(failed) if matches!(*failed, NotSteppedUp::NotReached { .. })
    ));
    reaches(&world, "mfa");
    world
        .server
        .edit_id_token(|claims| claims["sub"] = json!("bob"));
    let error = step_up(&world);
    assert!(matches!(
        error,
        Error::OtherPerson(other) if matches!(*other, OtherPerson::NotTheirs { .. })
    ));
}

#[test]
fn a_client_that_signed_in_as_itself_cannot_step_up() {
    let world = World::new();
    let login = world
        .login()
        .flow(SignIn::ClientCredentials)
        .client_secret(Secret::new("secret-client"));
    login.run(&mut Recorder::default()).unwrap();
    let error = login
        .step_up(&tokens(&world), &mfa(), &mut Recorder::default())
        .unwrap_err();
    assert_eq!(error.code(), "step_up_no_person");
    assert_eq!(world.server.seen("/device").len(), 0);
}

/// What another process has signed in meanwhile is taken if it is enough, and not otherwise.
#[test]
fn a_sign_in_of_another_process_is_taken_if_it_is_enough() {
    for (acr, windows) in [("mfa", 0), ("pwd", 1)] {
        let world = World::new();
        reaches(&world, "pwd");
        world.login().run(&mut Recorder::default()).unwrap();
        let tokens = tokens(&world);
        world.clock.pass(1);
        reaches(&world, acr);
        world.login().run(&mut Recorder::default()).unwrap();
        reaches(&world, "mfa");
        let mut prompt = Recorder::default();
        world.login().step_up(&tokens, &mfa(), &mut prompt).unwrap();
        assert_eq!(prompt.devices.len(), windows, "{acr}");
        assert!(tokens.session().identity().meets(&mfa(), world.clock.now()));
    }
}
