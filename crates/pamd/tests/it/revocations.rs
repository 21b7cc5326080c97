//! Refresh tokens that nobody uses any more go back to the server (RFC 7009).

use countersign_pam_wire::{ToDaemon, Verdict};
use countersign_testkit::{Endpoint, Provider, Reply};

use crate::fixture::{Done, Fixture, Monitor, account, opened, usual};

/// Lets nobody in whom the provider knows.
fn somebody_else() -> String {
    usual().replace("sub = \"ada\"", "sub = \"eve\"")
}

/// A sign-in from a connection of its own.
fn denied(fixture: &Fixture) -> Done {
    let monitor = Monitor::start();
    let done = fixture.begin_as(monitor.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Denied, "{done:?}");
    done
}

/// The tokens that were revoked so far.
fn revoked(fixture: &Fixture) -> Vec<String> {
    let requests = fixture.provider.requests(Endpoint::Revocation);
    let token = |request: &countersign_testkit::Request| {
        let hint = request.form_value("token_type_hint");
        assert_eq!(hint.as_deref(), Some("refresh_token"));
        request.form_value("token").unwrap()
    };
    requests.iter().map(token).collect()
}

fn is_refresh_token(fixture: &Fixture, token: &str) -> bool {
    token.starts_with("secret-refresh") && fixture.provider.secrets().iter().any(|one| one == token)
}

#[test]
fn the_token_of_somebody_who_may_not_use_the_account_is_revoked() {
    let fixture = Fixture::with(&somebody_else());
    let done = denied(&fixture);
    let line = fixture.logged(&["revocation noted", "revoked=1", "not_revoked=0"]);
    assert!(line.contains(&done.reference), "{line}");
    let tokens = revoked(&fixture);
    assert!(
        tokens.len() == 1 && is_refresh_token(&fixture, &tokens[0]),
        "{tokens:?}"
    );
}

#[test]
fn the_token_of_a_client_that_is_gone_after_the_approval_is_revoked() {
    let fixture = Fixture::start();
    let monitor = Monitor::start();
    let mut module = fixture.begin_as(monitor.login(&account()));
    module.prompt();
    // It is approved, and nobody has pressed Enter.
    fixture.wait_until("there are tokens", || {
        let secrets = fixture.provider.secrets();
        let is_one = |secret: &String| is_refresh_token(&fixture, secret);
        secrets.iter().any(is_one)
    });
    drop(module);
    let gone = fixture.logged(&["login refused", "nobody waited for the end"]);
    let line = fixture.logged(&["revocation noted"]);
    let (_, reference) = gone.split_once("reference=").unwrap();
    assert!(line.contains(&reference[..6]), "{line}");
    assert_eq!(revoked(&fixture).len(), 1);
}

#[test]
fn the_token_of_a_session_is_kept_while_it_is_open_and_revoked_when_it_ends() {
    let fixture = Fixture::start();
    let monitor = Monitor::start();
    let login = monitor.login(&account());
    let done = fixture.begin_as(login.clone()).finish();
    for message in [ToDaemon::Account(login.clone()), opened(login.clone())] {
        let mut module = fixture.module();
        module.say(&message);
        assert_eq!(module.finish().verdict, Verdict::Success);
    }
    assert_eq!(revoked(&fixture), [""; 0]);
    drop(monitor);
    let line = fixture.logged(&["revocation noted"]);
    assert!(line.contains(&done.reference), "{line}");
    assert_eq!(revoked(&fixture).len(), 1);
    let closed = fixture.logged(&["session close", "why=closed"]);
    assert!(closed.contains(&done.reference), "{closed}");
}

#[test]
fn nothing_is_revoked_where_the_file_says_so_or_the_server_does_not_take_it() {
    let fixture = Fixture::with(&format!("revoke_tokens = false\n{}", somebody_else()));
    denied(&fixture);
    fixture.reconfigure(&somebody_else());
    let done = denied(&fixture);
    // They are given back one after the other, so the first one would have been there before.
    let line = fixture.logged(&["revocation noted", "revoked=1"]);
    assert!(line.contains(&done.reference), "{line}");
    assert_eq!(revoked(&fixture).len(), 1);

    let provider = Provider::start();
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::OauthMetadata] {
        provider.edit(endpoint, |metadata| {
            metadata
                .as_object_mut()
                .unwrap()
                .remove("revocation_endpoint");
        });
    }
    let fixture = Fixture::at(provider, &somebody_else(), |_| {});
    denied(&fixture);
    fixture.logged(&["revocation noted", "revokes no tokens", "not_revoked=1"]);
    denied(&fixture);
    assert_eq!(revoked(&fixture), [""; 0]);
}

#[test]
fn a_server_that_never_answers_a_revocation_holds_up_no_login() {
    let fixture = Fixture::with(&somebody_else());
    fixture
        .provider
        .always(Endpoint::Revocation, Reply::never());
    denied(&fixture);
    fixture.wait_until("it is asked", || !revoked(&fixture).is_empty());
    fixture.reconfigure(&usual());
    let monitor = Monitor::start();
    let done = fixture.begin_as(monitor.login(&account())).finish();
    assert_eq!(done.verdict, Verdict::Success, "{done:?}");
    fixture.logged(&["revocation failed", "not_revoked=1"]);
}
