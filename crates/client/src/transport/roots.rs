//! Whom we believe to be the server: the system's certificates, and those added to them.

use std::path::Path;
use std::sync::Arc;

use countersign_oauth::TransportError;
use ureq::tls::{Certificate, PemItem, RootCerts};

/// The trust roots for connections, with the certificates of `ca_files` in addition.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` say where the system's certificates are, as they do for OpenSSL,
/// curl and Go. Whatever they say, `ca_files` add to it and never replace it.
pub(super) fn load(ca_files: &[impl AsRef<Path>]) -> Result<RootCerts, TransportError> {
    let moved = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if ca_files.is_empty() && !moved {
        // Nothing is loaded until a connection really uses TLS.
        return Ok(RootCerts::PlatformVerifier);
    }
    let system = rustls_native_certs::load_native_certs();
    let mut roots: Vec<Certificate<'static>> = system
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    for file in ca_files {
        let path = file.as_ref();
        let named = |why: &str| TransportError::Tls {
            reason: format!("the added certificates in {} {why}", path.display()),
        };
        let pem =
            std::fs::read(path).map_err(|error| named(&format!("cannot be read: {error}")))?;
        let before = roots.len();
        for item in ureq::tls::parse_pem(&pem) {
            if let PemItem::Certificate(certificate) =
                item.map_err(|_| named("are not well-formed PEM"))?
            {
                roots.push(certificate);
            }
        }
        if roots.len() == before {
            return Err(named("are none: the file holds no PEM certificate"));
        }
    }
    if roots.is_empty() {
        let found = system
            .errors
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        let reason = format!("this system has no trusted certificates {found}");
        return Err(TransportError::Tls {
            reason: reason.trim_end().to_owned(),
        });
    }
    Ok(RootCerts::Specific(Arc::new(roots)))
}
