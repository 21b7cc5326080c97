//! The program killed, and its upstream away, while requests are under way: whoever gets an answer
//! gets the right one, and what went wrong is counted.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::{Program, Running};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{Answer, PATIENCE, ROUTES, head, parse, start, token};
use crate::upstream::Upstream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign-gateway");
/// Connections of other tests come from other addresses, so that a port here stays free for whoever
/// had it.
const PROGRAMS_OWN: &str = "127.83.0.8:0";
const UPSTREAMS_OWN: &str = "127.83.0.9:0";

const CALLERS: usize = 4;
const KILLS: usize = 4;

/// What callers saw, each request of whom has a path of its own.
#[derive(Default)]
struct Seen {
    next: AtomicUsize,
    passed: AtomicUsize,
    refused: AtomicUsize,
    /// 502 and 503.
    failed: AtomicUsize,
    /// No answer, or half of one.
    dropped: AtomicUsize,
    /// Ids of requests that were answered.
    ids: Mutex<HashSet<String>>,
}

impl Seen {
    /// Asks at this address, with a token and without, until `done`.
    fn ask(&self, address: SocketAddr, token: &str, done: &AtomicBool) {
        while !done.load(SeqCst) {
            let number = self.next.fetch_add(1, SeqCst);
            let (place, credentials) = if number.is_multiple_of(4) {
                ("secret", String::new())
            } else {
                ("7", format!("Authorization: Bearer {token}\r\n"))
            };
            let method = if number.is_multiple_of(2) {
                "GET"
            } else {
                "PUT"
            };
            let target = format!("/stock/{place}/{number}");
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{credentials}\r\n"
            );
            let Some(answer) = exchange(address, &request) else {
                self.dropped.fetch_add(1, SeqCst);
                // Whoever cannot connect learns so at once, and need not ask all the time.
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let count = match (answer.status, place) {
                (200, "7") => {
                    assert_eq!(answer.json()["target"], target, "of another request");
                    &self.passed
                }
                (401, "secret") => &self.refused,
                (502 | 503, "7") => &self.failed,
                _ => panic!("{target} answered {answer:?}"),
            };
            let id = answer.header("x-request-id").expect("an id").to_owned();
            assert!(self.ids.lock().unwrap().insert(id), "an id twice");
            count.fetch_add(1, SeqCst);
        }
    }

    fn count(&self, counter: impl Fn(&Self) -> &AtomicUsize) -> usize {
        counter(self).load(SeqCst)
    }

    /// Waits for so many more.
    fn wait_for(&self, more: usize, counter: impl Fn(&Self) -> &AtomicUsize) {
        let (began, wanted) = (Instant::now(), self.count(&counter) + more);
        while self.count(&counter) < wanted {
            assert!(began.elapsed() < PATIENCE, "nobody is answered");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Lets callers ask while something goes on, and says what they saw.
fn under_load(address: SocketAddr, meanwhile: impl FnOnce(&Seen)) -> Seen {
    let (seen, done, token) = (Seen::default(), AtomicBool::new(false), token());
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| seen.ask(address, &token, &done)))
            .collect();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| meanwhile(&seen)));
        done.store(true, SeqCst);
        for caller in callers {
            caller.join().unwrap();
        }
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    seen
}

/// The whole answer; nothing when there is none, or a part of one.
fn exchange(address: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    stream.write_all(request.as_bytes()).ok()?;
    stream.read_to_end(&mut bytes).ok()?;
    bytes
        .windows(4)
        .any(|four| four == b"\r\n\r\n")
        .then_some(())?;
    let answer = parse(&bytes);
    let length: usize = answer.header("content-length")?.parse().ok()?;
    (answer.body.len() == length).then_some(answer)
}

/// What reached the upstream: nothing that was refused, and nothing twice that changes something.
fn check_upstream(upstream: &[Value]) {
    let mut changes = HashSet::new();
    for request in upstream {
        let target = request["target"].as_str().unwrap();
        assert!(target.starts_with("/stock/7/"), "{request}");
        let identity = &request["headers"]["x-countersign-identity"];
        assert_eq!(identity.as_array().map(Vec::len), Some(1), "{request}");
        if request["method"] == "PUT" {
            assert!(changes.insert(target.to_owned()), "twice: {request}");
        }
    }
}

