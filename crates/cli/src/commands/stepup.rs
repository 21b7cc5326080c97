//! `countersign stepup`: a stronger or fresher sign-in, ahead of time.

use countersign_client::{Clock as _, StepUp, SystemClock};

use crate::app::{App, ready_made_token};
use crate::args::StepUpArgs;
use crate::error::CliError;
use crate::{other_api, step_up};

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
    Ok(())
}
