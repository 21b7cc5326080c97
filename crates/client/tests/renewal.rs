//! Tokens from the kept session: answered at once, renewed once, and never lost by accident.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use countersign_client::{
    Clock, Context, Directories, Error, ExitCategory, HttpOptions, LoginRequired, Timestamp,
    TokenSource, Transport, logout,
};
use countersign_oauth::{HttpRequest, HttpResponse, TransportError};
use countersign_store::{FileStore, Purpose};
use serde_json::json;
use support::{Fault, Recorder, World};

const MINUTE: Duration = Duration::from_secs(60);

fn open(world: &World) -> TokenSource {
    TokenSource::open(&world.context, &World::name()).unwrap()
}

fn access(world: &World) -> Result<String, Error> {
    Ok(open(world).access_token(MINUTE)?.expose().to_owned())
}

/// How often the server was asked to renew.
fn renewals(world: &World) -> usize {
    let asked = world.server.seen("/token");
    asked
        .iter()
        .filter(|seen| seen.form["grant_type"] == "refresh_token")
        .count()
}

fn reason(error: &Error) -> LoginRequired {
    match error {
        Error::LoginRequired { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

/// A transport that nobody may use.
struct NoNetwork;

impl Transport for NoNetwork {
    fn send(&self, request: &HttpRequest, _: Duration) -> Result<HttpResponse, TransportError> {
        panic!("asked for {}", request.url);
    }
}

#[test]
fn a_token_that_is_good_is_answered_without_network_lock_or_sleep() {
    let world = World::signed_in();
    // Both locks are held by somebody else, for ever.
    let store = FileStore::open(&world.home.path().join("state/sessions"));
    let refresh = store
        .try_lock(&World::name(), Purpose::Refresh)
        .unwrap()
        .unwrap();
    let login = store
        .try_lock(&World::name(), Purpose::Login)
        .unwrap()
        .unwrap();
    // What a cached answer needs of the cache directory is nothing.
    std::fs::remove_dir_all(world.home.path().join("cache")).unwrap();
    let context = world.context.clone().with_transport(Arc::new(NoNetwork));
    let before = world.clock.monotonic();
    let tokens = TokenSource::open(&context, &World::name()).unwrap();
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-1"
    );
    assert!(tokens.id_token(MINUTE).unwrap().is_some());
    assert_eq!(world.clock.monotonic(), before);
    assert!(!world.home.path().join("cache").exists());
    drop((refresh, login));
}

#[test]
fn a_cached_token_starts_no_thread() {
    let world = World::signed_in();
    // The real clock and the real transport, made as the command line makes them.
    let directories = Directories::new(world.home.path().join("state"), "/nonexistent");
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .map(Iterator::count)
            .ok()
    };
    let context = Context::new(directories, HttpOptions::default())
        .with_clock(Arc::clone(&world.clock) as Arc<dyn Clock>);
    // Other tests start and end their own threads meanwhile: the lowest difference counts.
    let least = (0..50)
        .map(|_| {
            let before = threads();
            let tokens = TokenSource::open(&context, &World::name()).unwrap();
            tokens.access_token(MINUTE).unwrap();
            threads()
                .zip(before)
                .map_or(0, |(after, before)| after.saturating_sub(before))
        })
        .min();
    assert_eq!(least, Some(0));
}

#[test]
fn a_token_is_renewed_when_too_little_is_left() {
    let world = World::signed_in();
    world.clock.pass(380);
    assert_eq!(access(&world).unwrap(), "secret-access-1");
    world.clock.pass(170);
    assert_eq!(access(&world).unwrap(), "secret-access-2");
    assert_eq!(access(&world).unwrap(), "secret-access-2");
    assert_eq!(renewals(&world), 1);
    // What the server rotates is kept, and used the next time.
    world.clock.pass(600);
    assert_eq!(access(&world).unwrap(), "secret-access-3");
    assert_eq!(
        world.server.seen("/token").pop().unwrap().form["refresh_token"],
        "secret-refresh-2"
    );
}

#[test]
fn asking_for_more_than_the_server_gives_does_not_renew_every_time() {
    let world = World::signed_in();
    for _ in 0..5 {
        open(&world)
            .access_token(Duration::from_secs(86_400))
            .unwrap();
    }
    assert_eq!(renewals(&world), 0);
    world.clock.pass(310);
    open(&world)
        .access_token(Duration::from_secs(86_400))
        .unwrap();
    assert_eq!(renewals(&world), 1);
}

#[test]
fn metadata_is_fetched_once_for_many_renewals() {
    let world = World::signed_in();
    for _ in 0..5 {
        open(&world).refresh().unwrap();
    }
    assert_eq!(renewals(&world), 5);
    assert_eq!(
        world.server.seen("/.well-known/openid-configuration").len(),
        1
    );
    assert_eq!(world.server.seen("/jwks").len(), 1);
}

#[test]
fn sixty_four_threads_with_one_source_make_one_request() {
    let world = World::signed_in();
    world.clock.pass(3600);
    let tokens = open(&world);
    let start = Barrier::new(64);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            tokens.access_token(MINUTE).unwrap().expose().to_owned()
        };
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        answers.iter().all(|answer| answer == "secret-access-2"),
        "{answers:?}"
    );
    assert_eq!(renewals(&world), 1);
}

