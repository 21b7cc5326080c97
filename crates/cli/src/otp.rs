//! A one-time password that an API asks for (`docs/step-up.md`): who is asked, what is said about it, and what
//! a program gets where there is nobody.
//!
//! Not responsible for the conversation with the API (`curl_request`), nor for the terminal (the client).

use countersign_client::{
    Environment, ExitCategory, NotSteppedUp, OtpChallenge, OtpError, OtpFailed, OtpMethod,
    OtpPassword, OtpPrompt, OtpQuestion, OtpReply, OtpTerminal, Secret,
};
use countersign_otp::yubico::{Keyboard, Otp};
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::CliError;
use crate::output::{self, shell_word};
use crate::{duration, step_up, time};

/// Whether there is somebody to ask. What comes through standard input, and where the output goes, does
/// not matter: the terminal itself is asked.
pub(crate) fn may_ask(app: &App) -> bool {
    let unattended = || Environment::from_variables(|name| std::env::var_os(name)).ci;
    !app.no_input && !unattended() && OtpTerminal::is_there()
}

/// Asks at the terminal, and undoes what a keyboard does to a key's letters.
#[derive(Debug)]
pub(crate) struct Typist;

impl OtpPrompt for Typist {
    fn one_time_password(&mut self, question: &OtpQuestion<'_>) -> OtpReply {
        match OtpTerminal.one_time_password(question) {
            OtpReply::Typed(line) => OtpReply::Typed(corrected(line, question.methods)),
            other => other,
        }
    }
}

/// What a Yubikey meant, where the keyboard is a Dvorak. Letters of both occur in either, but nearly every
/// password has some that only one of them has; where there are none, the line is taken as it is.
fn corrected(line: Secret, methods: &[OtpMethod]) -> Secret {
    let is_one = OtpPassword::typed(line.expose(), methods).is_ok();
    if is_one || !methods.contains(&OtpMethod::Yubikey) {
        return line;
    }
    match Otp::parse_typed(line.expose(), Keyboard::Dvorak) {
        Ok(otp) => Secret::new(otp.expose()),
        Err(_) => line,
    }
}

/// Leaves with the challenge for a program: one JSON object in one line on standard error. What would
/// answer it is not in it.
pub(crate) fn challenge(api: &str, wanted: &OtpChallenge) -> CliError {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    let methods: Vec<&str> = wanted.methods.iter().map(|it| it.as_str()).collect();
    put("error", step_up::ERROR.into());
    put("api", api.into());
    put("otp_methods", methods.into());
    put("otp_expires_in", wanted.expires_in.as_secs().into());
    if let Some(action) = &wanted.action {
        put("otp_action", action.as_str().into());
    }
    output::message(&format!("{}\n", Value::Object(object)));
    CliError::silent(ExitCategory::StepUp)
}

/// Why the request is not confirmed, and what to do about it.
pub(crate) fn failed(api: &str, failed: &NotSteppedUp) -> CliError {
    if matches!(failed, NotSteppedUp::Stopped) {
        return CliError::silent(ExitCategory::Interrupted);
    }
    let what = format!("{api} did not get the one-time password that it asks for");
    let text = CliError::new(failed.exit_category(), failed.code(), what).why(failed.to_string());
    let refused = match failed {
        NotSteppedUp::Otp(OtpFailed::Refused(refused)) => refused,
        NotSteppedUp::Otp(OtpFailed::TimedOut) | NotSteppedUp::NothingTyped => {
            return text.hint(AGAIN);
        }
        _ => return text.hint(failed.instead()),
    };
    match (&refused.error, refused.retry_after) {
        (OtpError::Locked | OtpError::Unavailable, Some(wait)) => {
            let until = time::text(time::now() + wait);
            let wait = duration::text(wait);
            text.hint(format!("try again after {until}, in {wait}"))
        }
        _ => text.hint(failed.instead()),
    }
}

const AGAIN: &str = "type the same command once more";

/// The password would be for another address than the one that was typed.
pub(crate) fn moved(api: &str, place: &str) -> CliError {
    let what = format!("{api} asks for a one-time password after a redirect");
    CliError::new(ExitCategory::StepUp, "otp_redirect", what)
        .why("it would be for another request than the one that was typed")
        .hint(format!("countersign curl {}", shell_word(place)))
}

/// Says where the answer leads, since curl has not gone there.
pub(crate) fn say_redirect(app: &App, place: &str) {
    app.voice.say(&format!(
        "The answer leads on, and a one-time password is not taken along: {place}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWERTY: &str = "ccccccbcgujhingjrdejhgfnuetrgigvejhhgbkugded";

    #[test]
    fn letters_of_another_keyboard_are_undone_where_they_tell() {
        let typed = |line: &str| corrected(Secret::new(line), &[OtpMethod::Yubikey]);
        assert_eq!(typed(QWERTY).expose(), QWERTY);
        assert_eq!(typed("not that").expose(), "not that");
        let dvorak: String = QWERTY
            .chars()
            .map(|letter| {
                let at = "cbdefghijklnrtuv".find(letter).unwrap();
                "jxe.uidchtnbpygk".chars().nth(at).unwrap()
            })
            .collect();
        assert_eq!(typed(&dvorak).expose(), QWERTY);
        let digits = corrected(Secret::new(dvorak.as_str()), &[OtpMethod::Totp]);
        assert_eq!(digits.expose(), dvorak, "nobody asked for a key");
    }
}
