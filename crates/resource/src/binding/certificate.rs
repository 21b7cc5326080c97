//! Tokens that are bound to the certificate of a TLS client (RFC 8705, section
//! 3).
//!
//! The certificate is that of the connection; or, when TLS ends before us, one
//! that a proxy passes on in a header, which is believed from the networks that
//! the configuration names and from nobody else. Whoever can send to us from
//! there can claim any certificate, so the proxy has to remove the header from
//! what it receives.
//!
//! Not responsible for whether a certificate is good: that is for the TLS
//! handshake. Here it only has to be the one that the token names.

mod form;

use countersign_jose::{base64url, constant_time_eq, crypto};
use http::HeaderName;

use crate::Network;
use crate::{Error, Presented, Rejection};
pub use form::CertificateForm;

/// The longest header that is read; honest certificates are a few kilobytes.
const MAX_HEADER: usize = 16 * 1024;

/// A header in which a proxy passes the certificate of its client on.
#[derive(Debug, Clone)]
pub struct CertificateHeader {
    name: HeaderName,
    form: CertificateForm,
    trusted: Vec<Network>,
}

impl CertificateHeader {
    /// The header of this name, from these networks (`10.0.0.0/8`, `::1`).
    ///
    /// # Errors
    ///
    /// [`Error::CertificateHeader`] when there is no such header name, and when
    /// no network is named or one is not understood.
    pub fn new<S: AsRef<str>>(
        name: &str,
        form: CertificateForm,
        trusted: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let invalid =
            |what: &str| Error::CertificateHeader(countersign_oauth::text::printable(what));
        let trusted: Vec<Network> = trusted
            .into_iter()
            .map(|network| {
                let network = network.as_ref();
                network.parse().map_err(|_| invalid(network))
            })
            .collect::<Result<_, _>>()?;
        if trusted.is_empty() {
            return Err(invalid("no trusted network"));
        }
        Ok(Self {
            name: HeaderName::try_from(name).map_err(|_| invalid(name))?,
            form,
            trusted,
        })
    }

    /// The certificate that this request carries, in DER, if it comes from a
    /// trusted place, and once.
    fn read(&self, request: &Presented<'_>) -> Option<Vec<u8>> {
        // A proxy's word about where the caller is must not make the caller a proxy.
        let sender = request.peer.or(request.source)?;
        if !self.trusted.iter().any(|network| network.contains(sender)) {
            return None;
        }
        let mut values = request.headers.get_all(&self.name).iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() || value.len() > MAX_HEADER {
            return None;
        }
        self.form.read(value)
    }
}

/// Checks that the request comes from the holder of the certificate with this
/// digest (`x5t#S256`).
pub(super) fn check(
    digest: &str,
    request: &Presented<'_>,
    header: Option<&CertificateHeader>,
) -> Result<(), Rejection> {
    let passed_on;
    let certificate = match (request.client_certificate, header) {
        (Some(certificate), _) => certificate,
        (None, Some(header)) => {
            passed_on = header.read(request).ok_or(Rejection::CertificateMismatch)?;
            &*passed_on
        }
        (None, None) => return Err(Rejection::CertificateMismatch),
    };
    let found = base64url::encode(&crypto::aws_lc::provider().sha256(certificate));
    if constant_time_eq(found.as_bytes(), digest.as_bytes()) {
        Ok(())
    } else {
        Err(Rejection::CertificateMismatch)
    }
}