#[test]
fn sixty_four_sources_with_one_session_make_one_request() {
    // Each thread has a source of its own, as each process would: only the file lock stands between
    // them and a refresh token that is used twice, which this server punishes.
    let world = World::signed_in();
    world.clock.pass(3600);
    let start = Barrier::new(64);
    // Waiting for a lock must let the one who has it get on, which the fake clock would not.
    let context = world
        .context
        .clone()
        .with_clock(Arc::new(Real(Arc::clone(&world.clock))));
    let answers: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            let tokens = TokenSource::open(&context, &World::name()).unwrap();
            start.wait();
            tokens.access_token(MINUTE).unwrap().expose().to_owned()
        };
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        answers.iter().all(|answer| answer == "secret-access-2"),
        "{answers:?}"
    );
    assert_eq!(renewals(&world), 1);
}

/// The fake time of day, but the processor's idea of waiting: sleeping lets other threads run.
struct Real(Arc<support::FakeClock>);

impl Clock for Real {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, _: Duration) {
        std::thread::yield_now();
    }
}

#[test]
fn a_token_that_is_still_good_is_used_while_the_server_is_down() {
    let world = World::signed_in();
    world.server.go_down();
    world.clock.pass(580);
    let tokens = open(&world);
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-1"
    );
    let asked = world.server.all_seen().len();
    // And the server is left alone for a while.
    tokens.access_token(MINUTE).unwrap();
    assert_eq!(world.server.all_seen().len(), asked);
    world.clock.pass(11);
    tokens.access_token(MINUTE).unwrap();
    assert_eq!(world.server.all_seen().len(), asked + 1);
    world.clock.pass(11);
    let error = tokens.access_token(MINUTE).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
}

