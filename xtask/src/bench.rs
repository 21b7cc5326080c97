//! `cargo xtask bench`: the shipped programs, measured beside programs that do nothing.

use std::process::ExitCode;

use crate::command::{self, cargo, root};
use crate::steps::Steps;

pub(crate) fn run() -> ExitCode {
    let mut steps = Steps::default();
    let built = steps.run("build as shipped", || {
        command::run(
            cargo()
                .args(["build", "--profile", "dist", "--locked"])
                .args(["--package", "countersign", "--bin", "countersign"]),
        )
    });
    if built {
        steps.run("measure", || {
            command::run(
                cargo()
                    .args(["run", "--quiet", "--release", "--locked"])
                    .args(["--package", "countersign-bench"])
                    .env("COUNTERSIGN_BIN_DIR", root().join("target/dist")),
            )
        });
    }
    steps.finish()
}
