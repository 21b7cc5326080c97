//! Where files live: the XDG base directories, and the variables that override them.

use std::env;
use std::path::PathBuf;

use countersign_client::Directories;

use crate::error::CliError;

/// One of them alone would only lead to the next error.
const SET_THEM: &str =
    "set HOME, or COUNTERSIGN_CONFIG_DIR, COUNTERSIGN_STATE_DIR and COUNTERSIGN_CACHE_DIR";

/// The directory of `config.toml`.
pub(crate) fn config() -> Result<PathBuf, CliError> {
    if let Some(directory) = overridden("COUNTERSIGN_CONFIG_DIR") {
        return Ok(directory);
    }
    let base =
        absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("countersign")).ok_or_else(|| {
        CliError::configuration("there is no place for the configuration")
            .why("neither XDG_CONFIG_HOME nor HOME is an absolute path")
            .hint(SET_THEM)
    })
}

/// The directories of sessions, and of metadata and keys.
pub(crate) fn state_and_cache() -> Result<Directories, CliError> {
    match (
        overridden("COUNTERSIGN_STATE_DIR"),
        overridden("COUNTERSIGN_CACHE_DIR"),
    ) {
        (Some(state), Some(cache)) => Ok(Directories::new(state, cache)),
        (state, cache) => {
            let usual = Directories::of_application("countersign")
                .map_err(|error| CliError::from_client(&error).hint(SET_THEM))?;
            Ok(Directories::new(
                state.unwrap_or_else(|| usual.state().to_owned()),
                cache.unwrap_or_else(|| usual.cache().to_owned()),
            ))
        }
    }
}

/// The home directory.
pub(crate) fn home() -> Option<PathBuf> {
    absolute("HOME")
}

/// The directory of the files that a company ships. No variable leads elsewhere, because these files
/// hold limits.
///
/// `COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR` is for Countersign's own tests, which must not write to `/etc`.
/// A program that is built to be used does not know it.
pub(crate) fn system_config() -> PathBuf {
    cfg!(debug_assertions)
        .then(|| overridden("COUNTERSIGN_TEST_SYSTEM_CONFIG_DIR"))
        .flatten()
        .unwrap_or_else(|| PathBuf::from("/etc/countersign/config.d"))
}

/// A directory that a variable of ours names.
fn overridden(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A relative path in one of the XDG variables is to be ignored, says their specification.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}
