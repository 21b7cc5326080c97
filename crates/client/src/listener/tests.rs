//! The listener among browsers, scanners and people who mean no good. Time is handed in.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::*;

/// A listener on a free port, and what its owner was asked.
struct World {
    listener: Listener,
    asked: Vec<String>,
    now: Duration,
}

impl World {
    fn new() -> Self {
        Self::at(&Redirect::loopback())
    }

    fn at(redirect: &Redirect) -> Self {
        let listener = Listener::bind(redirect, &mut |_, _| panic!("a port is taken")).unwrap();
        Self {
            listener,
            asked: Vec::new(),
            now: Duration::ZERO,
        }
    }

    fn connect(&self) -> TcpStream {
        let address = SocketAddr::from(([127, 0, 0, 1], self.listener.port()));
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    /// One turn. The only answer is `code=good`.
    fn turn(&mut self) {
        let asked = &mut self.asked;
        self.listener.turn(self.now, &mut |query| {
            asked.push(query.to_owned());
            if query.contains("code=good") {
                return Verdict::Answer;
            }
            Verdict::Stray(Page::new(400, Tone::Neutral, "not this one"))
        });
    }

    /// Takes turns until `stream` has been answered and closed. Bounded, though nothing here waits.
    fn answered(&mut self, stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        for _ in 0..5000 {
            self.turn();
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(0) => return String::from_utf8(answer).unwrap(),
                Ok(length) => answer.extend(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::yield_now();
                }
                Err(_) => return String::from_utf8(answer).unwrap(),
            }
        }
        panic!("never closed: {}", String::from_utf8_lossy(&answer))
    }

    /// The answer to one request.
    fn ask(&mut self, request: &str) -> String {
        let mut stream = self.connect();
        let host = format!("Host: 127.0.0.1:{}", self.listener.port());
        let request = request.replace("Host: here", &host);
        stream.write_all(request.as_bytes()).unwrap();
        self.answered(&mut stream)
    }

    fn get(&mut self, target: &str) -> String {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: here\r\n\r\n"))
    }

