//! Who asks, whom, and with what key.
//!
//! Not responsible for: what comes back.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Validation, signature};
use crate::crypto::Crypto;
use crate::text::percent_encode;
use crate::yubico::Otp;

/// Shorter keys are guessed; Yubico's have 20 bytes.
const MIN_KEY: usize = 16;

const MAX_KEY: usize = 128;

/// More servers than anybody has.
const MAX_SERVERS: usize = 16;

/// The most seconds that a server may be asked to wait for its peers.
const MAX_SYNC_SECONDS: u8 = 30;

/// The key that a client shares with the servers. Wiped when dropped; `Debug` shows four stars.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<Vec<u8>>);

impl ApiKey {
    /// From Base64, which is how servers hand it out.
    ///
    /// # Errors
    /// [`ConfigProblem::ApiKey`], which repeats nothing of the text.
    pub fn from_base64(text: &str) -> Result<Self, ConfigProblem> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| ConfigProblem::ApiKey)?);
        if (MIN_KEY..=MAX_KEY).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(ConfigProblem::ApiKey)
        }
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(****)")
    }
}

/// The address of a validation server, up to and with `verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(String);

impl Server {
    /// An `https` address without a query, or an `http` one on the loopback. A password that is
    /// sent in the clear can be used by whoever is quicker.
    ///
    /// # Errors
    /// [`ConfigProblem::Server`].
    pub fn new(url: &str) -> Result<Self, ConfigProblem> {
        let authority = |rest: &str| rest.split('/').next().unwrap_or("").to_owned();
        let is_safe = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => !authority(rest).is_empty() && !rest.starts_with(':'),
            (_, Some(rest)) => is_loopback(&authority(rest)),
            _ => false,
        };
        let is_plain = url.len() <= 512
            && url
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>".contains(&byte));
        if is_safe && is_plain {
            Ok(Self(url.to_owned()))
        } else {
            Err(ConfigProblem::Server)
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_loopback(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            port.is_empty()
                || port.strip_prefix(':').is_some_and(|port| {
                    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    })
}

/// A value that makes a request the only one of its kind. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From bytes that the caller's random source made just now. Never use a nonce twice: an answer
    /// to the first request would be one to the second.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random)))
    }

