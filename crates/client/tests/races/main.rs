//! Sixty-four processes with eight threads each, and one refresh token that is good once.
//!
//! The processes are real: this program once more, each with a [`TokenSource`] of its own over the same
//! files. The server ends the login when a refresh token is used a second time, as servers do that take
//! it for stolen (RFC 9700, section 4.14.2).
//!
//! # What is promised
//!
//! 1. *One request.* However many processes and threads find the token expired at the same moment, the
//!    server is asked once, and every one of them gets the new token.
//! 2. *No accident costs the session*, at a server that tells a successor again for a while to whoever
//!    presents the token before it, as `countersign-issuer` does for 30 seconds. It may answer 503, not
//!    answer, or close the connection before or after it has acted; processes may be killed with
//!    signal 9 at any moment, those first of all that are talking to it. When it is over, the session
//!    can be renewed, the server has seen no token used again that it would punish, and nobody was told
//!    to sign in.
//! 3. *At a server without any such grace*, no token is ever sent twice by us: whatever fails before the
//!    server has acted costs nothing. What nobody can promise there is what happens in between: when the
//!    server has spent the old token and its answer never arrives, or the one process that has the
//!    answer is killed before the file is in its place, then the new token is nowhere. That time is kept
//!    short (room on the disk and the keys for the ID token are there beforehand; what is left is
//!    reading the answer, one write, one sync, one rename), and the test counts: where a session is
//!    lost, the process that the server served last must be one that was killed.
//!
//! The same with the refresh token sealed by a key from a real gnome-keyring on a bus of its own.
//!
//! A few trials of each by default; fifty with `COUNTERSIGN_TRIALS`, which `cargo xtask prove` sets. The
//! seed of what fails is in the message, and `COUNTERSIGN_SEED` sets it. It fixes what the server does and
//! who is killed, not how the system shares out its processors.
//!
//! Not here: which system call of a writer survives a kill (`store/tests/kill.rs` steps through all).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod child;
mod fleet;
mod storm;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_client::VaultKind;
use countersign_testkit::{Desktop, Endpoint, Home, Provider, show};
use serde_json::json;

use child::{Plan, Role};
use fleet::{Fleet, Report};
use storm::{Random, Storm, Weather};

const PROCESSES: usize = 64;
/// Where it is not about how many there are.
const FEW: usize = 24;
/// How often the server acts before the weather is better.
const ANSWERS: usize = 6;

/// One trial at a time: each of them is load enough.
fn alone() -> MutexGuard<'static, ()> {
    static GATE: Mutex<()> = Mutex::new(());
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often to try: `few` times, or `many` times when asked for.
fn trials(few: u64, many: u64) -> u64 {
    let asked = std::env::var("COUNTERSIGN_TRIALS").ok();
    let asked: Option<u64> = asked.map(|asked| asked.parse().unwrap());
    asked.map_or(few, |asked| asked.min(many))
}

fn seed() -> u64 {
    let given = std::env::var("COUNTERSIGN_SEED").ok();
    given.map_or_else(
        || u64::from(std::process::id()) << 20,
        |given| given.parse().unwrap(),
    )
}

/// Not a test of its own: the body of the child processes, which are this same program.
#[test]
fn child() {
    if let Some(plan) = Plan::of_environment() {
        plan.play();
    }
}

/// A server, and a home in which somebody has signed in there.
struct World {
    provider: Provider,
    home: Home,
    vault: VaultKind,
    desktop: Option<Desktop>,
}

impl World {
    fn new(vault: VaultKind, grace: Duration) -> Self {
        let desktop = (vault != VaultKind::File).then(Desktop::new);
        let world = Self {
            provider: Provider::start(),
            home: Home::new(),
            vault,
            desktop,
        };
        world.provider.revoke_on_reuse(grace);
        world.sign_in();
        world
    }

    fn sign_in(&self) {
        let done = self.one(Role::Login);
        assert_eq!(done.failures, Vec::<String>::new());
    }

