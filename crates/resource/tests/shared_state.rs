//! What replicas share, over real databases: what they promise, and what becomes of a question when a
//! database is full, away, asleep or not what it should be.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_oauth::Secret;
use countersign_resource::Timestamp;
use countersign_resource::state::{
    Claim, Key, PostgresState, RedisState, Remote, SharedState, StateError, conformance,
};
use countersign_testkit::Database;
use rustix::process::Signal;
use tokio::task::JoinSet;

const PASSWORD: &str = "a password";

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_secs(now.as_secs().try_into().unwrap())
}

fn redis_at(database: &Database) -> Remote {
    let socket = database.socket().display();
    Remote::parse(&format!("redis+unix://{socket}")).unwrap()
}

fn postgres_at(database: &Database) -> Remote {
    let socket = database.socket().display();
    let remote = Remote::parse(&format!("postgres+unix://{socket}")).unwrap();
    let remote = remote.user("countersign").database("postgres");
    // The first connection makes the tables, on a machine that does other things.
    let remote = remote.timeout(Duration::from_secs(10));
    remote.password(Secret::new(PASSWORD))
}

fn redis(remote: Remote) -> Arc<dyn SharedState> {
    Arc::new(RedisState::new(remote).unwrap())
}

fn postgres(remote: Remote) -> Arc<dyn SharedState> {
    Arc::new(PostgresState::new(remote).unwrap())
}

async fn claim(state: &dyn SharedState, name: &str) -> Result<Claim, StateError> {
    let key = Key::new("test", &[name.as_bytes()]);
    state
        .claim(&key, now() + Duration::from_secs(300), now())
        .await
}

/// Of 64 simultaneous claims on two replicas exactly one is the first, every time.
async fn one_of_many(replicas: [Arc<dyn SharedState>; 2]) {
    let trials = std::env::var("COUNTERSIGN_TRIALS").map_or(25, |trials| {
        5 * trials
            .parse::<u32>()
            .expect("COUNTERSIGN_TRIALS is a number")
    });
    for trial in 0..trials {
        let mut tasks = JoinSet::new();
        for number in 0..64 {
            let replica = Arc::clone(&replicas[number % 2]);
            let name = format!("trial {trial}");
            tasks.spawn(async move { claim(&*replica, &name).await.unwrap() });
        }
        let claims = tasks.join_all().await;
        let first = claims
            .iter()
            .filter(|claim| **claim == Claim::First)
            .count();
        assert_eq!(first, 1, "trial {trial}");
    }
}

/// While the database is away every question says so, soon; once it is back, they are answered.
async fn away_and_back(state: &dyn SharedState, database: &mut Database) {
    assert_eq!(claim(state, "before").await.unwrap(), Claim::First);
    database.kill();
    for name in ["while it is away", "and again"] {
        let asked = Instant::now();
        let error = claim(state, name).await.unwrap_err();
        assert_eq!(error.code(), "state_unavailable");
        assert!(asked.elapsed() < Duration::from_secs(11), "{error:?}");
    }
    database.start();
    back(state).await;
    assert_eq!(claim(state, "after").await.unwrap(), Claim::First);
}

