//! The forms in which a proxy writes the certificate of its client into a header.
//!
//! Not responsible for who may write it, nor for what is in the certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

impl CertificateForm {
    /// The certificate in DER, as far as the text has this form.
    pub(super) fn read(self, value: &str) -> Option<Vec<u8>> {
        match self {
            Self::EscapedPem => from_escaped_pem(value),
            Self::Rfc9440 => {
                let inner = value.strip_prefix(':')?.strip_suffix(':')?;
                STANDARD.decode(inner).ok()
            }
        }
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
