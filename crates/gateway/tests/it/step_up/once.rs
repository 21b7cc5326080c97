//! Once, however many presentations and replicas there are, and after a restart.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::Database;

use super::*;

const PASSWORD: &str = "a password";

/// Two gateways over one registry and one database.
struct Replicas {
    _home: TempDir,
    gateways: [Running; 2],
    key: SimulatedKey,
}

impl Replicas {
    fn start(upstream: &Upstream, database: &Database, scheme: &str, more: &str) -> Self {
        let (home, key) = place();
        private(home.path(), "password", PASSWORD);
        let path = |name: &str| format!("\"{}\"", home.path().join(name).display());
        let socket = database.socket().display();
        let state =
            format!("\n[state]\nurl = \"{scheme}+unix://{socket}\"\ntime = \"10s\"\n{more}\n");
        let text = head(&upstream.url(), "") + ROUTES + OTP + KEY + &state;
        let text = ["otp.sqlite", "otp.key", "challenges", "password"]
            .into_iter()
            .fold(text, |text, name| {
                text.replace(&format!("\"{name}\""), &path(name))
            });
        let start = || start_in(&text, TempDir::new().unwrap());
        Self {
            gateways: [start(), start()],
            _home: home,
            key,
        }
    }

    /// Sends one request 64 times at once, half of them to each, and counts what passes.
    fn together(&self, bearer: &str, answers: &[String]) -> usize {
        let (passed, barrier) = (AtomicUsize::new(0), Barrier::new(64));
        thread::scope(|scope| {
            for number in 0..64 {
                let (passed, barrier) = (&passed, &barrier);
                let answer = &answers[number % answers.len()];
                scope.spawn(move || {
                    barrier.wait();
                    let said = self.send(number, &[bearer, answer]);
                    match said.status {
                        200 => {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                        status => assert_eq!(status, 401, "{said:?}"),
                    }
                });
            }
        });
        passed.into_inner()
    }

    fn send(&self, number: usize, lines: &[&str]) -> Answer {
        self.gateways[number % 2].request("DELETE", "/resources/7", lines, "")
    }

    fn ask(&self, bearer: &str, number: usize) -> String {
        challenge(&self.send(number, &[bearer])).to_owned()
    }

    /// One nonce with 64 passwords, each of them good; one password with 64 nonces; and one of each.
    fn once(&mut self) {
        let trials = std::env::var("COUNTERSIGN_TRIALS").map_or(3, |trials| {
            5 * trials
                .parse::<usize>()
                .expect("COUNTERSIGN_TRIALS is a number")
        });
        self.settle(&bearer());
        for trial in 0..trials {
            // All of them together take longer than a token lasts.
            let bearer = bearer();
            let nonce = self.ask(&bearer, trial);
            let one_nonce: Vec<_> = (0..64).map(|_| step_up(&nonce, &self.press())).collect();
            self.one_passes("a nonce", &bearer, &one_nonce);

            let otp = self.press();
            let one_otp: Vec<_> = (0..64)
                .map(|number| step_up(&self.ask(&bearer, number), &otp))
                .collect();
            self.one_passes("a password", &bearer, &one_otp);

            let (nonce, otp) = (self.ask(&bearer, trial), self.press());
            let both = step_up(&nonce, &otp);
            self.one_passes("both", &bearer, &[both]);
        }
    }

    /// A database says since when it runs by whole seconds, and what it may have forgotten is asked for
    /// again: a nonce of its first second is not new enough.
    fn settle(&mut self, bearer: &str) {
        let begun = Instant::now();
        loop {
            let answer = step_up(&self.ask(bearer, 0), &self.press());
            let said = self.send(0, &[bearer, &answer]);
            if said.status == 200 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{said:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn one_passes(&mut self, what: &str, bearer: &str, answers: &[String]) {
        assert_eq!(self.together(bearer, answers), 1, "{what}");
        // The others were attempts, too. A right password ends the count.
        let answer = step_up(&self.ask(bearer, 0), &self.press());
        let said = self.send(0, &[bearer, &answer]);
        assert_eq!(said.status, 200, "{what}: {said:?}");
    }

    fn press(&mut self) -> String {
        self.key.press(7).expose().to_owned()
    }
}

#[test]
fn of_sixty_four_presentations_of_a_nonce_or_a_password_one_passes_over_redis() {
    let (upstream, database) = (Upstream::start(), Database::redis(&[]));
    Replicas::start(&upstream, &database, "redis", "").once();
}

#[test]
fn of_sixty_four_presentations_of_a_nonce_or_a_password_one_passes_over_postgres() {
    let (upstream, database) = (Upstream::start(), Database::postgres(PASSWORD, None));
    let more = "user = \"countersign\"\ndatabase = \"postgres\"\npassword_file = \"password\"";
    Replicas::start(&upstream, &database, "postgres", more).once();
}

/// Without a key file a restart asks anew; with one, what was used before it stays used.
#[test]
fn a_restart_makes_nothing_good_again() {
    let upstream = Upstream::start();
    let bearer = bearer();
    let ask = |gateway: &Running| {
        let asked = gateway.request("DELETE", "/resources/7", &[&bearer], "");
        challenge(&asked).to_owned()
    };
    let answer = |gateway: &Running, challenge: &str, otp: &str| {
        let answer = step_up(challenge, otp);
        let said = gateway.request("DELETE", "/resources/7", &[&bearer, &answer], "");
        (
            said.status,
            parameter(&said, "otp_error").map(str::to_owned),
        )
    };
    let expired = (401, Some("expired".to_owned()));
    for key_file in [false, true] {
        let (directory, mut key) = place();
        let step_up = if key_file { KEY } else { "" };
        let text = head(&upstream.url(), "") + ROUTES + OTP + step_up;
        let before = start_in(&text, directory);
        let (used, unused) = (ask(&before), ask(&before));
        let (first, second, third) = (key.press(1), key.press(1), key.press(1));
        assert_eq!(answer(&before, &used, first.expose()).0, 200);
        let Running {
            gateway, directory, ..
        } = before;
        gateway.stop();
        let after = start_in(&text, directory);
        assert_eq!(answer(&after, &used, second.expose()), expired);
        if key_file {
            let replayed = (401, Some("replayed_otp".to_owned()));
            assert_eq!(answer(&after, &ask(&after), first.expose()), replayed);
            assert_eq!(answer(&after, &unused, second.expose()).0, 200);
        } else {
            assert_eq!(answer(&after, &unused, second.expose()), expired);
        }
        assert_eq!(answer(&after, &ask(&after), third.expose()).0, 200);
    }
}

/// Also where the key is of this process alone.
#[test]
fn a_reload_forgets_no_challenge() {
    let upstream = Upstream::start();
    let (directory, mut key) = place();
    let text = head(&upstream.url(), "") + ROUTES + OTP;
    let gateway = start_in(&text, directory);
    let bearer = bearer();
    let asked = gateway.get("/resources/7", &[&bearer]);
    let other = text + "\n[[route]]\npath = \"/more\"\nupstream = \"stock\"\n";
    let other = crate::fixture::config(&other, gateway.directory.path()).unwrap();
    gateway.gateway.reload(other).unwrap();
    let answer = step_up(challenge(&asked), key.press(1).expose());
    assert_eq!(gateway.get("/resources/7", &[&bearer, &answer]).status, 200);
}

/// Another name, or another key: a challenge is of one gateway, also where devices are the same.
#[test]
fn a_challenge_of_another_gateway_is_none() {
    let upstream = Upstream::start();
    let (directory, mut key) = place();
    let files = |text: &str| {
        ["otp.sqlite", "otp.key", "challenges"]
            .into_iter()
            .fold(text.to_owned(), |text, name| {
                let path = directory.path().join(name);
                text.replace(&format!("\"{name}\""), &format!("\"{}\"", path.display()))
            })
    };
    let usual = files(&(head(&upstream.url(), "") + ROUTES + OTP));
    let key_file = files(KEY);
    let gateway = |step_up: &str| start_in(&(usual.clone() + step_up), TempDir::new().unwrap());
    let here = gateway(&key_file);
    let bearer = bearer();
    for other in [
        gateway(""),
        gateway(&(key_file.clone() + "realm = \"https://other.example.com\"\n")),
    ] {
        let asked = other.get("/resources/7", &[&bearer]);
        let answer = step_up(challenge(&asked), key.press(1).expose());
        let refused = here.get("/resources/7", &[&bearer, &answer]);
        assert_eq!(
            (refused.status, parameter(&refused, "otp_error")),
            (401, Some("expired"))
        );
        assert_eq!(other.get("/resources/7", &[&bearer, &answer]).status, 200);
    }
}
