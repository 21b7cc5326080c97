//! The issuer over HTTP: how soon it answers, what it holds, and how much it answers.
//!
//! The load generator shares the machine's cores with the server, as the targets say.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use countersign_testkit::{Browser, Program, Running};
use serde_json::Value;

use crate::load::{self, Answer, Connection};
use crate::process::memory_kib;
use crate::report::{self, Row, Target};

const PASSWORD: &str = "correct horse battery staple";
/// Connections at once. Refreshes wait for the disk together, so more of them wait no longer.
const POLLERS: usize = 16;
const REFRESHERS: usize = 64;
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Starts the real server on a database and measures it from outside.
pub(crate) fn measure(binaries: &Path, time: Duration) -> io::Result<()> {
    let issuer = binaries.join("countersign-issuer");
    let state = tempfile::tempdir()?;
    let directory = state.path().to_string_lossy().into_owned();
    Program::new(&issuer)
        .args([
            "--state-dir",
            &directory,
            "user",
            "add",
            "ada",
            "--name",
            "Ada",
        ])
        .stdin(format!("{PASSWORD}\n"))
        .limit(Duration::from_secs(30))
        .run()
        .expect_code(0);
    // The first start makes the keys; the ones that are timed find them.
    drop(start(&issuer, &directory)?);
    let mut starts = (0..7)
        .map(|_| start(&issuer, &directory).map(|server| server.first_answer))
        .collect::<io::Result<Vec<_>>>()?;
    starts.sort_unstable();
    let median_start = starts.get(starts.len() / 2).copied().unwrap_or_default();

    let server = start(&issuer, &directory)?;
    // Long enough for what a start leaves behind to settle.
    std::thread::sleep(Duration::from_secs(2));
    let idle = memory_kib(server.process.id(), "VmRSS")?;
    report::title("the issuer, on its database, over HTTP on loopback");

    let pending = device_authorization(&mut Connection::open(server.address)?)?;
    let pollers = connections(server.address, POLLERS)?;
    let form = format!(
        "grant_type={DEVICE_GRANT}&client_id=cli&device_code={}",
        pending.device_code
    );
    let polls = load::run(pollers, time, |connection| {
        let answer = connection.post("/token", &form)?;
        // The code is polled far too often, and is told so.
        expect(&answer, 400, &["authorization_pending", "slow_down"])
    })?;
    report::throughput("device polls (pending)", polls);

    let sessions = sign_in(&server, REFRESHERS)?;
    let refreshes = load::run(sessions, time, Session::refresh)?;
    report::throughput("refreshes (rotating, durable)", refreshes);
    let loaded = memory_kib(server.process.id(), "VmRSS")?;
    report::targets(&[
        Row::millis("start to first answer", median_start, Target::AtMost(50.0)),
        Row::mebibytes("idle memory", idle, Target::AtMost(15.0)),
        Row::mebibytes("memory after the load", loaded, Target::AtMost(40.0)),
        Row::per_second("device polls", polls.per_second, Target::AtLeast(20_000.0)),
        Row::per_second(
            "durable refreshes",
            refreshes.per_second,
            Target::AtLeast(2_000.0),
        ),
    ]);
    Ok(())
}

/// A running server. It is killed when this is dropped.
struct Server {
    process: Running,
    address: SocketAddr,
    first_answer: Duration,
}

fn start(issuer: &Path, directory: &str) -> io::Result<Server> {
    let begun = Instant::now();
    let process = Program::new(issuer)
        .args(["--state-dir", directory, "serve", "--listen", "127.0.0.1:0"])
        .args(["--start-limit", "1000000"])
        .limit(Duration::from_secs(300))
        .start();
    let address: SocketAddr = process.wait_for_stdout(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("listening=")?.parse().ok())
    });
    let answer = Connection::open(address)?.get("/.well-known/openid-configuration")?;
    let first_answer = begun.elapsed();
    if answer.status != 200 {
        return Err(io::Error::other(format!(
            "discovery answered {}",
            answer.status
        )));
    }
    Ok(Server {
        process,
        address,
        first_answer,
    })
}

struct Pending {
    device_code: String,
    complete_uri: String,
}

fn device_authorization(connection: &mut Connection) -> io::Result<Pending> {
    let form = "client_id=cli&scope=openid%20profile%20offline_access";
    let answer = connection.post("/device_authorization", form)?;
    expect(&answer, 200, &["device_code"])?;
    let json: Value = serde_json::from_slice(&answer.body)?;
    Ok(Pending {
        device_code: member(&json, "device_code")?,
        complete_uri: member(&json, "verification_uri_complete")?,
    })
}

/// One login with its current refresh token, on a connection of its own.
struct Session {
    connection: Connection,
    refresh_token: String,
}

impl Session {
    fn refresh(&mut self) -> io::Result<()> {
        let form = format!(
            "grant_type=refresh_token&client_id=cli&refresh_token={}",
            self.refresh_token
        );
        let answer = self.connection.post("/token", &form)?;
        expect(&answer, 200, &["refresh_token"])?;
        self.refresh_token = member(&serde_json::from_slice(&answer.body)?, "refresh_token")?;
        Ok(())
    }
}

/// Signs in that many times through the real pages: once with the password, then by approval alone.
fn sign_in(server: &Server, count: usize) -> io::Result<Vec<Session>> {
    let mut browser = Browser::new();
    connections(server.address, count)?
        .into_iter()
        .map(|mut connection| {
            let pending = device_authorization(&mut connection)?;
            let mut page = browser.get(&pending.complete_uri);
            // The code, the password the first time, perhaps the code again, and then the question.
            for _ in 0..3 {
                if page.forms().iter().any(|form| form.has("decision")) {
                    break;
                }
                let signing_in = page.forms().iter().any(|form| form.has("password"));
                let (control, values) = if signing_in {
                    (
                        "password",
                        [("username", "ada"), ("password", PASSWORD)].as_slice(),
                    )
                } else {
                    ("user_code", [].as_slice())
                };
                page = browser.submit(&page, &page.form_with(control), values);
            }
            let form = page.form_with("decision");
            browser.submit(&page, &form, &[("decision", "approve")]);
            let form = format!(
                "grant_type={DEVICE_GRANT}&client_id=cli&device_code={}",
                pending.device_code
            );
            let answer = connection.post("/token", &form)?;
            expect(&answer, 200, &["refresh_token"])?;
            let refresh_token = member(&serde_json::from_slice(&answer.body)?, "refresh_token")?;
            Ok(Session {
                connection,
                refresh_token,
            })
        })
        .collect()
}

fn connections(address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
    (0..count).map(|_| Connection::open(address)).collect()
}

/// An answer that is not the expected one ends the benchmark: wrong answers are fast.
fn expect(answer: &Answer, status: u16, words: &[&str]) -> io::Result<()> {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status == status && words.iter().any(|word| body.contains(word)) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "expected {status} with {words:?}, got {} {body}",
        answer.status
    )))
}

fn member(json: &Value, name: &str) -> io::Result<String> {
    match json.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::Error::other(format!("no {name} in the answer"))),
    }
}
