//! Questions to a person, one line each. Asked only where both sides are terminals (`App::may_ask`).

use crate::error::CliError;
use crate::keyboard::{Keyboard, Typed};
use crate::output;

/// Asks until there is an answer; an empty one means `default`.
///
/// # Errors
/// When the person closes the input instead.
pub(crate) fn ask(what: &str, default: Option<&str>) -> Result<String, CliError> {
    let prompt = match default {
        Some(default) => format!("{what} [{default}]: "),
        None => format!("{what}: "),
    };
    loop {
        let Some(answer) = answer(&mut Keyboard::new(), &prompt) else {
            return Err(CliError::configuration("there was no answer"));
        };
        match (answer.as_str(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            _ => return Ok(answer),
        }
    }
}

/// Asks until the answer is yes or no; an empty one means yes, a closed input no.
pub(crate) fn agree(keyboard: &mut Keyboard, what: &str) -> bool {
    loop {
        let Some(answer) = answer(keyboard, &format!("{what} [Y/n] ")) else {
            return false;
        };
        match answer.to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return true,
            "n" | "no" => return false,
            _ => {}
        }
    }
}

fn answer(keyboard: &mut Keyboard, prompt: &str) -> Option<String> {
    output::message(prompt);
    match keyboard.wait() {
        Typed::Line(line) => Some(line.expose().to_owned()),
        Typed::TooLong | Typed::Nothing => Some(String::new()),
        Typed::End => {
            output::message("\n");
            None
        }
    }
}
