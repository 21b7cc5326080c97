//! Logins from the first request to the kept session, against a server in memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, DevicePrompt, Error, ExitCategory, Login, Notice, Prompt, Secret, Session,
};
use countersign_oauth::TransportError;
use countersign_store::{FileStore, Purpose};
use serde_json::json;
use support::{FakeClock, Fault, ISSUER, Recorder, START, World};

fn run(world: &World) -> (Result<Session, Error>, Recorder) {
    let mut prompt = Recorder::default();
    let outcome = world.login().run(&mut prompt);
    (outcome, prompt)
}

/// The login failed with this code and exit category, and nothing was kept.
fn assert_fails(world: &World, code: &str, category: ExitCategory) {
    let (outcome, prompt) = run(world);
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert_eq!(error.exit_category(), category, "{error:?}");
    assert!(
        !world.file().exists(),
        "a failed login must leave no session"
    );
    assert!(prompt.finished <= 1);
    let said = format!("{error} {error:?} {:?} {:?}", error.hints(), prompt.notices);
    assert!(!said.contains("secret-"), "{said}");
}

#[test]
fn a_login_shows_the_code_waits_and_keeps_a_private_session() {
    let world = World::new();
    let (session, prompt) = run(&world);
    let session = session.unwrap();

    let [device] = &prompt.devices[..] else {
        panic!("shown {} times", prompt.devices.len())
    };
    assert_eq!(device.user_code, "WDJB-MJHT");
    assert_eq!(device.verification_uri, format!("{ISSUER}/go"));
    let complete = device.verification_uri_complete.as_deref();
    assert_eq!(
        complete,
        Some("https://id.example.com/go?user_code=WDJB-MJHT")
    );
    assert_eq!(device.expires_in, Duration::from_secs(600));
    assert_eq!(
        (device.issuer.as_str(), device.client_id.as_str()),
        (ISSUER, "cli")
    );
    assert_eq!(prompt.finished, 1);

    assert_eq!(session.identity().subject.as_deref(), Some("ada"));
    assert_eq!(session.identity().name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(session.issuer(), ISSUER);
    assert_eq!(
        session.scopes(),
        ["openid", "profile", "email", "offline_access"]
    );
    assert!(session.has_refresh_token());
    let mode = world.file().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let kept = world.context.session(&World::name()).unwrap().unwrap();
    assert_eq!(kept.access_token(), session.access_token());
    assert!(!format!("{:?} {:?} {session:?}", prompt.devices, prompt.notices).contains("secret-"));
}

#[test]
fn the_first_poll_waits_one_interval_and_so_does_every_other() {
    let world = World::new();
    world.server.pending(3);
    run(&world).0.unwrap();
    let polls: Vec<i64> = world
        .server
        .seen("/token")
        .iter()
        .map(|poll| poll.at - START)
        .collect();
    assert_eq!(polls, [5, 10, 15, 20]);
}

#[test]
fn the_time_left_is_shown_several_times_a_second_and_only_shrinks() {
    let world = World::new();
    let (_, prompt) = run(&world);
    assert!(
        prompt.remaining.len() >= 2 * 5 * 2,
        "shown {} times",
        prompt.remaining.len()
    );
    assert!(prompt.remaining.is_sorted_by(|a, b| a >= b));
    assert_eq!(prompt.remaining[0], Duration::from_secs(600));
}

#[test]
fn slow_down_adds_five_seconds_and_stays() {
    let world = World::new();
    world.server.next(
        "/token",
        Fault::Answer(400, json!({ "error": "slow_down" })),
    );
    world.server.pending(2);
    run(&world).0.unwrap();
    let polls: Vec<i64> = world
        .server
        .seen("/token")
        .iter()
        .map(|poll| poll.at - START)
        .collect();
    assert_eq!(polls, [5, 15, 25, 35]);
}

#[test]
fn trouble_on_the_way_is_reported_once_and_does_not_end_the_login() {
    let world = World::new();
    world
        .server
        .next("/token", Fault::Transport(TransportError::Timeout));
    world
        .server
        .next("/token", Fault::Transport(TransportError::Timeout));
    world
        .server
        .next("/token", Fault::Text(503, "<html>busy</html>"));
    let (session, prompt) = run(&world);
    session.unwrap();
    let troubles = prompt
        .notices
        .iter()
        .filter(|n| matches!(n, Notice::Retrying { .. }))
        .count();
    assert_eq!(troubles, 2, "{:?}", prompt.notices);
}

#[test]
fn trouble_that_ends_the_login_is_not_said_to_be_tried_again() {
    let world = World::new();
    let reason = "UnknownIssuer".to_owned();
    world
        .server
        .next("/token", Fault::Transport(TransportError::Tls { reason }));
    let (outcome, prompt) = run(&world);
    assert_eq!(
        outcome.unwrap_err().exit_category(),
        ExitCategory::Configuration
    );
    assert!(
        !prompt
            .notices
            .iter()
            .any(|n| matches!(n, Notice::Retrying { .. }))
    );
}

#[test]
fn a_renewal_that_hangs_does_not_cost_a_login_that_was_approved() {
    let world = World::new();
    let store = FileStore::open(&world.home.path().join("state/sessions"));
    let lock = store.try_lock(&World::name(), Purpose::Refresh).unwrap();
    run(&world).0.unwrap();
    assert!(world.file().exists());
    drop(lock);
}

#[test]
fn a_denial_ends_the_login_as_denied() {
    let world = World::new();
    world.server.next(
        "/token",
        Fault::Answer(400, json!({ "error": "access_denied" })),
    );
    assert_fails(&world, "access_denied", ExitCategory::Denied);
}

#[test]
fn a_login_that_nobody_approves_ends_when_the_code_expires() {
    let world = World::new();
    world.server.pending(usize::MAX);
    assert_fails(&world, "expired_token", ExitCategory::TimedOut);
    assert!((START + 590..=START + 601).contains(&world.clock.seconds()));
}

#[test]
fn the_callers_limit_ends_a_login_that_nobody_approves() {
    let world = World::new();
    world.server.pending(usize::MAX);
    let mut prompt = Recorder::default();
    let limited = world.login().time_limit(Duration::from_secs(60));
    let error = limited.run(&mut prompt).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::TimedOut);
    assert!((START + 60..=START + 61).contains(&world.clock.seconds()));
    assert_eq!(prompt.remaining[0], Duration::from_secs(60));
    assert_eq!(prompt.finished, 1);
}

