//! Requests that two machines read in two ways, byte by byte.

use crate::fixture::{connect, exchange, usual};
use crate::upstream::Upstream;

const HEAD: &str = "POST /open/x HTTP/1.1\r\nHost: gateway.test\r\n";

/// RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3, 7.1 and 11.2.
#[test]
fn every_shape_is_refused_and_nothing_of_it_reaches_the_upstream() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let hidden = "GET /open/hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
    for shape in [
        // Two ways to tell the length.
        format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // The length twice, or as no number.
        format!("Content-Length: 0\r\nContent-Length: 5\r\n\r\n{hidden}"),
        format!("Content-Length: 0\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("Content-Length: 0, 5\r\n\r\n{hidden}"),
        format!("Content-Length: +0\r\n\r\n{hidden}"),
        format!("Content-Length: -1\r\n\r\n{hidden}"),
        format!("Content-Length: 0x0\r\n\r\n{hidden}"),
        format!("Content-Length: 0 0\r\n\r\n{hidden}"),
        format!("Content-Length: 99999999999999999999\r\n\r\n{hidden}"),
        format!("Content-Length : 0\r\n\r\n{hidden}"),
        // Folded lines.
        format!("X: a\r\n Content-Length: 5\r\n\r\n{hidden}"),
        format!("X: a\r\n\tb\r\n\r\n{hidden}"),
        // Line ends that are none.
        format!("X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("X: a\r\n\n{hidden}"),
        format!("X: a\0b\r\n\r\n{hidden}"),
        format!(": a\r\n\r\n{hidden}"),
        format!("X a\r\n\r\n{hidden}"),
        // Chunks.
        format!("Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n0\n\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nc\r\n0\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\n\r\n{hidden}"),
    ] {
        let answers = exchange(running.address, format!("{HEAD}{shape}").as_bytes());
        let text = String::from_utf8_lossy(&answers);
        assert!(text.starts_with("HTTP/1.1 400 "), "{shape:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{shape:?}: {text}");
    }
    for request in upstream.requests() {
        assert_ne!(request["target"], "/open/hidden");
    }
}

/// RFC 9112, section 3: the request line.
#[test]
fn a_request_line_has_one_form() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    for line in [
        "GET /open/x",
        "GET  /open/x HTTP/1.1",
        "GET /open/x  HTTP/1.1",
        "GET /open/x HTTP/1.1 ",
        "GET\t/open/x HTTP/1.1",
        "GET /open/x HTTP/1.2",
        "GET /open/x HTTP/2.0",
        "GET /open/x HTTP/1.1\rX: y",
        "GE(T /open/x HTTP/1.1",
        "GET /open/\u{1}x HTTP/1.1",
        "GET /open/x#y HTTP/1.1",
    ] {
        let request = format!("{line}\r\nHost: gateway.test\r\nConnection: close\r\n\r\n");
        let text = exchange(running.address, request.as_bytes());
        let text = String::from_utf8_lossy(&text);
        assert!(
            text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5"),
            "{line:?}: {text}"
        );
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// RFC 9112, section 9.3.2: requests one after the other without waiting are answered in order.
#[test]
fn sound_requests_may_come_together() {
    use std::io::{Read as _, Write as _};

    let upstream = Upstream::start();
    let running = usual(&upstream);
    let first = "POST /open/1 HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 4\r\n\r\n\n\n\r\n";
    let second = "GET /open/2 HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";
    let mut stream = connect(running.address);
    for byte in format!("{first}{second}").as_bytes().chunks(7) {
        stream.write_all(byte).unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    let targets: Vec<_> = upstream
        .requests()
        .iter()
        .map(|seen| seen["target"].clone())
        .collect();
    assert_eq!(targets, ["/open/1", "/open/2"]);
}
