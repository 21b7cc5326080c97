//! Which certificates a server presents, whether or not they are to be believed.
//!
//! A connection made here carries nothing: it ends with the handshake. What is said over it could be
//! read by whoever answered.

use std::fmt;
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use countersign_oauth::TransportError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, SignatureScheme,
};
use url::Url;

use super::Certificate;

/// What a server presented in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// `TLS 1.3` or `TLS 1.2`; nothing if the handshake did not come that far.
    pub protocol: Option<&'static str>,
    /// The certificates, the server's own first.
    pub certificates: Vec<Certificate>,
}

/// Connects to the server of `url`, looks at what it presents, and hangs up. Nothing is verified and
/// nothing is sent.
///
/// The connection is direct; a proxy would have to be asked first, and may be the one who answers.
///
/// # Errors
/// When there is no connection, or nothing was presented.
pub fn danger_look_at_chain(url: &Url, limit: Duration) -> Result<Chain, TransportError> {
    let connect = |reason: &str| TransportError::Connect {
        reason: reason.to_owned(),
    };
    let host = url.host_str().ok_or_else(|| connect("there is no host"))?;
    let port = url.port_or_known_default().unwrap_or(443);
    let deadline = Instant::now() + limit;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = (bare, port)
        .to_socket_addrs()
        .map_err(|_| connect("the host name was not found"))?;
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut stream = addresses
        .find_map(|address| TcpStream::connect_timeout(&address, left().max(SHORTEST)).ok())
        .ok_or_else(|| connect("the connection could not be made"))?;

    let seen = Arc::new(Seen::new());
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| connect("the host is no name"))?;
    let config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| tls(&error))?;
    let mut failure = None;
    while connection.is_handshaking() {
        let left = left();
        if left.is_zero() {
            failure = Some(TransportError::Timeout);
            break;
        }
        let limited = stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.set_write_timeout(Some(left)))
            .and_then(|()| connection.complete_io(&mut stream));
        if let Err(error) = limited {
            failure = Some(match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => TransportError::Timeout,
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => TransportError::Closed,
                _ => TransportError::Tls {
                    reason: error.to_string(),
                },
            });
            break;
        }
    }
    connection.send_close_notify();
    let _ = connection.write_tls(&mut stream);
    let certificates = seen.certificates();
    match failure {
        Some(error) if certificates.is_empty() => Err(error),
        _ => Ok(Chain {
            protocol: connection.protocol_version().and_then(version),
            certificates,
        }),
    }
}

/// A limit of zero would be an error of the system's own.
const SHORTEST: Duration = Duration::from_millis(1);

fn tls(error: &rustls::Error) -> TransportError {
    TransportError::Tls {
        reason: error.to_string(),
    }
}

fn version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
        ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
        _ => None,
    }
}

/// Believes everything and remembers it.
struct Seen {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Certificate>>,
}

impl Seen {
    fn new() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            chain: Mutex::new(Vec::new()),
        }
    }

    fn certificates(&self) -> Vec<Certificate> {
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let read = all.map(|der| Certificate::read(der)).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
