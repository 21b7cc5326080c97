//! What the tests that kill the issuer share: the program, the state it finds, and how often it is killed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_issuer::core::{BrowserSession, Core, NewAccount, Policy, SignIn};
use countersign_issuer::keyfile;
use countersign_issuer::storage::Sqlite;
use countersign_jose::{Timestamp, crypto::aws_lc};
use countersign_oauth::{Issuer, Secret};
use countersign_testkit::{Program, Running};

/// How many trials there are: as `COUNTERSIGN_TRIALS` says, else `usual`.
pub(crate) fn trials(usual: u64) -> u64 {
    match std::env::var("COUNTERSIGN_TRIALS") {
        Ok(trials) => trials.parse().expect("COUNTERSIGN_TRIALS is a number"),
        Err(_) => usual,
    }
}

pub(crate) fn serve(directory: &Path) -> (Running, SocketAddr) {
    let server = Program::new(env!("CARGO_BIN_EXE_countersign-issuer"))
        .args(["serve", "--listen", "127.0.0.1:0", "--state-dir"])
        .arg(directory)
        .start();
    let address = server.wait_for_stdout(|printed| {
        printed
            .lines()
            .find_map(|line| line.strip_prefix("listening=")?.parse().ok())
    });
    (server, address)
}

/// Makes the state directory and what `add` puts into it, by the rules themselves.
pub(crate) fn make<T>(directory: &Path, add: impl AsyncFnOnce(&Core, Timestamp) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let storage = Sqlite::open(&directory.join("issuer.sqlite")).unwrap();
    let keys = keyfile::load_or_generate(&directory.join("keys.json"), aws_lc::provider()).unwrap();
    let issuer = Issuer::parse("http://127.0.0.1:8628").unwrap();
    let core = Core::new(Box::new(storage), keys, Policy::new(issuer));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap());
    runtime.block_on(add(&core, now))
}

/// Adds somebody, who signs in.
pub(crate) async fn signed_up(
    core: &Core,
    username: &str,
    password: &str,
    now: Timestamp,
) -> BrowserSession {
    let password = Secret::new(password);
    let account = NewAccount {
        username: username.to_owned(),
        name: None,
        email: None,
        password: password.clone(),
    };
    let added = core.add_account(account, Vec::new(), now).await;
    added.unwrap().unwrap();
    let peer = Ipv4Addr::LOCALHOST.into();
    let outcome = core.sign_in(username, &password, peer, now).await.unwrap();
    let SignIn::Accepted(session) = outcome else {
        panic!("{username} signs in");
    };
    core.session(&session.token, now).unwrap().unwrap()
}
