//! TLS for callers: the certificate, and another one when the files change.
//!
//! A connection keeps the certificate that it began with. Not responsible for what a client
//! certificate allows; it is handed on as it came, after its chain was verified.

use std::io::BufReader;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_console::Problem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::TlsFiles;

/// The TLS configuration that new connections get.
#[derive(Debug)]
pub(crate) struct Certificates {
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificates {
    pub(crate) fn load(files: &TlsFiles) -> Result<Self, Problem> {
        Ok(Self {
            current: RwLock::new(server(files)?),
        })
    }

    /// Reads the files again; when they cannot be used, the certificate stays as it was.
    pub(crate) fn reload(&self, files: &TlsFiles) -> Result<(), Problem> {
        let config = server(files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN (RFC 7301).
pub(crate) fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, Problem> {
    let certificates = read_certificates(&files.certificates)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        Problem::new(format!("{} cannot be read as a key", files.key.display())).because(error)
    })?;
    let unusable = |error: rustls::Error| {
        Problem::new("certificate and key do not go together")
            .why(files.certificates.display().to_string())
            .because(error)
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in read_certificates(path)? {
                roots.add(certificate).map_err(unusable)?;
            }
            // Callers without a certificate are let in to present something else; what needs one
            // says so by the token that is bound to it.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| {
                    Problem::new(format!("{} cannot be used", path.display())).because(error)
                })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Early data could be sent twice by somebody else (RFC 8446, section 8).
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let unreadable = || Problem::new(format!("{} cannot be read as certificates", path.display()));
    let file = std::fs::File::open(path).map_err(|error| unreadable().because(error))?;
    let certificates: Vec<_> = CertificateDer::pem_reader_iter(BufReader::new(file))
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable().because(error))?;
    if certificates.is_empty() {
        return Err(unreadable().why("there is no certificate in it"));
    }
    Ok(certificates)
}
