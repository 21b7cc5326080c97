//! Reading the head of a request (RFC 9112): what can be read in two ways is refused.

use std::io::{self, ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::answer::Refusal;
use super::body::Body;

const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;
/// Those that the library beneath can send.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A request, without its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// As it was sent: path and query.
    pub(super) target: String,
    pub(super) host: String,
    /// All of them, names in lower case.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Body,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub(super) version: u8,
    pub(super) expects_continue: bool,
}

impl Request {
    /// Whether something is sent as a body, even an empty one.
    pub(super) fn takes_body(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }
}

/// Reads a head, and what came of the body along with it.
pub(super) fn read(
    mut stream: &TcpStream,
    limit: Duration,
) -> io::Result<Result<(Request, Vec<u8>), Refusal>> {
    let until = Instant::now() + limit;
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(Refusal::new(408, "the request took too long")));
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        match parse(&bytes) {
            Ok(Some((request, length))) => {
                let rest = bytes.split_off(length);
                return Ok(Ok((request, rest)));
            }
            Ok(None) if bytes.len() < MAX_HEAD => {}
            Ok(None) => return Ok(Err(Refusal::new(431, "the head is too long"))),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
}

/// The request and the length of its head; `None` while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let bad = Refusal::bad_request;
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(bad("the request is malformed")),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(bad("the request is malformed"));
    };
    if !METHODS.contains(&method) {
        return Err(Refusal::new(501, "this method is not passed on"));
    }
    let headers: Vec<(String, Vec<u8>)> = parsed
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec()))
        .collect();
    let one = |name: &str| -> Result<Option<&str>, Refusal> {
        let mut found = headers.iter().filter(|(known, _)| known == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(bad("a header field is there twice"));
        }
        let text = first.map(|(_, value)| std::str::from_utf8(value));
        text.transpose()
            .map_err(|_| bad("a header field is no text"))
    };
    let host = one("host")?.unwrap_or_default().to_owned();
    let body = Body::announced(one("content-length")?, one("transfer-encoding")?, version)?;
    let expects_continue = match one("expect")? {
        None => false,
        Some(what) if what.eq_ignore_ascii_case("100-continue") => version == 1,
        Some(_) => return Err(Refusal::new(417, "this expectation is not met here")),
    };
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        host,
        headers,
        body,
        version,
        expects_continue,
    };
    if request.body.is_some() && !request.takes_body() {
        return Err(bad("a body is passed on with POST, PUT and PATCH alone"));
    }
    Ok(Some((request, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes()) {
            Ok(Some(_)) => 200,
            Ok(None) => 0,
            Err(refusal) => refusal.status,
        }
    }

    #[test]
    fn a_request_is_read_with_its_end() {
        let text = "POST /s/a?b=c HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 5\r\n\r\nhello";
        let (request, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(&text[length..], "hello");
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/s/a?b=c")
        );
        assert_eq!(
            (request.host.as_str(), request.body),
            ("127.0.0.1:1", Body::Length(5))
        );
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n"), 0);
    }

    /// What two readers could take for two different requests.
    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let post =
            |fields: &str| status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));
        assert_eq!(post("Content-Length: 5"), 200);
        assert_eq!(post("Transfer-Encoding: chunked"), 200);
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Host: b",
            " folded: x",
            "Content-Length : 5",
            "na me: x",
        ] {
            assert_eq!(post(fields), 400, "{fields}");
        }
        assert_eq!(
            status("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"),
            400
        );
        assert_eq!(
            status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400
        );
        assert_eq!(status("\x16\x03\x01\x02"), 400);
        for method in ["CONNECT", "TRACE", "PROPFIND"] {
            assert_eq!(
                status(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")),
                501
            );
        }
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n"),
            417
        );
    }
}
