//! What the first request for keys costs above the TLS library alone.

use std::io;
use std::path::Path;

use crate::process::{Program, compare};
use crate::report::{self, Row, Target};
use crate::tls_server;

/// Times one HTTPS request from process start, by the bare library and by our transport, with the
/// same single trusted certificate.
pub(crate) fn measure(binaries: &Path, rounds: usize) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let ca = directory.path().join("ca.pem");
    let address = tls_server::start(&ca, key_set())?;
    let ca = ca.to_string_lossy().into_owned();
    let url = format!("https://localhost:{}/jwks", address.port());
    let programs = [
        Program::new("bare rustls", binaries.join("bare_tls")).arguments([
            address.to_string(),
            ca.clone(),
            "/jwks".to_owned(),
        ]),
        Program::new(
            "countersign-client's transport",
            binaries.join("client_tls"),
        )
        .arguments([url])
        .environment(&[("SSL_CERT_FILE".to_owned(), ca)]),
    ];
    let costs = compare(&programs, rounds)?;
    report::title("a first TLS request for keys, as a whole process");
    report::costs(&programs, &costs);
    if let [floor, ours] = costs.as_slice() {
        report::targets(&[Row::millis(
            "first request above bare TLS",
            ours.median.saturating_sub(floor.median),
            Target::AtMost(2.0),
        )]);
    }
    Ok(())
}

/// A body as large as a busy provider's key set: 4.4 KB.
fn key_set() -> Vec<u8> {
    let key = serde_json::json!({
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "0".repeat(40), "e": "AQAB",
        "n": "A".repeat(342),
    });
    serde_json::json!({ "keys": vec![key; 10] })
        .to_string()
        .into_bytes()
}
