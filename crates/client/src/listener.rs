//! The listener on loopback that a browser comes back to (RFC 8252, section 7.3).
//!
//! No thread and no waiting: whoever runs the login takes a [`turn`](Listener::turn) several times a
//! second, in which everything that has come is looked at, and nothing is waited for. Connections that
//! say nothing, half of something or nonsense are each a small state with an end, and never in the way
//! of the one that counts.
//!
//! Not responsible for what an answer means (its owner judges it), nor for opening the browser.

mod page;
mod request;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub(crate) use self::page::{Page, Tone};
use self::request::{Head, Method, Refused, Request};
use crate::{Error, Redirect};

/// How many connections are open at once. One more ends the oldest: whoever opens a hundred to be in
/// the way is out of it again when the browser comes.
const MAX_OPEN: usize = 64;
/// How long a connection may take to become a request. Browsers open some in advance and use them
/// later, or never.
const READING: Duration = Duration::from_secs(15);
/// How long an answer may take to be fetched.
const WRITING: Duration = Duration::from_secs(5);
/// How many browsers that brought the answer are kept waiting for the result: a page that is loaded
/// again is another of them.
const MAX_HELD: usize = 8;
/// How long each of those may take to fetch the result.
const RESULT: Duration = Duration::from_secs(1);
/// How often to look for a port that is free on both addresses.
const ATTEMPTS: u32 = 32;

/// What somebody who knows what is waited for says of the parameters of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is the answer. The browser waits for what comes of it.
    Answer,
    /// It is not. The browser is shown this at once.
    Stray(Page),
}

/// A listener on loopback.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
    path: String,
    open: Vec<Connection>,
    held: Vec<TcpStream>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// When it has to have got on, by the clock of [`Listener::turn`].
    deadline: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// What has come so far.
    Reading(Vec<u8>),
    /// What is left to send.
    Writing(Vec<u8>),
    /// Everything has been sent; what still comes is thrown away. Closing a connection with unread
    /// bytes would take the answer back.
    Ending,
}

/// What becomes of a connection.
enum Next {
    Keep,
    Drop,
    Hold,
}