#[test]
fn a_person_who_stops_is_obeyed_within_a_moment() {
    let world = World::new();
    let mut prompt = Recorder {
        patience: Some(7),
        ..Recorder::default()
    };
    let error = world.login().run(&mut prompt).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Interrupted);
    assert_eq!(prompt.remaining.len(), 7);
    assert!(world.server.seen("/token").is_empty());
    assert_eq!(prompt.finished, 1);
}

/// Moves the time of day once, while somebody waits.
struct Jumper {
    clock: Arc<FakeClock>,
    by: Option<i64>,
}

impl Prompt for Jumper {
    fn show_device(&mut self, _: &DevicePrompt) {}

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {}

    fn waiting(&mut self, _: Duration) {
        if let Some(seconds) = self.by.take() {
            self.clock.jump(seconds);
        }
    }
}

#[test]
fn a_clock_that_is_set_back_does_not_stretch_a_login() {
    let world = World::new();
    world.server.pending(usize::MAX);
    let mut prompt = Jumper {
        clock: Arc::clone(&world.clock),
        by: Some(-3600),
    };
    let error = world.login().run(&mut prompt).unwrap_err();
    assert_eq!(error.code(), "expired_token");
    assert!((START - 3600 + 590..=START - 3600 + 601).contains(&world.clock.seconds()));
}

#[test]
fn a_machine_that_slept_past_the_end_does_not_wait_on() {
    let world = World::new();
    world.server.pending(usize::MAX);
    let mut prompt = Jumper {
        clock: Arc::clone(&world.clock),
        by: Some(3600),
    };
    let error = world.login().run(&mut prompt).unwrap_err();
    assert_eq!(error.code(), "expired_token");
    assert!(world.clock.seconds() <= START + 3600 + 6);
    assert!(world.server.seen("/token").is_empty());
}

#[test]
fn a_clock_that_is_hours_off_is_noticed_and_bridged() {
    for ahead in [2 * 3600, -2 * 3600] {
        let world = World::new();
        world.server.ahead(ahead);
        let (session, prompt) = run(&world);
        let session = session.unwrap();
        let noticed = prompt.notices.iter().find_map(|notice| match notice {
            Notice::ClockOffset { by, ahead } => Some((by.as_secs(), *ahead)),
            _ => None,
        });
        let (by, ours_is_ahead) = noticed.unwrap();
        assert!((7190..=7210).contains(&by), "{by}");
        assert_eq!(ours_is_ahead, ahead < 0);
        // Lifetimes are by our clock, the ID token's too.
        let now = world.clock.seconds();
        assert!((now + 590..=now + 600).contains(&session.expires_at().unwrap().as_secs()));
        let left = session.id_token_remaining(countersign_client::Timestamp::from_secs(now));
        assert!((580..=610).contains(&left.unwrap().as_secs()), "{left:?}");
    }
}

