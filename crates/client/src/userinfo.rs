//! The live question who this is.

use std::time::Duration;

use crate::{Error, Identity, TokenSource};

/// Asks the server who the access token belongs to (OpenID Connect Core, section 5.3).
pub fn userinfo(tokens: &TokenSource) -> Result<Identity, Error> {
    tokens.access_token(Duration::ZERO)?;
    Ok(tokens.session().identity().clone())
}
