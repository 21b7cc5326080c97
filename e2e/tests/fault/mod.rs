//! How a row is run, and what must hold for each.

pub(crate) mod authorization;
pub(crate) mod code;
pub(crate) mod device;
pub(crate) mod discovery;
pub(crate) mod id_token;
pub(crate) mod renewal;
pub(crate) mod token;
pub(crate) mod tolerated;
pub(crate) mod userinfo;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use countersign_e2e::{Cli, Visiting};
use countersign_testkit::{Browser, Endpoint, Finished, Provider, Reply};
use serde_json::{Value, json};

/// Rows that run at the same time; nearly all of their time is waiting.
const WORKERS: usize = 8;
/// No row takes longer, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(20);

/// One misbehaviour and its consequence.
pub(crate) struct Fault {
    /// What the server does.
    pub(crate) name: &'static str,
    /// Makes it do so.
    pub(crate) spoil: fn(&Provider),
    /// The code that is printed.
    pub(crate) code: &'static str,
    /// The exit code (see `countersign --help`).
    pub(crate) exit: i32,
}

/// A row.
pub(crate) const fn fault(
    name: &'static str,
    spoil: fn(&Provider),
    code: &'static str,
    exit: i32,
) -> Fault {
    Fault {
        name,
        spoil,
        code,
        exit,
    }
}

/// What the person does when the server misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// `countersign login` by device code.
    Login,
    /// `countersign login` through a browser, with these flags besides.
    Browser(&'static str),
    /// The same where requests have to be pushed, which is as far as it comes.
    Pushed,
    /// `countersign token --force-refresh`, in a session that was begun in good order.
    Renewal,
    /// `countersign whoami --verify`, in such a session.
    WhoAmI,
}

/// Runs all rows, and then says which failed.
pub(crate) fn run_all(flow: Flow, rows: &[Fault]) {
    in_parallel(rows, |row| {
        run(flow, row).map_err(|why| format!("{}: {why}", row.name))
    });
}

/// Judges all items, several at a time, and then says which failed.
fn in_parallel<T: Sync>(items: &[T], judge: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = judge(item) {
                        failures.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        items.len(),
        failures.join("\n")
    );
}

fn run(flow: Flow, row: &Fault) -> Result<(), String> {
    let provider = Provider::start();
    let cli = Cli::new();
    let login = format!(
        "login --issuer {} --client-id cli --no-browser --timeout 1s",
        provider.issuer()
    );
    let done = match flow {
        Flow::Login => {
            (row.spoil)(&provider);
            cli.run(&login)
        }
        Flow::Browser(flags) => {
            (row.spoil)(&provider);
            let login = Visiting::start(cli.command(&format!("{login} --flow browser {flags}")));
            let page = Browser::new().get(&login.address);
            if page.body.contains("secret-") {
                return Err(format!("a secret in the browser: {}", page.body));
            }
            login.finish()
        }
        Flow::Pushed => {
            provider.demand_par();
            (row.spoil)(&provider);
            cli.run(&format!("{login} --flow browser"))
        }
        Flow::Renewal | Flow::WhoAmI => {
            cli.run(&login).expect_code(0);
            assert_eq!(records(&cli.home().state_dir()).len(), 1);
            (row.spoil)(&provider);
            cli.run(match flow {
                Flow::WhoAmI => "whoami --verify --timeout 1s",
                _ => "token --force-refresh --timeout 1s",
            })
        }
    };
    let shown = format!("\n--- stdout\n{}--- stderr\n{}", done.stdout, done.stderr);
    check(row, &provider, &done).map_err(|why| why + &shown)?;

    match flow {
        Flow::Login | Flow::Browser(_) | Flow::Pushed => {
            let sessions = records(&cli.home().state_dir());
            if !sessions.is_empty() {
                return Err(format!("a session was kept: {sessions:?}"));
            }
        }
        Flow::Renewal | Flow::WhoAmI => {
            // The access token is as good as before, and that is enough.
            let after = cli.run("token --timeout 1s");
            if after.code() != Some(0) || after.stdout.lines().count() != 1 {
                return Err(format!("then {:?}: {}{shown}", after.code(), after.stderr));
            }
        }
    }
    Ok(())
}

/// What must hold for every row.
fn check(row: &Fault, provider: &Provider, done: &Finished) -> Result<(), String> {
    let stderr = &done.stderr;
    let require = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
    if done.code() != Some(row.exit) {
        return Err(format!("exit {:?}, expected {}", done.code(), row.exit));
    }
    let code = stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("code: "));
    if code != Some(row.code) {
        return Err(format!("code {code:?}, expected {}", row.code));
    }
    // One, whatever lines the server would like to add.
    let errors = stderr.lines().filter(|line| line.starts_with("error: "));
    require(errors.count() == 1, "not one error line")?;
    require(
        stderr.lines().any(|line| line.starts_with("hint: ")),
        "no hint",
    )?;
    require(done.stdout.is_empty(), "something on standard output")?;
    require(!stderr.contains("panicked"), "a panic")?;
    require(
        !stderr.chars().any(|c| c.is_control() && c != '\n'),
        "a control character",
    )?;
    require(done.elapsed < PATIENCE, "too slow")?;
    let verifiers = provider.requests(Endpoint::Token);
    let verifiers = verifiers
        .iter()
        .filter_map(|request| request.form_value("code_verifier"));
    for secret in provider.secrets().into_iter().chain(verifiers) {
        // A device code in an address would be one too, cut short or not.
        let telling = secret.get(..24).unwrap_or(&secret);
        require(!stderr.contains(telling), "a secret")?;
    }
    require(!stderr.contains("secret-"), "a secret of the row")
}

/// The records below a directory of state.
fn records(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                records(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect()
}

// What rows are made of.

/// The same answer, for ever.
pub(crate) fn always(provider: &Provider, endpoint: Endpoint, reply: Reply) {
    provider.always(endpoint, reply);
}

/// An OAuth error (RFC 6749, section 5.2).
pub(crate) fn error(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({ "error": code }))
}

/// An OAuth error, for ever.
pub(crate) fn refuse(provider: &Provider, endpoint: Endpoint, status: u16, code: &str) {
    always(provider, endpoint, error(status, code));
}

/// Sets a member of each good answer.
pub(crate) fn set(provider: &Provider, endpoint: Endpoint, name: &'static str, value: Value) {
    provider.edit(endpoint, move |answer| answer[name] = value.clone());
}

/// Takes a member out of each good answer.
pub(crate) fn remove(provider: &Provider, endpoint: Endpoint, name: &'static str) {
    provider.edit(endpoint, move |answer| {
        answer.as_object_mut().unwrap().remove(name);
    });
}

pub(crate) fn html(status: u16) -> Reply {
    Reply::text(
        status,
        "text/html",
        "<!DOCTYPE html><title>Proxy</title><h1>Please sign in</h1>",
    )
}

/// JSON as a string would have it, for what `serde_json` does not write.
pub(crate) fn raw_json(text: &str) -> Reply {
    Reply::text(200, "application/json", text)
}

/// More than anybody should read.
pub(crate) fn huge() -> Reply {
    raw_json("{\"padding\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx").flooding(3 * 1024 * 1024)
}

/// Slower than the limit as a whole, though never silent for long.
pub(crate) fn dripping() -> Reply {
    raw_json(&" ".repeat(400)).dripping(1, Duration::from_millis(50))
}