#[test]
fn nothing_that_may_pass_clears_a_session() {
    let reason = || "refused".to_owned();
    let faults = [
        Fault::Transport(TransportError::Timeout),
        Fault::Transport(TransportError::Closed),
        Fault::Transport(TransportError::Connect { reason: reason() }),
        Fault::Transport(TransportError::Proxy { reason: reason() }),
        Fault::Transport(TransportError::Tls { reason: reason() }),
        Fault::Transport(TransportError::TooLarge),
        Fault::Transport(TransportError::Redirect { location: None }),
        Fault::Transport(TransportError::Malformed { reason: reason() }),
        Fault::Answer(500, json!({})),
        Fault::Answer(503, json!({ "error": "temporarily_unavailable" })),
        Fault::Answer(400, json!({ "error": "temporarily_unavailable" })),
        Fault::Answer(400, json!({ "error": "server_error" })),
        Fault::Answer(429, json!({ "error": "slow_down" })),
        Fault::Answer(401, json!({ "error": "invalid_client" })),
        Fault::Answer(400, json!({ "error": "invalid_scope" })),
        Fault::Answer(404, json!({})),
        Fault::Answer(403, json!({ "message": "Forbidden" })),
        Fault::Answer(400, json!({ "error": "unauthorized_client" })),
        Fault::Answer(200, json!({})),
        Fault::Text(502, "<html>bad gateway</html>"),
        Fault::Text(500, "<html>invalid_grant: the database is away</html>"),
        Fault::Text(
            400,
            "<html><body>{\"error\":\"invalid_grant\"}</body></html>",
        ),
        Fault::Text(429, "invalid_grant"),
        Fault::Text(200, "<html>sign in to this network</html>"),
        Fault::Text(200, ""),
        Fault::Text(200, "{\"access_token\":"),
    ];
    for fault in faults {
        let world = World::signed_in();
        let before = std::fs::read(world.file()).unwrap();
        world.clock.pass(3600);
        world.server.always("/token", fault.clone());
        let error = access(&world).unwrap_err();
        assert_ne!(
            error.exit_category(),
            ExitCategory::LoginRequired,
            "{fault:?}: {error:?}"
        );
        assert_eq!(std::fs::read(world.file()).unwrap(), before, "{fault:?}");
        world.server.recover();
        assert_eq!(access(&world).unwrap(), "secret-access-2", "{fault:?}");
    }
}

#[test]
fn a_session_that_the_server_has_ended_needs_a_person_and_says_so_every_time() {
    let world = World::signed_in();
    world.clock.pass(3600);
    world.server.end_session();
    assert_eq!(
        reason(&access(&world).unwrap_err()),
        LoginRequired::Rejected
    );
    let asked = world.server.all_seen().len();
    assert_eq!(
        reason(&access(&world).unwrap_err()),
        LoginRequired::Rejected
    );
    assert_eq!(
        world.server.all_seen().len(),
        asked,
        "the verdict is remembered"
    );
    let kept = world.context.session(&World::name()).unwrap().unwrap();
    assert!(kept.has_ended() && !kept.has_refresh_token());
    assert!(
        !std::fs::read_to_string(world.file())
            .unwrap()
            .contains("secret-refresh")
    );
    world.server.pending(0);
    world.login().run(&mut Recorder::default()).unwrap();
    access(&world).unwrap();
}

#[test]
fn an_old_refresh_token_that_is_refused_does_not_end_a_newer_session() {
    // Something without locks renews the session while our request is on its way: the server refuses
    // our token, and the file holds another by then.
    struct Overtaken {
        world: World,
        again: AtomicBool,
    }
    impl Transport for Overtaken {
        fn send(
            &self,
            request: &HttpRequest,
            limit: Duration,
        ) -> Result<HttpResponse, TransportError> {
            if request.url.path() == "/token" && self.again.swap(false, Ordering::SeqCst) {
                self.world.server.pending(0);
                // The other program keeps its session without asking for our lock.
                let elsewhere = World::new();
                let directories = elsewhere.context.directories().clone();
                let other = Context::new(directories, HttpOptions::default())
                    .with_clock(Arc::clone(&self.world.clock) as Arc<dyn Clock>)
                    .with_transport(Arc::clone(&self.world.server) as Arc<dyn Transport>);
                self.world
                    .login()
                    .context(other)
                    .run(&mut Recorder::default())
                    .unwrap();
                std::fs::copy(elsewhere.file(), self.world.file()).unwrap();
                let answer = Fault::Answer(400, json!({ "error": "invalid_grant" }));
                self.world.server.next("/token", answer);
            }
            self.world.server.send(request, limit)
        }
    }
    let world = World::signed_in();
    world.clock.pass(3600);
    let context = world.context.clone();
    let transport = Arc::new(Overtaken {
        world,
        again: AtomicBool::new(true),
    });
    let context = context.with_transport(Arc::clone(&transport) as Arc<dyn Transport>);
    let tokens = TokenSource::open(&context, &World::name()).unwrap();
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    let kept = context.session(&World::name()).unwrap().unwrap();
    assert!(kept.has_refresh_token() && !kept.has_ended());
}

