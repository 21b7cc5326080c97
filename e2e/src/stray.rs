//! Everything else that comes to a listener on loopback while it waits for a browser.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use url::Url;

const LIMIT: Duration = Duration::from_secs(20);

/// Sends these bytes to where a redirect URI leads, and returns what comes back until the other side
/// ends the connection.
///
/// # Panics
/// When nobody listens there, or the connection is not ended in time.
pub fn send(redirect_uri: &str, bytes: &[u8]) -> String {
    let mut stream = connect(redirect_uri);
    let mut answer = String::new();
    let sent = stream.write_all(bytes);
    match sent.and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => answer,
        Err(error) => panic!("{error} after {answer:?}"),
    }
}

/// Asks for a path there, as a browser does.
///
/// # Panics
/// When nobody listens there, or the connection is not ended in time.
pub fn ask(redirect_uri: &str, method: &str, path: &str) -> String {
    let url = parse(redirect_uri);
    let (host, port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    send(redirect_uri, request.as_bytes())
}

/// A connection that says no more than this.
///
/// # Panics
/// When nobody listens there.
pub fn half(redirect_uri: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(redirect_uri);
    stream.write_all(bytes).expect("it has just been opened");
    stream
}

/// Whether somebody listens where a redirect URI leads.
pub fn is_listening(redirect_uri: &str) -> bool {
    TcpStream::connect(site(redirect_uri)).is_ok()
}

fn connect(redirect_uri: &str) -> TcpStream {
    let stream = TcpStream::connect(site(redirect_uri)).expect("somebody listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a good limit");
    stream.set_write_timeout(Some(LIMIT)).expect("a good limit");
    stream
}

fn site(redirect_uri: &str) -> String {
    let url = parse(redirect_uri);
    let host = url.host_str().unwrap_or_default();
    format!("{host}:{}", url.port().unwrap_or(80))
}

fn parse(redirect_uri: &str) -> Url {
    match Url::parse(redirect_uri) {
        Ok(url) => url,
        Err(error) => panic!("{redirect_uri}: {error}"),
    }
}
