//! Whole processes: from asking for one to its end.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// The hidden argument with which this program starts itself to measure memory.
pub(crate) const PEAK_MEMORY_OF: &str = "--peak-memory-of";

/// A program with everything it needs, to be run many times.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<&'static str>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

#[derive(Debug)]
pub(crate) struct Measured {
    /// In ascending order.
    times: Vec<Duration>,
    /// In KiB.
    pub(crate) peak_memory: u64,
}

impl Subject {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn time(&self) -> Duration {
        let mut command = self.command();
        let begin = Instant::now();
        let status = command.status().expect("the program was built");
        let took = begin.elapsed();
        assert!(status.success(), "{} failed: {status}", self.name);
        took
    }

    /// The most memory it had resident at any time, in KiB.
    ///
    /// The kernel counts for each child what it had before it became the program as well, so the
    /// parent must be small: this program, started anew. Values below its own size are not seen.
    fn peak_memory(&self) -> u64 {
        let output = Command::new(env::current_exe().expect("a program knows its path"))
            .arg(PEAK_MEMORY_OF)
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("this program can be started");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().expect("it prints a number")
    }
}

impl Measured {
    pub(crate) fn median(&self) -> Duration {
        self.quantile(50)
    }

    /// The time that so many per cent of the runs stayed below.
    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).copied().unwrap_or_default()
    }
}

/// Runs all subjects in turn, so many rounds, so that what disturbs the machine disturbs each alike.
pub(crate) fn measure(subjects: &[Subject], rounds: usize) -> Vec<Measured> {
    let mut measured: Vec<Measured> = subjects
        .iter()
        .map(|subject| Measured {
            times: Vec::with_capacity(rounds),
            peak_memory: subject.peak_memory(),
        })
        .collect();
    for round in 0..rounds + rounds / 10 {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            let took = subject.time();
            // The first rounds fill the caches.
            if round >= rounds / 10 {
                measured.times.push(took);
            }
        }
    }
    for measured in &mut measured {
        measured.times.sort_unstable();
    }
    measured
}

/// Runs a program a few times and prints the most memory that any run needed.
pub(crate) fn print_peak_memory(program: &str, arguments: &[&str]) {
    for _ in 0..5 {
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{program} failed"
        );
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    println!("{}", usage.max_rss());
}
