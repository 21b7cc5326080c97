//! `countersign inspect`: what a token says, and whether to believe it.
use crate::{app::App, args::InspectArgs, error::CliError};
use std::process::ExitCode;
pub(crate) fn run(_app: &App, _args: &InspectArgs) -> Result<ExitCode, CliError> {
    Ok(ExitCode::SUCCESS)
}
