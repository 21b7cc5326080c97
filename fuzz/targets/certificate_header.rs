//! A certificate of a client in a header of any text, in each form that a proxy writes.
//!
//! The module is taken from the source of `resource` and not from its crate, which would bring a TLS
//! library along to be built with coverage.

#![no_main]

#[path = "../../crates/resource/src/binding/certificate/form.rs"]
mod form;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form::CertificateForm;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Each form reads what it writes.
    let standard = format!(":{}:", STANDARD.encode(bytes));
    let read = CertificateForm::Rfc9440.read(&standard);
    assert_eq!(read.as_deref(), Some(bytes));
    let pem = pem(bytes);
    let read = CertificateForm::EscapedPem.read(&escape(&pem));
    assert_eq!(read.as_deref(), Some(bytes));
    // Two certificates are none.
    let twice = format!("{pem}{pem}");
    assert_eq!(CertificateForm::EscapedPem.read(&escape(&twice)), None);

    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // There is one spelling for each certificate by RFC 9440.
    if let Some(der) = CertificateForm::Rfc9440.read(text) {
        assert_eq!(text, format!(":{}:", STANDARD.encode(der)));
    }
    // PEM has more of them, which differ in white space and in what is escaped.
    if let Some(der) = CertificateForm::EscapedPem.read(text) {
        let clean = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(clean(&unescape(text)), clean(&self::pem(&der)));
    }
});

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines = body.as_bytes().chunks(64);
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    let body = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// Percent signs resolved once; only what is sound gets here.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        out.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).expect("text")
}
