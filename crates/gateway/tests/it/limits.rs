//! Nobody waits for ever, and nobody makes others wait: slow callers, slow upstreams, long bodies.
//!
//! The limits of these gateways are short; what has to stay below them has seconds of room.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::{PATIENCE, ROUTES, connect, exchange, head, start};
use crate::upstream::{Bare, Upstream, read_head, say};

const SHORT: &str = r#"
[limits]
head_time = "500ms"
body_idle_time = "500ms"
body_rate = "4"
connections = 50
"#;

fn short(upstream: &str, more: &str) -> String {
    head(upstream, "") + more + ROUTES + SHORT
}

/// How a connection ends that sends this and then one byte every 50 ms.
fn dribble(address: std::net::SocketAddr, first: &str, byte: &str) -> (String, Duration) {
    let mut stream = connect(address);
    let began = Instant::now();
    stream.write_all(first.as_bytes()).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let byte = byte.to_owned();
    thread::spawn(move || {
        while writer.write_all(byte.as_bytes()).is_ok() && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let _ = stream.shutdown(Shutdown::Both);
    (
        String::from_utf8_lossy(&answer).into_owned(),
        began.elapsed(),
    )
}

#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let upstream = Upstream::start();
    let running = start(&short(&upstream.url(), ""));
    for (first, byte) in [
        ("", "\r\n"),
        ("GET / HTTP/1.1\r\nX: ", "a"),
        ("GET /open/x HTTP/1.1\r\nHost: gateway.test\r\n", "X: a\r\n"),
    ] {
        let (_, took) = dribble(running.address, first, byte);
        assert!(took < PATIENCE / 2, "{first:?} was kept for {took:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
    // Nor is a caller that says nothing.
    let began = Instant::now();
    exchange(running.address, b"");
    assert!(began.elapsed() < PATIENCE / 2);
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408() {
    let upstream = Upstream::start();
    let running = start(&short(&upstream.url(), ""));
    for request in [
        "POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 100\r\n\r\nabc",
        "POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        assert_eq!(running.raw(request).status, 408, "{request}");
    }
}

#[test]
fn a_slow_body_that_moves_is_not_ended() {
    let upstream = Upstream::start();
    let running = start(&short(&upstream.url(), "answer_time = \"300ms\"\n"));
    let mut stream = connect(running.address);
    stream
        .write_all(b"POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Length: 20\r\n\r\n")
        .unwrap();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(50));
        stream.write_all(b"x").unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// One byte before each silence would be too long is no body that moves.
#[test]
fn a_body_that_is_too_slow_is_answered_with_408_however_it_is_cut() {
    let upstream = Upstream::start();
    let routes = r#"
[[route]]
path = "/patient/**"
public = true
upstream = "stock"
body_rate = "1"
"#;
    let limits = SHORT.replace("body_rate = \"4\"", "body_rate = \"1KiB\"");
    let running = start(&(head(&upstream.url(), "") + ROUTES + routes + &limits));
    for (framing, piece) in [
        ("Content-Length: 1000", "x"),
        ("Transfer-Encoding: chunked", "1\r\nx\r\n"),
    ] {
        let first = format!("POST /open/x HTTP/1.1\r\nHost: gateway.test\r\n{framing}\r\n\r\n");
        let (answer, took) = dribble(running.address, &first, piece);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(took < PATIENCE / 2, "{framing} was kept for {took:?}");
    }
    let metrics = running.admin("/metrics").body;
    assert!(metrics.contains("code=\"body_slow\"} 2"), "{metrics}");
    // As fast as its route asks for.
    let mut stream = connect(running.address);
    let head = "POST /patient/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Length: 20\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(50));
        stream.write_all(b"x").unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn an_upstream_that_does_not_answer_is_a_504_and_one_that_breaks_off_a_broken_answer() {
    let upstream = Bare::start(|mut stream| {
        let head = read_head(&mut stream);
        if head.starts_with("GET /open/half") {
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            );
        } else if head.starts_with("GET /open/stuck") {
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            );
            thread::sleep(PATIENCE);
        } else if head.starts_with("GET /open/junk") {
            say(&mut stream, "SMTP ready\r\n\r\n");
        } else {
            thread::sleep(PATIENCE);
        }
    });
    let more = "answer_time = \"500ms\"\nidle_time = \"500ms\"\n";
    let running = start(&short(&upstream.url(), more));
    assert_eq!(running.get("/open/never", &[]).status, 504);
    assert_eq!(running.get("/open/junk", &[]).status, 502);
    for target in ["/open/half", "/open/stuck"] {
        let began = Instant::now();
        let answer = running.get(target, &[]);
        assert_eq!(
            (answer.status, &*answer.body),
            (200, "half"),
            "cut, not repaired"
        );
        assert!(began.elapsed() < PATIENCE / 2);
    }
}

#[test]
fn the_whole_of_a_request_can_be_limited() {
    let upstream = Bare::start(|mut stream| {
        read_head(&mut stream);
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        );
        for _ in 0..1000 {
            thread::sleep(Duration::from_millis(50));
            say(&mut stream, "x");
        }
    });
    let running = start(&short(&upstream.url(), "total_time = \"500ms\"\n"));
    let began = Instant::now();
    let answer = running.get("/open/x", &[]);
    assert!(
        answer.body.len() < 100 && began.elapsed() < PATIENCE / 2,
        "{answer:?}"
    );
}

/// A caller that sends its request and closes its side gets the answer.
#[test]
fn a_half_closed_caller_is_answered() {
    let upstream = Bare::start(|mut stream| {
        read_head(&mut stream);
        thread::sleep(Duration::from_millis(200));
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        );
    });
    let running = start(&short(&upstream.url(), ""));
    let mut stream = connect(running.address);
    stream
        .write_all(b"GET /open/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[test]
fn a_body_that_breaks_off_does_not_reach_the_upstream_as_a_whole_one() {
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upstream = Bare::start(move |mut stream| {
        read_head(&mut stream);
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body);
        told.lock()
            .unwrap()
            .send(String::from_utf8_lossy(&body).into_owned())
            .unwrap();
    });
    let running = start(&short(&upstream.url(), ""));
    let mut stream = connect(running.address);
    stream
        .write_all(b"POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .unwrap();
    drop(stream);
    let body = heard.recv_timeout(PATIENCE).unwrap();
    assert!(!body.contains("\r\n0\r\n"), "no end was invented: {body:?}");
}

#[test]
fn a_caller_that_reads_nothing_does_not_hold_an_upstream_for_ever() {
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let upstream = Bare::start(move |mut stream| {
        read_head(&mut stream);
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        );
        let piece = vec![b'x'; 64 * 1024];
        let mut sent = 0_u64;
        while stream.write_all(&piece).is_ok() {
            sent += piece.len() as u64;
        }
        told.lock().unwrap().send(sent).unwrap();
    });
    let running = start(&short(&upstream.url(), ""));
    let mut stream = connect(running.address);
    stream
        .write_all(b"GET /open/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        .unwrap();
    let sent = heard.recv_timeout(PATIENCE).unwrap();
    // What the sockets between them hold, and not the body.
    assert!(
        sent < 100_000_000,
        "{sent} bytes were taken for a caller that reads none"
    );
}

#[test]
fn expect_100_continue_is_answered_by_the_gateway_and_a_refusal_comes_instead_of_it() {
    let upstream = Upstream::start();
    let running = start(&short(&upstream.url(), ""));
    let ask = |path: &str| {
        let mut stream = connect(running.address);
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let first = read_head(&mut stream);
        (stream, first)
    };
    let (_, refused) = ask("/stock/7");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let (mut stream, go_on) = ask("/open/x");
    assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
    stream.write_all(b"ok").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(
        upstream.requests()[0]["headers"]["expect"],
        serde_json::Value::Null
    );
}

#[test]
fn heads_and_numbers_of_headers_and_connections_are_bounded() {
    let upstream = Upstream::start();
    let running = start(&short(&upstream.url(), ""));
    let long = format!("X: {}", "a".repeat(40_000));
    assert_eq!(running.get("/open/x", &[&long]).status, 431);
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(running.get("/open/x", &many).status, 431);
    let target = format!("/open/{}", "a".repeat(9_000));
    assert_eq!(running.get(&target, &[]).status, 400);
    // The surplus is closed at once, and those who are there are served on.
    let kept: Vec<_> = (0..50).map(|_| connect(running.address)).collect();
    let began = Instant::now();
    while !running
        .admin("/metrics")
        .body
        .contains("gateway_connections_refused_total 1")
    {
        exchange(running.address, b"");
        assert!(began.elapsed() < PATIENCE);
    }
    drop(kept);
}

/// A connection of HTTP/2 answers pings, so that only requests keep it.
#[test]
fn http_2_without_a_request_is_not_kept() {
    let upstream = Upstream::start();
    let text = head(&upstream.url(), "h2c = true") + ROUTES + SHORT;
    let running = start(&text);
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in [
        preface.as_bytes().to_vec(),
        // And with settings, as a sound client begins.
        [preface.as_bytes(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat(),
        // And with a head that is never finished.
        [
            preface.as_bytes(),
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
            &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82],
        ]
        .concat(),
        preface.as_bytes()[..10].to_vec(),
    ] {
        let began = Instant::now();
        exchange(running.address, &bytes);
        assert!(began.elapsed() < PATIENCE / 2, "{bytes:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}
