//! Several replicas and one state: what counts once counts once at all of them, and what is revoked
//! at one is revoked at all.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_gateway::{Revoked, revoke};
use countersign_jose::dpop::Proof;
use countersign_jose::{Algorithm, SigningKey, Timestamp, crypto};
use countersign_resource::{Clock, Demands, DpopPolicy, Presented, Rejection, Validator};
use countersign_testkit::Database;
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{AUDIENCE, Answer, Issuer, PATIENCE, ROUTES, Running, config, head, start_in};
use crate::upstream::Upstream;

const PASSWORD: &str = "a password";
const URL: &str = "http://gateway.test/stock/7";

/// The tables of a state in this database, with what else they say.
fn state(database: &Database, scheme: &str, more: &str) -> String {
    let socket = database.socket().display();
    format!("\n[state]\nurl = \"{scheme}+unix://{socket}\"\ntime = \"10s\"\n{more}\n")
}

const OF_POSTGRES: &str =
    "user = \"countersign\"\ndatabase = \"postgres\"\npassword_file = \"password\"";

/// A gateway whose files are there: the nonces of one replica are good at the other.
fn replica(upstream: &Upstream, state: &str) -> Running {
    let directory = TempDir::new().unwrap();
    for (name, text) in [("password", PASSWORD), ("nonces", &"A".repeat(43))] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }
    let nonces = "\n[dpop]\nrequire_nonce = true\nnonce_key_file = \"nonces\"\n";
    start_in(
        &(head(&upstream.url(), "") + ROUTES + nonces + state),
        directory,
    )
}

/// Whoever a token is bound to.
struct Holder {
    key: SigningKey,
    token: String,
}

impl Holder {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256, crypto::aws_lc::provider()).unwrap();
        let claims = json!({
            "cnf": { "jkt": key.thumbprint() }, "iat": (now() - NONCE_AGE).as_secs(),
        });
        let token = Issuer::get().token(&claims);
        Self { key, token }
    }

    /// The header lines of one request.
    fn headers(&self, nonce: Option<&str>) -> [String; 2] {
        let proof = Proof {
            htm: "GET",
            htu: URL,
            access_token: Some(&self.token),
            nonce,
        };
        let proof = proof.sign(&self.key, now()).unwrap();
        [
            format!("Authorization: DPoP {}", self.token),
            format!("DPoP: {proof}"),
        ]
    }

    fn nonce(&self, at: &Running) -> String {
        let headers = self.headers(None);
        let answer = at.get("/stock/7", &headers.each_ref().map(String::as_str));
        assert_eq!(answer.status, 401, "{answer:?}");
        answer.header("dpop-nonce").unwrap().to_owned()
    }

    /// A nonce of an age, made by a validator with the same key and a clock that is so late.
    async fn nonce_of_age(&self, age: Duration) -> String {
        let policy = DpopPolicy::new().require_nonce().nonce_key([0; 32]);
        let validator = Validator::builder(Issuer::get().url())
            .audience(AUDIENCE)
            .dpop(policy.origin(URL).unwrap())
            .clock(Late(age))
            .build()
            .unwrap();
        let mut request = http::Request::get("/stock/7");
        for line in self.headers(None) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let (presented, demands) = (Presented::head(&head), Demands::none());
        match validator.check(&presented, &demands).await {
            Err(Rejection::ProofNonce { nonce }) => nonce,
            other => panic!("{other:?}"),
        }
    }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_secs(now.as_secs().try_into().unwrap())
}

/// How long a nonce is good.
const NONCE_AGE: Duration = Duration::from_secs(300);

/// The clock of the machine, and so much behind it.
struct Late(Duration);

