//! A token that is still good: renewed by one before its end, used by the others meanwhile, and worth no
//! waiting when the server does not answer.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_client::{
    AskPassphrase, Clock, Context, Error, ExitCategory, LoginRequired, PassphraseFor, SecretBytes,
    Timestamp, TokenSource, Transport, VaultKind, VaultOptions, logout,
};
use countersign_oauth::{HttpRequest, HttpResponse, TransportError};
use countersign_store::{FileStore, Lock, Purpose};
use serde_json::json;
use support::{Fault, Recorder, World};

const MINUTE: Duration = Duration::from_secs(60);
/// After this long a token of ten minutes is good for longer than a minute, and is due in any case.
const DUE: u64 = 600 - 60 - 70;
/// Before this moment it is due in no case.
const NOT_DUE: u64 = 600 - 60 - 150;

fn open(context: &Context) -> TokenSource {
    TokenSource::open(context, &World::name()).unwrap()
}

fn access(context: &Context) -> Result<String, Error> {
    Ok(open(context).access_token(MINUTE)?.expose().to_owned())
}

fn renewals(world: &World) -> usize {
    let asked = world.server.seen("/token");
    let renewals = asked.iter().filter(|seen| {
        seen.form
            .get("grant_type")
            .is_some_and(|it| it == "refresh_token")
    });
    renewals.count()
}

fn refresh_lock(world: &World) -> Option<Lock> {
    let store = FileStore::open(&world.home.path().join("state/sessions"));
    store.try_lock(&World::name(), Purpose::Refresh).unwrap()
}

fn reason(error: &Error) -> LoginRequired {
    match error {
        Error::LoginRequired { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_of_those_who_come_shortly_before_the_end_gets_the_next_token() {
    let world = World::signed_in();
    world.clock.pass(NOT_DUE);
    assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    assert_eq!(renewals(&world), 0);
    world.clock.pass(DUE - NOT_DUE);
    for _ in 0..5 {
        assert_eq!(access(&world.context).unwrap(), "secret-access-2");
    }
    assert_eq!(renewals(&world), 1);
}

#[test]
fn nobody_waits_for_a_token_they_can_do_without() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    // Another process is at it, and takes its time.
    let lock = refresh_lock(&world).unwrap();
    let before = world.clock.monotonic();
    for _ in 0..100 {
        assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    }
    assert_eq!(world.clock.monotonic(), before);
    assert_eq!(renewals(&world), 0);
    drop(lock);
    assert_eq!(access(&world.context).unwrap(), "secret-access-2");
}

/// A server that answers the token request when it is told to.
struct Held {
    world: World,
    asked: Mutex<Sender<()>>,
    answer: Mutex<Receiver<()>>,
}

impl Transport for Held {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        if request.url.path() == "/token" {
            self.asked.lock().unwrap().send(()).unwrap();
            self.answer.lock().unwrap().recv().unwrap();
        }
        self.world.server.send(request, limit)
    }
}

#[test]
fn while_one_thread_asks_the_others_go_on() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    let ((asked, is_asked), (answer, told)) = (channel(), channel());
    let context = world.context.clone();
    let held = Arc::new(Held {
        world,
        asked: Mutex::new(asked),
        answer: Mutex::new(told),
    });
    let context = context.with_transport(Arc::clone(&held) as Arc<dyn Transport>);
    let tokens = open(&context);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| tokens.access_token(MINUTE).unwrap());
        is_asked.recv().unwrap();
        // One with the same source, and one as another process would have it.
        assert_eq!(
            tokens.access_token(MINUTE).unwrap().expose(),
            "secret-access-1"
        );
        assert_eq!(access(&context).unwrap(), "secret-access-1");
        answer.send(()).unwrap();
        assert_eq!(first.join().unwrap().expose(), "secret-access-2");
    });
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    assert_eq!(renewals(&held.world), 1);
}

/// A network that swallows every request: each costs all the time there is for it.
struct Swallowed {
    clock: Arc<support::FakeClock>,
    requests: AtomicUsize,
}

impl Transport for Swallowed {
    fn send(&self, _: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.clock.sleep(limit.min(Duration::from_secs(30)));
        Err(TransportError::Timeout)
    }
}