impl Listener {
    /// Listens on `127.0.0.1` and `[::1]`, on one port of `redirect`, or on any that is free. `taken` hears
    /// of each port that another program has, and of the one that is tried instead.
    ///
    /// # Errors
    /// [`Error::PortsInUse`] when none of the ports is free, [`Error::Listener`] when the system
    /// refuses.
    pub(crate) fn bind(
        redirect: &Redirect,
        taken: &mut dyn FnMut(u16, Option<u16>),
    ) -> Result<Self, Error> {
        let ports = redirect.ports();
        let any = if ports.is_empty() { Some(0) } else { None };
        let mut to_try = ports.iter().copied().chain(any).peekable();
        while let Some(port) = to_try.next() {
            match sockets(redirect, port) {
                Ok((sockets, port)) => {
                    return Ok(Self {
                        sockets,
                        port,
                        path: redirect.path().to_owned(),
                        open: Vec::new(),
                        held: Vec::new(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && port != 0 => {
                    taken(port, to_try.peek().copied());
                }
                Err(error) => return Err(Error::Listener(error)),
            }
        }
        let ports = ports.to_vec();
        Err(Error::PortsInUse { ports })
    }

    /// The port that a browser comes back to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Looks at everything that has come, at `now` by a clock that never goes back. `judge` is asked
    /// about the parameters of each request to the redirect URI.
    pub(crate) fn turn(&mut self, now: Duration, judge: &mut dyn FnMut(&str) -> Verdict) {
        for socket in &self.sockets {
            // No more than are kept: who connects faster than that only displaces himself.
            for _ in 0..MAX_OPEN {
                let Ok((stream, _)) = socket.accept() else {
                    break;
                };
                if stream.set_nonblocking(true).is_ok() {
                    self.open.push(Connection {
                        stream,
                        deadline: now + READING,
                        stage: Stage::Reading(Vec::new()),
                    });
                }
            }
        }
        let mut kept = Vec::new();
        for mut connection in std::mem::take(&mut self.open) {
            match connection.get_on(now, &mut |request| self.answer(request, judge)) {
                Next::Keep => kept.push(connection),
                Next::Hold if self.held.len() < MAX_HELD => self.held.push(connection.stream),
                Next::Drop | Next::Hold => {}
            }
        }
        let surplus = kept.len().saturating_sub(MAX_OPEN);
        kept.drain(..surplus);
        self.open = kept;
    }

    /// The answer to a request; `None` when it is the one that is waited for.
    fn answer(&self, request: &Request, judge: &mut dyn FnMut(&str) -> Verdict) -> Option<Vec<u8>> {
        // A name that leads here today and elsewhere tomorrow belongs to a page that wants to read our
        // answers (DNS rebinding).
        let host = request.host.as_deref().unwrap_or_default();
        if !self.is_here(host) {
            return Some(page::bare("421 Misdirected Request", ""));
        }
        match request.method {
            Method::Get => {}
            // Asking about a page does not open it.
            Method::Head => return Some(page::head(request.path == self.path)),
            Method::Other => {
                return Some(page::bare("405 Method Not Allowed", "Allow: GET, HEAD\r\n"));
            }
        }
        // The person has opened nothing yet. When they do, the browser asks again.
        if request.in_advance {
            return Some(page::bare("503 Service Unavailable", ""));
        }
        if request.path != self.path {
            return Some(elsewhere(&request.path));
        }
        match judge(&request.query) {
            Verdict::Answer => None,
            Verdict::Stray(page) => Some(page.response()),
        }
    }

    /// Whether `host` is this listener, by any of its names.
    fn is_here(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            // The colon of an address in brackets is not that of a port.
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        port == Some(self.port) && matches!(name, "127.0.0.1" | "[::1]" | "localhost")
    }

    /// Ends the listener and shows `page` to whoever brought the answer.
    pub(crate) fn conclude(self, page: &Page) {
        let response = page.response();
        for mut stream in self.held {
            // A browser that has gone does not want to know.
            let _ = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_write_timeout(Some(RESULT)))
                .and_then(|()| stream.write_all(&response))
                .and_then(|()| stream.shutdown(Shutdown::Write));
        }
    }

    /// Ends the listener with the page that comes from `result`, or with `meanwhile` if none comes
    /// within `limit`. For a thread beside the one that finds out what the result is.
    pub(crate) fn conclude_by(self, result: &Receiver<Page>, limit: Duration, meanwhile: &Page) {
        let page = result.recv_timeout(limit);
        self.conclude(page.as_ref().unwrap_or(meanwhile));
    }
}

impl Connection {
    /// Reads and writes as far as that goes without waiting.
    fn get_on(
        &mut self,
        now: Duration,
        answer: &mut dyn FnMut(&Request) -> Option<Vec<u8>>,
    ) -> Next {
        loop {
            let next = match &mut self.stage {
                Stage::Reading(so_far) => match read(&mut self.stream, so_far) {
                    Ok(Head::Partial) => None,
                    Ok(Head::Request(request)) => match answer(&request) {
                        Some(response) => Some(response),
                        None => return Next::Hold,
                    },
                    Ok(Head::Refused(Refused::NotHttp)) | Err(_) => return Next::Drop,
                    Ok(Head::Refused(why)) => Some(refusal(why)),
                },
                Stage::Writing(rest) => match self.stream.write(rest) {
                    Ok(0) => return Next::Drop,
                    Ok(sent) => {
                        rest.drain(..sent);
                        if !rest.is_empty() {
                            continue;
                        }
                        if self.stream.shutdown(Shutdown::Write).is_err() {
                            return Next::Drop;
                        }
                        self.stage = Stage::Ending;
                        continue;
                    }
                    Err(error) if is_later(&error) => None,
                    Err(_) => return Next::Drop,
                },
                Stage::Ending => match self.stream.read(&mut [0; 4096]) {
                    Ok(0) => return Next::Drop,
                    // As much as a request may have; who sends more loses the answer.
                    Ok(_) => None,
                    Err(error) if is_later(&error) => None,
                    Err(_) => return Next::Drop,
                },
            };
            let Some(response) = next else {
                let late = now >= self.deadline;
                return if late { Next::Drop } else { Next::Keep };
            };
            self.stage = Stage::Writing(response);
            self.deadline = now + WRITING;
        }
    }
}

/// Reads what there is. The end of the connection before that of the request is an error.
fn read(stream: &mut TcpStream, so_far: &mut Vec<u8>) -> io::Result<Head> {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => so_far.extend(piece.iter().take(length)),
            Err(error) if is_later(&error) => return Ok(request::read(so_far)),
            Err(error) => return Err(error),
        }
        match request::read(so_far) {
            Head::Partial => {}
            decided => return Ok(decided),
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn refusal(why: Refused) -> Vec<u8> {
    let status = match why {
        Refused::TooLong => "431 Request Header Fields Too Large",
        Refused::Body => "413 Content Too Large",
        Refused::Version => "505 HTTP Version Not Supported",
        Refused::Malformed | Refused::NotHttp => "400 Bad Request",
    };
    page::bare(status, "")
}

/// What is shown under any other path.
fn elsewhere(path: &str) -> Vec<u8> {
    if path == "/favicon.ico" {
        return page::bare("404 Not Found", "");
    }
    Page::new(404, Tone::Neutral, "There is nothing here")
        .say("A program on this computer waits here for a sign-in to come back.")
        .response()
}

/// Both sockets, on one port.
fn sockets(redirect: &Redirect, port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut attempts = ATTEMPTS;
    loop {
        match both(redirect, port) {
            // Free on one address, taken on the other: the system chose without knowing.
            Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {
                attempts -= 1;
            }
            decided => return decided,
        }
    }
}

fn both(redirect: &Redirect, port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let listen = |address: SocketAddr| {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    let mut sockets = Vec::new();
    let mut port = port;
    // The address that the redirect URI names is needed; the other is there for browsers that ask
    // for `localhost`, and not every computer has it.
    for (address, needed) in redirect.addresses() {
        match listen(SocketAddr::new(address, port)) {
            Ok(socket) => {
                port = socket.local_addr()?.port();
                sockets.push(socket);
            }
            Err(error) if needed || error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => {}
        }
    }
    if sockets.is_empty() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    Ok((sockets, port))
}

#[cfg(test)]
mod tests;
