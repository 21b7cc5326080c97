//! A proxy on loopback for programs that can send no header: it adds the token to each request and
//! passes it on to one server.
//!
//! Think as somebody else on the same computer, or as a page in the browser of the person: the port can
//! be found and connected to. What keeps them out:
//!
//! - the first part of every path is a secret of 256 bits, made anew at each start (`gate`);
//! - on Linux, whoever connects must be the same user, which the kernel knows (`peer`);
//! - `Host` must be the address listened on, so that no name of an attacker's leads here (`gate`);
//! - the port is one of 127.0.0.1 and nothing else.
//!
//! Where requests go is fixed at the start, is `https`, and cannot be changed by a request: paths are
//! taken as they are or not at all. Redirects are handed to the program, not followed. What a request
//! brings in place of the token is taken off. Everything has a limit: connections, heads, pauses.

mod answer;
mod body;
mod gate;
mod hop;
mod peer;
mod request;

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use countersign_client::{Forwarder, Incoming, Outgoing, Secret, TransportError, printable};
use url::Url;

use self::answer::Refusal;
pub(crate) use self::gate::Gate;
use self::peer::Peer;
use self::request::Request;

/// Requests at the same time. Each has a thread; who comes next waits until one is done.
const WORKERS: usize = 32;
/// How long a program may take to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long either side may pause after that. Servers that tell of events say something more often.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// How much of a body that nobody wants is read, so that the answer is not lost with it.
const MAX_UNWANTED: u64 = 256 * 1024;

/// Makes the header fields that authorize one request.
pub(crate) trait Authorize: Send + Sync {
    /// Names in lower case, and values.
    ///
    /// # Errors
    /// What to tell the program: one line.
    fn headers(&self, method: &str, url: &Url) -> Result<Vec<(&'static str, Secret)>, String>;

    /// Takes the nonce that a server wants in the proofs to come (RFC 9449, section 8.2). Whether a
    /// request that was refused for want of it is worth another try.
    fn learn(&self, url: &Url, nonce: &str) -> bool;

    /// Hears what a server wants beyond the token, which the program is told as well: by the status and
    /// the `WWW-Authenticate` values of an answer that is passed on.
    fn hear(&self, url: &Url, status: u16, www_authenticate: &[&str]);
}

/// A proxy that is ready to work.
pub(crate) struct Proxy {
    listener: TcpListener,
    inner: Arc<Inner>,
}

struct Inner {
    gate: Gate,
    /// The server, with the path that all paths begin with.
    base: Url,
    forwarder: Forwarder,
    authorize: Box<dyn Authorize>,
    /// Told of every request that was let in.
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Proxy {
    /// Takes a port of 127.0.0.1; any free one for `None`.
    pub(crate) fn bind(
        port: Option<u16>,
        secret: Secret,
        base: Url,
        forwarder: Forwarder,
        authorize: Box<dyn Authorize>,
        tell: Box<dyn Fn(&str) + Send + Sync>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))?;
        let gate = Gate::new(listener.local_addr()?.port(), secret);
        let inner = Inner {
            gate,
            base,
            forwarder,
            authorize,
            tell,
        };
        Ok(Self {
            listener,
            inner: Arc::new(inner),
        })
    }

    /// Where the program is to send its requests. This is a secret.
    pub(crate) fn address(&self) -> Secret {
        self.inner.gate.address()
    }

    /// Begins to work. It goes on until the process ends.
    pub(crate) fn start(self) -> io::Result<()> {
        for _ in 0..WORKERS {
            let listener = self.listener.try_clone()?;
            let inner = Arc::clone(&self.inner);
            thread::Builder::new()
                .name("proxy".to_owned())
                .stack_size(256 * 1024)
                .spawn(move || {
                    loop {
                        match listener.accept() {
                            Ok((stream, _)) => inner.serve(&stream),
                            // Out of files, say: that passes, and is not made better by haste.
                            Err(_) => thread::sleep(Duration::from_millis(50)),
                        }
                    }
                })?;
        }
        Ok(())
    }
}

