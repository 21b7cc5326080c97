//! Where refresh tokens are kept: whether such a place works now, and gives back what it has.

use std::path::PathBuf;

use countersign_store::{VaultError, VaultKind};

use crate::context::Opening;
use crate::{Context, Error, LoginRequired, SessionName};

/// What was found of the places for refresh tokens. Nobody was asked anything.
#[derive(Debug)]
#[non_exhaustive]
pub struct Vaults {
    /// Where a login would put its refresh token now; an error when there is nowhere.
    pub chosen: Result<VaultKind, Error>,
    /// What would rather be used, and why it is not, best first.
    pub passed_over: Vec<(VaultKind, VaultError)>,
    /// The program that speaks with the keyring, where one of the places needs it.
    pub program: Option<Program>,
}

/// The program that speaks with the keyring.
#[derive(Debug)]
#[non_exhaustive]
pub struct Program {
    /// Where it is, or should be.
    pub path: PathBuf,
    /// Its version, as it says itself, or why it does not.
    pub version: Result<String, VaultError>,
    /// Whether it is of the same version as this library.
    pub fits: bool,
}

/// Tries the places where new sessions would go: something is written there, read again and taken away.
/// A place that needs a person is passed over.
pub fn vaults(context: &Context) -> Vaults {
    let known = context.known_vaults();
    let options = known.options();
    let wanted = |kind: &VaultKind| options.preferred.contains(kind);
    let program = [VaultKind::Keyring, VaultKind::KeyringKey]
        .iter()
        .any(wanted)
        .then(|| {
            let version = options.keyring.version();
            Program {
                path: options.keyring.path(),
                fits: version.as_deref() == Ok(env!("CARGO_PKG_VERSION")),
                version,
            }
        });
    let (chosen, passed_over) = known.try_preferred();
    Vaults {
        chosen,
        passed_over: passed_over
            .into_iter()
            .map(|failed| (failed.kind, failed.why))
            .collect(),
        program,
    }
}

/// What came of reading the refresh token of a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kept {
    /// There is no session, or none with a refresh token.
    Nothing,
    /// It was read where it is kept.
    Readable(VaultKind),
    /// It is kept in a place that needs a person, who was not asked.
    NeedsPerson(VaultKind),
    /// It could not be read now.
    Unreadable(VaultKind, Error),
    /// It is not there any more.
    Lost(VaultKind),
}

/// Reads the refresh token of a session, as a renewal would, and forgets it again.
///
/// # Errors
/// When the session's file cannot be read.
pub fn kept(context: &Context, name: &SessionName) -> Result<Kept, Error> {
    let Some(session) = context.session(name)? else {
        return Ok(Kept::Nothing);
    };
    let (true, Some(kind)) = (session.has_refresh_token(), session.kept_in()) else {
        return Ok(Kept::Nothing);
    };
    Ok(match context.opened(name, Opening::Read) {
        Ok(_) => Kept::Readable(kind),
        Err(Error::LoginRequired {
            reason: LoginRequired::SecretsLost,
            ..
        }) => Kept::Lost(kind),
        Err(Error::Storage(error)) if error.code() == VaultError::NoPassphrase.code() => {
            Kept::NeedsPerson(kind)
        }
        Err(error) => Kept::Unreadable(kind, error),
    })
}
