//! What the credential helpers of git and docker have in common: a question on standard input, about a
//! host that a profile must name.

use std::io::{self, Read as _};

use countersign_client::{ExitCategory, printable};

use crate::app::App;
use crate::error::CliError;
use crate::hosts::{self, Host, Hosts, Owner};
use crate::layer::Layer;
use crate::layers::{Origin, Setting};
use crate::settings::Settings;

/// A question is a few lines; the largest part of it is a token that is given back.
const MAX_QUESTION: u64 = 256 * 1024;

/// Reads all of standard input.
pub(super) fn question() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let what = || {
        CliError::new(
            ExitCategory::Failure,
            "question",
            "the question cannot be read",
        )
    };
    io::stdin()
        .lock()
        .take(MAX_QUESTION + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| what().why(error.to_string()))?;
    if bytes.len() as u64 > MAX_QUESTION {
        return Err(what().why(format!("it has more than {MAX_QUESTION} bytes")));
    }
    // A byte that is no text is part of no host that a profile could name.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where to look in a profile.
pub(super) type Of = fn(&Layer) -> Option<&Hosts>;

/// Lets the profile that names the host be the one in use, and answers what it says; `None` when the
/// host is not for us.
///
/// # Errors
/// When several profiles name it.
pub(super) fn choose(app: &mut App, host: &Host, of: Of) -> Result<Option<Hosts>, CliError> {
    let chosen = app.settings.profile.as_ref();
    let by_name = chosen
        .is_some_and(|profile| matches!(profile.origin, Origin::Flag(_) | Origin::Environment(_)));
    let chosen = chosen.map(|profile| profile.value.clone());
    let owner = match hosts::owner(&app.config, chosen.as_deref(), by_name, host, of) {
        Owner::Nobody => return Ok(None),
        Owner::Chosen => chosen,
        Owner::Profile(name) => {
            // As if it had been typed, so that it stands in what there is to type.
            app.given.profile = Some(Setting {
                value: name.clone(),
                origin: Origin::Flag("profile"),
            });
            app.settings = Settings::resolve(&app.config, &app.given)?;
            Some(name)
        }
        Owner::Several(names) => {
            return Err(
                CliError::configuration(format!("several profiles name the host {host}"))
                    .why(format!("there are: {}", names.join(", ")))
                    .hint("countersign profile use NAME")
                    .hint("or let one of them name it"),
            );
        }
    };
    Ok(hosts::named(&app.config, owner.as_deref(), of))
}

/// Says so when no profile names any host, because then the helper has been set up in vain.
pub(super) fn warn_if_useless(app: &App, program: &str, of: Of) {
    let names = app.config.profile_names();
    let mut all = names.into_iter().map(Some).chain([None]);
    if all.any(|name| hosts::named(&app.config, name, of).is_some()) {
        return;
    }
    let file = printable(&app.config.user_path.to_string_lossy());
    app.voice.warn(&format!(
        "no profile says which hosts {program} may take the token to; in\n\
         {file}: [profile.NAME.{program}] hosts = [\"…\"]"
    ));
}