#[test]
fn what_another_process_renewed_is_used_without_asking_again() {
    let world = World::signed_in();
    let tokens = open(&world);
    world.clock.pass(3600);
    access(&world).unwrap();
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    assert_eq!(renewals(&world), 1);
}

/// A clock that lets another process renew the session at the nth time it is looked at.
struct Meddling {
    world: World,
    looks_left: AtomicUsize,
}

impl Clock for Meddling {
    fn now(&self) -> Timestamp {
        if self.looks_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // When the lock is held already, the other could do nothing but wait.
            let store = FileStore::open(&self.world.home.path().join("state/sessions"));
            let free = store
                .try_lock(&World::name(), Purpose::Refresh)
                .unwrap()
                .is_some();
            if free {
                access(&self.world).unwrap();
            }
        }
        self.world.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.world.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.world.clock.sleep(duration);
    }
}

#[test]
fn another_process_may_renew_at_any_moment_and_no_token_is_used_twice() {
    // Before the first look, after it, between the look and the lock, under the lock: this server ends
    // the session if one refresh token reaches it twice.
    for look in 1..=12 {
        let world = World::signed_in();
        world.clock.pass(3600);
        let context = world.context.clone();
        let clock = Arc::new(Meddling {
            world,
            looks_left: AtomicUsize::new(1000),
        });
        let context = context.with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let tokens = TokenSource::open(&context, &World::name()).unwrap();
        clock.looks_left.store(look, Ordering::SeqCst);
        let token = tokens.access_token(MINUTE).unwrap();
        assert_eq!(token.expose(), "secret-access-2", "look {look}");
        assert_eq!(renewals(&clock.world), 1, "look {look}");
    }
}

#[test]
fn a_lock_that_is_never_let_go_is_not_waited_for_for_ever() {
    let world = World::signed_in();
    world.clock.pass(3600);
    let store = FileStore::open(&world.home.path().join("state/sessions"));
    let lock = store.try_lock(&World::name(), Purpose::Refresh).unwrap();
    let before = world.clock.monotonic();
    let error = access(&world).unwrap_err();
    assert_eq!(error.code(), "lock_timeout");
    assert_eq!(error.exit_category(), ExitCategory::Storage);
    let waited = world.clock.monotonic().saturating_sub(before);
    assert!((40..=41).contains(&waited.as_secs()), "{waited:?}");
    drop(lock);
    access(&world).unwrap();
}

#[test]
fn without_a_refresh_token_the_session_ends_with_its_access_token() {
    let world = World::new();
    world.server.edit("/token", |answer| {
        answer.as_object_mut().unwrap().remove("refresh_token");
    });
    world.login().run(&mut Recorder::default()).unwrap();
    world.clock.pass(580);
    assert_eq!(access(&world).unwrap(), "secret-access-1");
    world.clock.pass(60);
    assert_eq!(reason(&access(&world).unwrap_err()), LoginRequired::Expired);
    let none = TokenSource::open(&world.context, &"nobody".parse().unwrap()).unwrap_err();
    assert_eq!(reason(&none), LoginRequired::NoSession);
}

#[test]
fn a_server_that_does_not_say_how_long_is_believed_until_asked_to_renew() {
    let world = World::new();
    world.server.edit("/token", |answer| {
        answer.as_object_mut().unwrap().remove("expires_in");
    });
    world.login().run(&mut Recorder::default()).unwrap();
    world.clock.pass(86_400);
    assert_eq!(access(&world).unwrap(), "secret-access-1");
    open(&world).refresh().unwrap();
    assert_eq!(access(&world).unwrap(), "secret-access-2");
}

