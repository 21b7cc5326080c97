//! What the issuer remembers: accounts, clients, device and authorization
//! codes, pushed requests, grants and browser sessions.
//!
//! Plain data. The rules that move it are in the neighbouring modules, the
//! tables it rests in are in [`crate::storage`].

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::ScopeSet;

use super::authentication::{Authentication, Demands, Missing, Proven};

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
    /// The second factor that was proved in this session.
    pub second: Option<Proven>,
    /// When the browser has to sign in again, unless it is used before.
    pub expires_at: Timestamp,
    /// The value that every form of this session must carry.
    pub csrf_token: String,
    /// The key under which the session rests.
    pub(crate) id: Digest,
}

impl BrowserSession {
    /// How the person signed in.
    pub(crate) fn authentication(&self) -> Authentication {
        Authentication {
            at: self.authenticated_at,
            second: self.second.map(|proven| proven.factor),
        }
    }
}

/// A browser whose person has given the right password and has to do more: no
/// session yet, and good for nothing else.
#[derive(Clone, Debug)]
pub struct HalfSession(pub(crate) BrowserSession);

impl HalfSession {
    /// The account that the password was right for.
    pub fn account(&self) -> &Account {
        &self.0.account
    }
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
    /// What the person has to do before it can be approved.
    pub missing: Option<Missing>,
}

/// An application that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// How the client proves who it is.
    pub authentication: ClientAuthentication,
    /// The grant types it may use.
    pub grant_types: Vec<GrantType>,
    /// The resource servers it may ask tokens for.
    pub audiences: Audiences,
    /// The resource servers that it is: whoever calls these has sent it a token
    /// that it may exchange (RFC 8693) and ask about (RFC 7662).
    pub serves: Vec<String>,
    /// Where a browser may be sent back to with a code.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent on to after it was signed out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Whether its tokens are bound to a key of its own, always (RFC 9449,
    /// section 5.2: `dpop_bound_access_tokens`).
    pub dpop_bound: bool,
    /// Whether its authorization requests must be pushed (RFC 9126, section 6:
    /// `require_pushed_authorization_requests`).
    pub require_par: bool,
    /// The scopes it may have in its own name (RFC 6749, section 4.4): those that
    /// nobody has to approve.
    pub scopes: ScopeSet,
    /// The algorithm its tokens are signed with.
    pub signing_algorithm: Algorithm,
    /// When it was added.
    pub created_at: Timestamp,
}

/// How a client proves who it is (RFC 6749, section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// It cannot keep a secret: a program on people's machines.
    Public,
    /// It has a secret that was generated here; this is its digest.
    Secret(Digest),
    /// It signs assertions with keys of its own (RFC 7523, section 2.2); this
    /// is the JWK set of their public halves, as JSON.
    PrivateKeyJwt(String),
}

/// The grant types there are (RFC 6749, RFC 8628 and RFC 8693).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// `authorization_code`.
    AuthorizationCode,
    /// `client_credentials`.
    ClientCredentials,
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    DeviceCode,
    /// `refresh_token`.
    RefreshToken,
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    TokenExchange,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::RefreshToken,
        Self::TokenExchange,
    ];

    /// Those by which a client acts for a person, and what such a client has
    /// unless it is told otherwise.
    pub const FOR_PEOPLE: [Self; 3] = [
        Self::AuthorizationCode,
        Self::DeviceCode,
        Self::RefreshToken,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The grant type with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|grant_type| grant_type.name() == name)
    }
}

/// The resource servers a client may ask tokens for (RFC 8707).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audiences {
    /// Whichever it names: for development only.
    Any,
    /// These, compared as they are written.
    Listed(Vec<String>),
}

impl Audiences {
    /// Whether tokens may be made for `audience`.
    pub fn allow(&self, audience: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => list.iter().any(|listed| listed == audience),
        }
    }
}

/// A device login, from its beginning until shortly after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The digest of the device code.
    pub code: Digest,
    /// The user code: eight letters, no dash.
    pub user_code: String,
    /// The client that began it.
    pub client_id: String,
    /// The scopes asked for.
    pub scopes: ScopeSet,
    /// The resource servers asked for.
    pub audiences: Vec<String>,
    /// The address it was begun from.
    pub requested_from: Option<IpAddr>,
    /// The host name the requester claims.
    pub claimed_host: Option<String>,
    /// The command the requester claims to be.
    pub claimed_command: Option<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it can no longer be decided or redeemed.
    pub expires_at: Timestamp,
    /// What it asks of the sign-in of whoever approves.
    pub demands: Demands,
    /// How far it got.
    pub state: DeviceState,
}

impl Device {
    /// How long a finished login is kept, so that a device that polls late is
    /// told `expired_token` and not that its code is unknown: the slowest
    /// interval and 10 s.
    const KEPT: Duration = Duration::from_secs(40);

    /// Whether this account has approved it, and it was not redeemed.
    pub(crate) fn is_approved_by(&self, account: &str) -> bool {
        matches!(&self.state, DeviceState::Approved { account_id, .. } if account_id == account)
    }

