//! Two replicas over one memory, asked at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_resource::SqliteFile;
use countersign_resource::otp::{Devices, OtpService, PostgresDevices, Typed, conformance};
use countersign_resource::state::{self, PostgresState, RedisState, SharedState};
use countersign_testkit::Database;
use tokio::task::JoinSet;

use crate::scene::{
    ADA, Bag, Hands, PARALLEL, PASSWORD, now, over_file, remote, replica, says, trials,
};

/// What was the matter with each of [`PARALLEL`] requests, half of them at each replica.
async fn together(
    replicas: &[OtpService; 2],
    clock: &Hands,
    request: impl Fn(usize) -> (Typed, String),
) -> Vec<&'static str> {
    let mut tasks = JoinSet::new();
    for number in 0..PARALLEL {
        let (service, clock) = (replicas[number % 2].clone(), clock.clone());
        let (typed, nonce) = request(number);
        tasks.spawn(async move { says(&service, &clock, &typed, &nonce).await });
    }
    let said = tasks.join_all().await;
    replicas[0].unlock(ADA).await.unwrap();
    said
}

fn one_is_right(said: &[&str], others: &str, what: &str) {
    let right = said.iter().filter(|code| **code == "right").count();
    assert_eq!(right, 1, "{what}: {said:?}");
    assert!(
        said.iter().all(|code| ["right", others].contains(code)),
        "{what}: {said:?}"
    );
}

/// The same password of a key, the same code of an authenticator, and the same challenge with another
/// right password each time: of 64 at once exactly one is accepted.
async fn one_of_many(replicas: [OtpService; 2], clock: &Hands, trials: u32) {
    let mut bag = Bag::packed(&replicas[0]).await;
    for trial in 0..trials {
        let nonce = |number| format!("{trial} {number}");
        let otp = bag.touch();
        let said = together(&replicas, clock, |number| (otp.clone(), nonce(number))).await;
        one_is_right(&said, "replayed_otp", &format!("password, trial {trial}"));
        let later = format!("later {trial}");
        assert_eq!(
            says(&replicas[1], clock, &otp, &later).await,
            "replayed_otp"
        );

        clock.advance(Duration::from_secs(90));
        let code = bag.code(clock);
        let said = together(&replicas, clock, |number| {
            (code.clone(), format!("t {}", nonce(number)))
        })
        .await;
        one_is_right(&said, "replayed_otp", &format!("step, trial {trial}"));

        let otps: Vec<Typed> = (0..PARALLEL).map(|_| bag.touch()).collect();
        let same = format!("n {trial}");
        let said = together(&replicas, clock, |number| {
            (otps[number].clone(), same.clone())
        })
        .await;
        one_is_right(&said, "expired", &format!("challenge, trial {trial}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_over_redis_accept_one() {
    let database = Database::redis(&[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otp.sqlite");
    let clock = Hands::at(now());
    let one = || {
        let state = Arc::new(RedisState::new(remote(&database)).unwrap());
        replica(Arc::new(SqliteFile::create(&path).unwrap()), state, &clock)
    };
    one_of_many([one(), one()], &clock, trials(15)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_over_postgres_accept_one() {
    let mut database = Database::postgres(PASSWORD, None);
    let clock = Hands::at(now());
    let one = || {
        let state = Arc::new(PostgresState::new(remote(&database)).unwrap());
        let devices = Arc::new(PostgresDevices::new(remote(&database)).unwrap());
        (Arc::clone(&devices), replica(devices, state, &clock))
    };
    let ((devices, first), (other, second)) = (one(), one());
    // It listens before it answers.
    let began = Instant::now();
    while let Err(error) = first.devices().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (devices, other): (Arc<dyn Devices>, Arc<dyn Devices>) = (devices, other);
    conformance::check(&devices, &other).await;
    one_of_many([first.clone(), second], &clock, trials(15)).await;

    // While the database is away nobody passes, and nobody is told that a password is wrong.
    database.kill();
    let mut bag = Bag::stranger();
    let said = says(&first, &clock, &bag.touch(), "while it is away").await;
    assert_eq!(said, "unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_keeps_what_every_state_and_every_registry_promises() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otp.sqlite");
    let files = || SqliteFile::create(&path).unwrap();
    let (one, other): (Arc<dyn SharedState>, Arc<dyn SharedState>) =
        (Arc::new(files()), Arc::new(files()));
    state::conformance::check(
        &one,
        &other,
        countersign_resource::Timestamp::from_millis(now()),
    )
    .await;
    let (one, other): (Arc<dyn Devices>, Arc<dyn Devices>) = (Arc::new(files()), Arc::new(files()));
    conformance::check(&one, &other).await;

    let clock = Hands::at(now());
    let replicas = [over_file(&path, &clock), over_file(&path, &clock)];
    one_of_many(replicas, &clock, 3).await;
}