#[test]
fn a_small_difference_of_the_clocks_is_nobodys_business() {
    let world = World::new();
    world.server.ahead(20);
    let (session, prompt) = run(&world);
    session.unwrap();
    assert!(
        !prompt
            .notices
            .iter()
            .any(|n| matches!(n, Notice::ClockOffset { .. }))
    );
}

#[test]
fn an_id_token_that_proves_nothing_ends_the_login() {
    type Spoil = (&'static str, serde_json::Value);
    let cases: [(Spoil, &str); 6] = [
        (
            ("iss", json!("https://other.example.com")),
            "id_token_issuer",
        ),
        (("aud", json!("another-client")), "id_token_audience"),
        (("exp", json!(START - 3600)), "id_token_expired"),
        (("iat", json!(START + 3600)), "id_token_issued_in_future"),
        (
            ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
            "id_token_at_hash",
        ),
        (("sub", json!("")), "id_token_malformed_subject"),
    ];
    for ((claim, value), code) in cases {
        let world = World::new();
        world
            .server
            .edit_id_token(move |claims| claims[claim] = value.clone());
        assert_fails(&world, code, ExitCategory::Failure);
    }
}

#[test]
fn an_id_token_for_more_audiences_is_taken_when_they_are_trusted() {
    let world = World::new();
    world.server.edit_id_token(|claims| {
        claims["aud"] = json!(["cli", "project-7"]);
        claims["azp"] = json!("cli");
    });
    assert_fails(&world, "id_token_untrusted_audience", ExitCategory::Failure);
    world.server.pending(0);
    let trusting = world.login().trusted_audience("project-7");
    trusting.run(&mut Recorder::default()).unwrap();
}

#[test]
fn a_key_that_is_new_is_found_by_one_more_fetch() {
    let world = World::signed_in();
    assert_eq!(world.server.seen("/jwks").len(), 1);
    world.clock.pass(60);
    world.server.rotate_keys();
    run(&world).0.unwrap();
    assert_eq!(world.server.seen("/jwks").len(), 2);
    // And then it is known.
    world.clock.pass(60);
    run(&world).0.unwrap();
    assert_eq!(world.server.seen("/jwks").len(), 2);
}

#[test]
fn a_key_that_nobody_published_costs_one_more_fetch_and_no_more() {
    let world = World::signed_in();
    world.clock.pass(60);
    world.server.sign_with_unpublished_key();
    world.server.pending(0);
    let error = run(&world).0.unwrap_err();
    assert_eq!(error.code(), "jose_unknown_key");
    assert_eq!(world.server.seen("/jwks").len(), 2);
    // Whoever tries again at once does not make the server answer again.
    run(&world).0.unwrap_err();
    assert_eq!(world.server.seen("/jwks").len(), 2);
}

#[test]
fn a_server_without_id_tokens_still_signs_people_in() {
    let world = World::new();
    world.server.edit("/token", |answer| {
        answer.as_object_mut().unwrap().remove("id_token");
    });
    let session = run(&world).0.unwrap();
    assert_eq!(session.identity().subject, None);
    assert!(session.id_token().is_none());
    assert!(
        world.server.seen("/jwks").is_empty(),
        "keys are fetched when there is use for them"
    );
}

#[test]
fn what_is_asked_for_reaches_the_server() {
    let world = World::new();
    let login = world
        .login()
        .scopes(["openid", "api"])
        .scope("more")
        .audience("https://api.example.com")
        .resource("https://api.example.com")
        .parameter("organization", "acme");
    login.run(&mut Recorder::default()).unwrap();
    let [asked] = &world.server.seen("/device")[..] else {
        panic!("asked once")
    };
    assert_eq!(asked.form["client_id"], "cli");
    assert_eq!(asked.form["scope"], "api more openid");
    assert_eq!(asked.form["audience"], "https://api.example.com");
    // Letter for letter: no slash is added.
    assert_eq!(asked.form["resource"], "https://api.example.com");
    assert_eq!(asked.form["organization"], "acme");
    assert!(!asked.form.contains_key("client_secret"));
    assert_eq!(asked.authorization, None);
}

#[test]
fn a_resource_or_scope_that_cannot_be_one_is_refused_before_anybody_is_asked() {
    let world = World::new();
    for login in [
        world.login().resource("api"),
        world.login().resource("https://api.example.com/#part"),
        world.login().scope("a\"b"),
    ] {
        let error = login.run(&mut Recorder::default()).unwrap_err();
        assert_eq!(
            error.exit_category(),
            ExitCategory::Configuration,
            "{error:?}"
        );
    }
    assert!(world.server.all_seen().is_empty());
}

#[test]
fn a_client_secret_goes_the_way_the_server_takes_it() {
    let world = World::new();
    let with_secret = || world.login().client_secret(Secret::new("s3cret"));
    with_secret().run(&mut Recorder::default()).unwrap();
    let basic = world.server.seen("/token").pop().unwrap();
    assert!(basic.authorization.unwrap().starts_with("Basic "));
    assert!(!basic.form.contains_key("client_secret"));

    let world = World::new();
    world
        .server
        .edit("/.well-known/openid-configuration", |document| {
            document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
        });
    let with_secret = || world.login().client_secret(Secret::new("s3cret"));
    with_secret().run(&mut Recorder::default()).unwrap();
    let posted = world.server.seen("/token").pop().unwrap();
    assert_eq!(posted.form["client_secret"], "s3cret");
    assert_eq!(posted.authorization, None);
    // A renewal, which knows only the file, does the same.
    world.login().token_source().unwrap().refresh().unwrap();
    let renewal = world.server.seen("/token").pop().unwrap();
    assert_eq!(renewal.form["grant_type"], "refresh_token");
    assert_eq!(renewal.form["client_secret"], "s3cret");
}

#[test]
fn a_session_of_a_newer_program_is_not_replaced() {
    let world = World::signed_in();
    let newer = r#"{"version":99,"record":{"something":"else"}}"#;
    std::fs::write(world.file(), newer).unwrap();
    let asked = world.server.all_seen().len();
    let error = run(&world).0.unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Storage);
    assert_eq!(std::fs::read_to_string(world.file()).unwrap(), newer);
    assert_eq!(
        world.server.all_seen().len(),
        asked,
        "nobody is bothered for nothing"
    );
}

