//! `cargo xtask fuzz`: coverage-guided fuzzing with libFuzzer, on the stable compiler.
//!
//! cargo-fuzz asks a nightly compiler for coverage; the same LLVM pass is reached from stable by
//! naming it. The targets stand in `fuzz/`, outside the workspace, because these flags must not
//! touch anything else.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::command::{self, cargo, root};
use crate::steps::{Failure, Steps};

/// What the compiler adds so that libFuzzer sees which edges and comparisons an input reaches.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// Runs one target until it is stopped or finds something; options go to libFuzzer.
pub(crate) fn run(target: &str, options: &[&str]) -> ExitCode {
    let mut steps = Steps::default();
    steps.run(&format!("fuzz {target}"), || {
        let targets = targets()?;
        if !targets.iter().any(|known| known == target) {
            return Err(format!("no such target; there are: {}", targets.join(", ")));
        }
        let programs = build()?;
        let options = options.iter().filter(|option| **option != "--");
        command::run(invocation(&programs, target)?.args(options))
    });
    steps.finish()
}

/// Runs every target for so many seconds. What one finds is kept below `target/fuzz/artifacts`; once
/// mended, it belongs among the seeds, with which every run begins.
pub(crate) fn run_all(seconds: u32) -> Result<(), Failure> {
    let programs = build()?;
    let mut failures = Vec::new();
    for target in targets()? {
        let mut fuzzer = invocation(&programs, &target)?;
        let output = fuzzer
            .arg(format!("-max_total_time={seconds}"))
            .stdout(Stdio::piped())
            .output()
            .map_err(|error| format!("{target}: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            println!(
                "   {target}: {}",
                text.lines().last().unwrap_or("no output")
            );
        } else {
            failures.push(format!("{target}: {}\n{text}", output.status));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

/// The names of the targets, from the manifest.
fn targets() -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(root().join("fuzz/Cargo.toml"))
        .map_err(|error| format!("fuzz/Cargo.toml: {error}"))?;
    let manifest: toml::Table =
        toml::from_str(&text).map_err(|error| format!("fuzz/Cargo.toml: {error}"))?;
    let programs = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    Ok(programs
        .filter_map(|program| program.get("name").and_then(toml::Value::as_str))
        .map(str::to_owned)
        .collect())
}

/// Builds all targets and returns the directory they are in.
fn build() -> Result<PathBuf, Failure> {
    let host = host()?;
    let target_dir = root().join("target/fuzz");
    command::run(
        cargo()
            .args(["build", "--quiet", "--release", "--locked"])
            .args(["--manifest-path", "fuzz/Cargo.toml"])
            // Naming the target keeps the flags away from build scripts.
            .args(["--target", &host])
            .arg("--target-dir")
            .arg(&target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}")),
    )?;
    Ok(target_dir.join(host).join("release"))
}

/// The platform of the compiler.
fn host() -> Result<String, Failure> {
    let version = command::output(command::program("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// A target with its corpus (kept below `target/`), its committed seeds, and a place where the
/// input of a crash is kept.
fn invocation(programs: &std::path::Path, target: &str) -> Result<Command, Failure> {
    let corpus = root().join("target/fuzz/corpus").join(target);
    let artifacts = root().join("target/fuzz/artifacts").join(target);
    let seeds = root().join("fuzz/seeds").join(target);
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut command = Command::new(programs.join(target));
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .arg(&corpus)
        .arg(&seeds)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!(
            "-dict={}",
            root().join("fuzz/dictionary.txt").display()
        ))
        .args([
            "-timeout=5",
            "-rss_limit_mb=1024",
            "-print_final_stats=0",
            "-use_value_profile=1",
        ]);
    Ok(command)
}
