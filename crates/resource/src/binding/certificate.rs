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

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_jose::{base64url, constant_time_eq, crypto};
use http::HeaderName;

use crate::Network;
use crate::{Error, Presented, Rejection};

/// The longest header that is read; honest certificates are a few kilobytes.
const MAX_HEADER: usize = 16 * 1024;

/// How a proxy writes the certificate of its client into a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateForm {
    /// PEM, percent-encoded: `$ssl_client_escaped_cert` of nginx, and
    /// `X-Amzn-Mtls-Clientcert` of AWS.
    EscapedPem,
    /// DER in Base64 between colons: `Client-Cert` of RFC 9440.
    Rfc9440,
}

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
        match self.form {
            CertificateForm::EscapedPem => from_escaped_pem(value),
            CertificateForm::Rfc9440 => {
                let inner = value.strip_prefix(':')?.strip_suffix(':')?;
                STANDARD.decode(inner).ok()
            }
        }
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

/// One certificate and nothing else.
fn from_escaped_pem(value: &str) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let pem = unescape(value)?;
    let body = pem.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// Percent-decoding alone: a `+` stays a `+`, of which Base64 has many. AWS
/// leaves it as it is, and so does nginx.
fn unescape(value: &str) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Percent-encoding as nginx writes it.
    fn escape(text: &str) -> String {
        let escaped = |byte: u8| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(escaped).collect()
    }

    proptest! {
        #[test]
        fn no_header_panics(text: String) {
            let _ = from_escaped_pem(&text);
        }

        #[test]
        fn what_is_escaped_is_read_back(text: String) {
            prop_assert_eq!(unescape(&escape(&text)), Some(text));
        }

        #[test]
        fn a_certificate_survives_its_way_through_a_proxy(der: Vec<u8>) {
            let body = STANDARD.encode(&der);
            let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
            let pem = format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                lines.join("\n")
            );
            prop_assert_eq!(from_escaped_pem(&escape(&pem)), Some(der));
        }
    }
}
