//! Refresh tokens in vaults: where a login puts them, what a renewal does when one fails, and that a
//! token that is still good never waits for any of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use countersign_client::{
    AskPassphrase, Context, Error, ExitCategory, KeyringProgram, LoginRequired, Notice,
    PassphraseFor, Revocation, SecretBytes, Session, TokenSource, VaultKind, VaultOptions, logout,
    migrate,
};
use support::{Fault, Recorder, World};

const MINUTE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(10);

/// Somebody who types the same passphrase every time, and counts.
struct Typist(&'static str, AtomicU32);

impl AskPassphrase for Typist {
    fn ask(&self, _why: PassphraseFor) -> Option<SecretBytes> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(SecretBytes::new(self.0.as_bytes().to_vec()))
    }
}

fn typist(passphrase: &'static str) -> Arc<Typist> {
    Arc::new(Typist(passphrase, AtomicU32::new(0)))
}

fn options(preferred: &[VaultKind]) -> VaultOptions {
    let mut options = VaultOptions::new("countersign-client-test");
    options.preferred = preferred.to_vec();
    options.keyring = KeyringProgram::at("/nonexistent/countersign-keyring");
    options
}

/// What a new process of the same person would have.
fn process(world: &World, options: VaultOptions) -> Context {
    world.context.clone().with_vaults(options)
}

fn with_passphrase(typist: &Arc<Typist>) -> VaultOptions {
    let mut options = options(&[VaultKind::Passphrase]);
    options.passphrase = Some(Arc::clone(typist) as Arc<dyn AskPassphrase>);
    options
}

fn login(world: &World, context: &Context) -> Result<(Session, Vec<Notice>), Error> {
    let mut recorder = Recorder::default();
    let login = world.login().context(context.clone());
    let session = login.run(&mut recorder)?;
    Ok((session, recorder.notices))
}

fn access(context: &Context) -> Result<String, Error> {
    let tokens = TokenSource::open(context, &World::name())?;
    Ok(tokens.access_token(MINUTE)?.expose().to_owned())
}

fn file(world: &World) -> String {
    std::fs::read_to_string(world.file()).unwrap()
}

fn renewals(world: &World) -> usize {
    let asked = world.server.seen("/token");
    let renewing = |seen: &&support::Seen| seen.form["grant_type"] == "refresh_token";
    asked.iter().filter(renewing).count()
}

/// After which the access token has expired.
fn let_it_expire(world: &World) {
    world.clock.pass(700);
}

#[test]
fn a_login_without_a_keyring_goes_into_the_file_and_says_so_to_who_wants_to_know() {
    let world = World::new();
    let context = process(&world, options(&[VaultKind::KeyringKey, VaultKind::File]));
    let (session, notices) = login(&world, &context).unwrap();
    assert_eq!(session.kept_in(), Some(VaultKind::File));
    let passed_over = notices.iter().find_map(|notice| match notice {
        Notice::VaultPassedOver { absent, .. } => Some((*absent, notice.text())),
        _ => None,
    });
    let (absent, text) = passed_over.unwrap();
    assert!(absent);
    assert!(
        text.contains("countersign-keyring is not installed"),
        "{text}"
    );
    assert!(text.contains("in the session file"), "{text}");
}

#[test]
fn a_login_that_may_use_nothing_that_works_ends_before_anybody_is_asked() {
    let world = World::new();
    let context = process(&world, options(&[VaultKind::Keyring]));
    let error = login(&world, &context).unwrap_err();
    assert_eq!(error.code(), "keyring_no_program");
    assert_eq!(error.exit_category(), ExitCategory::Storage);
    assert!(world.server.seen("/device").is_empty());
    let mut forbidden = options(&[VaultKind::File]);
    forbidden.allowed = vec![VaultKind::Keyring];
    let error = login(&world, &process(&world, forbidden)).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
}

#[test]
fn a_session_under_a_passphrase_is_renewed_by_who_knows_it() {
    let world = World::new();
    let first = typist("correct horse");
    login(&world, &process(&world, with_passphrase(&first))).unwrap();
    assert_eq!(first.1.load(Ordering::Relaxed), 1);
    assert!(!file(&world).contains("secret-refresh"), "{}", file(&world));

    // A cached token is for everybody, at once.
    let nobody = process(&world, options(&[VaultKind::File]));
    assert_eq!(access(&nobody).unwrap(), "secret-access-1");
    let_it_expire(&world);
    let error = access(&nobody).unwrap_err();
    assert_eq!(error.code(), "passphrase_needed");
    assert!(error.is_retryable());
    let wrong = typist("battery staple");
    let error = access(&process(&world, with_passphrase(&wrong))).unwrap_err();
    assert_eq!(error.code(), "passphrase_wrong");
    assert_eq!(renewals(&world), 0, "nothing was spent");

    let second = typist("correct horse");
    let context = process(&world, with_passphrase(&second));
    assert_eq!(access(&context).unwrap(), "secret-access-2");
    assert_eq!(second.1.load(Ordering::Relaxed), 1);
    let_it_expire(&world);
    assert_eq!(access(&context).unwrap(), "secret-access-3");
    assert_eq!(second.1.load(Ordering::Relaxed), 1, "asked once a process");
    assert!(!file(&world).contains("secret-refresh"));
}

#[test]
fn a_vault_that_cannot_be_opened_does_not_hide_a_token_that_is_still_good() {
    let world = World::new();
    login(&world, &process(&world, with_passphrase(&typist("right")))).unwrap();
    let nobody = process(&world, options(&[VaultKind::File]));
    let tokens = TokenSource::open(&nobody, &World::name()).unwrap();
    // More is wanted than is left, so a renewal is tried; what there is is answered.
    world.clock.pass(500);
    let answer = tokens.access_token(Duration::from_secs(300)).unwrap();
    assert_eq!(answer.expose(), "secret-access-1");
    assert_eq!(renewals(&world), 0);
}

