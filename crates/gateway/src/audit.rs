//! The audit log: one line of JSON for every decision, written before the request goes on.
//!
//! Lines are put together where the decision is made, and written by a thread of its own a moment
//! later, many at once. When they cannot be written, requests are refused: whatever passes has been
//! written down, but for the last moment before the process is killed.
//!
//! No token and no query stands in a line, and control characters from outside are escaped. Not
//! responsible for rotating files; SIGHUP opens the file anew.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use countersign_console::Problem;
use countersign_oauth::text::is_unfit;
use countersign_resource::otp::{Device, Person};
use countersign_resource::step_up::Confirmed;
use countersign_resource::{Caller, Timestamp};

use crate::config;

/// More than this is not kept in memory while the writer is behind.
const LONGEST_QUEUE: usize = 4 * 1024 * 1024;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(50);

/// Where decisions are written down.
#[derive(Debug)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    query: bool,
    lossy: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: String,
    target: Option<PathBuf>,
    /// That the file is to be opened anew, because somebody has moved it away.
    reopen: bool,
    /// Why the last lines could not be written; they are kept.
    broken: bool,
    lost: u64,
    ended: bool,
}

/// What is written about one decision.
#[derive(Debug)]
pub(crate) struct Entry<'e> {
    pub(crate) time: Timestamp,
    pub(crate) id: &'e str,
    /// The address that the request came from, by the word of trusted proxies only.
    pub(crate) client: IpAddr,
    pub(crate) method: &'e str,
    pub(crate) host: &'e str,
    pub(crate) path: &'e str,
    pub(crate) query: Option<&'e str>,
    pub(crate) rule: Option<&'e str>,
    /// `pass`, `refuse`, or `fail` for a request that passed and got no answer.
    pub(crate) decision: &'e str,
    pub(crate) code: &'e str,
    pub(crate) caller: Option<&'e Caller>,
    /// How a person confirmed it, where the rule asks for that.
    pub(crate) confirmed: Option<&'e Confirmed>,
    /// What went wrong, where `decision` is `fail`; for the operator only.
    pub(crate) reason: Option<&'e str>,
}

/// The line could not be taken.
#[derive(Debug)]
pub(crate) struct Full;

/// What somebody has changed about the devices of people.
#[derive(Debug)]
pub(crate) struct Change<'c> {
    pub(crate) what: &'static str,
    pub(crate) owner: Option<Person<'c>>,
    pub(crate) device: Option<&'c Device>,
    /// How many keys were imported, or devices sealed anew.
    pub(crate) keys: Option<usize>,
}

/// Whether [`append`] would write to this file.
pub(crate) fn can_write(path: &Path) -> io::Result<()> {
    open_file(path).map(drop)
}

/// Appends a line about a change, beside those that a running gateway writes: each is written at once,
/// and at the end.
pub(crate) fn append(path: &Path, change: &Change<'_>, now: Timestamp) -> io::Result<()> {
    let mut line = String::new();
    change.write(&mut line, now);
    let mut file = open_file(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

impl Audit {
    /// Opens the file, or takes stdout, and starts the writer.
    pub(crate) fn open(wanted: &config::Audit) -> Result<Self, Problem> {
        let output = open(wanted.file.as_ref()).map_err(|error| {
            let name = wanted
                .file
                .as_ref()
                .map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
            Problem::new(format!("the audit log {name} cannot be written")).because(error)
        })?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                lines: String::new(),
                target: wanted.file.clone(),
                reopen: false,
                broken: false,
                lost: 0,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || theirs.write(output))
            .map_err(|error| Problem::new("the audit log cannot be written").because(error))?;
        Ok(Self {
            shared,
            writer: Some(writer),
            query: wanted.query,
            lossy: wanted.danger_lossy,
        })
    }

    /// Takes a line for a decision.
    ///
    /// # Errors
    ///
    /// [`Full`] when it cannot be written: the request must not pass.
    pub(crate) fn record(&self, entry: &Entry<'_>) -> Result<(), Full> {
        let mut state = self.shared.state();
        if state.broken || state.lines.len() > LONGEST_QUEUE {
            state.lost += 1;
            return if self.lossy { Ok(()) } else { Err(Full) };
        }
        let was_empty = state.lines.is_empty();
        entry.write(&mut state.lines, self.query);
        drop(state);
        if was_empty {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Opens the file anew; a file that was moved away is no longer written to.
    pub(crate) fn reopen(&self) {
        self.shared.state().reopen = true;
        self.shared.changed.notify_one();
    }

    /// How many lines could not be taken.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.state().lost
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to write.
            let _ = writer.join();
        }
    }
}

enum Output {
    File(File),
    Stdout(io::Stdout),
}

impl Output {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(lines),
            Self::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
        }
    }
}

