//! `cargo xtask bench`: timings of the shipped build beside a program that does nothing, and beside
//! programs of others that do the same.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::command::{self, cargo, root};
use crate::packages;
use crate::steps::Steps;

const PROGRAMS: &[&str] = &[
    "countersign",
    "countersign-keyring",
    "countersign-issuer",
    "countersign-gateway",
    "countersign-pamd",
    "countersign-benches",
];

pub(crate) fn run(options: &[&str]) -> ExitCode {
    let mut steps = Steps::default();
    let ready = steps.run("system packages", packages::install_system)
        && steps.run("npm packages", packages::install_npm);
    // Each by itself, as those who ship them build them: together they would get each other's features.
    let built = ready
        && PROGRAMS.iter().all(|package| {
            steps.run(&format!("build {package} as shipped"), || {
                command::run(cargo().args([
                    "build",
                    "--locked",
                    "--profile",
                    "dist",
                    "--package",
                    package,
                ]))
            })
        });
    let built = built
        && steps.run("build countersign-pam as shipped", || {
            let arguments = ["build", "--locked", "--profile", "pam"];
            command::run(
                cargo()
                    .args(arguments)
                    .args(["--package", "countersign-pam"]),
            )
        });
    if built {
        steps.run("benchmarks", || {
            let target = env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| root().join("target"), PathBuf::from);
            let built = target.join("dist");
            command::run(
                Command::new(built.join("countersign-benches"))
                    .args(options)
                    // Whatever of ours is started is what was built here.
                    .env("COUNTERSIGN_BIN_DIR", &built),
            )
        });
    }
    steps.finish()
}