    /// The browser comes back with the answer, whatever went before; what it is shown in the end.
    fn comes_back(mut self) -> String {
        let mut browser = self.connect();
        let port = self.listener.port();
        let request = format!("GET /callback?code=good HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        browser.write_all(request.as_bytes()).unwrap();
        for _ in 0..5000 {
            self.turn();
            if !self.listener.held.is_empty() {
                break;
            }
            std::thread::yield_now();
        }
        let page = Page::new(200, Tone::Good, "Signed in");
        self.listener.conclude(&page);
        let mut answer = String::new();
        browser.set_nonblocking(false).unwrap();
        browser
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        browser.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).unwrap_or_default();
    code.parse().unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn the_browser_that_brings_the_answer_waits_for_the_result() {
    let answer = World::new().comes_back();
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("<h1>Signed in</h1>"), "{answer}");
}

#[test]
fn it_listens_on_both_addresses_of_this_computer_on_one_port() {
    let world = World::new();
    let port = world.listener.port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A computer without IPv6 has one address.
    if TcpListener::bind(("::1", 0)).is_ok() {
        TcpStream::connect(("::1", port)).unwrap();
        assert_eq!(world.listener.sockets.len(), 2);
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_the_next_is_tried() {
    let first = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let second = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ports: Vec<u16> = [&first, &second]
        .map(|socket| socket.local_addr().unwrap().port())
        .to_vec();
    let free = World::new().listener.port();
    let all = [ports.clone(), vec![free]].concat();
    let redirect = Redirect::loopback().with_ports(all).unwrap();
    let mut taken = Vec::new();
    let listener = Listener::bind(&redirect, &mut |port, next| taken.push((port, next))).unwrap();
    assert_eq!(listener.port(), free);
    let expected = [(ports[0], Some(ports[1])), (ports[1], Some(free))];
    assert_eq!(taken, expected);

    let redirect = Redirect::loopback().with_ports(ports.clone()).unwrap();
    let error = Listener::bind(&redirect, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.code(), "port_in_use");
    let said = error.to_string();
    assert!(
        ports.iter().all(|port| said.contains(&port.to_string())),
        "{said}"
    );
}

#[test]
fn a_port_that_another_program_has_on_the_other_address_is_taken() {
    let Ok(other) = TcpListener::bind(("::1", 0)) else {
        return;
    };
    let port = other.local_addr().unwrap().port();
    let redirect = Redirect::loopback().with_ports([port]).unwrap();
    let error = Listener::bind(&redirect, &mut |_, _| {}).unwrap_err();
    assert_eq!(error.code(), "port_in_use");
}

#[test]
fn a_redirect_uri_without_a_path_is_the_root() {
    let mut world = World::at(&Redirect::parse("http://localhost").unwrap());
    assert_eq!(status(&world.get("/?code=other")), 400);
    assert_eq!(world.asked, ["code=other"]);
}

#[test]
fn what_a_browser_asks_beside_the_answer_changes_nothing() {
    let mut world = World::new();
    assert_eq!(status(&world.get("/favicon.ico")), 404);
    assert_eq!(status(&world.get("/")), 404);
    assert_eq!(status(&world.get("/callback/?code=good")), 404);
    assert_eq!(status(&world.get("/Callback?code=good")), 404);
    assert_eq!(status(&world.get("/%63allback?code=good")), 404);
    let advance = "GET /callback?code=good HTTP/1.1\r\nHost: here\r\nSec-Purpose: prefetch\r\n\r\n";
    assert_eq!(status(&world.ask(advance)), 503);
    for (method, expected) in [("HEAD", 200), ("POST", 405), ("OPTIONS", 405), ("PUT", 405)] {
        let request = format!("{method} /callback?code=good HTTP/1.1\r\nHost: here\r\n\r\n");
        let answer = world.ask(&request);
        assert_eq!(status(&answer), expected, "{method}");
        assert!(answer.ends_with("\r\n\r\n"), "{method}");
    }
    assert!(world.asked.is_empty(), "{:?}", world.asked);
    assert_eq!(status(&world.comes_back()), 200);
}

#[test]
fn the_answer_to_another_question_is_shown_as_such_and_waiting_goes_on() {
    let mut world = World::new();
    for query in ["code=bad", "", "error=access_denied"] {
        let answer = world.get(&format!("/callback?{query}"));
        assert_eq!(status(&answer), 400, "{query}");
        assert!(answer.contains("not this one"));
    }
    assert_eq!(world.asked, ["code=bad", "", "error=access_denied"]);
    assert_eq!(status(&world.comes_back()), 200);
}

#[test]
fn a_name_that_only_leads_here_today_is_refused() {
    let mut world = World::new();
    let port = world.listener.port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("127.0.0.1.nip.example:{port}"),
        format!("localhost:{}", port.wrapping_add(1)),
        "127.0.0.1".to_owned(),
        format!("0.0.0.0:{port}"),
        format!("user@127.0.0.1:{port}"),
        format!("[::2]:{port}"),
        String::new(),
    ] {
        let request = format!("GET /callback?code=good HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = world.ask(&request);
        assert_eq!(status(&answer), 421, "{host}");
    }
    // HTTP/1.0 names no host, and no browser speaks it.
    assert_eq!(
        status(&world.ask("GET /callback?code=good HTTP/1.0\r\n\r\n")),
        421
    );
    assert!(world.asked.is_empty());
    for host in [
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        format!("LOCALHOST:{port}"),
    ] {
        let request = format!("GET /callback?code=bad HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&world.ask(&request)), 400, "{host}");
    }
}

#[test]
fn garbage_is_answered_or_dropped_and_forgotten() {
    let mut world = World::new();
    for (bytes, expected) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], None),
        (b"\r\n\r\n", None),
        (
            b"GET /callback HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            Some(400),
        ),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", Some(505)),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
            Some(413),
        ),
    ] {
        let mut stream = world.connect();
        stream.write_all(bytes).unwrap();
        let answer = world.answered(&mut stream);
        let found = (!answer.is_empty()).then(|| status(&answer));
        assert_eq!(found, expected, "{bytes:?}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\nHost: here\r\n\r\n", "a".repeat(40_000));
    assert_eq!(status(&world.ask(&endless)), 431);
    assert_eq!(status(&world.comes_back()), 200);
}

#[test]
fn connections_that_say_nothing_or_half_of_something_end_and_are_in_nobodys_way() {
    let mut world = World::new();
    let mut idle = world.connect();
    let mut half = world.connect();
    half.write_all(b"GET /callback?code=go").unwrap();
    let gone = world.connect();
    drop(gone);
    for _ in 0..50 {
        world.turn();
    }
    assert_eq!(status(&world.get("/")), 404, "others are served meanwhile");
    world.now = READING.saturating_sub(Duration::from_millis(1));
    world.turn();
    assert_eq!(world.listener.open.len(), 2);
    world.now = READING;
    assert_eq!(world.answered(&mut idle), "");
    assert_eq!(world.answered(&mut half), "");
    assert!(world.listener.open.is_empty());
    assert_eq!(status(&world.comes_back()), 200);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_one_if_it_comes_in_time() {
    let mut world = World::new();
    let mut slow = world.connect();
    slow.set_nodelay(true).unwrap();
    let port = world.listener.port();
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    for byte in request.as_bytes() {
        slow.write_all(&[*byte]).unwrap();
        world.turn();
    }
    assert_eq!(status(&world.answered(&mut slow)), 404);
    // And who sends a byte each second is late all the same.
    let mut loris = world.connect();
    for byte in b"GET /callback?code=good HTTP/1.1" {
        world.now += Duration::from_secs(1);
        if loris.write_all(&[*byte]).is_err() {
            break;
        }
        world.turn();
    }
    assert_eq!(world.answered(&mut loris), "");
    assert!(world.asked.is_empty());
}

#[test]
fn a_hundred_idle_connections_do_not_keep_the_browser_out() {
    let mut world = World::new();
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(world.connect());
        world.turn();
    }
    assert_eq!(world.listener.open.len(), MAX_OPEN);
    assert_eq!(status(&world.get("/callback?code=bad")), 400);
    assert_eq!(status(&world.comes_back()), 200);
    drop(idle);
}

#[test]
fn a_page_that_is_loaded_again_is_shown_the_result_as_well() {
    let mut world = World::new();
    let port = world.listener.port();
    let request = format!("GET /callback?code=good HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let mut first = world.connect();
    first.write_all(request.as_bytes()).unwrap();
    for _ in 0..50 {
        world.turn();
    }
    assert_eq!(status(&world.comes_back()), 200);
    first.set_nonblocking(false).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200);
}

#[test]
fn a_result_that_is_slow_is_not_promised() {
    let mut world = World::new();
    let port = world.listener.port();
    let mut browser = world.connect();
    let request = format!("GET /callback?code=good HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    browser.write_all(request.as_bytes()).unwrap();
    for _ in 0..50 {
        world.turn();
    }
    let (_result, results) = std::sync::mpsc::channel();
    let meanwhile = Page::new(200, Tone::Neutral, "Look at the terminal");
    world
        .listener
        .conclude_by(&results, Duration::from_millis(1), &meanwhile);
    let mut answer = String::new();
    browser.set_nonblocking(false).unwrap();
    browser.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Look at the terminal"), "{answer}");
}