    /// "A 16 to 40 character long string with random unique data": letters and digits.
    ///
    /// # Errors
    /// [`ConfigProblem::Nonce`].
    pub fn parse(text: &str) -> Result<Self, ConfigProblem> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if (16..=40).contains(&text.len()) && is_plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigProblem::Nonce)
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many of its peers a server has to hear before it says `OK` (`sl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncLevel {
    /// `fast`, as the server understands it.
    Fast,
    /// `secure`, as the server understands it.
    Secure,
    /// A share of 1 to 100 percent. (Zero stands in the document, but the usual server leaves it
    /// out of the signature that it computes, and refuses the request.)
    Percent(u8),
}

/// A client of validation servers: what stands in its configuration.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) id: String,
    pub(super) key: ApiKey,
    pub(super) servers: Vec<Server>,
    pub(super) time_limit: Duration,
    pub(super) clock_tolerance: Duration,
    pub(super) needs_counters: bool,
    sync_level: Option<SyncLevel>,
    sync_seconds: Option<u8>,
}

impl Client {
    /// A client with the number and key that the servers know it by, and no server yet.
    ///
    /// # Errors
    /// [`ConfigProblem::Id`] if `id` is not a decimal number above zero.
    pub fn new(id: &str, key: ApiKey) -> Result<Self, ConfigProblem> {
        let is_number = id.len() <= 19 && id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || id.trim_start_matches('0') != id || id.is_empty() {
            return Err(ConfigProblem::Id);
        }
        Ok(Self {
            id: id.to_owned(),
            key,
            servers: Vec::new(),
            time_limit: Duration::from_secs(10),
            clock_tolerance: Duration::from_secs(300),
            needs_counters: true,
            sync_level: None,
            sync_seconds: None,
        })
    }

    /// One more server, asked together with the others. They must know each other's counters: this
    /// is for the servers of one operator. More than 16 are not asked.
    #[must_use]
    pub fn server(mut self, server: Server) -> Self {
        if self.servers.len() < MAX_SERVERS && !self.servers.contains(&server) {
            self.servers.push(server);
        }
        self
    }

    /// How long a validation may take as a whole; 10 seconds unless said otherwise.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How far the clocks of client and servers may be apart; 5 minutes unless said otherwise.
    #[must_use]
    pub fn clock_tolerance(mut self, tolerance: Duration) -> Self {
        self.clock_tolerance = tolerance;
        self
    }

    /// How many of its peers a server has to hear (`sl`). The server decides unless told. A share
    /// outside 1 to 100 is taken to the nearest end.
    #[must_use]
    pub fn sync_level(mut self, level: SyncLevel) -> Self {
        self.sync_level = Some(match level {
            SyncLevel::Percent(percent) => SyncLevel::Percent(percent.clamp(1, 100)),
            named => named,
        });
        self
    }

    /// How many seconds a server may wait for its peers (`timeout`), 1 to 30. The server decides
    /// unless told.
    #[must_use]
    pub fn sync_seconds(mut self, seconds: u8) -> Self {
        self.sync_seconds = Some(seconds.clamp(1, MAX_SYNC_SECONDS));
        self
    }

    /// Does not ask which counters the password had, and takes an `OK` without them: for servers
    /// that do not say them or do not sign them. Against two requests with one password at one time
    /// there is nothing then but these servers, and the most common one may let both pass.
    #[must_use]
    pub fn danger_without_counters(mut self) -> Self {
        self.needs_counters = false;
        self
    }

    /// Begins to ask whether `otp` is right. `now` is the time since 1970-01-01T00:00:00Z.
    pub fn validate(&self, otp: &Otp, nonce: Nonce, now: Duration, crypto: Crypto) -> Validation {
        Validation::new(self.clone(), otp.clone(), nonce, now, crypto)
    }

    /// What stands behind the `?` of a request.
    pub fn query(&self, otp: &Otp, nonce: &Nonce, crypto: Crypto) -> Zeroizing<String> {
        let sync_level = self.sync_level.map(|level| match level {
            SyncLevel::Fast => "fast".to_owned(),
            SyncLevel::Secure => "secure".to_owned(),
            SyncLevel::Percent(percent) => percent.to_string(),
        });
        let sync_seconds = self.sync_seconds.map(|seconds| seconds.to_string());
        let mut parameters = vec![
            ("id", self.id.as_str()),
            ("nonce", nonce.as_str()),
            ("otp", otp.expose()),
        ];
        parameters.extend(self.needs_counters.then_some(("timestamp", "1")));
        parameters.extend(sync_level.as_deref().map(|value| ("sl", value)));
        parameters.extend(sync_seconds.as_deref().map(|value| ("timeout", value)));
        let h = signature::sign(&parameters, &self.key, crypto);
        parameters.push(("h", &h));
        // All of it at once, so that no copy of the password stays behind where the text grew.
        let mut query = Zeroizing::new(String::with_capacity(512));
        for (name, value) in parameters {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            percent_encode(value, &mut query);
        }
        query
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The number of the client is none.
    #[error("the client id of a validation server is a decimal number above zero")]
    Id,
    /// The key is not Base64, or too short to rely on.
    #[error("the API key is not Base64 of 16 to 128 bytes")]
    ApiKey,
    /// The address cannot be used.
    #[error(
        "a validation server is an https address without query, like \
         https://otp.example.com/wsapi/2.0/verify, or http on the loopback"
    )]
    Server,
    /// The nonce is not one.
    #[error("a nonce has 16 to 40 ASCII letters and digits")]
    Nonce,
}
