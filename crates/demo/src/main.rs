//! `cargo demo`: the main job in one command.
//!
//! Starts a real issuer and a small protected API on this machine, and runs the
//! real `countersign` against them: login, whoami, a call that is refused and
//! one that is served, status, logout; and the example `opsctl`, whose API asks
//! for a one-time password. With `--unattended` it plays the person
//! at the browser as well, and ends with 0 only if every step did what it must.

mod api;
mod browser;
mod children;
mod failure;
mod forms;
mod ops;
mod person;
mod say;
mod steps;
mod terminal;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

use children::{Issuer, log_file};
use failure::{Failure, because};

const USAGE: &str = "Usage: cargo demo [--unattended]

  --unattended  Sign in without a person: the demo fills in the pages itself";

/// Who sits at the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Player {
    /// Whoever typed `cargo demo`.
    Person,
    /// Nobody; the demo plays the person.
    Unattended,
}

fn main() -> ExitCode {
    // The alias of `cargo demo` ends with `--`, and so may what is typed.
    let arguments: Vec<_> = env::args().skip(1).filter(|a| a != "--").collect();
    // Comes back only when that does not work.
    if let Some(failure) = terminal::seat(&arguments) {
        say::failed(failure);
        return ExitCode::FAILURE;
    }
    let player = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Player::Person,
        ["--unattended"] => Player::Unattended,
        ["--help" | "-h"] => {
            say::line(USAGE);
            return ExitCode::SUCCESS;
        }
        _ => {
            say::failed(format_args!("that is not how it goes\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(because("the async runtime cannot start"))
        .and_then(|runtime| runtime.block_on(perform(player)));
    match ended {
        Ok(Ending::Complete) => ExitCode::SUCCESS,
        Ok(Ending::Interrupted(code)) => ExitCode::from(code),
        Err(failure) => {
            say::failed(failure);
            ExitCode::FAILURE
        }
    }
}

enum Ending {
    Complete,
    /// Told to end by a signal; the exit code that a shell expects then.
    Interrupted(u8),
}

/// Walks through the steps and cleans up, however they end.
async fn perform(player: Player) -> Result<Ending, Failure> {
    let mut told_to_end = Signals::listen().map_err(because("signals cannot be heard"))?;
    let home = tempfile::Builder::new()
        .prefix("countersign-demo-")
        .tempdir()
        .map_err(because("no directory for the demo"))?;
    let mut issuer: Option<Issuer> = None;
    // Whatever a step has started and not handed over is killed when its future
    // is dropped, which happens here when a signal comes first.
    let ending = tokio::select! {
        walked = steps::walk(player, home.path(), &mut issuer) => {
            walked.map(|()| Ending::Complete).map_err(|failure| with_log(failure, home.path()))
        }
        code = told_to_end.next() => Ok(Ending::Interrupted(code)),
    };
    if let Some(issuer) = issuer {
        issuer.stop().await;
    }
    home.close()
        .map_err(because("the demo's directory remains"))?;
    ending
}

/// What the issuer complained of, for whoever looks for the fault.
fn with_log(failure: Failure, home: &Path) -> Failure {
    let log = fs::read_to_string(log_file(home)).unwrap_or_default();
    log.lines()
        .filter(|line| line.starts_with("error"))
        .take(5)
        .fold(failure, |failure, line| {
            failure.with_detail(&format!("issuer: {line}"))
        })
}

/// The signals that end a program at a terminal.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one; gives the exit code that a shell would report for it.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}