    /// What a process of this kind needs to know.
    fn plan(&self, role: Role, limit: Duration) -> Plan {
        Plan {
            role,
            home: self.home.path().to_owned(),
            issuer: self.provider.issuer(),
            vault: self.vault,
            bus: self.desktop.as_ref().map(|it| it.address().to_owned()),
            limit,
        }
    }

    /// What becomes of a single process in good weather.
    fn one(&self, role: Role) -> Report {
        let mut fleet = Fleet::start(&self.plan(role, Duration::from_secs(30)), 1);
        fleet.release();
        fleet.finish().pop().unwrap()
    }

    /// How often the server was asked to renew.
    fn renewals(&self) -> usize {
        let asked = self.provider.requests(Endpoint::Token);
        let renewals = asked
            .iter()
            .filter(|it| it.form_value("grant_type").as_deref() == Some("refresh_token"));
        renewals.count()
    }

    /// From now on, access tokens are good for so many seconds.
    fn tokens_live(&self, seconds: u64) {
        self.provider.edit(Endpoint::Token, move |answer| {
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("expires_in".to_owned(), json!(seconds));
            }
        });
    }

    fn access_tokens(&self) -> BTreeSet<String> {
        let secrets = self.provider.secrets().into_iter();
        secrets.filter(|it| it.contains("access")).collect()
    }
}

/// Everybody finds the token expired at once.
fn one_request_serves_all(world: &World, trial: u64) {
    world.tokens_live(0);
    assert_eq!(world.one(Role::Refresh).failures, Vec::<String>::new());
    world.provider.behave(Endpoint::Token);
    let (known, asked) = (world.access_tokens(), world.renewals());
    let mut fleet = Fleet::start(&world.plan(Role::Once, Duration::from_secs(30)), PROCESSES);
    fleet.release();
    let reports = fleet.finish();
    assert_eq!(reports.len(), PROCESSES, "trial {trial}");
    for report in &reports {
        assert_eq!(report.failures, Vec::<String>::new(), "trial {trial}");
        assert_eq!(report.tokens.len(), child::THREADS, "trial {trial}");
    }
    assert_eq!(world.renewals() - asked, 1, "trial {trial}");
    assert_eq!(world.provider.reuses(), 0, "trial {trial}");
    let now = world.access_tokens();
    let new: Vec<&String> = now.difference(&known).collect();
    let got: BTreeSet<&String> = reports.iter().flat_map(|it| &it.tokens).collect();
    assert_eq!(got.into_iter().collect::<Vec<_>>(), new, "trial {trial}");
}

#[test]
fn one_refresh_request_serves_sixty_four_processes_of_eight_threads() {
    let _alone = alone();
    let world = World::new(VaultKind::File, Duration::ZERO);
    for trial in 0..trials(3, 50) {
        one_request_serves_all(&world, trial);
    }
}

#[test]
fn the_same_with_a_key_from_a_real_keyring() {
    let _alone = alone();
    let world = World::new(VaultKind::KeyringKey, Duration::ZERO);
    for trial in 0..trials(1, 10) {
        one_request_serves_all(&world, trial);
    }
}

/// What came out of a time of bad weather.
struct Outcome {
    reports: Vec<Report>,
    killed: BTreeSet<u32>,
    /// The process for which the server acted last.
    last_served: Option<u32>,
    rotations: usize,
    /// Whether the session can be renewed now that all is well.
    survived: bool,
}

/// Lets the processes use short-lived tokens for a while, in this weather.
fn sail_through(world: &World, weather: Weather, processes: usize, seed: u64) -> Outcome {
    // Long enough to be used, short enough to be renewed several times.
    world.tokens_live(1);
    assert_eq!(world.one(Role::Refresh).failures, Vec::<String>::new());
    let limit = weather.patience();
    let mut fleet = Fleet::start(&world.plan(Role::Loop, limit), processes);
    let storm = Storm::begin(&world.provider, weather, &fleet, seed);
    storm.rage(
        ANSWERS,
        &world.provider,
        &fleet,
        &mut Random::new(seed ^ 0x5eed),
    );
    let calm = storm.end(&world.provider);
    // Whoever is left gets a token in the end, before it is told to stop.
    world.tokens_live(1);
    fleet.release();
    let killed = fleet.killed();
    let reports = fleet.finish();
    let last = world.one(Role::Refresh);
    Outcome {
        reports,
        killed,
        last_served: calm.last_served,
        rotations: calm.rotations,
        survived: last.failures.is_empty(),
    }
}

