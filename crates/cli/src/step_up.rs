//! An API that asks for a stronger or fresher sign-in (RFC 9470): who is told, and the sign-in itself.
//!
//! Somebody who watches is told in one line, and signs in by the profile's way. A program gets exit code 8
//! and the challenge as one JSON object on standard error. Nothing here is done twice.
//!
//! Not responsible for the request that was refused (`commands::curl`), nor for what meets a demand
//! (the client).

use std::io::{self, IsTerminal as _};

use clap::CommandFactory as _;
use countersign_client::{
    Environment, Error as ClientError, ExitCategory, ScopeSet, StepUp, TokenSource,
    UnreadableStepUp, printable,
};
use serde_json::{Map, Value};
use url::Url;

use crate::app::App;
use crate::args::Cli;
use crate::error::CliError;
use crate::given::Overrides;
use crate::output::{self, shell_word};
use crate::prompt::Screen;
use crate::settings::Settings;
use crate::term::Terminal;

/// What RFC 9470 calls it.
pub(crate) const ERROR: &str = "insufficient_user_authentication";

/// Whether there is somebody who can sign in. Unlike for a question, nothing has to be typed here: what
/// curl sends may come from a pipe.
pub(crate) fn may_sign_in(app: &App) -> bool {
    let unattended = || Environment::from_variables(|name| std::env::var_os(name)).ci;
    !app.no_input && io::stderr().is_terminal() && !unattended()
}

/// The API, as it is named to people.
pub(crate) fn origin(url: &Url) -> String {
    printable(&url.origin().ascii_serialization())
}

/// Answers an API: the person of the session signs in as it asks for, and `tokens` has what comes of it.
///
/// # Errors
/// When nobody is there, or nothing comes of it. The session is as it was, then.
pub(crate) fn answer(
    app: &mut App,
    tokens: &TokenSource,
    api: &str,
    wanted: &StepUp,
) -> Result<(), CliError> {
    if !may_sign_in(app) {
        let command = command(app, wanted);
        return Err(challenge(api, wanted, Some(&command)));
    }
    app.voice.say(&format!("{api} asks for {wanted}."));
    sign_in(app, tokens, wanted)
}

/// Signs the person of the session in again.
pub(crate) fn sign_in(
    app: &mut App,
    tokens: &TokenSource,
    wanted: &StepUp,
) -> Result<(), CliError> {
    as_for_login(app)?;
    let login = app.sign_in()?.command("countersign stepup");
    let mut screen = Screen::new(app.voice, Terminal::of_stderr(), app.settings.qr.value)
        .asking(app.may_ask())
        .taking_paste(app.takes_paste());
    let done = login.step_up(tokens, wanted, &mut screen);
    done.map_err(|error| failed(app, error, wanted))?;
    Ok(())
}

/// Takes what the environment says of logins, which the command in hand has no flags for.
fn as_for_login(app: &mut App) -> Result<(), CliError> {
    let matches = Cli::command().try_get_matches_from(["countersign", "login"]);
    let matches = matches.map_err(|error| {
        CliError::usage("a variable of the environment cannot be used")
            .why(printable(&error.to_string()))
    })?;
    app.given.environment = Overrides::look(&matches).environment;
    app.settings = Settings::resolve(&app.config, &app.given)?;
    Ok(())
}

fn failed(app: &App, error: ClientError, wanted: &StepUp) -> CliError {
    let is_other_person = matches!(error, ClientError::OtherPerson(_));
    let timed_out = matches!(error, ClientError::LoginTimedOut { .. });
    let again = command(app, wanted);
    let text = match error {
        // Not the login of `explain`: that would not be what is asked for.
        error if timed_out => CliError::from(error),
        error => app.explain(error),
    };
    let text = text.why("the session is as it was");
    if is_other_person || timed_out {
        text.hint(again)
    } else {
        text
    }
}

/// The command that does it ahead of time.
fn command(app: &App, wanted: &StepUp) -> String {
    app.command(&format!("stepup{}", flags(wanted)))
}

/// The flags that say the same.
pub(crate) fn flags(wanted: &StepUp) -> String {
    let mut flags = String::new();
    if !wanted.acr_values.is_empty() {
        let classes = wanted.acr_values.join(" ");
        flags = format!(" --acr {}", shell_word(&classes));
    }
    if let Some(age) = wanted.max_age {
        flags = format!("{flags} --max-age {}s", age.as_secs());
    }
    flags
}

/// Leaves with the challenge for a program: one JSON object in one line on standard error.
fn challenge(api: &str, wanted: &StepUp, command: Option<&str>) -> CliError {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("error", ERROR.into());
    put("api", api.into());
    if !wanted.acr_values.is_empty() {
        put("acr_values", wanted.acr_values.clone().into());
    }
    if let Some(age) = wanted.max_age {
        put("max_age", age.as_secs().into());
    }
    if let Some(scope) = &wanted.scope {
        put("scope", scope.to_string().into());
    }
    if let Some(command) = command {
        put("command", command.into());
    }
    output::message(&format!("{}\n", Value::Object(object)));
    CliError::silent(ExitCategory::StepUp)
}

/// A token that somebody else brought cannot be had anew here.
pub(crate) fn ready_made(app: &App, api: &str, wanted: &StepUp) -> CliError {
    if !may_sign_in(app) {
        return challenge(api, wanted, None);
    }
    let what = format!("{api} asks for {wanted}");
    CliError::new(ExitCategory::StepUp, ERROR, what)
        .why("COUNTERSIGN_TOKEN brings a token, and no other can be had with it")
        .hint("unset COUNTERSIGN_TOKEN, and sign in")
}

/// The API is not content with what the authorization server gave.
pub(crate) fn again(api: &str, still: &StepUp) -> CliError {
    let what = format!("{api} still asks for {still}");
    CliError::new(ExitCategory::StepUp, "step_up_again", what)
        .why("a new sign-in has just been made as it asked, and its token is not enough")
        .hint("ask who runs the API whether it takes what this authorization server issues")
}

pub(crate) fn unreadable(api: &str, error: &UnreadableStepUp) -> CliError {
    let what = if error.parameter.starts_with("otp_") {
        format!("{api} asks for a one-time password, and not in a way that can be read")
    } else {
        format!("{api} asks for another sign-in, and does not say which")
    };
    CliError::new(ExitCategory::StepUp, "step_up_unreadable", what).why(error.to_string())
}

/// Says what to type where it is the scope that is missing.
pub(crate) fn say_scope(app: &App, api: &str, tokens: &TokenSource, scope: &ScopeSet) {
    let session = tokens.session();
    let missing = scope
        .iter()
        .filter(|wanted| session.scopes().iter().all(|known| known != wanted));
    let all = session.scopes().iter().map(String::as_str).chain(missing);
    let login = all.fold("login".to_owned(), |line, scope| {
        format!("{line} --scope {}", shell_word(scope))
    });
    let scope = printable(&scope.to_string());
    app.voice.say(&format!("{api} asks for the scope {scope}:"));
    app.voice.say(&format!("  {}", app.command(&login)));
}
