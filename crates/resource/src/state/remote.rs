//! What the databases that several replicas share have in common: where one
//! listens, how it is reached, and the one connection that is kept to it.
//!
//! Not responsible for what is said over the connection.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use countersign_oauth::Secret;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::StateError;
use crate::Error;
use crate::http_client::add_ca;

/// A question that takes longer is answered by "unavailable": a request waits
/// for it.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

/// After a connection could not be made, nobody tries for so long: a database
/// that is down costs the usual request nothing.
const REST: Duration = Duration::from_secs(1);

/// A database that several replicas share: its address, and how we are known
/// there.
///
/// Outside of this machine the connection is always TLS, with the certificate
/// checked against the platform's roots and the added ones.
#[derive(Clone)]
#[must_use]
pub struct Remote {
    pub(crate) place: Place,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: Option<String>,
    pub(crate) timeout: Duration,
    ca_certificates: Vec<Vec<u8>>,
    encrypted: bool,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Remote {
    /// Reads an address:
    ///
    /// - `redis://[USER@]HOST[:PORT][/NUMBER]` and `rediss://…` (TLS);
    /// - `postgres://[USER@]HOST[:PORT][/DATABASE]`, always TLS unless it is on
    ///   this machine;
    /// - `redis+unix:///PATH` and `postgres+unix:///PATH`, the socket itself.
    ///
    /// There is no place for a password: an address is printed and logged. See
    /// [`Remote::password`].
    ///
    /// # Errors
    ///
    /// [`Error::StateAddress`] with what is wrong with it.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let wrong = |why| Error::StateAddress(why);
        let url = Url::parse(address).map_err(|_| wrong("it is no URL"))?;
        if url.password().is_some() {
            return Err(wrong("a password has no place in it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "it has a query or a fragment, which mean nothing here",
            ));
        }
        let (port, encrypted, unix) = match url.scheme() {
            "redis" => (6379, false, false),
            "rediss" => (6379, true, false),
            "postgres" | "postgresql" => (5432, false, false),
            "redis+unix" | "postgres+unix" => (0, false, true),
            _ => return Err(wrong("its scheme is none of redis, rediss and postgres")),
        };
        let path = url.path().strip_prefix('/').unwrap_or_default();
        let place = if unix {
            if url.has_host() && url.host_str() != Some("") || path.is_empty() {
                return Err(wrong("a socket is an absolute path after three slashes"));
            }
            Place::Unix(PathBuf::from(url.path()))
        } else {
            let host = match url.host() {
                Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
                Some(Host::Ipv4(address)) => address.to_string(),
                Some(Host::Ipv6(address)) => address.to_string(),
                _ => return Err(wrong("it names no host")),
            };
            Place::Tcp(host, url.port().unwrap_or(port))
        };
        let encrypted = encrypted || (url.scheme().starts_with("postgres") && !place.is_here());
        if !encrypted && !place.is_here() {
            return Err(wrong("over a network it has to be rediss, which is TLS"));
        }
        Ok(Self {
            user: Some(url.username().to_owned()).filter(|user| !user.is_empty()),
            database: Some(path.to_owned()).filter(|path| !unix && !path.is_empty()),
            password: None,
            timeout: DEFAULT_TIMEOUT,
            ca_certificates: Vec::new(),
            place,
            encrypted,
        })
    }

    /// The password that we are known by.
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// The user that we are known as; `redis+unix` and `postgres+unix` have no
    /// other place for it.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The database; `redis+unix` and `postgres+unix` have no other place for
    /// it.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// How long a question may take, connection included: half a second unless
    /// said otherwise, ten at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST_TIMEOUT);
        self
    }

    /// Asks for TLS on this machine as well.
    pub fn require_tls(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// Trusts these certificates (PEM, one or several) besides those of the
    /// platform.
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificates.push(pem.into());
        self
    }

    /// What is needed to reach it.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`], [`Error::StateAddress`].
    pub(crate) fn dialer(&self) -> Result<Dialer, Error> {
        let tls = match &self.place {
            Place::Tcp(host, _) if self.encrypted => Some(self.tls(host)?),
            _ => None,
        };
        Ok(Dialer {
            place: self.place.clone(),
            tls,
        })
    }

    fn tls(&self, host: &str) -> Result<(TlsConnector, ServerName<'static>), Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for pem in &self.ca_certificates {
            add_ca(&mut roots, pem).map_err(Error::CaCertificate)?;
        }
        // Named here, as for the issuer: there is no process-wide default.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::StateAddress("no certificate can be for this host"))?;
        Ok((TlsConnector::from(Arc::new(config)), name))
    }
}

impl Place {
    /// Whether nothing leaves this machine.
    fn is_here(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Without the password, which has no `Debug` worth printing anyway.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("place", &self.place)
            .field("user", &self.user)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// Makes connections.
pub(crate) struct Dialer {
    pub(crate) place: Place,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("place", &self.place)
            .field("encrypted", &self.is_encrypted())
            .finish_non_exhaustive()
    }
}

/// A connection, of whichever kind.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<W: AsyncRead + AsyncWrite + Unpin + Send> Wire for W {}

impl Dialer {
    /// A connection without TLS.
    pub(crate) async fn dial(&self) -> io::Result<Box<dyn Wire>> {
        // The library says what failed, and not where.
        self.dial_unnamed()
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.place)))
    }

    async fn dial_unnamed(&self) -> io::Result<Box<dyn Wire>> {
        match &self.place {
            Place::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Begins TLS on a connection, where the address asks for it.
    pub(crate) async fn secure(&self, wire: Box<dyn Wire>) -> io::Result<Box<dyn Wire>> {
        match &self.tls {
            None => Ok(wire),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), wire).await?)),
        }
    }
}

