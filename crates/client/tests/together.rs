//! Many who need a login at the same time: one of them signs a person in, and the person sees one window.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use countersign_client::{
    AuthorizationPrompt, Clock, DevicePrompt, Error, LoginRequired, Notice, Prompt, Timestamp,
};
use countersign_store::{FileStore, Lock, Purpose};
use support::{FakeClock, Recorder, World};

const MINUTE: Duration = Duration::from_secs(60);

thread_local! {
    /// Whether it is this thread that signs somebody in: for the others time does not pass.
    static SIGNS_IN: Cell<bool> = const { Cell::new(false) };
}

/// Time passes for the one who waits for a person. Those who wait for that one let it get on.
struct Shared(Arc<FakeClock>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        if SIGNS_IN.get() {
            self.0.sleep(duration);
        } else {
            std::thread::yield_now();
        }
    }
}

/// Counts the windows that a person sees.
struct Windows<'a> {
    seen: &'a AtomicUsize,
}

impl Prompt for Windows<'_> {
    fn show_device(&mut self, _: &DevicePrompt) {
        SIGNS_IN.set(true);
        self.seen.fetch_add(1, Ordering::SeqCst);
    }

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {
        unreachable!("this server has the device grant alone");
    }

    fn notice(&mut self, _: &Notice) {}
}

/// Sixty-four callers that each need a token, as so many processes would.
fn everybody(world: &World) -> (Vec<Result<String, Error>>, usize) {
    let clock = Arc::new(Shared(Arc::clone(&world.clock)));
    let context = world.context.clone().with_clock(clock);
    let seen = AtomicUsize::new(0);
    let start = Barrier::new(64);
    let answers = std::thread::scope(|scope| {
        let ask = || {
            let login = world.login().context(context.clone());
            let mut windows = Windows { seen: &seen };
            start.wait();
            let tokens = login.ensure(&mut windows)?;
            Ok(tokens.access_token(MINUTE)?.expose().to_owned())
        };
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        let answers = threads.into_iter().map(|it| it.join().unwrap());
        answers.collect()
    });
    (answers, seen.load(Ordering::SeqCst))
}

#[test]
fn a_hundred_calls_that_need_a_login_produce_one() {
    for session in ["none", "expired", "ended"] {
        let world = World::new();
        if session != "none" {
            world.login().run(&mut Recorder::default()).unwrap();
            world.clock.pass(3600);
        }
        if session == "ended" {
            world.server.end_session();
        }
        let (answers, windows) = everybody(&world);
        assert_eq!(windows, usize::from(session != "expired"), "{session}");
        let first = answers.first().unwrap().as_ref().unwrap();
        for answer in &answers {
            assert_eq!(answer.as_ref().unwrap(), first, "{session}");
        }
    }
}

#[test]
fn nobody_who_waited_for_a_login_that_failed_opens_the_next_window() {
    let world = World::new();
    let clock = Arc::new(Shared(Arc::clone(&world.clock)));
    let context = world.context.clone().with_clock(clock);
    let store = FileStore::open(&world.home.path().join("state/sessions"));
    let lock = store.try_lock(&World::name(), Purpose::Login).unwrap();
    let mut prompt = GivesUp { lock, windows: 0 };
    let error = world
        .login()
        .context(context)
        .ensure(&mut prompt)
        .unwrap_err();
    let Error::LoginRequired { reason, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(reason, LoginRequired::NoSession);
    assert_eq!(prompt.windows, 0);
}

/// Another process whose person closes the window.
struct GivesUp {
    lock: Option<Lock>,
    windows: usize,
}

impl Prompt for GivesUp {
    fn show_device(&mut self, _: &DevicePrompt) {
        self.windows += 1;
    }

    fn show_authorization(&mut self, _: &AuthorizationPrompt) {
        self.windows += 1;
    }

    fn notice(&mut self, notice: &Notice) {
        if *notice == Notice::WaitingForLogin {
            self.lock = None;
        }
    }
}

#[test]
fn a_login_that_was_finished_just_before_is_not_asked_for_again() {
    // The other one lets go of the lock after this one has looked, and before it asks for the lock: so
    // there was nothing to wait for.
    struct Late<'a> {
        world: &'a World,
        done: Cell<bool>,
    }
    impl Prompt for Late<'_> {
        fn show_device(&mut self, _: &DevicePrompt) {
            unreachable!("somebody is signed in");
        }
        fn show_authorization(&mut self, _: &AuthorizationPrompt) {
            unreachable!("somebody is signed in");
        }
        fn notice(&mut self, notice: &Notice) {
            // The first look finds a file that is torn, and says so.
            if matches!(notice, Notice::SessionSetAside { .. }) && !self.done.replace(true) {
                self.world.login().run(&mut Recorder::default()).unwrap();
            }
        }
    }
    let world = World::signed_in();
    std::fs::write(world.file(), "{ torn").unwrap();
    let mut prompt = Late {
        world: &world,
        done: Cell::new(false),
    };
    world.login().run(&mut prompt).unwrap();
    assert!(prompt.done.get());
}