#[test]
fn an_outage_costs_a_hundred_processes_ten_seconds_together() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    let network = Arc::new(Swallowed {
        clock: Arc::clone(&world.clock),
        requests: AtomicUsize::new(0),
    });
    let context = world
        .context
        .clone()
        .with_transport(Arc::clone(&network) as Arc<dyn Transport>);
    let before = world.clock.monotonic();
    for _ in 0..100 {
        assert_eq!(access(&context).unwrap(), "secret-access-1");
    }
    let lost = world.clock.monotonic().saturating_sub(before);
    assert_eq!(lost.as_secs(), 10);
    assert_eq!(network.requests.load(Ordering::SeqCst), 1);
    // After a while one of them tries again.
    world.clock.pass(31);
    for _ in 0..100 {
        assert_eq!(access(&context).unwrap(), "secret-access-1");
    }
    assert_eq!(network.requests.load(Ordering::SeqCst), 2);
    // Whoever has nothing else at hand has more patience, and tries whatever others found.
    world.clock.pass(120);
    let before = world.clock.monotonic();
    let error = access(&context).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    let lost = world.clock.monotonic().saturating_sub(before);
    assert_eq!(lost.as_secs(), 30);
}

#[test]
fn a_server_that_says_when_to_come_back_is_left_alone_until_then() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    world.server.header("retry-after", "50");
    world.server.always("/token", Fault::Answer(503, json!({})));
    assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    let asked = world.server.all_seen().len();
    world.clock.pass(49);
    assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    assert_eq!(world.server.all_seen().len(), asked);
    world.server.recover();
    world.clock.pass(1);
    assert_eq!(access(&world.context).unwrap(), "secret-access-2");
}

#[test]
fn what_failed_for_one_session_is_no_reason_to_rest_for_the_next() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    world.server.always("/token", Fault::Answer(503, json!({})));
    access(&world.context).unwrap();
    world.server.recover();
    world.server.pending(0);
    // Somebody signs in again, with a token that is due at once.
    world.server.access_lifetime(1);
    world.login().run(&mut Recorder::default()).unwrap();
    let asked = renewals(&world);
    world.clock.pass(1);
    access(&world.context).unwrap();
    assert_eq!(renewals(&world), asked + 1);
}

#[test]
fn a_session_that_ends_early_lasts_as_long_as_its_token_and_is_asked_about_once() {
    let world = World::signed_in();
    world.clock.pass(DUE);
    world.server.end_session();
    let tokens = open(&world.context);
    for _ in 0..3 {
        assert_eq!(
            tokens.access_token(MINUTE).unwrap().expose(),
            "secret-access-1"
        );
        assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    }
    assert_eq!(renewals(&world), 1);
    let kept = world.context.session(&World::name()).unwrap().unwrap();
    assert!(kept.has_ended() && !kept.has_refresh_token());
    world.clock.pass(200);
    for _ in 0..100 {
        let error = access(&world.context).unwrap_err();
        assert_eq!(reason(&error), LoginRequired::Rejected);
    }
    assert_eq!(renewals(&world), 1);
}

#[test]
fn the_token_of_somebody_who_has_signed_out_is_not_given_out_when_it_is_due() {
    let world = World::signed_in();
    let tokens = open(&world.context);
    world.clock.pass(DUE);
    logout(&world.context, &World::name(), MINUTE).unwrap();
    let error = tokens.access_token(MINUTE).unwrap_err();
    assert_eq!(reason(&error), LoginRequired::NoSession);
}

#[test]
fn an_id_token_that_does_not_come_with_a_renewal_is_no_reason_for_another() {
    let world = World::signed_in();
    world.server.renews_no_id_token();
    world.clock.pass(DUE);
    for _ in 0..5 {
        assert!(open(&world.context).id_token(MINUTE).unwrap().is_some());
    }
    assert_eq!(renewals(&world), 1);
}

#[test]
fn a_passphrase_is_not_asked_for_before_it_is_needed() {
    #[derive(Default)]
    struct Asked(AtomicUsize);
    impl AskPassphrase for Asked {
        fn ask(&self, _: PassphraseFor) -> Option<SecretBytes> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Some(SecretBytes::new(b"a passphrase".to_vec()))
        }
    }
    let mut world = World::new();
    let asked = Arc::new(Asked::default());
    let mut options = VaultOptions::new("test");
    options.preferred = vec![VaultKind::Passphrase];
    options.passphrase = Some(Arc::clone(&asked) as Arc<dyn AskPassphrase>);
    world.context = world.context.with_vaults(options);
    world.login().run(&mut Recorder::default()).unwrap();
    let before = asked.0.load(Ordering::SeqCst);
    world.clock.pass(DUE);
    assert_eq!(access(&world.context).unwrap(), "secret-access-1");
    assert_eq!(asked.0.load(Ordering::SeqCst), before);
    world.clock.pass(80);
    assert_eq!(access(&world.context).unwrap(), "secret-access-2");
    assert!(asked.0.load(Ordering::SeqCst) > before);
}

