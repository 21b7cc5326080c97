//! What the issuer remembers: accounts, clients, device codes, grants and
//! browser sessions.
//!
//! Plain data. The rules that move it are in the neighbouring modules, the
//! tables it rests in are in [`crate::storage`].

use std::fmt;
use std::net::IpAddr;

use crate::pending::Timestamp;

/// A SHA-256 digest under which something secret is stored.
pub type Digest = [u8; 32];

/// A password as it rests: an Argon2id string in PHC form.
///
/// `Debug` shows stars, so that an account can be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub(crate) String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Someone who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The `sub` of every token: random, never reused, never shown as a name.
    pub id: String,
    /// What is typed at sign-in: lower case, unique.
    pub username: String,
    /// The `name` claim.
    pub name: Option<String>,
    /// The `email` claim.
    pub email: Option<String>,
    /// The `groups` claim.
    pub groups: Vec<String>,
    /// The password as it rests.
    pub password: PasswordHash,
    /// A disabled account signs in nowhere and renews nothing.
    pub disabled: bool,
    /// When the account was created.
    pub created_at: Timestamp,
}

impl Account {
    /// The name to greet with: `name`, else the user name.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.username)
    }
}

/// A signed-in browser, as the pages see it.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    /// The account that signed in, read again at this request.
    pub account: Account,
    /// When the password was given: the `auth_time` of what is approved now.
    pub authenticated_at: Timestamp,
    /// When the browser has to sign in again.
    pub expires_at: Timestamp,
    /// The value that every form of this session must carry.
    pub csrf_token: String,
    /// The key under which the session rests.
    pub(crate) id: Digest,
}

/// A device login that waits for a person's decision, as the confirmation
/// page shows it (RFC 8628, sections 3.3 and 5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDevice {
    /// The code to compare with the terminal, as shown there: `XXXX-XXXX`.
    pub user_code: String,
    /// The client's identifier.
    pub client_id: String,
    /// The client's name for people.
    pub client_name: String,
    /// The scopes asked for.
    pub scopes: Vec<String>,
    /// The resource servers the tokens are asked for; empty when only this
    /// issuer itself is meant.
    pub audiences: Vec<String>,
    /// The address the request came from.
    pub requested_from: Option<IpAddr>,
    /// The host name the requester claims: unproven, already printable.
    pub claimed_host: Option<String>,
    /// The command the requester claims to be: unproven, already printable.
    pub claimed_command: Option<String>,
    /// When the login was begun.
    pub created_at: Timestamp,
    /// When it ends without a decision.
    pub expires_at: Timestamp,
}
