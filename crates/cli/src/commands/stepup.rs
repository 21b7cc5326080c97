//! `countersign stepup`: a stronger or fresher sign-in, or a one-time password that is good for a while, ahead
//! of time.

use std::ffi::OsString;

use countersign_client::{Clock as _, ExitCategory, StepUp, SystemClock};

use super::curl;

use crate::app::{App, ready_made_token};
use crate::args::StepUpArgs;
use crate::curl_args;
use crate::curl_request::Request;
use crate::error::CliError;
use crate::{other_api, step_up};

/// Nothing is changed by it, and nothing printed.
const HEAD: [&str; 4] = ["-sS", "--head", "--output", "/dev/null"];

pub(crate) fn run(app: &mut App, args: &StepUpArgs) -> Result<(), CliError> {
    if ready_made_token()?.is_some() {
        let what = "the environment brings a token already";
        return Err(CliError::usage(what)
            .why("COUNTERSIGN_TOKEN wins over any session, so a sign-in would change nothing")
            .hint("unset COUNTERSIGN_TOKEN"));
    }
    let wanted = StepUp::new(&args.acr, args.max_age).map_err(|error| {
        CliError::usage("the classes cannot be asked for").why(error.to_string())
    })?;
    let tokens = app.tokens()?;
    let target = args.target.other(&tokens)?;
    let identity = tokens.session().identity().clone();
    // Who names neither wants to sign in, whatever there is.
    let named = !wanted.acr_values.is_empty() || wanted.max_age.is_some();
    if let (false, Some(url)) = (named, &args.url) {
        return confirm(app, args, url);
    }
    if named && identity.meets(&wanted, SystemClock::default().now()) {
        app.voice
            .say(&format!("What there is does already: {wanted}."));
    } else {
        step_up::sign_in(app, &tokens, &wanted)?;
        app.voice.say(&format!("There is {wanted}."));
    }
    if let Some(target) = &target {
        other_api::token(app, &tokens, target)?;
    }
    match &args.url {
        Some(url) => confirm(app, args, url),
        None => Ok(()),
    }
}

/// Calls the API, so that it asks for what it wants to know.
fn confirm(app: &mut App, args: &StepUpArgs, url: &str) -> Result<(), CliError> {
    let url = curl::target(url)?;
    let line = HEAD.map(OsString::from);
    let arguments = curl_args::check(&line)?;
    let request = Request::new(app, &url, &line, &arguments, &args.target)?;
    let answered = request.answered(app)?;
    if !answered.came.is_success() {
        // It has said why.
        return Err(CliError::silent(ExitCategory::Unreachable));
    }
    let api = step_up::origin(&url);
    let status = answered.came.status();
    app.voice.say(&if answered.confirmed {
        format!("{api} has taken the one-time password, and answers with {status}.")
    } else {
        format!("{api} asks for no one-time password there, and answers with {status}.")
    });
    Ok(())
}
