//! The demo as a newcomer's machine runs it: the real programs, real sockets,
//! and the pages filled in.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use countersign_testkit::Program;

use crate::able_to_build;

fn demo(temporary: &Path) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_countersign-demo"))
        .arg("--unattended")
        .env("TMPDIR", temporary);
    able_to_build(program)
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[test]
fn every_step_does_what_it_must_and_nothing_is_left_behind() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let finished = demo(temporary.path()).run().expect_code(0);
    let steps = finished
        .stdout
        .lines()
        .filter(|line| line.starts_with("✓ "));
    assert_eq!(steps.count(), 17, "{}", finished.stdout);
    for line in finished.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    assert_eq!(finished.stderr, "");
    assert!(is_empty(temporary.path()));
}

#[test]
fn an_interrupted_run_leaves_no_program_and_no_file_behind() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let mut running = demo(temporary.path()).start();
    let issuer = running.wait_for_stdout(|seen| {
        let (_, after) = seen.split_once("Started an issuer at http://")?;
        Some(after.split_once('\n')?.0.to_owned())
    });
    assert!(TcpStream::connect(&issuer).is_ok());
    running.interrupt();
    running.finish().expect_code(130);
    assert!(
        TcpStream::connect(&issuer).is_err(),
        "{issuer} still serves"
    );
    assert!(is_empty(temporary.path()));
}

#[test]
fn an_argument_that_is_not_known_is_refused() {
    let finished = Program::new(env!("CARGO_BIN_EXE_countersign-demo"))
        .arg("--fast")
        .run()
        .expect_code(2);
    assert!(finished.stderr.contains("Usage: cargo demo"));
}
