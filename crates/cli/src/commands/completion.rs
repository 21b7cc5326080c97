//! `countersign completion`: a script that teaches a shell our words.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionArgs};
use crate::error::CliError;
use crate::output;

pub(crate) fn run(args: &CompletionArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "countersign", &mut script);
    output::artefact(&String::from_utf8_lossy(&script))
}
