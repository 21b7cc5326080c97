//! A program of the administrator's that is told of events: mail, a chat, a ticket.
//!
//! It is run without a shell and without arguments, with the event as JSON on its standard input, and has
//! ten seconds. No login waits for it, and what it does decides nothing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::audit::{Audit, Event, Outcome};
use crate::live::Live;

const LIMIT: Duration = Duration::from_secs(10);
/// Programs at a time; what happens meanwhile is in the journal alone.
const MOST: usize = 8;

/// Writes events to the journal, and tells the program of those that are about people.
pub(crate) struct Notifying {
    journal: Arc<dyn Audit>,
    live: Arc<Live>,
    running: Arc<AtomicUsize>,
}

impl Notifying {
    pub(crate) fn new(journal: Arc<dyn Audit>, live: Arc<Live>) -> Self {
        Self {
            journal,
            live,
            running: Arc::default(),
        }
    }

    fn tell(&self, program: &Path, event: &Event) {
        if self.running.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.running.fetch_sub(1, Ordering::AcqRel);
            return self.failed("it has not kept up with what happens");
        }
        let (running, journal) = (Arc::clone(&self.running), Arc::clone(&self.journal));
        let (program, text) = (program.to_owned(), json(event));
        let builder = thread::Builder::new().name("notify".to_owned());
        let started = builder.stack_size(128 * 1024).spawn(move || {
            if let Err(why) = run(&program, &text, LIMIT) {
                journal.write(&complaint(&why));
            }
            running.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            self.running.fetch_sub(1, Ordering::AcqRel);
            self.failed("no thread can be started for it");
        }
    }

    fn failed(&self, why: &str) {
        self.journal.write(&complaint(why));
    }
}

impl Audit for Notifying {
    fn write(&self, event: &Event) {
        self.journal.write(event);
        // The configuration itself is not news, and is what would be read here.
        if matches!(event.what, "configuration" | "connection") {
            return;
        }
        if let Some(program) = &self.live.current().notify {
            self.tell(program, event);
        }
    }
}

fn complaint(why: &str) -> Event {
    let message = format!("the notify program was not told: {why}");
    Event::new("notification", Outcome::Failed, message)
}

fn json(event: &Event) -> String {
    let mut members = Map::new();
    let mut put = |name: &str, value: &str| {
        members.insert(name.to_owned(), Value::String(value.to_owned()));
    };
    put("event", event.what);
    put("outcome", event.outcome.as_str());
    put("message", &event.message);
    for (name, value) in &event.fields {
        put(name, value);
    }
    format!("{}\n", Value::Object(members))
}

fn run(program: &Path, text: &str, limit: Duration) -> Result<(), String> {
    let mut child = Command::new(program)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it cannot be run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // An event fits into a pipe. Who does not read it does not want it.
        let _ = stdin.write_all(text.as_bytes());
    }
    wait(&mut child, limit)
}

fn wait(child: &mut Child, limit: Duration) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if begun.elapsed() >= limit => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", limit.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn program(home: &Path, text: &str) -> PathBuf {
        let path = home.join("program");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_program_reads_the_event_and_cannot_hold_anything_up() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("out");
        let event =
            Event::new("login", Outcome::Granted, "Ada \"A\" signed in").with("user", "ada");
        let limit = Duration::from_secs(30);
        let told = program(home.path(), &format!("cat > {}", out.display()));
        run(&told, &json(&event), limit).unwrap();
        let read: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        assert_eq!(read["message"], "Ada \"A\" signed in");
        assert_eq!(read["user"], "ada");
        let failing = program(home.path(), "exit 3");
        assert!(
            run(&failing, "{}", limit)
                .unwrap_err()
                .contains("exit status: 3")
        );
        let slow = program(home.path(), "exec sleep 60");
        let why = run(&slow, "{}", Duration::from_millis(50)).unwrap_err();
        assert!(why.contains("took longer"), "{why}");
        assert!(
            run(&home.path().join("none"), "{}", limit)
                .unwrap_err()
                .contains("cannot be run")
        );
    }
}
