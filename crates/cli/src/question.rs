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

/// Asks once; an empty answer is none.
///
/// # Errors
/// When the person closes the input instead.
pub(crate) fn ask_once(what: &str) -> Result<Option<String>, CliError> {
    match answer(&mut Keyboard::new(), &format!("{what}: ")) {
        Some(answer) => Ok(Some(answer).filter(|answer| !answer.is_empty())),
        None => Err(CliError::configuration("there was no answer")),
    }
}

/// Asks until the answer is yes or no; an empty one means yes, a closed input no. So does `settled`, which
/// is asked several times a second whether an answer is still needed.
pub(crate) fn agree(
    keyboard: &mut Keyboard,
    what: &str,
    settled: &mut dyn FnMut() -> bool,
) -> bool {
    yes_or_no(keyboard, &format!("{what} [Y/n] "), true, settled)
}

/// The same for what is usually not wanted: an empty answer means no.
pub(crate) fn insist(what: &str) -> bool {
    let prompt = format!("{what} [y/N] ");
    yes_or_no(&mut Keyboard::new(), &prompt, false, &mut || false)
}

fn yes_or_no(
    keyboard: &mut Keyboard,
    prompt: &str,
    usually: bool,
    settled: &mut dyn FnMut() -> bool,
) -> bool {
    loop {
        let Some(answer) = answer_unless(keyboard, prompt, settled) else {
            return false;
        };
        match answer.to_ascii_lowercase().as_str() {
            "" => return usually,
            "y" | "yes" => return true,
            "n" | "no" => return false,
            _ => {}
        }
    }
}

fn answer(keyboard: &mut Keyboard, prompt: &str) -> Option<String> {
    answer_unless(keyboard, prompt, &mut || false)
}

fn answer_unless(
    keyboard: &mut Keyboard,
    prompt: &str,
    settled: &mut dyn FnMut() -> bool,
) -> Option<String> {
    output::message(prompt);
    match keyboard.wait_unless(settled)? {
        Typed::Line(line) => Some(line.expose().to_owned()),
        Typed::TooLong | Typed::Nothing => Some(String::new()),
        Typed::End => {
            output::message("\n");
            None
        }
    }
}
