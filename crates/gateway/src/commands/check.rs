//! `check`: the configuration in words.

use std::path::Path;
use std::process::ExitCode;

use countersign_gateway::{Config, Problem, config};

use super::{print, tell};

pub(crate) fn check(file: &Path, strict: bool) -> Result<ExitCode, Problem> {
    let config = Config::load(file)?;
    print(&config::explain(&config));
    for warning in config.warnings() {
        tell(&format!("warning: {warning}"));
    }
    Ok(if strict && !config.warnings().is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
