//! Handing an answer to the program, as it comes.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use countersign_client::Incoming;

use super::hop;
use super::request::Request;

/// Why a request is not passed on, or why there is no answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// One line, fit to print.
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { status, why }
    }

    pub(super) fn bad_request(why: &str) -> Self {
        Self::new(400, why)
    }
}

/// Says no.
pub(super) fn refuse(mut stream: &TcpStream, refusal: &Refusal) -> io::Result<()> {
    let Refusal { status, why } = refusal;
    let body = format!("countersign: {why}\n");
    let text = format!(
        "HTTP/1.1 {status} \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes())
}

/// Gives the server's answer, with places on the server as places here.
pub(super) fn give(
    mut stream: &TcpStream,
    request: &Request,
    mut incoming: Incoming,
    rewritten: &dyn Fn(&str) -> Option<String>,
) -> io::Result<()> {
    let status = incoming.status;
    let chunked_there = incoming
        .headers
        .iter()
        .any(|(name, _)| name == "transfer-encoding");
    let mut headers = hop::kept(&incoming.headers);
    if chunked_there {
        headers.retain(|(name, _)| name != "content-length");
    }
    for (name, value) in &mut headers {
        if name != "location" && name != "content-location" {
            continue;
        }
        if let Some(here) = std::str::from_utf8(value).ok().and_then(rewritten) {
            *value = here.into_bytes();
        }
    }
    let is_empty = request.method == "HEAD" || matches!(status, 204 | 304);
    let has_length = headers.iter().any(|(name, _)| name == "content-length");
    // HTTP/1.0 knows the end of the connection alone.
    let chunked = !is_empty && !has_length && request.version == 1;
    let mut head = format!("HTTP/1.1 {status} \r\n").into_bytes();
    for (name, value) in &headers {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    if chunked {
        head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    stream.write_all(&head)?;
    if is_empty {
        return Ok(());
    }
    let mut piece = [0; 16 * 1024];
    loop {
        // Who gets half of a body must be able to tell: without the last chunk, or the full length, it is
        // not whole.
        let count = incoming.read(&mut piece)?;
        let bytes = piece.get(..count).unwrap_or_default();
        if chunked {
            stream.write_all(format!("{count:x}\r\n").as_bytes())?;
            stream.write_all(bytes)?;
            stream.write_all(b"\r\n")?;
        } else {
            stream.write_all(bytes)?;
        }
        if count == 0 {
            return Ok(());
        }
    }
}
