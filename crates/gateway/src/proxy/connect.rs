//! Opening a connection to an upstream: TCP, TLS where it is said, and the protocol that is spoken.

use std::io;
use std::sync::Arc;

use countersign_console::Problem;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::body::Upload;
use crate::config::{Protocol, Target, Upstream as Spec};

/// An answer's head that is longer is no answer.
const LONGEST_HEAD: usize = 256 * 1024;

/// A connection that takes requests.
pub(super) enum Connected {
    Http1(http1::SendRequest<Upload>),
    Http2(http2::SendRequest<Upload>),
}

/// What TLS to an upstream trusts: the file that the configuration names, else the platform's roots.
pub(super) fn tls(spec: &Spec) -> Result<Option<Arc<ClientConfig>>, Problem> {
    if !spec.targets.iter().any(|target| target.tls) {
        return Ok(None);
    }
    let unusable = || {
        Problem::new(format!(
            "TLS to the upstream `{}` cannot be set up",
            spec.name
        ))
    };
    let mut roots = RootCertStore::empty();
    match &spec.ca_file {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|error| unusable().why(path.display().to_string()).because(error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable().because(error))?;
                roots
                    .add(certificate)
                    .map_err(|error| unusable().because(error))?;
            }
        }
    }
    if roots.is_empty() {
        return Err(unusable().why("there is no certificate to trust"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable().because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = match spec.protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
        Protocol::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Some(Arc::new(config)))
}

/// Opens a connection; the caller limits the time.
pub(super) async fn connect(
    target: &Target,
    protocol: Protocol,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Connected> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    // A request is written at once; waiting for more would only delay it.
    stream.set_nodelay(true)?;
    let Some(tls) = tls.filter(|_| target.tls) else {
        return handshake(stream, protocol == Protocol::Http2).await;
    };
    let name = ServerName::try_from(target.host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await?;
    let chose_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if protocol == Protocol::Http2 && !chose_h2 {
        return Err(io::Error::other("the upstream does not speak HTTP/2"));
    }
    handshake(stream, chose_h2).await
}

async fn handshake<T>(stream: T, is_h2: bool) -> io::Result<Connected>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(stream);
    if is_h2 {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(std::time::Duration::from_secs(20))
            .keep_alive_timeout(std::time::Duration::from_secs(10))
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            // What it ends with is told to the requests that it carried.
            let _ = connection.await;
        });
        return Ok(Connected::Http2(sender));
    }
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(Connected::Http1(sender))
}
