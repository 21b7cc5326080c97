//! Several addresses, and some of them away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::{PATIENCE, ROUTES, head, start};
use crate::upstream::{Bare, Upstream, read_head, say};

/// An address at which nobody listens, nor will as long as this is there.
struct Nobody(tokio::net::TcpSocket);

impl Nobody {
    fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}

/// The configuration with these addresses.
fn several(addresses: &[&str], more: &str) -> String {
    let list = format!("{addresses:?}");
    head("THE ADDRESS", "").replace("\"THE ADDRESS\"", &list) + more + ROUTES
}

#[test]
fn an_address_that_is_away_costs_no_request() {
    let upstream = Upstream::start();
    let nobody = Nobody::new();
    let running = start(&several(&[&nobody.url(), &upstream.url()], ""));
    for round in 0..10 {
        assert_eq!(running.get("/open/x", &[]).status, 200, "round {round}");
        // Nothing was sent to the other, so this may be sent again.
        assert_eq!(
            running.request("POST", "/open/x", &[], "x").status,
            200,
            "round {round}"
        );
    }
    let metrics = running.admin("/metrics").body;
    assert!(
        metrics.contains("upstream_up{upstream=\"stock\",address=\"127.0.0.1:"),
        "{metrics}"
    );
    assert_eq!(upstream.requests().len(), 20);
}

#[test]
fn when_all_are_away_the_answer_is_bare_and_the_reason_is_counted() {
    let (one, other) = (Nobody::new(), Nobody::new());
    let running = start(&several(&[&one.url(), &other.url()], ""));
    let answer = running.get("/open/x", &[]);
    assert_eq!((answer.status, &*answer.body), (502, ""));
    let metrics = running.admin("/metrics").body;
    assert!(
        metrics.contains("codes_total{decision=\"fail\",code=\"upstream_connect\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("decisions_total{route=\"/open/**\",decision=\"fail\"} 1"),
        "{metrics}"
    );
}

#[test]
fn requests_go_to_each_address_in_turn() {
    let (one, other) = (Upstream::start(), Upstream::start());
    let running = start(&several(&[&one.url(), &other.url()], ""));
    for _ in 0..20 {
        assert_eq!(running.get("/open/x", &[]).status, 200);
    }
    assert_eq!((one.requests().len(), other.requests().len()), (10, 10));
}

#[test]
fn health_checks_take_an_address_out_and_bring_it_back() {
    let well = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&well);
    let upstream = Bare::start(move |mut stream| {
        let head = read_head(&mut stream);
        let status = if head.starts_with("GET /health ") && !state.load(Ordering::SeqCst) {
            "500 Down"
        } else {
            "200 OK"
        };
        say(
            &mut stream,
            &format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        );
    });
    let more = "health = { path = \"/health\", interval = \"100ms\" }\n";
    let running = start(&several(&[&upstream.url()], more));
    let becomes = |status| {
        let began = Instant::now();
        while running.get("/open/x", &[]).status != status {
            assert!(began.elapsed() < PATIENCE, "never {status}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    becomes(200);
    well.store(false, Ordering::SeqCst);
    becomes(503);
    well.store(true, Ordering::SeqCst);
    becomes(200);
}
