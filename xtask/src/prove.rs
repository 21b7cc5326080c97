//! `cargo xtask prove`: the proofs that are too long for every change, in full.

use std::process::ExitCode;

use crate::command::{self, cargo};
use crate::steps::Steps;
use crate::{fuzz, packages};

/// How often each random proof is tried; the tests take fewer by themselves.
const TRIALS: &str = "200";

/// How long each fuzz target runs.
const FUZZ_SECONDS: u32 = 120;

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let ready = packages::set_up(&mut steps);
    if ready {
        steps.run("all tests with long trials", || {
            command::run(
                cargo()
                    .args(["test", "--workspace", "--locked", "--no-fail-fast"])
                    .env("COUNTERSIGN_TRIALS", TRIALS)
                    .env("PROPTEST_CASES", "20000"),
            )
        });
        steps.run("fuzzing", || fuzz::run_all(FUZZ_SECONDS));
    }
    steps.finish()
}
