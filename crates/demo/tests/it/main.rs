//! The demo as a program, from its start to its end.

mod attended;
mod unattended;

use std::env;
use std::time::Duration;

use countersign_testkit::Program;

/// The first run may have to build all programs.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Lets a demo build what it shows.
fn able_to_build(program: Program) -> Program {
    // What cargo needs.
    [
        "CARGO",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ]
    .into_iter()
    .filter_map(|name| Some((name, env::var_os(name)?)))
    .fold(program.limit(LIMIT), |program, (name, value)| {
        program.env(name, value)
    })
}
