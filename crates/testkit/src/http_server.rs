//! A loopback HTTP/1.1 server on plain threads that answers as it was told, however badly.
//!
//! Everything is bounded: connections, the size of a request, and the life of the server, which
//! ends with the value: dropping it closes every socket and joins every thread.
//!
//! Not responsible for: TLS, chunked requests, HTTP/2.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http_message::{Delivery, Reply, Request};

const MAX_CONNECTIONS: usize = 512;
const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: usize = 4 * 1024 * 1024;

type Handler = dyn FnMut(&Request) -> Reply + Send;
/// Each route has its own lock, so that a handler may itself look at the server.
type Route = Arc<Mutex<Box<Handler>>>;

/// A scripted server on a free port of 127.0.0.1, unless another address was asked for.
///
/// A request for which there is no route is answered with 404 and recorded like any other.
pub struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    routes: Mutex<HashMap<(String, String), Route>>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    connections: Mutex<HashMap<u64, TcpStream>>,
    next_connection: AtomicU64,
    accepted: AtomicU64,
    stopping: AtomicBool,
    /// Held while `stopping` changes, so that a pause ends at once.
    pause: Mutex<()>,
    stopped: Condvar,
}

impl HttpServer {
    /// Starts a server without routes.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// Starts one on a free port of this address of the computer, and of no other.
    ///
    /// # Panics
    /// When no port can be had there.
    pub fn start_on(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port of this computer");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// The server's origin without a trailing slash (`http://127.0.0.1:34567`).
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of a path on this server; the path begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// The port that was given to the server.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers every such request with the same reply, from now on.
    pub fn on(&self, method: &str, path: &str, reply: Reply) {
        self.on_fn(method, path, move |_| reply.clone());
    }

    /// Answers such requests with these replies in turn; the last one stays.
    ///
    /// # Panics
    /// When there is no reply at all.
    pub fn on_sequence(&self, method: &str, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a route needs at least one reply");
        self.on_fn(method, path, move |_| match replies.pop_front() {
            Some(last) if replies.is_empty() => {
                replies.push_back(last.clone());
                last
            }
            next => next.unwrap_or_else(Reply::hangup),
        });
    }

    /// Answers such requests with what a function says.
    pub fn on_fn<F>(&self, method: &str, path: &str, handler: F)
    where
        F: FnMut(&Request) -> Reply + Send,
        F: 'static,
    {
        let route: Route = Arc::new(Mutex::new(Box::new(handler)));
        lock(&self.shared.routes).insert((method.to_owned(), path.to_owned()), route);
    }

    /// Everything that was asked so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// What was asked of one path so far.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have arrived, or until the limit has passed.
    ///
    /// Returns whether they arrived.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> bool {
        let (requests, _) = self
            .shared
            .arrived
            .wait_timeout_while(lock(&self.shared.requests), limit, |seen| {
                seen.len() < count
            })
            .unwrap_or_else(PoisonError::into_inner);
        requests.len() >= count
    }
}

impl Default for HttpServer {
    fn default() -> Self {
        Self::start()
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        {
            let _guard = lock(&self.shared.pause);
            self.shared.stopping.store(true, Ordering::SeqCst);
        }
        self.shared.stopped.notify_all();
        // The acceptor sits in `accept`; one more connection lets it see the flag.
        drop(TcpStream::connect_timeout(
            &self.address,
            Duration::from_secs(1),
        ));
        if let Some(acceptor) = self.acceptor.take() {
            // A panic in a connection thread was printed already.
            drop(acceptor.join());
        }
    }
}

/// A poisoned lock means that a handler panicked; the panic itself is the report, and the data
/// behind every lock here stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        threads.retain(|thread| !thread.is_finished());
        if threads.len() >= MAX_CONNECTIONS {
            continue;
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let Ok(handle) = stream.try_clone() else {
            continue;
        };
        let id = shared.next_connection.fetch_add(1, Ordering::SeqCst);
        lock(&shared.connections).insert(id, handle);
        let shared = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            // The peer going away is what many tests are about.
            if serve(&stream, &shared).is_err_and(|error| error.kind() == ErrorKind::InvalidData) {
                let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
            let _ = stream.shutdown(Shutdown::Both);
            lock(&shared.connections).remove(&id);
        }));
    }
    for stream in lock(&shared.connections).values() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        drop(thread.join());
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let route = lock(&shared.routes)
            .get(&(request.method.clone(), request.path.clone()))
            .map(Arc::clone);
        lock(&shared.requests).push(request.clone());
        shared.arrived.notify_all();
        let reply = match route {
            Some(route) => lock(&route)(&request),
            None => Reply::text(404, "text/plain", "no such route in this test"),
        };
        let close = request
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if !deliver(stream, &mut reader, &reply, shared)? || close {
            break;
        }
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut head = reader.by_ref().take(MAX_HEAD);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid("a request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(invalid("the end of the head"));
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header field"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        query,
        headers,
        body: Vec::new(),
    };
    let length = match request.header("content-length") {
        Some(value) => value
            .parse::<usize>()
            .map_err(|_| invalid("a content length"))?,
        None => 0,
    };
    if length > MAX_BODY {
        return Err(invalid("a body of bearable size"));
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn invalid(expected: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("expected {expected}"))
}

