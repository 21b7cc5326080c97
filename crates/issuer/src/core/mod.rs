//! Every rule of the issuer, over stored records and a time that is handed in.
//!
//! | module | rules about |
//! |---|---|
//! | `users`, `sessions` | who signs in, and for how long a browser stays signed in |
//! | `authentication` | what a sign-in is worth, and what a request asks of it |
//! | `factors` | what people have beside their password: proved, set up, removed |
//! | `clients`, `registration` | which applications there are, and what they may ask for |
//! | `credentials`, `assertion` | which of them is asking, and how it proves that |
//! | `device`, `approval` | a device login: begun, polled, redeemed; looked up, approved, denied |
//! | `authorization`, `parameters`, `asked`, `redirect` | an authorization request: what it has to be, and where its answer goes |
//! | `standing`, `sealed` | what the request waits for, and how it waits |
//! | `pushing` | an authorization request that its client sends ahead |
//! | `consent`, `code` | the request is approved or denied; the code redeemed |
//! | `logout` | a client asks that its person be signed out |
//! | `own_tokens` | a client gets a token in its own name |
//! | `exchange` | one access token is exchanged for another |
//! | `refresh`, `renewal` | the form of a refresh token; renewing, reuse, the grace after a lost answer |
//! | `grants` | what people have granted, listed and revoked |
//! | `token` | what tokens say |
//! | `access_token`, `user_info`, `inspection` | tokens that come back: read, shown about a person, introspected, revoked |
//! | `dpop`, `nonce`, `replay` | proofs that a request comes from the holder of a key |
//! | `limits`, `pace` | how often and how fast something may be tried |
//! | `keys` | which keys sign |
//!
//! Every operation takes the time as an argument. Randomness and signatures
//! come from the one provider of `keys`; records from the [`Storage`].
//!
//! Not responsible for HTTP, for pages, nor for where records rest.

mod access_token;
mod approval;
mod asked;
mod assertion;
mod authentication;
mod authorization;
mod clients;
mod code;
mod consent;
mod credentials;
mod device;
mod dpop;
mod exchange;
mod factors;
mod grants;
mod inspection;
mod keys;
mod limits;
mod logout;
mod model;
mod nonce;
mod outcome;
mod own_tokens;
mod pace;
mod parameters;
mod password;
mod pushing;
mod redirect;
mod refresh;
mod refusal;
mod registration;
mod renewal;
mod replay;
mod sealed;
mod sessions;
mod standing;
mod token;
pub(crate) mod user_code;
mod user_info;
mod users;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_jose::{CryptoError, CryptoProvider, Timestamp, base64url};
use countersign_oauth::{Issuer, Secret};

use crate::storage::{Storage, StorageError, Store};
use limits::Limiter;
use pace::Pace;
use password::Hasher;
use refresh::Resumed;
use replay::Replays;

pub use assertion::{ASSERTION_ALGORITHMS, CLIENT_ASSERTION_TYPE};
pub use authentication::{
    ACR_MULTI_FACTOR, ACR_PASSWORD, Authentication, Class, Demands, Missing, Proven, SecondFactor,
    SecondFactorPolicy,
};
pub use authorization::{
    AuthorizationProblem, AuthorizationRequest, AuthorizationResponse, REQUEST_URI, Unanswerable,
};
pub use clients::{NewAuthentication, NewClient, RegisteredClient};
pub use code::CodeRequest;
pub use credentials::ClientCredentials;
pub use device::{AskedSignIn, DeviceRequest, StartedDevice};
pub use dpop::{DPOP_ALGORITHMS, DpopProof};
pub use exchange::{Actor, ExchangeRequest};
pub use factors::{
    Asked, Claimant, Enrolled, Enrolment, EnrolmentRefused, Factor, FactorId, FactorKind, Holder,
    ImportedKeys, KeyInStock, KeyServers, ProvedFactor, SealedSecret, TotpOffer,
};
pub use inspection::Introspection;
pub use keys::{KeyError, Keys, PublishedKeys};
pub use limits::{Limit, Limits};
pub use logout::{InvalidLogout, LogoutParameters, LogoutRequest};
pub use model::{
    Account, Audiences, AuthorizationCode, BrowserSession, Client, ClientAuthentication, Device,
    DeviceState, Digest, Grant, GrantId, GrantType, HalfSession, PasswordHash, PendingDevice,
    PushedRequest, Rotation, Session, SetupLink,
};
pub use outcome::{
    AccountChange, AccountRejected, CodeLookup, Decision, NewAccount, NewSession, Setup, SignIn,
};
pub use parameters::AuthorizationParameters;
pub use pushing::{PushRequest, Pushed};
pub use redirect::Destination;
pub use refusal::{Failure, Refusal};
pub use registration::{ClientRejected, JwksProblem, UriProblem};
pub use standing::Standing;
pub use token::{Confirmation, SCOPES, TokenType, Tokens};
pub use user_info::{TokenProblem, UserInfo};

