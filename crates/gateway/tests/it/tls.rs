//! TLS on both sides: ALPN, another certificate without a restart, and upstreams that are verified.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use countersign_jose::{base64url, crypto};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Issuer, PATIENCE, ROUTES, config, connect, exchange, head, parse, start_in};
use crate::upstream::{Bare, Upstream};

/// Writes a certificate for the gateway's name and its key; gives the certificate.
pub(crate) fn certificate(directory: &Path, name: &str) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn text(upstream: &str) -> String {
    head(upstream, "").replace("http://gateway.test", "https://gateway.test")
        + ROUTES
        + "[tls]\ncertificates = \"cert.pem\"\nkey = \"key.pem\"\n"
}

fn client(trusted: &CertificateDer<'static>, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    client_with(trusted, alpn, None)
}

/// A client that shows a certificate of its own.
pub(crate) fn client_with(
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// What comes back for a request over TLS, or why there is no TLS.
fn ask(address: SocketAddr, config: &Arc<ClientConfig>, target: &str) -> Result<String, String> {
    ask_with(address, config, target, "")
}

pub(crate) fn ask_with(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    target: &str,
    headers: &str,
) -> Result<String, String> {
    let name = ServerName::try_from("gateway.test").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(session, connect(address));
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{headers}\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn another_certificate_is_taken_without_a_restart_and_a_bad_one_is_not() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let first = certificate(directory.path(), "gateway.test");
    let running = start_in(&text(&upstream.url()), directory);
    let by_first = client(&first, &[b"http/1.1"]);
    let answer = ask(running.address, &by_first, "/open/x").unwrap();
    assert!(
        answer.contains(r#""x-forwarded-proto":["https"]"#),
        "{answer}"
    );

    let reload = || {
        let config = config(&text(&upstream.url()), running.directory.path())?;
        running.gateway.reload(config)
    };
    let second = certificate(running.directory.path(), "gateway.test");
    reload().unwrap();
    ask(running.address, &by_first, "/open/x").unwrap_err();
    let by_second = client(&second, &[b"http/1.1"]);
    ask(running.address, &by_second, "/open/x").unwrap();

    std::fs::write(running.directory.path().join("key.pem"), "no key").unwrap();
    assert!(reload().is_err());
    ask(running.address, &by_second, "/open/x").unwrap();
}

#[test]
fn http_2_is_chosen_by_alpn() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let trusted = certificate(directory.path(), "gateway.test");
    let running = start_in(&text(&upstream.url()), directory);
    for (offered, chosen) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let name = ServerName::try_from("gateway.test").unwrap();
        let mut session = ClientConnection::new(client(&trusted, offered), name).unwrap();
        let mut stream = connect(running.address);
        while session.is_handshaking() {
            session.complete_io(&mut stream).unwrap();
        }
        assert_eq!(session.alpn_protocol(), chosen);
    }
}

#[test]
fn a_caller_without_tls_and_one_that_stops_within_the_handshake_are_let_go() {
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    certificate(directory.path(), "gateway.test");
    let text = text(&upstream.url()) + "[limits]\nhandshake_time = \"300ms\"\n";
    let running = start_in(&text, directory);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", &[22, 3, 1]] {
        let began = std::time::Instant::now();
        let answer = exchange(running.address, bytes);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        assert!(began.elapsed() < PATIENCE / 2);
    }
}

#[test]
fn an_upstream_over_tls_is_verified_by_the_file_that_is_named() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let server = Arc::new(server);
    let upstream = Bare::start(move |stream: TcpStream| {
        let session = ServerConnection::new(Arc::clone(&server)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            head.push(byte[0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.flush();
    });
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("ca.pem"), cert.pem()).unwrap();
    let url = format!("https://localhost:{}", upstream.address.port());
    let right = head(&url, "") + "ca_file = \"ca.pem\"\n" + ROUTES;
    let running = start_in(&right, directory);
    assert_eq!(running.get("/open/x", &[]).body, "ok");
    // Neither the name nor the roots of the platform fit.
    for wrong in [
        right.replace("localhost", "127.0.0.1"),
        right.replace("ca_file = \"ca.pem\"\n", ""),
    ] {
        let config = config(&wrong, running.directory.path()).unwrap();
        if running.gateway.reload(config).is_ok() {
            let request =
                b"GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";
            assert_eq!(
                parse(&exchange(running.address, request)).status,
                502,
                "{wrong}"
            );
        }
    }
}

/// RFC 8705, section 3: a token that is bound to a certificate is good over TLS with it alone.
#[test]
fn a_token_that_is_bound_to_a_certificate_needs_it() {
    let make = |file: &Path| {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["ada".to_owned()]).unwrap();
        std::fs::write(file, cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        (cert.der().clone(), key)
    };
    let upstream = Upstream::start();
    let directory = TempDir::new().unwrap();
    let server = certificate(directory.path(), "gateway.test");
    let own = make(&directory.path().join("clients.pem"));
    let stolen_by = make(&directory.path().join("other.pem"));
    let text = text(&upstream.url()) + "client_ca = \"clients.pem\"\n";
    let digest = crypto::aws_lc::provider().sha256(&own.0);
    let token = Issuer::get().token(&json!({ "cnf": { "x5t#S256": base64url::encode(&digest) } }));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let running = start_in(&text, directory);
    let status = |own| {
        let client = client_with(&server, &[b"http/1.1"], own);
        ask_with(running.address, &client, "/stock/7", &bearer)
            .map(|answer| answer.split(' ').nth(1).unwrap_or("none").to_owned())
    };
    assert_eq!(status(Some(own)).as_deref(), Ok("200"));
    assert_eq!(status(None).as_deref(), Ok("401"));
    // One that the gateway does not trust ends the handshake.
    assert_ne!(status(Some(stolen_by)).as_deref(), Ok("200"));
}

#[test]
fn a_proxy_that_asks_is_believed_by_its_certificate() {
    let directory = TempDir::new().unwrap();
    let served = certificate(directory.path(), "gateway.test");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["proxy.test".to_owned()]).unwrap();
    std::fs::write(directory.path().join("proxies.pem"), cert.pem()).unwrap();
    let tls = "{ certificates = \"cert.pem\", key = \"key.pem\", client_ca = \"proxies.pem\" }";
    let table = format!("preset = \"traefik\"\ntls = {tls}");
    let running = start_in(&crate::forward::file(&table), directory);
    let address = running.gateway.forward_auth_addresses()[0].parse().unwrap();
    let question = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /open/x\r\nX-Forwarded-Host: api.test\r\n\
                    X-Forwarded-For: 192.0.2.7\r\n";
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let known = client_with(&served, &[], Some((cert.der().clone(), key)));
    let answer = ask_with(address, &known, "/", question).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Without one, or without TLS, the same address is nobody's.
    let unknown = client(&served, &[]);
    let answer = ask_with(address, &unknown, "/", question).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let plain = format!("GET / HTTP/1.1\r\nHost: x\r\n{question}\r\n");
    assert!(!exchange(address, plain.as_bytes()).starts_with(b"HTTP/1.1 200"));
}