#[test]
fn a_damaged_session_is_set_aside_and_does_not_block_a_login() {
    let world = World::signed_in();
    std::fs::write(world.file(), "{ torn").unwrap();
    let (session, prompt) = run(&world);
    session.unwrap();
    let kept_as = prompt.notices.iter().find_map(|notice| match notice {
        Notice::SessionSetAside { kept_as } => kept_as.clone(),
        _ => None,
    });
    assert_eq!(std::fs::read_to_string(kept_as.unwrap()).unwrap(), "{ torn");
    assert!(world.context.session(&World::name()).unwrap().is_some());
}

#[test]
fn a_place_that_cannot_keep_a_session_is_noticed_before_anybody_is_bothered() {
    let world = World::new();
    std::fs::write(world.home.path().join("state"), "a file in the way").unwrap();
    let (outcome, prompt) = run(&world);
    assert_eq!(outcome.unwrap_err().exit_category(), ExitCategory::Storage);
    assert!(prompt.devices.is_empty());
    assert!(world.server.all_seen().is_empty());
}

#[test]
fn a_session_that_others_could_read_is_replaced_by_one_they_cannot() {
    let world = World::signed_in();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(world.file(), open).unwrap();
    run(&world).0.unwrap();
    assert_eq!(
        world.file().metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );
}

#[test]
fn ensure_logs_in_once_and_then_uses_the_session() {
    let world = World::new();
    let mut prompt = Recorder::default();
    world.login().ensure(&mut prompt).unwrap();
    let asked = world.server.all_seen().len();
    let tokens = world.login().ensure(&mut prompt).unwrap();
    assert_eq!(
        tokens
            .access_token(Duration::from_secs(60))
            .unwrap()
            .expose(),
        "secret-access-1"
    );
    assert_eq!(world.server.all_seen().len(), asked);
    assert_eq!(prompt.devices.len(), 1);
    std::fs::write(world.file(), "{ torn").unwrap();
    world.server.pending(0);
    world.login().ensure(&mut prompt).unwrap();
    assert_eq!(prompt.devices.len(), 2);
}

#[test]
fn ensure_does_not_bother_a_person_because_the_server_is_down() {
    let world = World::signed_in();
    world.server.go_down();
    world.clock.pass(3600);
    let mut prompt = Recorder::default();
    let error = world.login().ensure(&mut prompt).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    assert!(prompt.devices.is_empty());
    world.server.recover();
    world.login().ensure(&mut prompt).unwrap();
    assert!(prompt.devices.is_empty());
}

