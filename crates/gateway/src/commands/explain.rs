//! `explain`: which rule decides about a request, and why.

use std::path::Path;
use std::process::ExitCode;

use countersign_gateway::{Asked, Config, Problem};

use super::print;

pub(crate) fn explain(
    file: &Path,
    method: &str,
    target: &str,
    no_token: bool,
) -> Result<ExitCode, Problem> {
    let config = Config::load(file)?;
    let token = if no_token { None } else { super::token()? };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::no_runtime(&error))?;
    let asked = Asked {
        method,
        target,
        token: token.as_deref(),
    };
    let (text, passes) = runtime.block_on(countersign_gateway::explain(config, &asked))?;
    print(&text);
    Ok(if passes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
