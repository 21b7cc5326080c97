//! Questions to a person, one line each. Asked only where both sides are terminals (`App::may_ask`).

use std::io;

use crate::error::CliError;
use crate::output;

/// Asks until there is an answer; an empty one means `default`.
///
/// # Errors
/// When the person closes the input instead.
pub(crate) fn ask(what: &str, default: Option<&str>) -> Result<String, CliError> {
    loop {
        match default {
            Some(default) => output::message(&format!("{what} [{default}]: ")),
            None => output::message(&format!("{what}: ")),
        }
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).unwrap_or(0);
        if read == 0 {
            output::message("\n");
            return Err(CliError::configuration("there was no answer"));
        }
        match (line.trim(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
}