#[test]
fn the_session_of_another_issuer_or_client_is_not_taken_for_this_one() {
    let world = World::signed_in();
    for (issuer, client) in [("https://other.example.com", "cli"), (ISSUER, "another")] {
        let other = Login::new(issuer, client)
            .unwrap()
            .session_name(World::name())
            .context(world.context.clone());
        let error = other.token_source().unwrap_err();
        assert_eq!(error.code(), "login_required");
    }
}

/// Another process that finishes its login while this one waits for it.
struct Other<'a> {
    world: &'a World,
    lock: Option<countersign_store::Lock>,
    shown: usize,
    succeeds: bool,
}

impl Prompt for Other<'_> {
    fn show_device(&mut self, _: &DevicePrompt) {
        self.shown += 1;
    }

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {
        self.shown += 1;
    }

    fn notice(&mut self, notice: &Notice) {
        if *notice == Notice::WaitingForLogin {
            self.lock = None;
            if self.succeeds {
                self.world.clock.pass(1);
                self.world.login().run(&mut Recorder::default()).unwrap();
            }
        }
    }
}

#[test]
fn a_login_that_waited_for_another_takes_over_its_result() {
    for (succeeds, shown) in [(true, 0), (false, 1)] {
        let world = World::new();
        let store = FileStore::open(&world.home.path().join("state/sessions"));
        let lock = store.try_lock(&World::name(), Purpose::Login).unwrap();
        assert!(lock.is_some());
        let mut prompt = Other {
            world: &world,
            lock,
            shown: 0,
            succeeds,
        };
        world.login().run(&mut prompt).unwrap();
        assert_eq!(prompt.shown, shown);
        assert_eq!(world.server.seen("/device").len(), 1);
    }
}

#[test]
fn different_logins_are_kept_under_different_names() {
    let base = || Login::new(ISSUER, "Reports.CLI").unwrap();
    let names: Vec<String> = [
        base(),
        base().scope("api"),
        base().audience("a"),
        base().resource("https://a.example"),
        base().audience("a").resource("https://a.example"),
        Login::new("https://other.example.com", "Reports.CLI").unwrap(),
        Login::new(ISSUER, "reports-cli").unwrap(),
    ]
    .iter()
    .map(|login| login.name().unwrap().to_string())
    .collect();
    let mut distinct = names.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    assert!(names[0].starts_with("reportscli-"), "{}", names[0]);
    // The order in which scopes are named makes no difference.
    let one = base().scopes(["a", "b"]).name().unwrap();
    assert_eq!(one, base().scopes(["b", "a", "b"]).name().unwrap());
}

#[test]
fn an_issuer_that_is_no_safe_address_is_refused_at_once() {
    for issuer in [
        "http://id.example.com",
        "id.example.com",
        "",
        "https://",
        "ftp://id.example.com",
    ] {
        let error = Login::new(issuer, "cli").unwrap_err();
        assert_eq!(
            error.exit_category(),
            ExitCategory::Configuration,
            "{issuer}"
        );
    }
    assert_eq!(
        Login::new(ISSUER, "").unwrap_err().exit_category(),
        ExitCategory::Configuration
    );
    Login::new("http://127.0.0.1:8080", "cli").unwrap();
}

#[test]
fn where_a_login_started_is_told_to_servers_that_show_it_and_to_no_other() {
    let world = World::new();
    let login = world.login().command("inventory login");
    login.run(&mut Recorder::default()).unwrap();
    world
        .server
        .edit("/.well-known/openid-configuration", |document| {
            document["countersign_requester_supported"] = true.into();
        });
    // The first login left the metadata in the cache.
    std::fs::remove_dir_all(world.context.directories().cache()).unwrap();
    login.run(&mut Recorder::default()).unwrap();
    login
        .parameter("countersign_host", "desk")
        .run(&mut Recorder::default())
        .unwrap();

    let told = |name: &str| {
        let requests = world.server.seen("/device");
        requests
            .iter()
            .map(|request| request.form.get(name).cloned())
            .collect::<Vec<_>>()
    };
    let command = Some("inventory login".to_owned());
    assert_eq!(
        told("countersign_command"),
        [None, command.clone(), command]
    );
    let [None, Some(host), Some(own)] = &told("countersign_host")[..] else {
        panic!("{:?}", told("countersign_host"))
    };
    assert!(!host.is_empty());
    assert_eq!(own, "desk", "what the caller says stays");
}
