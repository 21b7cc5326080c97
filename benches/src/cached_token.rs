//! `countersign token` with a session that needs nothing: the case of every minute.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use countersign_testkit::{Endpoint, Home, Program, Provider, bin};

use crate::process::{Subject, measure};

const ROUNDS: usize = 500;

pub(crate) fn run() {
    let provider = Provider::start();
    let home = Home::new();
    sign_in(&provider, &home);
    let asked_before = provider.server().requests().len();

    let scratch = tempfile::tempdir().expect("a temporary directory");
    let subjects = [
        Subject {
            name: "/bin/true",
            program: "/bin/true".into(),
            arguments: vec![],
            environment: vec![],
        },
        Subject {
            name: "empty Rust program",
            program: empty_program(scratch.path().join("empty")),
            arguments: vec![],
            environment: vec![],
        },
        Subject {
            name: "countersign version",
            program: bin("countersign"),
            arguments: vec!["version"],
            environment: home.environment(),
        },
        Subject {
            name: "countersign token",
            program: bin("countersign"),
            arguments: vec!["token"],
            environment: home.environment(),
        },
    ];
    let measured = measure(&subjects, ROUNDS);

    println!("cached token, whole process, {ROUNDS} runs each, in turn:");
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>12} {:>8} {:>10}",
        "", "median ms", "p10 ms", "p90 ms", "above true", "ratio", "peak KiB"
    );
    let base = measured
        .first()
        .map(|it| it.median().as_secs_f64())
        .unwrap_or_default();
    for (subject, measured) in subjects.iter().zip(&measured) {
        let median = measured.median().as_secs_f64();
        println!(
            "{:<22} {:>9.3} {:>9.3} {:>9.3} {:>12.3} {:>7.2}x {:>10}",
            subject.name,
            median * 1e3,
            measured.quantile(10).as_secs_f64() * 1e3,
            measured.quantile(90).as_secs_f64() * 1e3,
            (median - base) * 1e3,
            median / base,
            measured.peak_memory,
        );
    }
    let asked = provider.server().requests().len() - asked_before;
    println!("requests to the authorization server meanwhile: {asked}");
}

fn sign_in(provider: &Provider, home: &Home) {
    // Longer than any run of this takes.
    provider.edit(Endpoint::Token, |tokens| {
        if let Some(tokens) = tokens.as_object_mut() {
            tokens.insert("expires_in".to_owned(), 86_400.into());
        }
    });
    Program::new(bin("countersign"))
        .args([
            "login",
            "--issuer",
            &provider.issuer(),
            "--client-id",
            "cli",
            "--no-browser",
        ])
        .home(home)
        .run()
        .expect_code(0);
}

/// What a Rust program costs that does nothing at all.
fn empty_program(path: PathBuf) -> PathBuf {
    let source = path.with_extension("rs");
    fs::write(&source, "fn main() {}\n").expect("room for a small file");
    let status = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "-Copt-level=3",
            "-Clto=fat",
            "-Cpanic=abort",
            "-Cstrip=symbols",
            "-o",
        ])
        .args([&path, &source])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "rustc compiles an empty program"
    );
    path
}
