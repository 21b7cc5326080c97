//! What the pages are told.

use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::Secret;

use super::authentication::Missing;
use super::model::PendingDevice;

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
    /// Whether a second factor has to be proved or set up before the person is
    /// signed in.
    pub is_halfway: bool,
}

/// The outcome of typing a user code.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodeLookup {
    /// The code belongs to a login that waits for a decision.
    Found(PendingDevice),
    /// There was a login with this code, and its time is over.
    Expired,
    /// The login was approved or denied already.
    Decided,
    /// No such code, or one that is forgotten already.
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
    Recorded,
    /// The login expired or was decided meanwhile.
    Gone,
    /// The person has to do this first.
    Missing(Missing),
    /// Too many wrong codes from this session, this address or everywhere.
    Limited {
        /// How long to wait.
        retry_after: Duration,
    },
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

/// What is to be different about an account; the rest stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// The name for people; empty for none.
    pub name: Option<String>,
    /// The e-mail address; empty for none.
    pub email: Option<String>,
    /// Groups to join.
    pub join: Vec<String>,
    /// Groups to leave.
    pub leave: Vec<String>,
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
    /// Empty, longer than 200 characters, or with a comma or control characters in it.
    #[error("a group has 1 to 200 printable characters and no comma")]
    GroupMalformed,
    /// Somebody is to leave a group that they are not in: it is another one that was meant.
    #[error("the person is not in a group that is to be left")]
    NotInGroup,
}