#[test]
fn secrets_that_are_gone_ask_for_a_login_once_the_token_has_expired() {
    let world = World::new();
    let context = process(&world, options(&[VaultKind::Memory]));
    login(&world, &context).unwrap();
    let_it_expire(&world);
    // The process that signed in goes on.
    assert_eq!(access(&context).unwrap(), "secret-access-2");
    let later = process(&world, options(&[VaultKind::File]));
    assert_eq!(access(&later).unwrap(), "secret-access-2");
    let_it_expire(&world);
    let error = access(&later).unwrap_err();
    let Error::LoginRequired { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*reason, LoginRequired::SecretsLost);
    assert_eq!(error.exit_category(), ExitCategory::LoginRequired);
}

#[test]
fn a_session_that_the_server_has_ended_is_marked_in_every_vault() {
    let world = World::new();
    let context = process(&world, with_passphrase(&typist("right")));
    login(&world, &context).unwrap();
    let_it_expire(&world);
    world.server.always(
        "/token",
        Fault::Answer(400, serde_json::json!({ "error": "invalid_grant" })),
    );
    for _ in 0..2 {
        let error = access(&context).unwrap_err();
        assert!(matches!(
            error,
            Error::LoginRequired {
                reason: LoginRequired::Rejected,
                ..
            }
        ));
    }
    assert_eq!(renewals(&world), 1, "it is asked once");
    let kept = context.session(&World::name()).unwrap().unwrap();
    assert!(kept.has_ended() && !kept.has_refresh_token());
}

#[test]
fn a_file_of_version_1_is_renewed_and_from_then_on_in_two_parts() {
    let world = World::new();
    login(&world, &world.context).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&file(&world)).unwrap();
    let secrets = value["secrets"]["receipt"].take();
    let record = value["record"].as_object_mut().unwrap();
    record.remove("apart");
    record.insert("refresh_token".into(), secrets["refresh_token"].clone());
    let old = serde_json::json!({ "version": 1, "record": record });
    std::fs::write(world.file(), old.to_string()).unwrap();

    let_it_expire(&world);
    let context = process(&world, options(&[VaultKind::File]));
    assert_eq!(access(&context).unwrap(), "secret-access-2");
    let value: serde_json::Value = serde_json::from_str(&file(&world)).unwrap();
    assert_eq!(value["version"], 2);
    assert!(value["record"]["refresh_token"].is_null());
    assert_eq!(value["secrets"]["vault"], "file");
    let_it_expire(&world);
    assert_eq!(access(&context).unwrap(), "secret-access-3");
}

#[test]
fn a_logout_without_the_passphrase_removes_the_session_and_is_honest() {
    let world = World::new();
    login(&world, &process(&world, with_passphrase(&typist("right")))).unwrap();
    let nobody = process(&world, options(&[VaultKind::File]));
    let report = logout(&nobody, &World::name(), LIMIT).unwrap();
    assert!(report.removed && !report.is_complete());
    let Revocation::Failed { why } = &report.refresh_token else {
        panic!("{report:?}")
    };
    assert!(why.contains("passphrase"), "{why}");
    assert_eq!(report.access_token, Revocation::Revoked);
    assert!(!world.file().exists());
}

#[test]
fn a_session_is_moved_to_where_its_owner_wants_it() {
    let world = World::new();
    login(&world, &process(&world, options(&[VaultKind::File]))).unwrap();
    assert!(file(&world).contains("secret-refresh-1"));
    let context = process(&world, with_passphrase(&typist("right")));
    let moved = migrate(&context, &World::name(), VaultKind::Passphrase);
    let moved = moved.unwrap().unwrap();
    assert_eq!((moved.from, moved.moved), (VaultKind::File, true));
    assert!(!file(&world).contains("secret-refresh"));
    let again = migrate(&context, &World::name(), VaultKind::Passphrase);
    assert!(!again.unwrap().unwrap().moved);
    // Where there is no keyring, it stays where it is.
    let error = migrate(&context, &World::name(), VaultKind::Keyring).unwrap_err();
    assert_eq!(error.code(), "keyring_no_program");
    let_it_expire(&world);
    assert_eq!(access(&context).unwrap(), "secret-access-2");
    let mut limited = with_passphrase(&typist("right"));
    limited.allowed = vec![VaultKind::Passphrase];
    let error = migrate(&process(&world, limited), &World::name(), VaultKind::File).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Configuration);
}

#[test]
fn a_keyring_program_that_hangs_is_ended_and_its_children_not_waited_for() {
    let world = World::new();
    let script: PathBuf = world.home.path().join("countersign-keyring");
    // Its own child keeps the pipes open for longer than anybody would wait.
    let made = std::process::Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\\nsleep 60\\n' > \"$1\" && chmod 700 \"$1\"",
            "sh",
        ])
        .arg(&script)
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        script.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let limit = Duration::from_millis(300);
    let mut options = options(&[VaultKind::Keyring, VaultKind::File]);
    options.keyring = KeyringProgram::at(&script).limits(limit, limit);
    let begin = Instant::now();
    let (session, notices) = login(&world, &process(&world, options)).unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(session.kept_in(), Some(VaultKind::File));
    let told = notices.iter().any(|notice| {
        matches!(notice, Notice::VaultPassedOver { absent: false, why, .. } if why.contains("did not answer"))
    });
    assert!(told, "a keyring that hangs is worth a line");
}
