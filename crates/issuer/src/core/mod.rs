//! Every rule of the issuer, over stored records and a time that is handed in.
//!
//! Not responsible for HTTP, for pages, nor for where records rest.

mod model;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::pending::Secret;
use crate::pending::Timestamp;

pub use model::{Account, BrowserSession, Digest, PasswordHash, PendingDevice};

/// What the issuer's core could not do for reasons of its own.
///
/// What a person or a client did wrong is never here: each operation returns
/// that as its outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The records could not be read or written.
    #[error("the issuer's storage failed")]
    Storage,
    /// The system gave no random bytes, or a signature could not be made.
    #[error("the issuer's cryptography failed")]
    Crypto,
}

/// The outcome of a sign-in.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignIn {
    /// The password was right; put the token into the session cookie.
    Accepted(NewSession),
    /// The name is unknown, the password wrong or the account disabled: one
    /// answer for all three.
    Refused,
    /// Too many wrong attempts.
    Limited {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// A browser session that was just made.
#[derive(Debug)]
pub struct NewSession {
    /// The cookie's value; it is stored hashed only.
    pub token: Secret,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// The outcome of typing a user code.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodeLookup {
    /// The code belongs to a login that waits for a decision.
    Found(PendingDevice),
    /// No such code, or it has expired or was decided already.
    Unknown,
    /// Too many wrong codes from this session, this address or everywhere.
    Limited {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// The outcome of pressing Approve or Deny.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// The decision stands; the device learns it at its next poll.
    Recorded(PendingDevice),
    /// The login expired or was decided meanwhile.
    Gone,
}

/// The first account, as typed on the set-up page.
#[derive(Debug)]
pub struct NewAccount {
    /// The name to sign in with.
    pub username: String,
    /// The name for people.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The password.
    pub password: Secret,
}

/// The outcome of creating the first account.
#[derive(Debug)]
#[non_exhaustive]
pub enum Setup {
    /// The account exists and its browser is signed in.
    Created(NewSession),
    /// The link was used before, has expired, or an account exists already.
    LinkInvalid,
    /// The form's content cannot be accepted; the link stays good.
    Rejected(AccountRejected),
}

/// Why an account cannot be made from what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountRejected {
    /// 1 to 64 of `a-z 0-9 . _ - @`, beginning with a letter or digit.
    #[error(
        "a user name has 1 to 64 of the characters a-z, 0-9 and . _ - @, and begins with a letter or digit"
    )]
    UsernameMalformed,
    /// Somebody has this user name.
    #[error("this user name is taken")]
    UsernameTaken,
    /// 10 characters at least.
    #[error("a password has at least 10 characters")]
    PasswordTooShort,
    /// 1,024 bytes at most.
    #[error("a password has at most 1,024 bytes")]
    PasswordTooLong,
    /// Longer than 200 characters, or with control characters in it.
    #[error("a name or e-mail address has at most 200 printable characters")]
    NameMalformed,
}

/// The issuer's rules over its records.
pub struct Core {}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

#[expect(
    clippy::unused_async,
    clippy::unused_self,
    clippy::missing_panics_doc,
    unused_variables,
    reason = "signatures first; the bodies follow with the storage"
)]
impl Core {
    /// Checks a password and begins a browser session. Takes as long for an
    /// unknown name as for a known one.
    pub async fn sign_in(
        &self,
        username: &str,
        password: &Secret,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<SignIn, Error> {
        Err(Error::Storage)
    }

    /// The session of a cookie's value; `None` when it is unknown or over, or
    /// its account was disabled or removed.
    pub fn session(&self, token: &Secret, now: Timestamp) -> Result<Option<BrowserSession>, Error> {
        Err(Error::Storage)
    }

    /// Ends a browser session.
    pub async fn sign_out(&self, session: &BrowserSession) -> Result<(), Error> {
        Err(Error::Storage)
    }

    /// Looks up a typed user code: any case, with or without dash and spaces
    /// (RFC 8628, section 6.1). Wrong codes are counted and limited.
    pub fn lookup_user_code(
        &self,
        input: &str,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<CodeLookup, Error> {
        Err(Error::Storage)
    }

    /// Approves the login of a user code in the name of the session's account.
    pub async fn approve(
        &self,
        user_code: &str,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        Err(Error::Storage)
    }

    /// Denies the login of a user code.
    pub async fn deny(
        &self,
        user_code: &str,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        Err(Error::Storage)
    }

    /// Whether a set-up link can still be used; it is not used up by asking.
    pub fn setup_link_is_valid(&self, token: &Secret, now: Timestamp) -> Result<bool, Error> {
        Err(Error::Storage)
    }

    /// Creates the first account and uses the link up, both or neither.
    pub async fn create_first_account(
        &self,
        token: &Secret,
        account: NewAccount,
        now: Timestamp,
    ) -> Result<Setup, Error> {
        Err(Error::Storage)
    }

    /// A fresh value for a cookie that marks a browser before sign-in, so that
    /// the sign-in and set-up forms can be bound to it.
    pub fn browser_mark(&self) -> Result<Secret, Error> {
        Err(Error::Crypto)
    }

    /// The form value that belongs to a browser's mark.
    pub fn csrf_token(&self, mark: &Secret) -> String {
        String::new()
    }

    /// Whether a form value belongs to a browser's mark, in constant time.
    pub fn csrf_matches(&self, mark: &Secret, token: &str) -> bool {
        false
    }
}