fn open(path: Option<&PathBuf>) -> io::Result<Output> {
    Ok(match path {
        None => Output::Stdout(io::stdout()),
        Some(path) => Output::File(open_file(path)?),
    })
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    if ends_within_a_line(path) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether whoever wrote last was killed, or the disk was full, in the middle of a line: the next one
/// has to be a line of its own.
fn ends_within_a_line(path: &Path) -> bool {
    let last = || {
        let length = fs::metadata(path).ok().filter(Metadata::is_file)?.len();
        let mut last = [0];
        let file = File::open(path).ok()?;
        file.read_exact_at(&mut last, length.checked_sub(1)?).ok()?;
        Some(last)
    };
    last().is_some_and(|last| last != *b"\n")
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut output: Output) {
        let mut lines = String::new();
        loop {
            let mut state = self.state();
            while lines.is_empty() && state.lines.is_empty() && !state.reopen && !state.ended {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let ended = state.ended;
            if !ended && !state.reopen {
                // A line seldom comes alone. What is added meanwhile is written with it.
                drop(state);
                std::thread::sleep(GATHER);
                state = self.state();
            }
            if lines.is_empty() {
                std::mem::swap(&mut lines, &mut state.lines);
            }
            let reopen = std::mem::take(&mut state.reopen) || state.broken;
            let target = state.target.clone();
            drop(state);
            let opened = if reopen {
                open(target.as_ref()).map(|opened| output = opened)
            } else {
                Ok(())
            };
            let written = opened.and_then(|()| output.write(lines.as_bytes()));
            let failed = written.is_err();
            self.state().broken = failed;
            if failed {
                if ended {
                    return;
                }
                std::thread::sleep(GATHER * 10);
                continue;
            }
            lines.clear();
            if ended && self.state().lines.is_empty() {
                return;
            }
        }
    }
}

impl Entry<'_> {
    fn write(&self, out: &mut String, query: bool) {
        out.push_str("{\"time\":\"");
        write_time(out, self.time);
        out.push('"');
        let mut text = |name: &str, value: &str| {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            write_text(out, value);
        };
        text("id", self.id);
        text("client", &self.client.to_string());
        text("method", self.method);
        text("host", self.host);
        text("path", self.path);
        if let Some(value) = self.query.filter(|_| query) {
            text("query", value);
        }
        if let Some(rule) = self.rule {
            text("rule", rule);
        }
        text("decision", self.decision);
        text("code", self.code);
        if let Some(caller) = self.caller {
            text("iss", caller.issuer());
            text("sub", caller.subject());
            if let Some(client) = caller.client_id() {
                text("client_id", client);
            }
            if let Some(jti) = caller.jwt_id() {
                text("jti", jti);
            }
            text("presented", caller.presentation().code());
        }
        if let Some(confirmed) = self.confirmed {
            // A password that came before has no device here; its own line says which.
            text(
                "otp",
                confirmed.method().map_or("earlier", |it| it.as_str()),
            );
            if let Some(device) = confirmed.device() {
                text("device", device);
            }
        }
        if let Some(reason) = self.reason {
            text("reason", reason);
        }
        out.push_str("}\n");
    }
}

impl Change<'_> {
    fn write(&self, out: &mut String, now: Timestamp) {
        let _ = write!(out, "{{\"time\":\"{}\"", rfc_3339(now));
        let mut text = |name: &str, value: &str| {
            let _ = write!(out, ",\"{name}\":");
            write_text(out, value);
        };
        text("event", self.what);
        if let Some(owner) = self.owner {
            text("iss", owner.issuer);
            text("sub", owner.subject);
        }
        if let Some(device) = self.device {
            text("device", device.id.as_str());
            text("kind", device.kind.as_str());
            if let Some(public_id) = &device.public_id {
                text("public_id", public_id);
            }
            text("label", &device.label);
        }
        if let Some(keys) = self.keys {
            let _ = write!(out, ",\"keys\":{keys}");
        }
        let by = rustix::process::getuid().as_raw();
        let _ = writeln!(out, ",\"uid\":{by}}}");
    }
}

/// A JSON text in which nothing moves a terminal's cursor or the eye of its reader.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if is_unfit(c) => {
                let mut units = [0_u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc_3339(time: Timestamp) -> String {
    let mut out = String::new();
    write_time(&mut out, time);
    out
}

fn write_time(out: &mut String, time: Timestamp) {
    let milliseconds = time.as_millis();
    let (seconds, fraction) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
}

/// The date of a day counted from 1970, in the calendar that leaps by 4, 100 and 400 years. Years
/// begin in March here, so that the day that leaps is the last one.
fn date(days: i64) -> (i64, i64, i64) {
    const OF_400_YEARS: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(OF_400_YEARS);
    let day = days.rem_euclid(OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> String {
        rfc_3339(Timestamp::from_secs(seconds))
    }

    #[test]
    fn times_are_of_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn a_line_that_was_not_ended_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        for (before, after) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"ti", "{}\n{\"ti\n")] {
            fs::write(&path, before).unwrap();
            let mut output = open(Some(&path)).unwrap();
            output.write(b"{\"a\":1}\n").unwrap();
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(written, format!("{after}{{\"a\":1}}\n"));
        }
    }

    #[test]
    fn what_comes_from_outside_cannot_write_lines_or_move_a_cursor() {
        let hostile = "a\"b\\c\n{\"x\":1}\r\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2060}\u{e0041}\0é";
        let mut out = String::new();
        write_text(&mut out, hostile);
        assert!(!out.chars().any(is_unfit), "{out}");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), hostile);
    }
}
