//! `cargo xtask generate`: the files that are made from others and kept beside them, so that people can
//! read them and packages need no extra step.
//!
//! Not responsible for what is in them: a test of the crate that knows makes them, and compares.

use std::process::{Command, ExitCode};

use crate::command::{self, cargo};
use crate::steps::{Failure, Steps};

/// Writes them.
pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    steps.run("reference and manual pages", || {
        command::run(reference().env("UPDATE_GENERATED", "1"))
    });
    steps.finish()
}

/// Whether they are as they would be written.
pub(crate) fn check() -> Result<(), Failure> {
    command::run(reference().env_remove("UPDATE_GENERATED"))
}

fn reference() -> Command {
    let mut test = cargo();
    test.args(["test", "--quiet", "--locked", "--package", "countersign"])
        .args(["--bin", "countersign", "--", "reference::"]);
    test
}
