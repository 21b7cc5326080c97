//! Whole processes: from spawn to exit, and the most memory they held.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// A program with everything it needs to run once.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// What many runs of one program cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) minimum: Duration,
    pub(crate) median: Duration,
    pub(crate) p90: Duration,
    pub(crate) peak_kib: u64,
}

impl Program {
    pub(crate) fn new(name: &str, path: impl AsRef<Path>) -> Self {
        Self {
            name: name.to_owned(),
            path: path.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn arguments<S: Into<String>>(mut self, all: impl IntoIterator<Item = S>) -> Self {
        self.arguments = all.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn environment(mut self, all: &[(String, String)]) -> Self {
        self.environment = all.to_vec();
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs once and says how long it took; an unsuccessful end is an error, because a program
    /// that fails early is fast.
    fn run(&self) -> io::Result<Duration> {
        let mut command = self.command();
        let start = Instant::now();
        let status = command.spawn()?.wait()?;
        let taken = start.elapsed();
        if status.success() {
            Ok(taken)
        } else {
            Err(io::Error::other(format!(
                "{} ended with {status}",
                self.name
            )))
        }
    }

    /// Peak resident memory of one run. The kernel keeps one maximum for all children of a
    /// process, so each program gets a process of its own to be measured from.
    fn peak_kib(&self) -> io::Result<u64> {
        let output = Command::new(std::env::current_exe()?)
            .arg("peak")
            .arg(&self.path)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()?;
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("{}: no peak memory", self.name)))
    }
}

/// The inner half of [`Program::peak_kib`]: runs a command and prints what it held at most.
pub(crate) fn print_peak(mut words: impl Iterator<Item = String>) -> io::Result<u64> {
    let program = words
        .next()
        .ok_or_else(|| io::Error::other("peak: no program"))?;
    let status = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("it ended with {status}")));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    u64::try_from(usage.max_rss()).map_err(io::Error::other)
}

/// Memory of a running process, by its name in proc(5): `VmRSS` now, `VmHWM` at most.
pub(crate) fn memory_kib(process: u32, name: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = status.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.trim().strip_suffix("kB")?.trim().parse().ok()
    });
    value.ok_or_else(|| io::Error::other(format!("no {name}")))
}

/// Runs all programs in turn, `rounds` times over, so that a busy moment of the machine falls on
/// all of them alike.
pub(crate) fn compare(programs: &[Program], rounds: usize) -> io::Result<Vec<Cost>> {
    for program in programs {
        // The first run pays for the file cache.
        program.run()?;
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::with_capacity(rounds); programs.len()];
    for _ in 0..rounds {
        for (program, times) in programs.iter().zip(&mut times) {
            times.push(program.run()?);
        }
    }
    programs
        .iter()
        .zip(times)
        .map(|(program, mut times)| {
            times.sort_unstable();
            let at = |share: usize| {
                times
                    .get(times.len() * share / 100)
                    .copied()
                    .unwrap_or_default()
            };
            Ok(Cost {
                minimum: at(0),
                median: at(50),
                p90: at(90),
                peak_kib: program.peak_kib()?,
            })
        })
        .collect()
}
