//! The real program: how it starts, explains, reloads and ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::{Finished, Program, Running};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Answer, Issuer, PATIENCE, ROUTES, connect, exchange, head, parse, token};
use crate::upstream::{Bare, Upstream, read_head, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign-gateway");

struct Place {
    directory: TempDir,
    file: PathBuf,
}

impl Place {
    fn new(text: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("gateway.toml");
        let place = Self { directory, file };
        place.write(text);
        place
    }

    /// As an editor or a configuration tool does it: a new file under the old name.
    fn write(&self, text: &str) {
        let new = self.directory.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self) -> Served {
        let program = Program::new(PROGRAM)
            .arg("run")
            .arg(&self.file)
            .limit(PATIENCE * 6)
            .start();
        let find = |key: &'static str| {
            program.wait_for_stdout(|printed| {
                printed
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.parse().ok())
            })
        };
        let (address, admin) = (find("listening="), find("admin="));
        Served {
            program,
            address,
            admin,
        }
    }
}

struct Served {
    program: Running,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Served {
    fn get(&self, target: &str, headers: &str) -> Answer {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{headers}\r\n"
        );
        parse(&exchange(self.address, request.as_bytes()))
    }

    fn metrics(&self) -> String {
        let request = "GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";
        parse(&exchange(self.admin, request.as_bytes())).body
    }

    /// Waits until it has said this so many times.
    fn said(&self, words: &str, times: usize) {
        self.program
            .wait_for_stderr(|said| (said.matches(words).count() >= times).then_some(()));
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {}\r\n", token())
}

fn run(arguments: &[&str], file: &Path, stdin: &str) -> Finished {
    Program::new(PROGRAM)
        .arg(arguments[0])
        .arg(file)
        .args(&arguments[1..])
        .stdin(stdin)
        .run()
}

#[test]
fn check_explains_and_warns_and_refuses() {
    let place = Place::new(&(head("http://127.0.0.1:1", "") + ROUTES));
    let checked = run(&["check"], &place.file, "").expect_code(0);
    assert!(
        checked.stdout.contains("/open/** (any method)"),
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains("PUBLIC: anybody, without a token"));
    assert!(
        checked.stderr.contains("warning: line "),
        "{}",
        checked.stderr
    );
    run(&["check", "--strict"], &place.file, "").expect_code(1);
    place.write(&(head("http://127.0.0.1:1", "") + ROUTES + "publik = true\n"));
    let refused = run(&["check"], &place.file, "").expect_code(1);
    assert!(
        refused.stderr.contains("hint: did you mean `public`?"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stdout, "");
}

#[test]
fn explain_says_which_rule_decides_and_why() {
    let text = head("http://127.0.0.1:1", "")
        + ROUTES
        + r#"
[policy.keepers]
[[policy.keepers.allow]]
name = "warehouse"
groups = ["warehouse"]

[[route]]
path = "/kept"
policy = "keepers"
upstream = "stock"
"#;
    let place = Place::new(&text);
    let explain = |request: &[&str], token: &str| {
        let explained = run(&[&["explain"], request].concat(), &place.file, token);
        assert_eq!(explained.stderr, "");
        (explained.code().unwrap(), explained.stdout.clone())
    };
    let token = token();
    let (code, text) = explain(&["GET", "/stock/%37?x=%2f"], &token);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("request  GET /stock/7\n") && text.contains("decision passes, for ada of"),
        "{text}"
    );
    for (request, token, words) in [
        (["GET", "/stock/7"], "", "code     no_credentials"),
        (["PUT", "/nowhere"], &*token, "code     no_rule"),
        (["DELETE", "/stock/7"], &*token, "code     method"),
        (
            ["GET", "/stock/..%2fx"],
            &*token,
            "code     path_encoded_slash",
        ),
        (["GET", "/kept"], &*token, "policy   allow \"warehouse\""),
    ] {
        let (code, text) = explain(&request, token);
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("decision refused with 4") && text.contains(words),
            "{text}"
        );
        assert!(token.is_empty() || !text.contains(token), "{text}");
    }
}