#[test]
fn a_clock_that_is_set_back_does_not_make_an_old_token_good() {
    let world = World::signed_in();
    let tokens = open(&world);
    world.clock.pass(700);
    world.clock.jump(-690);
    // In this process the monotonic clock knows; in a new one nobody can, but the server.
    assert_eq!(
        tokens.access_token(MINUTE).unwrap().expose(),
        "secret-access-2"
    );
    let world = World::signed_in();
    world.clock.jump(-7200);
    assert_eq!(access(&world).unwrap(), "secret-access-2");
}

#[test]
fn an_id_token_about_another_person_is_refused_and_the_session_kept_as_it_was() {
    let world = World::signed_in();
    let before = std::fs::read(world.file()).unwrap();
    world.clock.pass(3600);
    world
        .server
        .edit_id_token(|claims| claims["sub"] = json!("mallory"));
    let error = access(&world).unwrap_err();
    assert_eq!(error.code(), "id_token_subject_changed");
    assert_eq!(std::fs::read(world.file()).unwrap(), before);
}

#[test]
fn keys_that_cannot_be_had_do_not_cost_the_session() {
    for fault in [
        Fault::Answer(503, json!({})),
        Fault::Answer(403, json!({})),
        Fault::Text(200, "<html>sign in to this network</html>"),
        Fault::Transport(TransportError::Timeout),
        // Everything as it should be, but the new key is not in it yet.
        Fault::Answer(200, json!({ "keys": [] })),
    ] {
        let world = World::signed_in();
        world.clock.pass(2 * 86_400);
        world.server.rotate_keys();
        world.server.always("/jwks", fault.clone());
        assert_eq!(access(&world).unwrap(), "secret-access-2", "{fault:?}");
        let kept = world.context.session(&World::name()).unwrap().unwrap();
        assert_eq!(kept.identity().subject.as_deref(), Some("ada"));
        world.clock.pass(3600);
        assert_eq!(access(&world).unwrap(), "secret-access-3", "{fault:?}");
    }
}

#[test]
fn an_id_token_that_is_not_renewed_is_good_until_it_expires() {
    let world = World::signed_in();
    world.server.renews_no_id_token();
    world.clock.pass(580);
    let tokens = open(&world);
    assert!(tokens.id_token(MINUTE).unwrap().is_some());
    world.clock.pass(100);
    assert_eq!(
        reason(&tokens.id_token(MINUTE).unwrap_err()),
        LoginRequired::Expired
    );
    // The access token is another matter.
    tokens.access_token(MINUTE).unwrap();
}

#[test]
fn an_answer_that_was_lost_on_the_way_does_not_end_the_session_here() {
    let world = World::signed_in();
    world.clock.pass(3600);
    world.server.next("/token", Fault::Lost);
    let error = access(&world).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Unreachable);
    // This server has spent the token all the same. That is its verdict to give.
    assert_eq!(
        reason(&access(&world).unwrap_err()),
        LoginRequired::Rejected
    );
}

#[test]
fn a_session_that_was_logged_out_is_not_brought_back_by_a_renewal() {
    let world = World::signed_in();
    let tokens = open(&world);
    world.clock.pass(3600);
    logout(&world.context, &World::name(), MINUTE).unwrap();
    assert_eq!(
        reason(&tokens.access_token(MINUTE).unwrap_err()),
        LoginRequired::NoSession
    );
    assert!(!world.file().exists());
}

#[test]
fn a_session_that_cannot_be_written_is_an_error_and_not_a_silent_loss() {
    let world = World::signed_in();
    world.clock.pass(3600);
    let tokens = open(&world);
    // A directory where the file should be: nothing can be renamed over it.
    let file = world.file();
    world.server.edit("/token", move |_| {
        let _ = std::fs::remove_file(&file);
        let _ = std::fs::create_dir(&file);
    });
    let error = tokens.access_token(MINUTE).unwrap_err();
    assert_eq!(error.exit_category(), ExitCategory::Storage);
}
