//! `explain`: which rule decides about a request, and why.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use countersign_gateway::{Asked, Config, Problem};

use super::print;

/// More than any token.
const LONGEST_INPUT: u64 = 64 * 1024;

pub(crate) fn explain(
    file: &Path,
    method: &str,
    target: &str,
    no_token: bool,
) -> Result<ExitCode, Problem> {
    let config = Config::load(file)?;
    let mut token = String::new();
    if !no_token {
        std::io::stdin()
            .take(LONGEST_INPUT)
            .read_to_string(&mut token)
            .map_err(Problem::unreadable_token)?;
    }
    let token = Some(token.trim()).filter(|token| !token.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::no_runtime)?;
    let asked = Asked {
        method,
        target,
        token,
    };
    let (text, passes) = runtime.block_on(countersign_gateway::explain(config, &asked))?;
    print(&text);
    Ok(if passes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