async fn back(state: &dyn SharedState) {
    let began = Instant::now();
    while let Err(error) = state.denied(&[Key::new("test", &[])], None, now()).await {
        assert!(began.elapsed() < Duration::from_secs(60), "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_its_promises() {
    let database = Database::redis(&[]);
    // Half a second is enough for a request and not for a machine that builds something.
    let remote = redis_at(&database).timeout(Duration::from_secs(10));
    let (one, other) = (redis(remote.clone()), redis(remote.database("0")));
    conformance::check(&one, &other, now()).await;
    one_of_many([one, other]).await;
}

#[tokio::test]
async fn redis_says_whether_its_counters_outlive_it() {
    for (options, expected) in [(&[][..], false), (&["--appendonly", "yes"][..], true)] {
        let database = Database::redis(options);
        let remote = redis_at(&database).timeout(Duration::from_secs(10));
        let state = RedisState::new(remote).unwrap();
        assert!(!state.keeps_counters(), "nothing is known yet");
        state.ping().await.unwrap();
        assert_eq!(state.keeps_counters(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_its_promises() {
    let mut database = Database::postgres(PASSWORD, None);
    let (one, other) = (
        postgres(postgres_at(&database)),
        postgres(postgres_at(&database)),
    );
    // It listens before it answers.
    back(&*one).await;
    conformance::check(&one, &other, now()).await;
    one_of_many([Arc::clone(&one), other]).await;
    away_and_back(&*one, &mut database).await;
    // What was claimed before the crash still is.
    assert_eq!(claim(&*one, "before").await.unwrap(), Claim::Again);
    assert_eq!(one.remembers_since(), None);
}

#[tokio::test]
async fn redis_away_and_back_says_since_when_it_remembers() {
    let mut database = Database::redis(&[]);
    let state = redis(redis_at(&database));
    assert_eq!(claim(&*state, "first").await.unwrap(), Claim::First);
    let before = state.remembers_since().unwrap();
    assert!(before <= now() + Duration::from_secs(1), "{before:?}");
    away_and_back(&*state, &mut database).await;
    // It has forgotten everything, and whoever asks can tell.
    assert_eq!(claim(&*state, "before").await.unwrap(), Claim::First);
    let after = state.remembers_since().unwrap();
    assert!(after >= before, "{after:?} is not after {before:?}");
}

/// A database that accepts a question and says nothing costs the time limit once, and then nothing.
#[tokio::test]
async fn a_database_that_sleeps_is_given_up_on_in_time() {
    let database = Database::redis(&[]);
    let state = redis(redis_at(&database).timeout(Duration::from_secs(2)));
    assert_eq!(claim(&*state, "awake").await.unwrap(), Claim::First);
    database.signal(Signal::STOP);
    let asked = Instant::now();
    assert!(claim(&*state, "asleep").await.is_err());
    let first = asked.elapsed();
    assert!(first < Duration::from_secs(10), "{first:?}");
    let asked = Instant::now();
    assert!(claim(&*state, "still asleep").await.is_err());
    assert!(asked.elapsed() < first, "{:?}", asked.elapsed());
    database.signal(Signal::CONT);
    back(&*state).await;
}

#[tokio::test]
async fn a_full_redis_says_that_it_is_full() {
    let database = Database::redis(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]);
    let state = redis(redis_at(&database).timeout(Duration::from_secs(10)));
    let mut outcome = Ok(Claim::First);
    for number in 0..20_000 {
        outcome = claim(&*state, &number.to_string()).await;
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome.unwrap_err().code(), "state_full");
    // A denial that cannot be noted is an error as well, and never silence.
    let key = Key::new("test", &[b"denial"]);
    let until = now() + Duration::from_secs(60);
    let whenever = countersign_resource::state::Issued::Whenever;
    let denied = state.deny(&key, whenever, until, now()).await;
    assert_eq!(denied.unwrap_err().code(), "state_full");
}

/// One named misuse, one named refusal.
#[tokio::test]
async fn a_database_that_would_forget_is_refused() {
    for (options, expected) in [
        (vec!["--maxmemory-policy", "allkeys-lru"], "noeviction"),
        (vec!["--replicaof", "127.0.0.1 1"], "replica"),
        (vec!["--requirepass", "other"], "NOAUTH"),
    ] {
        let database = Database::redis(&options);
        let state = redis(redis_at(&database).timeout(Duration::from_secs(10)));
        let error = claim(&*state, "x").await.unwrap_err();
        let told = format!("{error:?}");
        assert!(told.contains(expected), "{options:?}: {told}");
    }
}

#[tokio::test]
async fn over_a_network_certificates_are_checked_and_passwords_asked_for() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let redis_server = Database::redis_with_tls(&certificate, &key, PASSWORD);
    let postgres_server = Database::postgres(PASSWORD, Some((&certificate, &key)));
    let at = |scheme: &str, port: u16, path: &str| {
        let remote = Remote::parse(&format!("{scheme}://127.0.0.1:{port}/{path}")).unwrap();
        remote.timeout(Duration::from_secs(10))
    };
    let redis_remote = at("rediss", redis_server.port(), "0");
    // What is on this machine is not encrypted unless asked for.
    let postgres_remote = at("postgres", postgres_server.port(), "postgres");
    let postgres_remote = postgres_remote.user("countersign").require_tls();
    for (remote, make) in [
        (redis_remote, redis as fn(Remote) -> Arc<dyn SharedState>),
        (postgres_remote, postgres),
    ] {
        let known = remote.clone().add_ca_pem(certificate.clone());
        let state = make(known.clone().password(Secret::new(PASSWORD)));
        assert_eq!(claim(&*state, "encrypted").await.unwrap(), Claim::First);

        let state = make(remote.clone().password(Secret::new(PASSWORD)));
        let told = format!("{:?}", claim(&*state, "unknown CA").await.unwrap_err());
        assert!(told.contains("UnknownIssuer"), "{told}");

        for password in [None, Some("wrong")] {
            let remote = known.clone();
            let state = make(match password {
                Some(password) => remote.password(Secret::new(password)),
                None => remote,
            });
            let told = format!("{:?}", claim(&*state, "x").await.unwrap_err());
            assert!(
                told.contains("assword") || told.contains("NOAUTH"),
                "{told}"
            );
            assert!(!told.contains("wrong\""), "{told}");
        }
    }
}
