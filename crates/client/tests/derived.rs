//! What was given for a token is kept like the token: for this login, until it expires, and privately.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use countersign_client::{Clock as _, Secret, TokenSource, logout};
use support::{Recorder, World};

fn tokens(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

fn kept(world: &World, what: &str) -> Option<String> {
    let derived = tokens(world).derived(what).unwrap();
    derived.map(|derived| derived.value.expose().to_owned())
}

#[test]
fn it_is_found_until_it_expires() {
    let world = World::signed_in();
    let expires_at = world.clock.now() + Duration::from_secs(900);
    let (one, two) = (Secret::new("canary-one"), Secret::new("canary-two"));
    assert_eq!(kept(&world, "role"), None);
    tokens(&world)
        .keep_derived("role", &one, expires_at)
        .unwrap();
    tokens(&world)
        .keep_derived("other", &two, expires_at)
        .unwrap();
    assert_eq!(kept(&world, "role").unwrap(), "canary-one");
    tokens(&world)
        .keep_derived("role", &two, expires_at)
        .unwrap();
    assert_eq!(kept(&world, "role").unwrap(), "canary-two");
    assert_eq!(kept(&world, "other").unwrap(), "canary-two");
    world.clock.pass(901);
    assert_eq!(kept(&world, "role"), None);
}

#[test]
fn it_is_private_and_goes_with_the_session() {
    let world = World::signed_in();
    let expires_at = world.clock.now() + Duration::from_secs(900);
    let value = Secret::new("canary");
    tokens(&world)
        .keep_derived("role", &value, expires_at)
        .unwrap();
    let directory = world.context.directories().state().join("derived");
    let file = directory.join(format!("{}.json", World::name()));
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    logout(&world.context, &World::name(), Duration::from_secs(10)).unwrap();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn another_login_does_not_find_it() {
    let world = World::signed_in();
    let expires_at = world.clock.now() + Duration::from_secs(900);
    let value = Secret::new("canary");
    tokens(&world)
        .keep_derived("role", &value, expires_at)
        .unwrap();
    world.clock.pass(5);
    world.login().run(&mut Recorder::default()).unwrap();
    assert_eq!(kept(&world, "role"), None);
}

#[test]
fn a_clock_that_was_set_back_vouches_for_nothing() {
    let world = World::signed_in();
    world.clock.pass(100);
    let expires_at = world.clock.now() + Duration::from_secs(900);
    let value = Secret::new("canary");
    tokens(&world)
        .keep_derived("role", &value, expires_at)
        .unwrap();
    world.clock.jump(-50);
    assert_eq!(kept(&world, "role"), None);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let world = World::signed_in();
    for number in 0..40_u64 {
        let expires_at = world.clock.now() + Duration::from_secs(900 + number);
        let name = format!("role-{number}");
        tokens(&world)
            .keep_derived(&name, &Secret::new(&*name), expires_at)
            .unwrap();
    }
    assert_eq!(kept(&world, "role-0"), None);
    assert_eq!(kept(&world, "role-7"), None);
    assert_eq!(kept(&world, "role-8").unwrap(), "role-8");
    assert_eq!(kept(&world, "role-39").unwrap(), "role-39");
}