/// Starts the program, and says where it listens.
fn run(file: &Path) -> (Running, SocketAddr) {
    let program = Program::new(PROGRAM)
        .arg("run")
        .arg(file)
        .limit(PATIENCE * 6)
        .start();
    let address = program.wait_for_stdout(|printed| {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix("listening="));
        line?.parse().ok()
    });
    (program, address)
}

#[test]
fn killed_and_started_again_it_answers_nothing_wrongly_and_its_log_stays_whole() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    let listen = |address: &str| {
        let text = head(&upstream.url(), "")
            .replacen("127.0.0.1:0", address, 1)
            .replace("workers = 2", "workers = 1");
        fs::write(&file, text + ROUTES + "[audit]\nfile = \"audit.jsonl\"\n").unwrap();
    };
    listen(PROGRAMS_OWN);
    let (mut program, address) = run(&file);
    listen(&address.to_string());
    let seen = under_load(address, |seen| {
        for _ in 0..KILLS {
            seen.wait_for(100, |seen| &seen.passed);
            program.kill();
            program = run(&file).0;
        }
        seen.wait_for(100, |seen| &seen.passed);
    });
    program.signal(Signal::TERM);
    program.finish().expect_code(0);
    let [passed, refused, failed] =
        [&seen.passed, &seen.refused, &seen.failed].map(|count| count.load(SeqCst));
    assert!(passed >= 100 * (KILLS + 1) && refused > 0);
    assert_eq!(failed, 0, "the upstream was there all the time");
    check_upstream(&upstream.requests());

    let log = fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
    assert!(log.ends_with("}\n"));
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let torn = log.lines().count() - lines.len();
    assert!(
        torn <= KILLS,
        "only the last line of a killed process: {torn}"
    );
    // An id is the process, and the place of the request in it.
    let parts = |id: &str| {
        let (process, number) = id.split_at(16);
        (process.to_owned(), u64::from_str_radix(number, 16).unwrap())
    };
    let written: HashSet<_> = lines
        .iter()
        .map(|line| parts(line["id"].as_str().unwrap()))
        .collect();
    assert_eq!(written.len(), lines.len(), "a line for each");
    let last = lines.last().unwrap()["id"].as_str().unwrap();
    let (last, _) = parts(last);
    for id in seen.ids.lock().unwrap().iter() {
        let (process, number) = parts(id);
        if written.contains(&(process.clone(), number)) {
            continue;
        }
        // A moment before a kill, and at no other time, a line may be lost.
        assert_ne!(process, last, "{id} is not in the log");
        let after = written
            .iter()
            .filter(|(of, at)| *of == process && *at > number);
        assert!(after.count() < CALLERS, "{id} is not in the log");
    }
}

#[test]
fn an_upstream_that_goes_and_returns_costs_only_what_is_counted() {
    let upstream = Upstream::start_at(UPSTREAMS_OWN);
    let running = start(&(head(&upstream.url(), "") + ROUTES));
    let mut requests = Vec::new();
    let seen = under_load(running.address, |seen| {
        let mut upstream = upstream;
        for _ in 0..3 {
            seen.wait_for(100, |seen| &seen.passed);
            let address = upstream.url();
            requests.extend(upstream.stop());
            seen.wait_for(50, |seen| &seen.failed);
            upstream = Upstream::start_at(address.trim_start_matches("http://"));
        }
        seen.wait_for(100, |seen| &seen.passed);
        requests.extend(upstream.stop());
    });
    check_upstream(&requests);
    let metrics = running.admin("/metrics").body;
    let counted = |name: &str| {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<usize>().ok())
            .sum::<usize>()
    };
    let decided = "countersign_gateway_decisions_total{route=\"GET,PUT,POST /stock/**\",decision=";
    let [passed, refused, failed, dropped] =
        [&seen.passed, &seen.refused, &seen.failed, &seen.dropped].map(|count| count.load(SeqCst));
    assert_eq!(counted(&format!("{decided}\"refuse\"")), refused);
    assert_eq!(counted(&format!("{decided}\"fail\"")), failed);
    assert_eq!(
        counted("countersign_gateway_codes_total{decision=\"fail\""),
        failed
    );
    // An answer whose end did not come had a good beginning.
    assert_eq!(counted(&format!("{decided}\"pass\"")), passed + dropped);
}