impl Clock for Late {
    fn now(&self) -> Timestamp {
        now() - self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// RFC 9449, section 8.2. The database has been there all the time, so that an old nonce is good.
#[tokio::test]
async fn an_answer_of_an_upstream_brings_the_next_nonce_before_the_last_is_too_old() {
    let (upstream, database) = (Upstream::start(), Database::postgres(PASSWORD, None));
    let replica = replica(&upstream, &state(&database, "postgres", OF_POSTGRES));
    let holder = Holder::new();
    let send = |nonce: &str| {
        let headers = holder.headers(Some(nonce));
        replica.get("/stock/7", &headers.each_ref().map(String::as_str))
    };
    let (young, old) = (NONCE_AGE / 3, NONCE_AGE * 2 / 3);
    let answer = send(&holder.nonce_of_age(young).await);
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, None));
    let answer = send(&holder.nonce_of_age(old).await);
    assert_eq!(answer.status, 200, "{answer:?}");
    let next = answer.header("dpop-nonce").expect("the next nonce");
    let answer = send(next);
    assert_eq!((answer.status, answer.header("dpop-nonce")), (200, None));
}

fn one_proof_passes_once(replicas: &[Running; 2]) {
    // Ten are enough to see a race; in full there are a thousand.
    let trials = std::env::var("COUNTERSIGN_TRIALS").map_or(10, |trials| {
        5 * trials
            .parse::<usize>()
            .expect("COUNTERSIGN_TRIALS is a number")
    });
    let holder = Holder::new();
    // A database says since when it runs by whole seconds, and what it may have forgotten is asked for
    // again: a nonce of its first second is not new enough.
    let begun = Instant::now();
    loop {
        let headers = holder.headers(Some(&holder.nonce(&replicas[0])));
        let answer = replicas[0].get("/stock/7", &headers.each_ref().map(String::as_str));
        if answer.status == 200 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        thread::sleep(Duration::from_millis(50));
    }
    for trial in 0..trials {
        let headers = holder.headers(Some(&holder.nonce(&replicas[0])));
        let headers = headers.each_ref().map(String::as_str);
        let (passed, together) = (AtomicUsize::new(0), Barrier::new(64));
        thread::scope(|scope| {
            for number in 0..64 {
                let (passed, together) = (&passed, &together);
                scope.spawn(move || {
                    together.wait();
                    let answer = replicas[number % 2].get("/stock/7", &headers);
                    match answer.status {
                        200 => {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                        status => assert_eq!(status, 401, "trial {trial}: {answer:?}"),
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1, "trial {trial}");
    }
}

#[test]
fn of_sixty_four_presentations_of_a_proof_one_passes_over_redis() {
    let (upstream, database) = (Upstream::start(), Database::redis(&[]));
    let state = state(&database, "redis", "");
    one_proof_passes_once(&[replica(&upstream, &state), replica(&upstream, &state)]);
}

#[test]
fn of_sixty_four_presentations_of_a_proof_one_passes_over_postgres() {
    let (upstream, database) = (Upstream::start(), Database::postgres(PASSWORD, None));
    let state = state(&database, "postgres", OF_POSTGRES);
    one_proof_passes_once(&[replica(&upstream, &state), replica(&upstream, &state)]);
}

#[test]
fn what_is_revoked_is_taken_by_no_replica() {
    let (upstream, database) = (Upstream::start(), Database::redis(&[]));
    let state = state(&database, "redis", "");
    let replicas = [replica(&upstream, &state), replica(&upstream, &state)];
    let token = |changes| Issuer::get().token(&changes);
    let get = |at: &Running, token: &str| {
        at.get("/stock/7", &[&format!("Authorization: Bearer {token}")])
            .status
    };
    let text = head(&upstream.url(), "") + ROUTES + &state;
    let revoke = |what: &Revoked<'_>| {
        let config = config(&text, replicas[0].directory.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let revoking = revoke(config, None, what, Duration::from_secs(3600));
        runtime.unwrap().block_on(revoking).unwrap()
    };
    let (by_token, by_jti) = (token(json!({ "jti": "a" })), token(json!({ "jti": "b" })));
    let by_session = token(json!({ "jti": "c", "sid": "s1" }));
    let by_subject = token(json!({ "jti": "d", "sub": "grace" }));
    let other = token(json!({ "jti": "e", "sid": "s2" }));
    let all = [&by_token, &by_jti, &by_session, &by_subject, &other];
    // Each is known to both replicas, so that a verified token in a cache is shown to be no way round.
    for token in all {
        assert_eq!(
            [get(&replicas[0], token), get(&replicas[1], token)],
            [200, 200]
        );
    }
    for (what, token) in [
        (Revoked::Token(&by_token), &by_token),
        (Revoked::JwtId("b"), &by_jti),
        (Revoked::Session("s1"), &by_session),
        (Revoked::Subject("grace"), &by_subject),
    ] {
        let said = revoke(&what);
        assert!(
            said.starts_with("revoked: ") && !said.contains(token.as_str()),
            "{said}"
        );
        assert_eq!(
            [get(&replicas[0], token), get(&replicas[1], token)],
            [401, 401],
            "{what:?}"
        );
    }
    assert_eq!(get(&replicas[0], &other), 200);
}

/// The failure mode is chosen in the file: refuse, or pass and say that it is a danger.
#[test]
fn while_the_state_is_away_requests_are_refused_unless_the_file_says_otherwise() {
    let (upstream, mut database) = (Upstream::start(), Database::redis(&[]));
    let strict = replica(&upstream, &state(&database, "redis", ""));
    let lax = replica(
        &upstream,
        &state(&database, "redis", "danger_allow_without = true"),
    );
    let statuses = |strict: &Running, lax: &Running| {
        [strict.get_as_ada("/stock/7"), lax.get_as_ada("/stock/7")].map(|answer| answer.status)
    };
    assert_eq!(statuses(&strict, &lax), [200, 200]);
    database.kill();
    for _ in 0..3 {
        assert_eq!(statuses(&strict, &lax), [503, 200]);
    }
    let refused = strict.get_as_ada("/stock/7");
    assert!(
        refused.header("retry-after").is_some() && refused.body.is_empty(),
        "{refused:?}"
    );
    // What needs no token needs no state, and a bad token is not told to come again.
    assert_eq!(strict.get("/open/7", &[]).status, 200);
    assert_eq!(
        strict
            .get("/stock/7", &["Authorization: Bearer x.y.z"])
            .status,
        401
    );
    assert!(strict.admin("/metrics").body.contains("state_unavailable"));
    database.start();
    let began = Instant::now();
    let back = || -> Answer { strict.get_as_ada("/stock/7") };
    while back().status != 200 {
        assert!(began.elapsed() < PATIENCE, "{:?}", back());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(statuses(&strict, &lax), [200, 200]);
}

#[test]
fn a_gateway_that_remembers_alone_cannot_be_told_from_outside() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let text = head(&upstream.url(), "") + ROUTES;
    let config = config(&text, directory.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let what = Revoked::Subject("ada");
    let revoking = revoke(config, None, &what, Duration::from_secs(3600));
    let problem = runtime.unwrap().block_on(revoking).unwrap_err().to_string();
    assert!(problem.contains("hint: share it"), "{problem}");
}

#[test]
fn what_is_wrong_with_a_state_is_said_with_its_line() {
    let directory = TempDir::new().unwrap();
    for (table, expected) in [
        (
            "url = \"redis://:secret@localhost\"",
            "a password has no place",
        ),
        ("url = \"redis://cache.example.com\"", "rediss"),
        ("password_file = \"x\"", "not which"),
        ("url = \"redis://localhost\"\nport = 1", "port"),
    ] {
        let text = head("http://127.0.0.1:1", "") + ROUTES + "\n[state]\n" + table + "\n";
        let problem = config(&text, directory.path()).unwrap_err().to_string();
        assert!(
            problem.contains(expected) && problem.contains("line "),
            "{problem}"
        );
        assert!(!problem.contains("secret"), "{problem}");
    }
}
