//! `cargo xtask bench`: timings of the shipped build beside a program that does nothing.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::command::{self, cargo, root};
use crate::steps::Steps;

pub(crate) fn run(options: &[&str]) -> ExitCode {
    let mut steps = Steps::default();
    let built = steps.run("build as shipped", || {
        command::run(cargo().args([
            "build",
            "--locked",
            "--profile",
            "dist",
            "--package",
            "countersign",
            "--package",
            "countersign-issuer",
            "--package",
            "countersign-benches",
        ]))
    });
    if built {
        steps.run("benchmarks", || {
            let target = env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| root().join("target"), PathBuf::from);
            command::run(Command::new(target.join("dist/countersign-benches")).args(options))
        });
    }
    steps.finish()
}
