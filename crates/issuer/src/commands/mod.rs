//! What `countersign-issuer` can be told to do.

pub(crate) mod client;
pub(crate) mod grant;
pub(crate) mod serve;
pub(crate) mod user;
pub(crate) mod yubikey;

use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use countersign_console::Problem;
use countersign_issuer::core::{Core, Keys, Policy};
use countersign_issuer::keyfile;
use countersign_jose::{Timestamp, crypto};
use countersign_oauth::Issuer;

use crate::state;

/// The core of the users' and clients' commands: the same rules over the same
/// database as the server, which may be running meanwhile. It issues no
/// tokens, so it has keys of its own and stands for no issuer in particular.
fn administration(directory: &Path) -> Result<Core, Problem> {
    let keys = Keys::generate(crypto::aws_lc::provider())
        .map_err(|error| Problem::new("keys cannot be made").because(error))?;
    core_over(directory, keys)
}

/// The same for commands that seal or open second factors, which takes the
/// server's own keys.
fn factor_administration(directory: &Path) -> Result<Core, Problem> {
    state::create(directory)?;
    let path = state::key_file(directory);
    let keys = keyfile::load_or_generate(&path, crypto::aws_lc::provider())
        .map_err(|error| Problem::new("the issuer's keys cannot be used").because(error))?;
    core_over(directory, keys)
}

fn core_over(directory: &Path, keys: Keys) -> Result<Core, Problem> {
    let storage = state::open_database(directory)?;
    let issuer = Issuer::parse("http://127.0.0.1")
        .map_err(|error| Problem::new("no issuer can be named").because(error))?;
    Ok(Core::new(Box::new(storage), keys, Policy::new(issuer)))
}

/// The time of this machine.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A time in seconds since 1970, which `date -d @…` and scripts can read.
fn date(at: Timestamp) -> String {
    at.as_secs().to_string()
}

/// Prints a line of the artefact.
fn print(line: impl AsRef<str>) -> Result<(), Problem> {
    match writeln!(io::stdout(), "{}", line.as_ref()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Problem::new("nothing can be printed").because(error))
        }
        _ => Ok(()),
    }
}

/// Tells the person at the terminal something; stdout is for programs.
fn tell(line: impl AsRef<str>) {
    // Where stderr is gone nobody is there to be told.
    let _ = writeln!(io::stderr(), "{}", line.as_ref());
}
