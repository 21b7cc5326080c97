//! The end of a session, and the live question whose it is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use countersign_client::{
    Clock, ExitCategory, LogoutPage, Revocation, TokenSource, Transport, logout, userinfo,
};
use countersign_oauth::{HttpRequest, HttpResponse, TransportError};
use serde_json::json;
use support::{FakeClock, Fault, Recorder, Server, World};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn both_tokens_are_revoked_the_refresh_token_first_and_the_session_removed() {
    let world = World::signed_in();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert!(report.removed && report.is_complete());
    let revoked: Vec<(String, String)> = world
        .server
        .seen("/revoke")
        .iter()
        .map(|seen| {
            (
                seen.form["token"].clone(),
                seen.form["token_type_hint"].clone(),
            )
        })
        .collect();
    let expected = [
        ("secret-refresh-1", "refresh_token"),
        ("secret-access-1", "access_token"),
    ];
    assert_eq!(
        revoked,
        expected.map(|(token, hint)| (token.to_owned(), hint.to_owned()))
    );
    assert!(!world.file().exists());
    let left = std::fs::read_dir(world.file().parent().unwrap()).unwrap();
    for entry in left {
        let content = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!content.contains("secret-"), "{content}");
    }
}

#[test]
fn a_server_that_is_down_keeps_nobody_from_logging_out_here_and_the_report_is_honest() {
    let world = World::signed_in();
    world.server.go_down();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert!(report.removed && !report.is_complete());
    let Revocation::Failed { why } = &report.refresh_token else {
        panic!("{report:?}")
    };
    assert!(why.contains("connection refused"), "{why}");
    assert!(!world.file().exists());
}

#[test]
fn a_server_that_refuses_to_revoke_is_reported_in_its_own_words() {
    let world = World::signed_in();
    let refusal = json!({ "error": "unsupported_token_type", "error_description": "not these" });
    world.server.always("/revoke", Fault::Answer(400, refusal));
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    let Revocation::Failed { why } = &report.access_token else {
        panic!("{report:?}")
    };
    assert!(why.contains("not these"), "{why}");
    assert!(!world.file().exists());
}

#[test]
fn a_server_without_revocation_is_reported_as_that() {
    let world = World::new();
    world
        .server
        .edit("/.well-known/openid-configuration", |document| {
            document
                .as_object_mut()
                .unwrap()
                .remove("revocation_endpoint");
        });
    world.login().run(&mut Recorder::default()).unwrap();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert_eq!(report.refresh_token, Revocation::NotOffered);
    assert_eq!(report.access_token, Revocation::NotOffered);
    assert!(!report.is_complete());
}

/// A server that takes all the time it is given.
struct Slow(Arc<FakeClock>, Arc<Server>);

impl Transport for Slow {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        assert!(limit <= LIMIT);
        self.0.sleep(limit);
        self.1.send(request, limit)
    }
}

#[test]
fn the_limit_is_for_the_whole_logout() {
    let world = World::signed_in();
    world
        .server
        .always("/revoke", Fault::Transport(TransportError::Timeout));
    let slow = Arc::new(Slow(Arc::clone(&world.clock), Arc::clone(&world.server)));
    let context = world.context.clone().with_transport(slow);
    let before = world.clock.seconds();
    let report = logout(&context, &World::name(), LIMIT).unwrap();
    assert!(matches!(report.access_token, Revocation::Failed { .. }));
    assert_eq!(world.clock.seconds() - before, 10);
    assert_eq!(world.server.seen("/revoke").len(), 1);
}

#[test]
fn a_damaged_session_can_be_logged_out_of() {
    let world = World::signed_in();
    std::fs::write(world.file(), "{ \"torn\": \"secret-").unwrap();
    logout(&world.context, &World::name(), LIMIT).unwrap();
    let left = std::fs::read_dir(world.file().parent().unwrap()).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| name.to_string_lossy().ends_with("lock")),
        "{names:?}"
    );
}

#[test]
fn logging_out_of_nothing_is_no_error() {
    let world = World::new();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert!(!report.removed);
    assert_eq!(report.refresh_token, Revocation::NoToken);
    assert!(world.server.all_seen().is_empty());
}

#[test]
fn the_server_says_who_this_is() {
    let world = World::signed_in();
    let tokens = TokenSource::open(&world.context, &World::name()).unwrap();
    let identity = userinfo(&tokens).unwrap();
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    let asked = world.server.seen("/userinfo").pop().unwrap();
    assert_eq!(
        asked.authorization.as_deref(),
        Some("Bearer secret-access-1")
    );
}

#[test]
fn an_answer_about_somebody_else_is_refused() {
    let world = World::signed_in();
    world
        .server
        .edit("/userinfo", |answer| answer["sub"] = json!("mallory"));
    let tokens = TokenSource::open(&world.context, &World::name()).unwrap();
    let error = userinfo(&tokens).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Failure);
    assert!(!error.is_retryable());
}

#[test]
fn a_token_that_was_revoked_early_is_renewed_once() {
    let world = World::signed_in();
    world.server.next(
        "/userinfo",
        Fault::Answer(401, json!({ "error": "invalid_token" })),
    );
    let tokens = TokenSource::open(&world.context, &World::name()).unwrap();
    userinfo(&tokens).unwrap();
    let asked = world.server.seen("/userinfo").pop().unwrap();
    assert_eq!(
        asked.authorization.as_deref(),
        Some("Bearer secret-access-2")
    );
    world.server.always(
        "/userinfo",
        Fault::Answer(401, json!({ "error": "invalid_token" })),
    );
    let error = userinfo(&tokens).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::LoginRequired);
}

/// OpenID Connect RP-Initiated Logout 1.0, section 2: every parameter is optional. The address may be read
/// by others, and the ID token names a person.
#[test]
fn the_page_for_browsers_is_told_the_client_and_nothing_about_the_person() {
    let world = World::new();
    world
        .server
        .edit("/.well-known/openid-configuration", |metadata| {
            metadata["end_session_endpoint"] = json!("https://id.example.com/end?ui=plain");
        });
    world.login().run(&mut Recorder::default()).unwrap();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    let LogoutPage::At(url) = report.page else {
        panic!("{:?}", report.page)
    };
    assert_eq!(
        url.as_str(),
        "https://id.example.com/end?ui=plain&client_id=cli"
    );
}

#[test]
fn a_server_or_a_provider_without_such_a_page_is_told_as_that() {
    let world = World::signed_in();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert_eq!(report.page, LogoutPage::NotOffered);
    let again = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert_eq!(again.page, LogoutPage::Unknown);
    let login = world.login().preset("okta");
    login.run(&mut Recorder::default()).unwrap();
    let report = logout(&world.context, &World::name(), LIMIT).unwrap();
    assert!(
        matches!(report.page, LogoutPage::ByPerson(_)),
        "{:?}",
        report.page
    );
}