fn challenges(incoming: &Incoming) -> Vec<&str> {
    let named = |name: &str| name == "www-authenticate";
    let values = incoming.headers.iter().filter(|(name, _)| named(name));
    values
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .collect()
}

impl Inner {
    /// One request and its answer. Who comes from elsewhere gets no answer at all.
    fn serve(&self, stream: &TcpStream) {
        if peer::of(stream) == Peer::Stranger {
            (self.tell)("a connection of another user was refused");
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
        let mut stream = stream;
        // A program that goes away in the middle knows that it did.
        let _ = self.answer(stream);
        let _ = stream.flush();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = io::copy(&mut stream.take(MAX_UNWANTED), &mut io::sink());
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(IDLE))?;
        let (request, rest) = match request::read(stream, HEAD_LIMIT)? {
            Ok(read) => read,
            Err(refusal) => return answer::refuse(stream, &refusal),
        };
        let url = match self.target(&request) {
            Ok(url) => url,
            Err(refusal) => return answer::refuse(stream, &refusal),
        };
        stream.set_read_timeout(Some(IDLE))?;
        if request.expects_continue {
            let mut stream = stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut reader = BufReader::new(rest.as_slice().chain(stream));
        let mut body = request.body.reader(&mut reader);
        let passed = self.pass_on(&request, &url, &mut body);
        let shown = format!("{} {}", request.method, printable(url.path()));
        match passed {
            Ok(incoming) => {
                (self.tell)(&format!("{shown}: {}", incoming.status));
                if matches!(incoming.status, 401 | 403) {
                    self.authorize
                        .hear(&url, incoming.status, &challenges(&incoming));
                }
                let rewrite = |location: &str| self.gate.rewritten(location, &url, &self.base);
                answer::give(stream, &request, incoming, &rewrite)
            }
            Err(refusal) => {
                (self.tell)(&format!("{shown}: {}", refusal.why));
                answer::refuse(stream, &refusal)
            }
        }
    }

    /// Where the request goes, if it may go anywhere.
    fn target(&self, request: &Request) -> Result<Url, Refusal> {
        let rest = self.gate.admit(request)?;
        if rest.is_empty() {
            return Ok(self.base.clone());
        }
        // As text, so that nothing in the rest can be taken for anything but a path and a query.
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{rest}"));
        url.ok()
            .filter(|url| url.origin() == self.base.origin())
            .ok_or(Refusal::bad_request("the path cannot be passed on"))
    }

    fn pass_on(
        &self,
        request: &Request,
        url: &Url,
        body: &mut body::Reader<'_>,
    ) -> Result<Incoming, Refusal> {
        let mut may_repeat = !request.body.is_some();
        loop {
            let mut headers = hop::outgoing(request);
            let authorization = self
                .authorize
                .headers(&request.method, url)
                .map_err(|why| Refusal::new(502, why))?;
            for (name, value) in &authorization {
                headers.push(((*name).to_owned(), value.expose().as_bytes().to_vec()));
            }
            let outgoing = Outgoing {
                method: &request.method,
                url,
                headers: &headers,
                body: request.takes_body().then_some(&mut *body),
            };
            let incoming = self.forwarder.send(outgoing).map_err(|error| {
                let status = match error {
                    TransportError::Timeout => 504,
                    _ => 502,
                };
                Refusal::new(status, printable(&error.to_string()))
            })?;
            let nonce = incoming
                .headers
                .iter()
                .find(|(name, _)| name == "dpop-nonce")
                .and_then(|(_, value)| std::str::from_utf8(value).ok());
            let learned = nonce.is_some_and(|nonce| self.authorize.learn(url, nonce));
            if !(learned && may_repeat && incoming.status == 401) {
                return Ok(incoming);
            }
            may_repeat = false;
        }
    }
}