impl Outcome {
    /// Nobody was told to sign in, and every token that anybody got is one of the server's.
    fn check_survivors(&self, world: &World, seed: u64) {
        let issued = world.access_tokens();
        for report in &self.reports {
            let lost = report
                .failures
                .iter()
                .find(|it| it.contains("login_required"));
            assert_eq!(lost, None, "seed {seed}, process {}", report.pid);
            assert!(
                report.tokens.iter().all(|token| issued.contains(token)),
                "seed {seed}: a token that the server never issued"
            );
            let is_left = !self.killed.contains(&report.pid);
            assert!(
                !is_left || report.last == Some(true),
                "seed {seed}: process {} was left without a token: {:?}",
                report.pid,
                report.failures
            );
        }
    }
}

fn no_accident_costs_the_session(vault: VaultKind, processes: usize, trials: u64) {
    // As long as the issuer's.
    let world = World::new(vault, Duration::from_secs(30));
    let (mut killed, mut rotations, base) = (0, 0, seed());
    for seed in base..base + trials {
        let outcome = sail_through(&world, Weather::Hurricane, processes, seed);
        assert_eq!(world.provider.reuses(), 0, "seed {seed}");
        assert!(outcome.survived, "seed {seed}: the session is lost");
        outcome.check_survivors(&world, seed);
        killed += outcome.killed.len();
        rotations += outcome.rotations;
    }
    show(&format!(
        "{trials} storms, {vault}: {rotations} answers of the server, {killed} processes killed, no session lost"
    ));
    // Otherwise the weather was not that bad.
    assert!(killed > 0 && rotations > 0, "seed {base}");
}

#[test]
fn no_fault_of_the_server_and_no_kill_costs_the_session() {
    let _alone = alone();
    no_accident_costs_the_session(VaultKind::File, PROCESSES, trials(1, 50));
}

#[test]
fn the_same_storm_with_a_key_from_a_real_keyring() {
    let _alone = alone();
    no_accident_costs_the_session(VaultKind::KeyringKey, FEW, trials(1, 10));
}

#[test]
fn a_server_without_grace_never_sees_a_token_twice() {
    let _alone = alone();
    let world = World::new(VaultKind::File, Duration::ZERO);
    let base = seed();
    for seed in base..base + trials(1, 50) {
        let outcome = sail_through(&world, Weather::Refusals, FEW, seed);
        assert_eq!(world.provider.reuses(), 0, "seed {seed}");
        assert!(outcome.survived, "seed {seed}: the session is lost");
        outcome.check_survivors(&world, seed);
    }
}

#[test]
fn without_grace_only_a_kill_of_the_one_that_is_served_costs_a_session() {
    let _alone = alone();
    let (mut killed, mut rotations, mut lost, base) = (0, 0, 0, seed());
    let trials = trials(1, 50);
    let mut world = World::new(VaultKind::File, Duration::ZERO);
    for seed in base..base + trials {
        let outcome = sail_through(&world, Weather::Kills, FEW, seed);
        killed += outcome.killed.len();
        rotations += outcome.rotations;
        if outcome.survived {
            assert_eq!(world.provider.reuses(), 0, "seed {seed}");
            outcome.check_survivors(&world, seed);
            continue;
        }
        lost += 1;
        let served = outcome.last_served.unwrap();
        assert!(
            outcome.killed.contains(&served),
            "seed {seed}: the session is lost, and process {served}, which was served last, was not killed"
        );
        world = World::new(VaultKind::File, Duration::ZERO);
    }
    show(&format!(
        "{trials} storms without grace: {rotations} answers, {killed} processes killed, {lost} sessions \
         lost, each by a kill of the process that was served last"
    ));
}