/// Writes the reply; returns whether the connection can carry another request.
fn deliver(
    mut stream: &TcpStream,
    reader: &mut BufReader<TcpStream>,
    reply: &Reply,
    shared: &Shared,
) -> io::Result<bool> {
    match reply.delivery {
        Delivery::Whole => {
            let mut whole = reply.head();
            whole.extend_from_slice(&reply.body);
            stream.write_all(&whole)?;
            return Ok(true);
        }
        Delivery::Raw => stream.write_all(&reply.body)?,
        Delivery::Hangup => {}
        Delivery::Silence => {
            // Ends when the peer closes, or when the server does.
            io::copy(reader, &mut io::sink())?;
        }
        Delivery::Cut { after } => {
            stream.write_all(&reply.head())?;
            let end = after.min(reply.body.len());
            stream.write_all(reply.body.get(..end).unwrap_or_default())?;
        }
        Delivery::Drip { piece, pause } => {
            stream.write_all(&reply.head())?;
            for piece in reply.body.chunks(piece) {
                stream.write_all(piece)?;
                if !shared.pause_for(pause) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        Delivery::Flood { total } => {
            stream.write_all(&reply.head())?;
            let unit = if reply.body.is_empty() {
                vec![b' '; 4096]
            } else {
                reply.body.clone()
            };
            let mut sent = 0;
            while sent < total {
                stream.write_all(&unit)?;
                sent += unit.len();
            }
        }
    }
    Ok(false)
}

impl Shared {
    /// Pauses; returns false as soon as the server is told to stop.
    fn pause_for(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut guard = lock(&self.pause);
        loop {
            if self.stopping.load(Ordering::SeqCst) {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            guard = self
                .stopped
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &HttpServer, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A connection that was cut may end in an error; what came before it counts.
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    fn get(server: &HttpServer, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        String::from_utf8(ask(server, &request)).unwrap()
    }

    #[test]
    fn replies_come_in_turn_and_the_last_one_stays() {
        let server = HttpServer::start();
        server.on_sequence("GET", "/", [Reply::new(400), Reply::new(204)]);
        assert!(get(&server, "/").starts_with("HTTP/1.1 400 "));
        assert!(get(&server, "/").starts_with("HTTP/1.1 204 "));
        assert!(get(&server, "/?again").starts_with("HTTP/1.1 204 "));
        assert_eq!(server.requests().len(), 3);
        assert_eq!(server.requests()[2].query, "again");
    }

    #[test]
    fn a_form_is_recorded_as_it_was_sent() {
        let server = HttpServer::start();
        server.on_fn("POST", "/token", |request| {
            Reply::text(200, "text/plain", request.form_value("scope").unwrap())
        });
        let answer = ask(
            &server,
            "POST /token HTTP/1.1\r\ncontent-length: 19\r\nconnection: close\r\n\r\nscope=openid%20mail",
        );
        assert!(
            String::from_utf8(answer)
                .unwrap()
                .ends_with("\r\n\r\nopenid mail")
        );
        assert_eq!(server.requests_to("/token").len(), 1);
        assert!(server.wait_for_requests(1, Duration::ZERO));
    }

    #[test]
    fn one_connection_carries_several_requests() {
        let server = HttpServer::start();
        server.on("GET", "/", Reply::text(200, "text/plain", "hello"));
        let twice = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let answer = String::from_utf8(ask(&server, twice)).unwrap();
        assert_eq!(answer.matches("hello").count(), 2);
        assert_eq!(server.connections(), 1);
    }

    #[test]
    fn a_cut_body_is_shorter_than_promised() {
        let server = HttpServer::start();
        server.on(
            "GET",
            "/",
            Reply::text(200, "text/plain", "0123456789").cut_after(4),
        );
        let answer = get(&server, "/");
        assert!(answer.contains("content-length: 10\r\n"));
        assert!(answer.ends_with("\r\n\r\n0123"));
    }

    #[test]
    fn a_flood_has_no_declared_length_and_an_end() {
        let server = HttpServer::start();
        server.on(
            "GET",
            "/",
            Reply::text(200, "text/plain", "abcd").flooding(10),
        );
        let answer = get(&server, "/");
        assert!(!answer.contains("content-length"));
        assert!(answer.ends_with("\r\n\r\nabcdabcdabcd"));
    }

    #[test]
    fn raw_bytes_and_hangups_are_delivered_as_they_are() {
        let server = HttpServer::start();
        server.on("GET", "/raw", Reply::raw("not HTTP at all"));
        server.on("GET", "/gone", Reply::hangup());
        assert_eq!(get(&server, "/raw"), "not HTTP at all");
        assert_eq!(get(&server, "/gone"), "");
        assert!(get(&server, "/unknown").starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn a_server_that_never_answers_or_drips_still_stops_at_once() {
        let server = HttpServer::start();
        server.on("GET", "/never", Reply::never());
        let drip = Reply::text(200, "text/plain", "slow").dripping(1, Duration::from_secs(3600));
        server.on("GET", "/drip", drip);
        let mut open = Vec::new();
        for path in ["/never", "/drip"] {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())
                .unwrap();
            open.push(stream);
        }
        assert!(server.wait_for_requests(2, Duration::from_secs(10)));
        let begin = Instant::now();
        drop(server);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