#[test]
fn a_changed_file_is_taken_by_itself_and_by_a_signal_and_a_bad_one_is_not() {
    let upstream = Upstream::start();
    let good = head(&upstream.url(), "") + ROUTES;
    let closed = good.replace("public = true", "scopes = [\"nobody:has\"]");
    let place = Place::new(&good);
    let mut served = place.run();
    assert_eq!(served.get("/open/x", "").status, 200);

    place.write(&closed);
    served.said("reloaded ", 1);
    assert_eq!(served.get("/open/x", "").status, 401);

    place.write("[listen]\naddress = 7\n");
    served.said("NOT RELOADED", 1);
    assert_eq!(served.get("/open/x", "").status, 401);
    assert_eq!(served.get("/stock/x", &bearer()).status, 200);

    place.write(&good);
    served.program.signal(Signal::HUP);
    served.said("reloaded ", 2);
    assert_eq!(served.get("/open/x", "").status, 200);
    assert!(
        served.metrics().contains("gateway_reloads_refused_total 1")
            || served.metrics().contains("gateway_reloads_total")
    );

    served.program.signal(Signal::TERM);
    served.program.finish().expect_code(0);
}

#[test]
fn at_the_end_running_requests_are_answered_and_no_others_are_taken() {
    let (arrived, heard) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let (arrived, may_go_on) = (
        std::sync::Mutex::new(arrived),
        std::sync::Mutex::new(may_go_on),
    );
    let upstream = Bare::start(move |mut stream| {
        read_head(&mut stream);
        arrived.lock().unwrap().send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        );
    });
    let text = head(&upstream.url(), "").replace("drain = \"2s\"", "drain = \"20s\"") + ROUTES;
    let mut served = Place::new(&text).run();
    let (address, admin) = (served.address, served.admin);
    let running = thread::spawn(move || {
        exchange(
            address,
            b"GET /open/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        )
    });
    heard.recv_timeout(PATIENCE).unwrap();
    // A kept connection that waits for nothing is let go.
    let mut idle = connect(address);
    served.program.signal(Signal::TERM);
    served.said("ending", 1);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    let ready = exchange(
        admin,
        b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(parse(&ready).status, 503);
    // Each worker hears of the end by itself.
    let began = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(began.elapsed() < PATIENCE, "others are taken");
        thread::sleep(Duration::from_millis(10));
    }
    go_on.send(()).unwrap();
    let answer = parse(&running.join().unwrap());
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    served.program.finish().expect_code(0);
}

