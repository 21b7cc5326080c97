//! Measures the shipped programs. `cargo xtask bench` builds them and starts this.
//!
//! Every figure stands beside one from the same run: a machine under load slows both.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod cached_token;
mod process;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [process::PEAK_MEMORY_OF, program, arguments @ ..] => {
            process::print_peak_memory(program, arguments);
        }
        _ => cached_token::run(),
    }
    ExitCode::SUCCESS
}
