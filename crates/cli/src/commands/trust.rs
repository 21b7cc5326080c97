//! `countersign trust`: lets the `.countersign.toml` of a directory choose the profile there.

use std::env;
use std::path::PathBuf;

use countersign_client::printable;

use crate::args::TrustArgs;
use crate::config::Config;
use crate::directory::{self, NAME};
use crate::error::CliError;
use crate::output::Voice;

pub(crate) fn run(args: &TrustArgs, voice: Voice) -> Result<(), CliError> {
    if args.remove {
        return remove(args, voice);
    }
    let candidate = match &args.directory {
        Some(directory) => directory::in_directory(&real(directory)?)?,
        None => directory::nearest(&here()?)?,
    };
    let path = printable(&candidate.path.to_string_lossy());
    let wanted = candidate
        .read()
        .map_err(|why| CliError::configuration(format!("{path} cannot be trusted")).why(why))?;
    directory::context()?.give_trust(&candidate.path, &candidate.bytes)?;
    voice.say(&format!("Trusted until it changes: {path}"));
    voice.say(&format!("There and below, it chooses {}.", wanted.wish()));
    // It is the person's own mistake to make, and easily mended.
    let known = Config::load().is_ok_and(|config| config.has_profile(&wanted.profile));
    if !known {
        voice.warn(&format!("there is no profile `{}` yet", wanted.profile));
    }
    Ok(())
}

/// Also for a file that is not there any more.
fn remove(args: &TrustArgs, voice: Voice) -> Result<(), CliError> {
    let path = match &args.directory {
        Some(directory) => real(directory)?.join(NAME),
        None => match directory::nearest(&here()?) {
            Ok(candidate) => candidate.path,
            Err(_) => here()?.join(NAME),
        },
    };
    let shown = printable(&path.to_string_lossy());
    if directory::context()?.take_trust(&path)? {
        voice.say(&format!("No longer trusted: {shown}"));
    } else {
        voice.say(&format!("It was not trusted: {shown}"));
    }
    Ok(())
}

fn here() -> Result<PathBuf, CliError> {
    env::current_dir().map_err(|error| {
        CliError::configuration("the working directory cannot be told").why(error.to_string())
    })
}

/// The directory as a search would find it.
fn real(directory: &std::path::Path) -> Result<PathBuf, CliError> {
    directory.canonicalize().map_err(|error| {
        let shown = printable(&directory.to_string_lossy());
        CliError::configuration(format!("there is no directory {shown}")).why(error.to_string())
    })
}
