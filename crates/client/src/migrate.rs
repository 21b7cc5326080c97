//! Moving the refresh token of a session to another place.

use std::time::Duration;

use countersign_store::{Purpose, VaultKind};

use crate::refresh::wait_for_lock;
use crate::{Context, Error, Session, SessionName};

/// How long a renewal that is under way may delay the move.
const RENEWAL_LIMIT: Duration = Duration::from_secs(40);

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MoveReport {
    /// Where the secrets were.
    pub from: VaultKind,
    /// `false` when they were there already.
    pub moved: bool,
    /// Why a copy may still be where they were, one line, fit to print.
    pub left_behind: Option<String>,
}

/// Moves the refresh token and the other long-lived secrets of a session to the vault `to`; `None` when
/// there is no such session. All or nothing: whoever is killed meanwhile leaves the session whole in one
/// of the two places, and asking again finishes it.
///
/// # Errors
/// When `to` is not allowed here, one place does not give the secrets back, or the other does not take
/// them. The session is then where it was.
pub fn migrate(
    context: &Context,
    session: &SessionName,
    to: VaultKind,
) -> Result<Option<MoveReport>, Error> {
    context.known_vaults().check_allowed(to)?;
    let context = context.clone().using(context.known_vaults().for_moving());
    let _lock = wait_for_lock(&context, session, Purpose::Refresh, RENEWAL_LIMIT)?;
    let moved = context.store().migrate::<Session>(session, to);
    Ok(moved.map_err(Error::Storage)?.map(|moved| MoveReport {
        from: moved.from,
        moved: moved.moved,
        left_behind: moved.left_behind.map(|why| why.to_string()),
    }))
}
