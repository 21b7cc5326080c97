//! The real `countersign` at servers in the shape of the providers people have, told who the provider is
//! and nothing else: what is different there comes from the preset alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_e2e::{Cli, Desktop, Shaped};
use countersign_testkit::{Endpoint, Finished};

/// Most of the providers want redirect URIs with fixed ports, of which a preset has three.
fn the_ports() -> MutexGuard<'static, ()> {
    static PORTS: Mutex<()> = Mutex::new(());
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn member(shaped: &Shaped) -> Cli {
    Cli::new().with(shaped.internet.environment())
}

/// Everything that follows a login, with nothing but the command's name.
fn use_session(shaped: &Shaped, cli: &Cli) -> Finished {
    let token = cli.run("token").expect_code(0);
    assert!(
        token.stdout.starts_with("secret-access-"),
        "{}",
        token.stdout
    );
    let who = cli.run("whoami").expect_code(0);
    assert!(who.stdout.contains("Ada Lovelace"), "{}", who.stdout);
    let before = shaped.provider.requests(Endpoint::Userinfo).len();
    let who = cli.run("whoami --verify").expect_code(0);
    assert!(who.stdout.contains("Ada Lovelace"), "{}", who.stdout);
    let after = shaped.provider.requests(Endpoint::Userinfo).len();
    assert_eq!(after, before + 1, "the server was asked");
    // Twice: where refresh tokens stay as they are, and where each renewal brings another.
    for _ in 0..2 {
        let renewed = cli.run("token --force-refresh").expect_code(0);
        assert_ne!(
            renewed.stdout, token.stdout,
            "a renewal brings another token"
        );
    }
    let left = cli.run("logout").expect_code(0);
    cli.run("token").expect_code(4);
    left
}

/// On a desktop, where the browser opens by itself.
fn in_the_browser(shaped: &Shaped) -> Finished {
    let cli = member(shaped);
    let flags = format!("{} --client-id cli", shaped.flags);
    let login = Desktop::new().login(&cli, &flags);
    let page = shaped.visit(&login.address);
    assert!(page.text().contains("You are signed in"), "{}", page.text());
    let done = login.process.finish().expect_code(0);
    assert!(
        done.stdout.contains("Welcome, Ada Lovelace."),
        "{}",
        done.stdout
    );
    use_session(shaped, &cli)
}

fn by_device_code(shaped: &Shaped) -> Finished {
    let cli = member(shaped);
    let pending = shaped.pending.clone();
    shaped.provider.first(Endpoint::Token, [pending]);
    let login = cli.start_device(&format!("{} --client-id cli", shaped.flags));
    login.finish().expect_code(0);
    use_session(shaped, &cli)
}

/// The server was told to end the session, and the person is told that it did.
fn was_revoked(shaped: &Shaped, left: &Finished) {
    assert!(
        left.stderr.contains("revoked at the server"),
        "{}",
        left.stderr
    );
    let told = shaped.provider.requests(Endpoint::Revocation);
    let token = told.first().and_then(|request| request.form_value("token"));
    assert!(token.is_some_and(|token| token.starts_with("secret-refresh-")));
}

#[test]
fn auth0_in_the_browser() {
    let _ports = the_ports();
    let shaped = Shaped::auth0();
    was_revoked(&shaped, &in_the_browser(&shaped));
}

#[test]
fn auth0_by_device_code() {
    let shaped = Shaped::auth0();
    was_revoked(&shaped, &by_device_code(&shaped));
}

/// Auth0's device endpoint answers 403 to a client that sends its secret there.
#[test]
fn auth0_by_device_code_with_a_secret() {
    let shaped = Shaped::auth0();
    let cli = member(&shaped);
    let secret = cli.home().path().join("secret");
    std::fs::write(&secret, "secret-of-the-client").expect("the home is ours");
    let flags = format!(
        "{} --client-id cli --client-secret-file {}",
        shaped.flags,
        secret.display()
    );
    cli.start_device(&flags).finish().expect_code(0);
    let polls = shaped.provider.requests(Endpoint::Token);
    assert!(polls.iter().all(|poll| {
        poll.header("authorization").is_some() || poll.form_value("client_secret").is_some()
    }));
}

#[test]
fn okta_in_the_browser() {
    let _ports = the_ports();
    let shaped = Shaped::okta();
    was_revoked(&shaped, &in_the_browser(&shaped));
}

#[test]
fn okta_by_device_code() {
    let shaped = Shaped::okta();
    was_revoked(&shaped, &by_device_code(&shaped));
}

#[test]
fn a_custom_server_of_okta_in_the_browser() {
    let _ports = the_ports();
    let shaped = Shaped::okta_custom();
    was_revoked(&shaped, &in_the_browser(&shaped));
}

#[test]
fn a_custom_server_of_okta_by_device_code() {
    let shaped = Shaped::okta_custom();
    was_revoked(&shaped, &by_device_code(&shaped));
}

#[test]
fn cognito_in_the_browser() {
    let _ports = the_ports();
    let shaped = Shaped::cognito();
    was_revoked(&shaped, &in_the_browser(&shaped));
}

/// Cognito has no device grant; whoever asks for it hears so, and what to do instead.
#[test]
fn cognito_by_device_code_is_refused_before_anything_is_sent() {
    let shaped = Shaped::cognito();
    let cli = member(&shaped);
    let done = cli.run(&format!(
        "login {} --client-id cli --flow device",
        shaped.flags
    ));
    assert!(
        done.stderr.contains("code: no_way_to_sign_in"),
        "{}",
        done.stderr
    );
    let hint = format!("countersign login --flow paste {}", shaped.flags);
    assert!(done.stderr.contains(&hint), "{}", done.stderr);
    done.expect_code(4);
    assert!(
        shaped
            .provider
            .requests(Endpoint::DeviceAuthorization)
            .is_empty()
    );
}

#[test]
fn entra_in_the_browser() {
    let shaped = Shaped::entra();
    let left = in_the_browser(&shaped);
    assert!(left.stderr.contains("no way to revoke"), "{}", left.stderr);
}

#[test]
fn entra_by_device_code() {
    let shaped = Shaped::entra();
    let left = by_device_code(&shaped);
    assert!(left.stderr.contains("no way to revoke"), "{}", left.stderr);
}
