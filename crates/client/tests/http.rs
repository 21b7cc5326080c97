//! The network as it is: servers that redirect, stall, flood, cut off and hang up. Real sockets, all
//! of them on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use countersign_client::{HttpOptions, HttpTransport, Secret, Transport};
use countersign_oauth::{HeaderValue, HttpRequest, HttpResponse, MAX_BODY, Method, TransportError};
use countersign_testkit::{HttpServer, Reply};
use url::Url;

/// Longer than anything here takes unless it is stuck.
const LIMIT: Duration = Duration::from_secs(20);
/// What a test lets the client wait for a server that never answers.
const SHORT: Duration = Duration::from_millis(300);

fn transport(overall: Duration) -> HttpTransport {
    let mut options = HttpOptions::default();
    options.overall_limit = overall;
    HttpTransport::new(options)
}

fn get(url: &str) -> HttpRequest {
    HttpRequest::get(Url::parse(url).unwrap())
}

fn post(url: &str) -> HttpRequest {
    let mut request = get(url);
    request.method = Method::Post;
    request.body = Some(Secret::new("token=canary"));
    request
}

fn send(request: &HttpRequest) -> Result<HttpResponse, TransportError> {
    transport(LIMIT).send(request, Duration::MAX)
}

/// Sends with a limit that will be needed, and says how long it took.
fn send_within(limit: Duration, url: &str) -> (Result<HttpResponse, TransportError>, Duration) {
    let start = Instant::now();
    let outcome = transport(limit).send(&get(url), Duration::MAX);
    (outcome, start.elapsed())
}

