//! The project's own commands. `cargo xtask` lists them.
//!
//! Everything the build server runs is here, so that a person can run the same with one command.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to its user"
)]

mod bench;
mod check;
mod command;
mod fuzz;
mod generate;
mod metadata;
mod package;
mod packages;
mod prove;
mod steps;
mod test;

use std::env;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <command>

  check          format, lints, and the house rules that a compiler does not know
  set-up         what the tests need: system packages, npm packages, Envoy, trees of Debian
  test           every test: set-up, build, tests, fuzzing
  generate       the files that are made from others: the reference and the manual pages
  fuzz TARGET    one fuzz target until it is stopped (or -- -max_total_time=SECONDS)
  prove          the long proofs in full
  package        the Debian package of the daemon and the PAM module
  bench          the shipped programs, measured beside programs that do nothing
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check"] => check::run(),
        ["set-up"] => {
            let mut steps = steps::Steps::default();
            packages::set_up(&mut steps);
            steps.finish()
        }
        ["test"] => test::run(),
        ["generate"] => generate::run(),
        ["fuzz", target, options @ ..] => fuzz::run(target, options),
        ["prove"] => prove::run(),
        ["package", options @ ..] => package::run(options),
        ["bench", options @ ..] => bench::run(options),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("{HELP}");
            ExitCode::from(2)
        }
    }
}
