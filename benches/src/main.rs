//! Timings of whole programs, beside programs that do nothing. Run by `cargo xtask bench`.
//!
//! Everything is measured in one run on one machine, so that what counts is the distance to the
//! floor and not the machine. A missed target is printed and is no failure: timings are not tests.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod issuer;
mod keys;
mod load;
mod process;
mod report;
mod tls_server;
mod token;

use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("peak") => println!("{}", process::print_peak(words)?),
        None => run(500, Duration::from_secs(5))?,
        Some("quick") => run(20, Duration::from_millis(300))?,
        Some(_) => return Err("usage: countersign-benches [quick]".into()),
    }
    Ok(())
}

fn run(rounds: usize, time: Duration) -> Result<(), Box<dyn Error>> {
    // Everything is built into one directory by whoever starts this.
    let binaries = std::env::current_exe()?;
    let binaries = binaries.parent().ok_or("this program is nowhere")?;
    token::measure(binaries, rounds)?;
    keys::measure(binaries, rounds)?;
    issuer::measure(binaries, time)?;
    Ok(())
}