/// What the issuer's core could not do for reasons of its own.
///
/// What a person or a client did wrong is never here: each operation returns
/// that as its outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The records could not be read or written.
    #[error("the issuer's storage failed")]
    Storage(#[from] StorageError),
    /// The system gave no random bytes, or a signature could not be made.
    #[error("the issuer's cryptography failed")]
    Crypto(#[from] CryptoError),
    /// A token could not be signed or read back.
    #[error("the issuer could not make a token")]
    Token(#[from] countersign_jose::Error),
    /// A password could not be hashed.
    #[error("the issuer could not hash a password")]
    Password,
    /// The secret of a second factor was sealed with other keys, or damaged.
    #[error("a second factor cannot be sealed or opened with the keys of this issuer")]
    SealedFactor,
    /// A client wants signatures for which there is no key yet.
    #[error("the issuer has no {0} key yet")]
    NoKey(&'static str),
}

/// As the commands of the program print it.
impl From<Error> for countersign_console::Problem {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

/// How long what is handed out lasts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lifetimes {
    /// Access and ID tokens.
    pub access_token: Duration,
    /// A login that is not renewed.
    pub login_idle: Duration,
    /// A login, however often it is renewed.
    pub login: Duration,
    /// Device and user code.
    pub device_code: Duration,
    /// An authorization request that waits for a person, or a logout request.
    pub authorization_request: Duration,
    /// An authorization code.
    pub authorization_code: Duration,
    /// A signed-in browser that nobody uses.
    pub session_idle: Duration,
    /// A signed-in browser, however much it is used.
    pub session: Duration,
    /// A sign-in between the password and the second factor.
    pub half_session: Duration,
    /// How long after it was proved a second factor (or, by whoever has none,
    /// the password) lets its person change their second factors.
    pub factor_change: Duration,
    /// The link that makes the first account.
    pub setup_link: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        Self {
            access_token: Duration::from_secs(600),
            login_idle: Duration::from_secs(30 * 24 * HOUR),
            login: Duration::from_secs(365 * 24 * HOUR),
            device_code: Duration::from_secs(600),
            authorization_request: Duration::from_secs(HOUR),
            // RFC 6749, section 4.1.2 allows ten minutes. It goes from one
            // program to the next, so that a slow machine is all it waits for.
            authorization_code: Duration::from_secs(60),
            session_idle: Duration::from_secs(HOUR),
            session: Duration::from_secs(12 * HOUR),
            half_session: Duration::from_secs(600),
            factor_change: Duration::from_secs(600),
            setup_link: Duration::from_secs(HOUR),
        }
    }
}

/// How a core is to behave.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The `iss` of every token.
    pub issuer: Issuer,
    /// How long what is handed out lasts.
    pub lifetimes: Lifetimes,
    /// How often something may be tried.
    pub limits: Limits,
    /// Whether a `DPoP` proof needs a nonce of ours (RFC 9449, section 8).
    pub require_dpop_nonce: bool,
    /// Whether authorization requests of all clients must be pushed (RFC 9126,
    /// section 5).
    pub require_par: bool,
    /// When a second factor is asked for.
    pub second_factor: SecondFactorPolicy,
    /// The `acr` of a sign-in with a second factor.
    pub mfa_acr: String,
}

impl Policy {
    /// The defaults for an issuer.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            lifetimes: Lifetimes::default(),
            limits: Limits::default(),
            require_dpop_nonce: false,
            require_par: false,
            second_factor: SecondFactorPolicy::default(),
            mfa_acr: ACR_MULTI_FACTOR.to_owned(),
        }
    }
}