#[test]
fn a_request_arrives_as_it_is_and_the_answer_comes_back() {
    let server = HttpServer::start();
    let reply = Reply::text(418, "text/plain", "short and stout").with_header("X-Pot", "tea");
    server.on("POST", "/token", reply);
    let mut request = post(&server.url("/token?a=b%20c"));
    request.headers.push((
        "authorization",
        HeaderValue::Secret(Secret::new("Basic canary")),
    ));
    let answer = send(&request).unwrap();
    assert_eq!(answer.status, 418);
    assert_eq!(answer.body, b"short and stout");
    assert_eq!(answer.header("x-pot"), Some("tea"));
    let seen = server.requests().pop().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.query.as_str()),
        ("POST", "a=b%20c")
    );
    assert_eq!(seen.body, b"token=canary");
    assert_eq!(seen.header("authorization"), Some("Basic canary"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-length"), Some("12"));
    assert!(
        seen.header("user-agent")
            .unwrap()
            .starts_with("countersign-client/")
    );
    // Nothing is asked for that would have to be unpacked: a small answer cannot become a large one.
    assert_eq!(seen.header("accept-encoding"), None);
}

#[test]
fn a_redirect_is_refused_and_nothing_is_sent_to_where_it_leads() {
    for status in [301, 302, 303, 307, 308] {
        let thief = HttpServer::start();
        let server = HttpServer::start();
        for method in ["GET", "POST"] {
            server.on(
                method,
                "/token",
                Reply::redirect(status, &thief.url("/steal")),
            );
        }
        for request in [get(&server.url("/token")), post(&server.url("/token"))] {
            let error = send(&request).unwrap_err();
            let location = Some(thief.url("/steal"));
            assert_eq!(error, TransportError::Redirect { location }, "{status}");
        }
        assert_eq!(thief.connections(), 0, "{status}");
    }
}

#[test]
fn an_answer_over_the_cap_is_refused_whether_it_says_so_or_not() {
    let server = HttpServer::start();
    let flood = Reply::text(200, "application/json", "x".repeat(1000)).flooding(3 * MAX_BODY);
    server.on("GET", "/flood", flood);
    server.on(
        "GET",
        "/declared",
        Reply::text(200, "text/plain", "x".repeat(MAX_BODY + 1)),
    );
    server.on(
        "GET",
        "/fits",
        Reply::text(200, "text/plain", "x".repeat(MAX_BODY)),
    );
    for path in ["/flood", "/declared"] {
        let error = send(&get(&server.url(path))).unwrap_err();
        assert_eq!(error, TransportError::TooLarge, "{path}");
    }
    assert_eq!(
        send(&get(&server.url("/fits"))).unwrap().body.len(),
        MAX_BODY
    );
}

#[test]
fn headers_without_end_are_refused() {
    let server = HttpServer::start();
    let mut reply = Reply::new(200);
    for number in 0..5000 {
        reply = reply.with_header(&format!("x-{number}"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    server.on("GET", "/", reply);
    send(&get(&server.url("/"))).unwrap_err();
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let server = HttpServer::start();
    server.on("GET", "/", Reply::never());
    let (outcome, took) = send_within(SHORT, &server.url("/"));
    assert_eq!(outcome.unwrap_err(), TransportError::Timeout);
    assert!(took >= SHORT && took < LIMIT / 2, "{took:?}");
}

#[test]
fn a_server_that_drips_is_given_up_in_time() {
    let server = HttpServer::start();
    let slow = Reply::text(200, "application/json", "x".repeat(10_000));
    server.on("GET", "/", slow.dripping(1, Duration::from_millis(20)));
    let (outcome, took) = send_within(SHORT, &server.url("/"));
    assert_eq!(outcome.unwrap_err(), TransportError::Timeout);
    assert!(took < LIMIT / 2, "{took:?}");
}

#[test]
fn the_limit_of_one_request_can_be_shorter_than_that_of_all() {
    let server = HttpServer::start();
    server.on("GET", "/", Reply::never());
    let start = Instant::now();
    let error = transport(LIMIT)
        .send(&get(&server.url("/")), SHORT)
        .unwrap_err();
    assert_eq!(error, TransportError::Timeout);
    assert!(start.elapsed() < LIMIT / 2);
    let none = transport(LIMIT)
        .send(&get(&server.url("/")), Duration::ZERO)
        .unwrap_err();
    assert_eq!(none, TransportError::Timeout);
}

#[test]
fn a_tls_handshake_that_is_never_answered_is_given_up_in_time() {
    // The connection is made by the system as soon as somebody listens; nobody ever reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = HttpOptions::default();
    options.connect_limit = SHORT;
    let url = format!("https://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let start = Instant::now();
    let error = HttpTransport::new(options)
        .send(&get(&url), Duration::MAX)
        .unwrap_err();
    assert_eq!(error, TransportError::Timeout);
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn connections_that_end_early_are_told_from_those_that_were_never_made() {
    let server = HttpServer::start();
    server.on("GET", "/hangup", Reply::hangup());
    let cut = Reply::text(200, "application/json", "{\"access_token\":\"canary\"}");
    server.on("GET", "/cut", cut.cut_after(10));
    assert_eq!(
        send(&get(&server.url("/hangup"))).unwrap_err(),
        TransportError::Closed
    );
    assert_eq!(
        send(&get(&server.url("/cut"))).unwrap_err(),
        TransportError::Closed
    );

    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let error = send(&get(&url)).unwrap_err();
    let TransportError::Connect { reason } = &error else {
        panic!("{error:?}")
    };
    assert!(reason.to_lowercase().contains("refused"), "{reason}");
    assert!(error.is_retryable());
}

#[test]
fn a_name_that_nobody_has_is_a_connection_that_was_not_made() {
    // RFC 6761, section 6.4: this name never exists.
    let error = send(&get("https://no-such-host.invalid/")).unwrap_err();
    assert!(
        matches!(
            error,
            TransportError::Connect { .. } | TransportError::Timeout
        ),
        "{error:?}"
    );
}

#[test]
fn what_is_not_http_is_said_to_be_not_http() {
    let server = HttpServer::start();
    server.on("GET", "/", Reply::raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"));
    let error = send(&get(&server.url("/"))).unwrap_err();
    assert!(
        matches!(error, TransportError::Malformed { .. }),
        "{error:?}"
    );
}

#[test]
fn plain_http_is_for_this_computer_only() {
    // Nobody is asked for the name: the refusal comes first, and at once.
    let start = Instant::now();
    for url in [
        "http://id.example.com/token",
        "http://10.255.255.1/token",
        "ftp://127.0.0.1/",
    ] {
        let error = send(&post(url)).unwrap_err();
        assert!(
            matches!(error, TransportError::Tls { .. }),
            "{url}: {error:?}"
        );
        assert!(!error.is_retryable());
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn requests_close_together_share_a_connection() {
    let server = HttpServer::start();
    server.on("GET", "/", Reply::text(200, "text/plain", "ok"));
    let transport = transport(LIMIT);
    for _ in 0..3 {
        transport
            .send(&get(&server.url("/")), Duration::MAX)
            .unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn debug_of_the_transport_shows_options_and_nothing_of_the_environment() {
    let shown = format!("{:?}", transport(SHORT));
    assert!(shown.contains("overall_limit"), "{shown}");
    assert!(!shown.contains("proxy"), "{shown}");
}