/// A connection that several questions can use at the same time.
pub(crate) trait Connection: Clone + Send {
    /// Whether it can still be used. One that the database has closed is found
    /// out by the task that reads from it, before somebody asks.
    fn is_alive(&self) -> bool;
}

/// Why a question was not answered.
pub(crate) struct Failure {
    pub(crate) error: StateError,
    /// Whether another question may fare better on a new connection.
    pub(crate) connection_is_lost: bool,
}

/// The one connection that is kept, made when it is needed.
pub(crate) struct Link<C> {
    kept: Mutex<Kept<C>>,
    /// Held while a connection is made, so that one is made and the others
    /// wait for it.
    connecting: tokio::sync::Mutex<()>,
    timeout: Duration,
}

struct Kept<C> {
    connection: Option<C>,
    rest_until: Option<Instant>,
}

impl<C: Connection> Link<C> {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            kept: Mutex::new(Kept {
                connection: None,
                rest_until: None,
            }),
            connecting: tokio::sync::Mutex::new(()),
            timeout,
        }
    }

    /// Asks over the connection, which `connect` makes if there is none, all of
    /// it within the time limit.
    ///
    /// A question is never asked twice: whether the first was heard, nobody can
    /// tell. One that was lost with its connection is answered by "unavailable".
    pub(crate) async fn ask<T, Connecting, Asking>(
        &self,
        connect: impl Fn() -> Connecting,
        ask: impl FnOnce(C) -> Asking,
    ) -> Result<T, StateError>
    where
        Connecting: Future<Output = Result<C, StateError>>,
        Asking: Future<Output = Result<T, Failure>>,
    {
        let within = async {
            let connection = self.connection(connect).await?;
            ask(connection).await.map_err(|failure| {
                if failure.connection_is_lost {
                    self.kept().connection = None;
                }
                failure.error
            })
        };
        match tokio::time::timeout(self.timeout, within).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                // Whatever it was waiting for will not come in time for the
                // next question either.
                self.give_up();
                Err(StateError::Unavailable(elapsed.into()))
            }
        }
    }

    async fn connection<Connecting>(
        &self,
        connect: impl Fn() -> Connecting,
    ) -> Result<C, StateError>
    where
        Connecting: Future<Output = Result<C, StateError>>,
    {
        if let Some(connection) = self.alive_or_resting()? {
            return Ok(connection);
        }
        let _one = self.connecting.lock().await;
        // Another may have made it, or failed to, while this one waited.
        if let Some(connection) = self.alive_or_resting()? {
            return Ok(connection);
        }
        match connect().await {
            Ok(connection) => {
                self.kept().connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    fn alive_or_resting(&self) -> Result<Option<C>, StateError> {
        let kept = self.kept();
        if let Some(connection) = &kept.connection
            && connection.is_alive()
        {
            return Ok(Some(connection.clone()));
        }
        match kept.rest_until {
            Some(until) if Instant::now() < until => Err(StateError::Unavailable(
                "the last try to reach it was a moment ago".into(),
            )),
            _ => Ok(None),
        }
    }

    fn give_up(&self) {
        *self.kept() = Kept {
            connection: None,
            rest_until: Some(Instant::now() + REST),
        };
    }

    fn kept(&self) -> MutexGuard<'_, Kept<C>> {
        // Each change is a single assignment.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn unavailable(why: impl Into<Box<dyn StdError + Send + Sync>>) -> StateError {
    StateError::Unavailable(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let place = |address| Remote::parse(address).map(|remote| remote.place.to_string());
        for (address, expected) in [
            ("redis://localhost", "localhost:6379"),
            ("redis://[::1]:7000/3", "[::1]:7000"),
            (
                "rediss://gateway@cache.example.com",
                "cache.example.com:6379",
            ),
            (
                "redis+unix:///run/redis/redis.sock",
                "/run/redis/redis.sock",
            ),
            (
                "postgres://gateway@db.example.com/state",
                "db.example.com:5432",
            ),
            (
                "postgres+unix:///run/postgresql/.s.PGSQL.5432",
                "/run/postgresql/.s.PGSQL.5432",
            ),
        ] {
            assert_eq!(place(address).unwrap(), expected, "{address}");
        }
        for (address, expected) in [
            ("localhost:6379", "scheme"),
            ("http://localhost", "scheme"),
            ("redis://:secret@localhost", "password"),
            ("redis://localhost?protocol=3", "query"),
            ("redis://", "host"),
            ("redis://cache.example.com", "TLS"),
            ("redis://127.0.0.1.evil.example", "TLS"),
            ("redis+unix://host/path", "slashes"),
            ("redis+unix:///", "slashes"),
        ] {
            let error = place(address).unwrap_err().to_string();
            assert!(error.contains(expected), "{address}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn only_what_stays_on_this_machine_is_not_encrypted() {
        for (address, expected) in [
            ("postgres://localhost/state", false),
            ("postgres://db.example.com/state", true),
            ("postgres+unix:///run/postgresql/.s.PGSQL.5432", false),
            ("redis://127.0.0.1", false),
            ("rediss://127.0.0.1", true),
        ] {
            assert_eq!(
                Remote::parse(address).unwrap().encrypted,
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let remote = Remote::parse("redis://localhost").unwrap();
        let remote = remote.password(Secret::new("hunter2"));
        assert!(!format!("{remote:?}").contains("hunter2"));
    }
}