/// The issuer's rules over its records.
pub struct Core {
    store: Store,
    keys: RwLock<Arc<Keys>>,
    issuer: Issuer,
    lifetimes: Lifetimes,
    limiter: Limiter,
    pace: Pace,
    replays: Replays,
    require_dpop_nonce: bool,
    require_par: bool,
    second_factor: SecondFactorPolicy,
    mfa_acr: String,
    hasher: Hasher,
    provider: &'static CryptoProvider,
    otp: countersign_otp::crypto::Crypto,
    key_servers: Option<Arc<dyn KeyServers>>,
    resumed: Option<Resumed>,
}

impl Core {
    /// Puts the rules over a storage.
    pub fn new(storage: Box<dyn Storage>, keys: impl Into<Arc<Keys>>, policy: Policy) -> Self {
        let keys = keys.into();
        let provider = keys.provider();
        Self {
            store: Store::new(storage),
            keys: RwLock::new(keys),
            issuer: policy.issuer,
            lifetimes: policy.lifetimes,
            limiter: Limiter::new(policy.limits),
            pace: Pace::default(),
            replays: Replays::new(),
            require_dpop_nonce: policy.require_dpop_nonce,
            require_par: policy.require_par,
            second_factor: policy.second_factor,
            mfa_acr: policy.mfa_acr,
            hasher: Hasher::new(),
            provider,
            otp: countersign_otp::crypto::aws_lc::provider(),
            key_servers: None,
            resumed: None,
        }
    }

    /// Takes Yubikeys as second factors whose secrets are at these servers.
    #[must_use]
    pub fn with_key_servers(mut self, servers: Arc<dyn KeyServers>) -> Self {
        self.key_servers = Some(servers);
        self
    }

    /// Says that the last process ended without a farewell, some time after
    /// its last sign of life: answers to its last renewals may have been lost,
    /// so their grace begins again `now`.
    pub fn resumed_after_crash(
        mut self,
        last_alive: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let renewed = self.store.read(|records| records.last_rotation())?;
        self.resumed = Some(Resumed {
            stopped_at: renewed.map_or(last_alive, |renewed| renewed.max(last_alive)),
            resumed_at: now,
        });
        Ok(self)
    }

    /// The `iss` of every token.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The keys in use.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses other keys from now on. Tokens signed with a key that is no longer
    /// among them become unreadable.
    pub fn replace_keys(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Forgets what is over; to be called about once a minute. How many
    /// records went.
    pub async fn purge(&self, now: Timestamp) -> Result<u64, Error> {
        // In portions, so that renewals are not kept waiting.
        const PORTION: u32 = 500;
        self.pace.purge(now);
        self.replays.purge(now);
        let mut gone = 0;
        loop {
            let portion = self
                .store
                .write(move |records| records.purge(now, PORTION))
                .await?;
            gone += portion;
            if portion < u64::from(PORTION) {
                return Ok(gone);
            }
        }
    }

    /// A fresh secret of 256 bits, as text.
    fn random_secret(&self) -> Result<Secret, CryptoError> {
        let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
        self.provider.fill_random(bytes.as_mut_slice())?;
        Ok(Secret::from(base64url::encode(bytes.as_slice())))
    }

    /// What is stored in place of a secret. The secrets have 256 bits, so a
    /// plain hash cannot be searched.
    fn digest(&self, secret: &str) -> Digest {
        self.provider.sha256(secret.as_bytes())
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