/// A clock under which another process has the lock, fails after a while, and is followed by the next.
struct Unlucky {
    world: World,
    lock: Mutex<Option<Lock>>,
    failed: AtomicUsize,
}

impl Clock for Unlucky {
    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.world.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.world.clock.sleep(duration);
        let mut lock = self.lock.lock().unwrap();
        let long = self.world.clock.monotonic() > Duration::from_secs(3600 + 6);
        if long && self.failed.fetch_add(1, Ordering::SeqCst) == 0 {
            *lock = None;
            let error = access(&self.world.context).unwrap_err();
            assert_eq!(error.exit_category(), ExitCategory::Unreachable);
            *lock = refresh_lock(&self.world);
        }
    }
}

#[test]
fn who_waited_for_a_renewal_that_failed_does_not_wait_for_the_same_again() {
    let world = World::signed_in();
    world.clock.pass(3600);
    world.server.go_down();
    let asked = world.server.all_seen().len();
    let lock = Mutex::new(refresh_lock(&world));
    let context = world.context.clone();
    let clock = Arc::new(Unlucky {
        world,
        lock,
        failed: AtomicUsize::new(0),
    });
    let context = context.with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let error = access(&context).unwrap_err();
    assert_eq!(error.code(), "not_renewed");
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    assert!(error.is_retryable());
    // Only the other one has asked. Whoever comes now asks again.
    assert_eq!(clock.world.server.all_seen().len(), asked + 1);
    *clock.lock.lock().unwrap() = None;
    clock.world.server.recover();
    assert_eq!(access(&context).unwrap(), "secret-access-2");
}

/// Looks at the session's file whenever keys are fetched after a token was spent.
struct Watched {
    world: World,
    spent: AtomicUsize,
    kept: Mutex<Vec<String>>,
    fails: bool,
}

impl Transport for Watched {
    fn send(&self, request: &HttpRequest, limit: Duration) -> Result<HttpResponse, TransportError> {
        match request.url.path() {
            "/token" => {
                self.spent.fetch_add(1, Ordering::SeqCst);
            }
            "/jwks" if self.spent.load(Ordering::SeqCst) > 0 => {
                let file = std::fs::read_to_string(self.world.file()).unwrap();
                self.kept.lock().unwrap().push(file);
                if self.fails {
                    return Err(TransportError::Timeout);
                }
            }
            _ => {}
        }
        self.world.server.send(request, limit)
    }
}

#[test]
fn a_new_refresh_token_is_on_disk_before_anything_else_is_waited_for() {
    for (stale, fails) in [(true, false), (false, false), (false, true)] {
        let world = World::signed_in();
        world.server.rotate_keys();
        // Keys that are too old are fetched before the token is spent; one that is new, only afterwards.
        world.clock.pass(if stale { 2 * 86_400 } else { 700 });
        let context = world.context.clone();
        let watched = Arc::new(Watched {
            world,
            spent: AtomicUsize::new(0),
            kept: Mutex::new(Vec::new()),
            fails,
        });
        let context = context.with_transport(Arc::clone(&watched) as Arc<dyn Transport>);
        assert_eq!(access(&context).unwrap(), "secret-access-2");
        let kept = watched.kept.lock().unwrap();
        assert_eq!(kept.len(), usize::from(!stale));
        let safe =
            |file: &String| file.contains("secret-refresh-2") && file.contains("secret-access-1");
        assert!(kept.iter().all(safe), "{stale} {fails}");
        // The next renewal finds everything in its place.
        watched.world.clock.pass(700);
        assert_eq!(access(&watched.world.context).unwrap(), "secret-access-3");
    }
}

#[test]
fn what_was_kept_in_haste_is_taken_back_when_it_is_about_another_person() {
    let world = World::signed_in();
    world.server.rotate_keys();
    world.clock.pass(700);
    world
        .server
        .edit_id_token(|claims| claims["sub"] = json!("mallory"));
    let error = access(&world.context).unwrap_err();
    assert_eq!(error.code(), "id_token_subject_changed");
    let file = std::fs::read_to_string(world.file()).unwrap();
    assert!(file.contains("secret-refresh-1") && !file.contains("secret-refresh-2"));
}
