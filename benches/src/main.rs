//! Timings of whole programs, beside programs that do nothing. Run by `cargo xtask bench`.
//!
//! Everything is measured in one run on one machine, so that what counts is the distance to the
//! floor and not the machine. A missed target is printed and is no failure: timings are not tests.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod backend;
mod gateway;
mod issuer;
mod junk;
mod keyring;
mod keys;
mod load;
mod pam;
mod pamd;
mod peers;
mod process;
mod report;
mod signed_in;
mod tls_server;
mod token;
mod validate;
mod wrk;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

/// The programs that are measured as somebody has them who installed them.
const INSTALLED: &[&str] = &["countersign", "countersign-keyring", "nothing"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("backend") => backend::run()?,
        Some("peak") => println!("{}", process::print_peak(words)?),
        None => run(500, Duration::from_secs(5))?,
        Some("quick") => run(20, Duration::from_millis(300))?,
        // These need no other program.
        Some("validate") => validate::measure(Duration::from_millis(60))?,
        Some("junk") => junk::measure(500)?,
        Some("gateway") => gateway::measure(&binaries()?, 5, 2)?,
        Some("pam") => {
            pam::measure(&binaries()?, 100)?;
            pamd::measure(&binaries()?, 100, Duration::from_secs(20))?;
        }
        Some(_) => {
            return Err("usage: countersign-benches [quick|validate|junk|gateway|pam]".into());
        }
    }
    Ok(())
}

fn run(rounds: usize, time: Duration) -> Result<(), Box<dyn Error>> {
    let binaries = &binaries()?;
    let installed = install(binaries)?;
    token::measure(installed.path(), rounds)?;
    peers::measure(installed.path(), rounds.div_ceil(5))?;
    keyring::measure(installed.path(), rounds.div_ceil(5))?;
    keys::measure(binaries, rounds)?;
    validate::measure(time / 80)?;
    issuer::measure(binaries, time)?;
    junk::measure(rounds)?;
    pam::measure(binaries, rounds.div_ceil(5))?;
    pamd::measure(binaries, rounds.div_ceil(5), time * 4)?;
    let (rounds, seconds) = if rounds < 100 { (1, 1) } else { (5, 2) };
    gateway::measure(binaries, rounds, seconds)?;
    Ok(())
}

/// Everything is built into one directory by whoever starts this.
fn binaries() -> io::Result<PathBuf> {
    let mut place = std::env::current_exe()?;
    place.pop();
    Ok(place)
}

/// Copies the programs, which is what installing them does. A file that the linker has just written
/// lies in memory in small pieces, and starts a fifth slower than its copy, or than `/bin/true`.
fn install(binaries: &Path) -> io::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for name in INSTALLED {
        std::fs::copy(binaries.join(name), directory.path().join(name))?;
    }
    Ok(directory)
}
