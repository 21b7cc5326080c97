//! `cargo xtask test`: every test there is, from a fresh clone.

use std::process::ExitCode;

use crate::command::{self, cargo};
use crate::steps::Steps;
use crate::{fuzz, packages};

/// How long each fuzz target runs: long enough to notice what is easy to find.
const FUZZ_SECONDS: u32 = 5;

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let ready = packages::set_up(&mut steps)
        && steps.run("build", || {
            command::run(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
        });
    if ready {
        steps.run("tests", || {
            command::run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
        });
        steps.run("fuzzing, bounded", || fuzz::run_all(FUZZ_SECONDS));
    }
    steps.finish()
}
