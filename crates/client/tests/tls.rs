//! Whom the client believes to be the server, and through whom it speaks to it. What comes from the
//! environment is tested in child processes, which are this same program.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod tls_server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::{HttpOptions, HttpTransport, Transport};
use countersign_oauth::{HttpRequest, TransportError};
use countersign_testkit::{HttpServer, Program, Reply};
use tls_server::{Authority, ConnectProxy, TlsServer};
use url::Url;

/// The address a child process asks for; absent in the test run itself.
const URL: &str = "COUNTERSIGN_CLIENT_TEST_URL";
const CA_FILE: &str = "COUNTERSIGN_CLIENT_TEST_CA_FILE";

fn ask(url: &str, ca_files: &[PathBuf]) -> Result<String, TransportError> {
    let mut options = HttpOptions::default();
    options.ca_files = ca_files.to_vec();
    options.overall_limit = Duration::from_secs(20);
    let request = HttpRequest::get(Url::parse(url).unwrap());
    let answer = HttpTransport::new(options).send(&request, Duration::MAX)?;
    Ok(format!(
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    ))
}

/// Not a test of its own: what the child processes do.
#[test]
fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let ca_files: Vec<PathBuf> = std::env::var_os(CA_FILE)
        .map(PathBuf::from)
        .into_iter()
        .collect();
    match ask(&url, &ca_files) {
        Ok(answer) => println!("answer: {answer}"),
        Err(error) => println!("error: {} {error} {error:?}", error.code()),
    }
}

/// Asks for `url` in a process with this environment, and gives what it said.
fn ask_with(url: &str, environment: &[(&str, &str)]) -> String {
    let mut program = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(URL, url);
    for (name, value) in environment {
        program = program.env(name, value);
    }
    let said = program.run().expect_code(0).stdout;
    let line = said
        .lines()
        .find(|line| line.starts_with("answer: ") || line.starts_with("error: "));
    line.unwrap_or_else(|| panic!("the child said nothing: {said}"))
        .to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_server_of_an_authority_that_nobody_trusts_is_not_believed() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify("localhost"));
    let error = ask(&server.url("localhost"), &[]).unwrap_err();
    let TransportError::Tls { reason } = &error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert!(!error.is_retryable());
    assert_eq!(server.requests(), 0, "not a byte of the request is sent");
}

#[test]
fn an_added_authority_is_believed() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify("localhost"));
    let answer = ask(&server.url("localhost"), &[authority.pem_file().to_owned()]).unwrap();
    assert_eq!(answer, "200 hello");
}

#[test]
fn a_certificate_for_another_name_or_another_time_is_not_believed() {
    let authority = Authority::new();
    let ca = [authority.pem_file().to_owned()];
    let other = TlsServer::start(&authority.certify("id.example.test"));
    let error = ask(&other.url("localhost"), &ca).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    let expired = TlsServer::start(&authority.certify_expired("localhost"));
    let error = ask(&expired.url("localhost"), &ca).unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate here\n").unwrap();
    let torn = directory.path().join("torn.pem");
    std::fs::write(
        &torn,
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    for file in [empty, torn, directory.path().join("missing.pem")] {
        let error = ask("https://localhost:9/", std::slice::from_ref(&file)).unwrap_err();
        let TransportError::Tls { reason } = &error else {
            panic!("{error:?}")
        };
        assert!(reason.contains(text(&file)), "{reason}");
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_failure_of_tls() {
    let plain = HttpServer::start();
    let error = ask(&format!("https://127.0.0.1:{}/", plain.port()), &[]).unwrap_err();
    let expected = matches!(error, TransportError::Tls { .. } | TransportError::Closed);
    assert!(expected, "{error:?}");
}

#[test]
fn ssl_cert_file_says_where_the_systems_authorities_are() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify("localhost"));
    let url = server.url("localhost");
    assert!(ask_with(&url, &[]).starts_with("error: tls_failed"));
    let set = [("SSL_CERT_FILE", text(authority.pem_file()))];
    assert_eq!(ask_with(&url, &set), "answer: 200 hello");
}

#[test]
fn an_added_authority_adds_to_the_systems_and_does_not_replace_them() {
    let systems = Authority::new();
    let added = Authority::new();
    let environment = [
        ("SSL_CERT_FILE", text(systems.pem_file())),
        (CA_FILE, text(added.pem_file())),
    ];
    for authority in [&systems, &added] {
        let server = TlsServer::start(&authority.certify("localhost"));
        assert_eq!(
            ask_with(&server.url("localhost"), &environment),
            "answer: 200 hello"
        );
    }
}

#[test]
fn a_proxy_named_by_the_environment_is_used_and_learns_no_more_than_the_name() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify("id.example.test"));
    let proxy = ConnectProxy::start(server.port());
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let environment = [
            (variable, proxy.url()),
            ("SSL_CERT_FILE", text(authority.pem_file()).to_owned()),
        ];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let said = ask_with("https://id.example.test/", &environment);
        assert_eq!(said, "answer: 200 hello", "{variable}");
    }
    let asked = proxy.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|head| head.starts_with("CONNECT id.example.test:443 ")),
        "{asked:?}"
    );
}

#[test]
fn no_proxy_and_loopback_go_directly() {
    let server = TlsServer::start(&Authority::new().certify("localhost"));
    let proxy = ConnectProxy::start(server.port());
    let plain = HttpServer::start();
    plain.on("GET", "/", Reply::text(200, "text/plain", "direct"));
    let url = proxy.url();
    let set = [
        ("HTTPS_PROXY", url.as_str()),
        ("ALL_PROXY", &url),
        ("http_proxy", &url),
    ];
    assert_eq!(ask_with(&plain.url("/"), &set), "answer: 200 direct");
    assert!(ask_with(&server.url("localhost"), &set).starts_with("error: tls_failed"));
    let excepted = [
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "example.test,.invalid"),
    ];
    let said = ask_with("https://no-such-host.invalid/", &excepted);
    assert!(said.starts_with("error: connect_failed"), "{said}");
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
}

#[test]
fn a_proxy_that_is_down_or_nonsense_is_named_without_its_password() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let down = format!("http://user:canary@{}", unused.local_addr().unwrap());
    drop(unused);
    for address in [
        down.as_str(),
        "canary://user:canary@proxy.test",
        "http://user:canary@:x",
    ] {
        let said = ask_with("https://id.example.test/", &[("HTTPS_PROXY", address)]);
        assert!(said.starts_with("error: proxy_failed"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
