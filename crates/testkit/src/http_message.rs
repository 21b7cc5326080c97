//! What the scripted server receives and what it is told to answer.
//!
//! Not responsible for: moving bytes; `http_server` does.

use std::fmt::Write as _;
use std::time::Duration;

/// A request as it arrived, kept by the server for the test to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as sent (`GET`).
    pub method: String,
    /// The path without its query (`/token`).
    pub path: String,
    /// The query without its question mark; empty when there was none.
    pub query: String,
    /// Header fields in the order in which they arrived, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header field; the name's case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body read as `application/x-www-form-urlencoded` pairs, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    /// The first form member of that name.
    pub fn form_value(&self, name: &str) -> Option<String> {
        self.form()
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The first query member of that name.
    pub fn query_value(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// One answer, and the manner in which it is delivered.
///
/// An answer is well behaved until a method says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// A status line, headers with the right length, the body.
    Whole,
    /// As `Whole`, but the body in pieces with a pause after each.
    Drip { piece: usize, pause: Duration },
    /// The headers promise the whole body; the connection ends after so many bytes of it.
    Cut { after: usize },
    /// Nothing is written and the connection stays open until the peer gives up.
    Silence,
    /// Nothing is written and the connection is closed.
    Hangup,
    /// The body is written to the socket as it is: no status line, no headers.
    Raw,
    /// The body is repeated, without a declared length, until so many bytes have been sent.
    Flood { total: usize },
}

impl Reply {
    /// An answer with this status and nothing else.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delivery: Delivery::Whole,
        }
    }

    /// An answer with this status and a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// An answer with this status, content type and body, written exactly as given.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status)
            .with_header("content-type", content_type)
            .with_body(body)
    }

    /// A redirect (`302` and the like) to another address.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status).with_header("location", location)
    }

    /// These bytes on the socket, instead of an HTTP answer.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            delivery: Delivery::Raw,
            ..Self::new(0).with_body(bytes)
        }
    }

    /// No answer: the connection stays open until the client or the test gives up.
    pub fn never() -> Self {
        Self {
            delivery: Delivery::Silence,
            ..Self::new(0)
        }
    }

    /// No answer: the connection is closed once the request has been read.
    pub fn hangup() -> Self {
        Self {
            delivery: Delivery::Hangup,
            ..Self::new(0)
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body in pieces of so many bytes, with a pause after each.
    #[must_use]
    pub fn dripping(mut self, piece: usize, pause: Duration) -> Self {
        self.delivery = Delivery::Drip {
            piece: piece.max(1),
            pause,
        };
        self
    }

    /// Promises the whole body and closes the connection after so many bytes of it.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.delivery = Delivery::Cut { after: bytes };
        self
    }

    /// Repeats the body without declaring a length, until so many bytes have been sent.
    #[must_use]
    pub fn flooding(mut self, total: usize) -> Self {
        self.delivery = Delivery::Flood { total };
        self
    }

    /// The status line and header fields, with the framing that the delivery calls for.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        match self.delivery {
            Delivery::Flood { .. } => head.push_str("connection: close\r\n"),
            _ => {
                let _ = write!(head, "content-length: {}\r\n", self.body.len());
            }
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Scripted",
    }
}