    /// Whether the login's record can go.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.expires_at + Self::KEPT < now
    }

    /// The other side of [`Device::is_forgotten`], for a database to compare
    /// `expires_at` with.
    pub(crate) fn forgotten_if_expired_before(now: Timestamp) -> Timestamp {
        now - Self::KEPT
    }
}

/// How far a device login got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has decided.
    Pending,
    /// A person approved it.
    Approved {
        /// The person's account.
        account_id: String,
        /// How that person had signed in.
        authentication: Authentication,
    },
    /// A person denied it.
    Denied,
    /// The person cannot sign in as it asks.
    Unmet,
    /// Its tokens were handed out.
    Redeemed,
}

/// An authorization code, from the approval until some time after its end
/// (RFC 6749, section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The digest of the code.
    pub code: Digest,
    /// The client it was made for.
    pub client_id: String,
    /// Where it was sent, as the client wrote it.
    pub redirect_uri: String,
    /// The SHA-256 of the client's verifier (RFC 7636, section 4.2: S256).
    pub code_challenge: Digest,
    /// The `nonce` that the ID token must repeat.
    pub nonce: Option<String>,
    /// What was approved.
    pub scopes: ScopeSet,
    /// The resource servers its tokens may be for.
    pub audiences: Vec<String>,
    /// The person who approved.
    pub account_id: String,
    /// How that person had signed in.
    pub authentication: Authentication,
    /// The thumbprint of the only key that may redeem it (RFC 9449, section 10).
    pub dpop_jkt: Option<String>,
    /// When it can no longer be redeemed.
    pub expires_at: Timestamp,
    /// The grant that it was redeemed for.
    pub redeemed_as: Option<GrantId>,
}

impl AuthorizationCode {
    /// How long a code is kept after its end, so that a copy that is presented
    /// late still ends the login that the code was redeemed for.
    const KEPT: Duration = Duration::from_secs(600);

    /// Whether the code's record can go.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.expires_at + Self::KEPT < now
    }

    /// The other side of [`AuthorizationCode::is_forgotten`].
    pub(crate) fn forgotten_if_expired_before(now: Timestamp) -> Timestamp {
        now - Self::KEPT
    }
}

/// An authorization request that its client has sent ahead (RFC 9126).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRequest {
    /// The digest of the `request_uri`.
    pub uri: Digest,
    /// The client that pushed it.
    pub client_id: String,
    /// Its parameters, form-encoded.
    pub parameters: String,
    /// When it can no longer be begun.
    pub expires_at: Timestamp,
}

impl PushedRequest {
    /// How long a request is kept after its end: a person who has begun it may
    /// take that long to decide, and a code is made once for each.
    const KEPT: Duration = Duration::from_secs(3_600);

    /// Whether the request's record can go.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.expires_at + Self::KEPT < now
    }

    /// The other side of [`PushedRequest::is_forgotten`].
    pub(crate) fn forgotten_if_expired_before(now: Timestamp) -> Timestamp {
        now - Self::KEPT
    }
}

/// The identifier of a grant: random, and part of its tokens.
pub type GrantId = [u8; 16];

/// One login on one machine: what its tokens say and how they are renewed.
///
/// A grant that was revoked is removed; a token without a grant is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The account it speaks for.
    pub account_id: String,
    /// The client it was given to.
    pub client_id: String,
    /// What was granted.
    pub scopes: ScopeSet,
    /// The resource servers its tokens may be for; empty for the issuer alone.
    pub audiences: Vec<String>,
    /// How the person had signed in. Renewing changes nothing about it.
    pub authentication: Authentication,
    /// When it was first redeemed.
    pub created_at: Timestamp,
    /// When it ends unless it is renewed before.
    pub expires_at: Timestamp,
    /// How its refresh tokens rotate; `None` without `offline_access`.
    pub rotation: Option<Rotation>,
    /// The thumbprint of the key that its refresh tokens are bound to (RFC 9449,
    /// section 5); `None` for those of a bearer, or of a client that
    /// authenticates. An access token says by itself what it is bound to.
    pub dpop_jkt: Option<String>,
}

/// Which refresh token of a grant is the current one.
///
/// The tokens themselves are not stored: number *n* of a grant is derived
/// from the server's key (see `core::refresh`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The number of the current token, from 0.
    pub generation: u32,
    /// When it was first handed out, and its predecessor first used.
    pub rotated_at: Timestamp,
}

/// A signed-in browser, as it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The digest of the cookie's value.
    pub id: Digest,
    /// The account that signed in.
    pub account_id: String,
    /// When the password was given.
    pub authenticated_at: Timestamp,
    /// The second factor that was proved.
    pub second: Option<Proven>,
    /// Whether the person has to do more before they are signed in.
    pub is_halfway: bool,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The one-time link that makes the first account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupLink {
    /// The digest of the link's token.
    pub token: Digest,
    /// When it stops working.
    pub expires_at: Timestamp,
}