#[test]
fn the_audit_log_says_who_did_what_and_holds_no_secret() {
    let upstream = Upstream::start();
    let text = head(&upstream.url(), "") + ROUTES + "[audit]\nfile = \"audit.jsonl\"\n";
    let place = Place::new(&text);
    let mut served = place.run();
    let token = token();
    served.get(
        "/stock/7?secret=canary-query",
        &format!("Authorization: Bearer {token}\r\n"),
    );
    served.get("/stock/7", "Authorization: Bearer canary-junk\r\n");
    served.get("/nowhere/%0acanary-line", "");
    let hostile = Issuer::get().token(&json!({ "sub": "eve\n{\"decision\":\"pass\"}\u{1b}[2J" }));
    served.get("/stock/8", &format!("Authorization: Bearer {hostile}\r\n"));
    // The file is moved away and made anew, as rotation does.
    let lines = wait_for_lines(&place.path("audit.jsonl"), 4);
    fs::rename(place.path("audit.jsonl"), place.path("audit.1")).unwrap();
    served.program.signal(Signal::HUP);
    served.said("reloaded ", 1);
    served.get("/open/x", "");
    let after = wait_for_lines(&place.path("audit.jsonl"), 1);
    assert_eq!(after[0]["rule"], "/open/**");

    let first = &lines[0];
    for (name, value) in [
        ("method", "GET"),
        ("host", "gateway.test"),
        ("path", "/stock/7"),
        ("client", "127.0.0.1"),
        ("rule", "GET,PUT,POST /stock/**"),
        ("decision", "pass"),
        ("code", "pass"),
        ("sub", "ada"),
        ("client_id", "cli"),
        ("jti", "j1"),
        ("presented", "bearer"),
    ] {
        assert_eq!(first[name], value, "{first}");
    }
    assert_eq!(first["iss"], Issuer::get().url());
    assert_eq!(first["id"].as_str().unwrap().len(), 24);
    assert_eq!(
        (&lines[1]["decision"], &lines[1]["code"]),
        (&json!("refuse"), &json!("malformed_token"))
    );
    assert_eq!(
        (&lines[2]["decision"], &lines[2]["code"]),
        (&json!("refuse"), &json!("path_control"))
    );
    // Headers cannot hold that subject, and the log can.
    assert_eq!(lines[3]["code"], "pass");
    served.program.signal(Signal::TERM);
    let ended = served.program.finish().expect_code(0);
    let mut written = ended.stdout.clone() + &ended.stderr;
    for file in ["audit.jsonl", "audit.1"] {
        written += &fs::read_to_string(place.path(file)).unwrap();
        assert_eq!(
            fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o007,
            0
        );
    }
    let signature = token.rsplit('.').next().unwrap();
    for secret in [signature, "canary-query", "canary-junk", "\u{1b}"] {
        assert!(!written.contains(secret), "{secret:?}");
    }
}

fn wait_for_lines(file: &Path, count: usize) -> Vec<Value> {
    for _ in 0..PATIENCE.as_millis() / 20 {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= count {
            return text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{} never had {count} lines", file.display());
}

#[test]
fn what_cannot_be_written_down_does_not_pass() {
    let upstream = Upstream::start();
    let full = head(&upstream.url(), "") + ROUTES + "[audit]\nfile = \"/dev/full\"\n";
    for (text, status) in [(full.clone(), 503), (full + "danger_lossy = true\n", 200)] {
        let mut served = Place::new(&text).run();
        // The first line is found out about a moment after it was taken.
        let mut last = 0;
        for _ in 0..PATIENCE.as_millis() / 20 {
            last = served.get("/open/x", "").status;
            if !served.metrics().contains("audit_lost_total 0") {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(last, status);
        served.program.signal(Signal::TERM);
        served.program.finish().expect_code(0);
    }
}

/// The peak of its memory, in kilobytes.
fn peak(served: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", served.program.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 64 MiB each way, and a gigabyte in the full run.
#[test]
fn a_body_of_any_length_takes_the_memory_of_a_piece() {
    let megabytes: usize = if std::env::var_os("COUNTERSIGN_TRIALS").is_some() {
        1024
    } else {
        64
    };
    let upstream = Bare::start(move |mut stream| {
        read_head(&mut stream);
        let mut bytes = vec![0; 1 << 20];
        let mut left = megabytes << 20;
        while left > 0 {
            match stream.read(&mut bytes) {
                Ok(count) if count > 0 => left -= count,
                _ => return,
            }
        }
        say(
            &mut stream,
            &format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                megabytes << 20
            ),
        );
        for _ in 0..megabytes {
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let text = head(&upstream.url(), "") + ROUTES + "max_body = \"2GiB\"\n";
    let mut served = Place::new(&text).run();
    served.get("/nowhere", "");
    let before = peak(&served);
    let mut stream = connect(served.address);
    let head = format!(
        "POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        megabytes << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = vec![b'x'; 1 << 20];
    for _ in 0..megabytes {
        stream.write_all(&bytes).unwrap();
    }
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 "));
    let mut length = 0;
    while let Ok(count) = stream.read(&mut bytes) {
        if count == 0 {
            break;
        }
        length += count;
    }
    assert_eq!(length, megabytes << 20);
    let grown = peak(&served) - before;
    assert!(grown < 16 * 1024, "{grown} KiB for {megabytes} MiB");
    served.program.kill();
}
