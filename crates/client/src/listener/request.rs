//! Reading the head of an HTTP request: as much of RFC 9112 as a browser needs to come back, and no
//! more.
//!
//! Strict, because nothing here is worth guessing: whatever could be read in two ways is refused. A
//! body is never read; a request that announces one is none of ours.

/// The most bytes of a request before its end. A code, `state` and `iss` are a few kilobytes; the rest
/// is for cookies, which browsers send to every port of a host alike, those of other programs included.
pub(super) const MAX_HEAD: usize = 32 * 1024;

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The beginning of something that may become a request.
    Partial,
    /// No request, whatever else comes.
    Refused(Refused),
    /// A whole one.
    Request(Request),
}

/// Why bytes are no request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not HTTP at all: the beginning of a TLS handshake, for one. Nobody there would read an answer.
    NotHttp,
    /// HTTP, but not as it should be.
    Malformed,
    /// Longer than [`MAX_HEAD`].
    TooLong,
    /// It has a body.
    Body,
    /// Another version than 1.0 and 1.1.
    Version,
}

/// A request without a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The path as it was sent, still encoded.
    pub(super) path: String,
    /// What follows the question mark.
    pub(super) query: String,
    /// `Host`, in lower case.
    pub(super) host: Option<String>,
    /// Whether a browser asks in advance, for a page that the person may never open.
    pub(super) in_advance: bool,
}

/// As far as methods differ here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// Reads what has come so far.
pub(super) fn read(bytes: &[u8]) -> Head {
    match bytes.first() {
        None => return Head::Partial,
        Some(first) if !first.is_ascii_uppercase() => return Head::Refused(Refused::NotHttp),
        Some(_) => {}
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match bytes.len() {
            length if length < MAX_HEAD => Head::Partial,
            _ => Head::Refused(Refused::TooLong),
        };
    };
    if end > MAX_HEAD {
        return Head::Refused(Refused::TooLong);
    }
    let head = bytes.get(..end).unwrap_or_default();
    match request(head) {
        Ok(request) => Head::Request(request),
        Err(refused) => Head::Refused(refused),
    }
}

fn request(head: &[u8]) -> Result<Request, Refused> {
    let text = std::str::from_utf8(head).map_err(|_| Refused::Malformed)?;
    // A line break of half a kind, or any other control character, is an invitation to disagree.
    let mut lines = text.split("\r\n");
    let unfit = |line: &str| line.chars().any(|c| c.is_ascii_control() && c != '\t');
    if lines.clone().any(unfit) {
        return Err(Refused::Malformed);
    }
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Malformed);
    };
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Refused::Malformed);
    }
    let visible = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'#';
    if !target.starts_with('/') || !target.bytes().all(visible) {
        return Err(Refused::Malformed);
    }
    let needs_host = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        other if other.starts_with("HTTP/") => return Err(Refused::Version),
        _ => return Err(Refused::Malformed),
    };
    let fields = Fields::read(lines)?;
    if needs_host && fields.host.is_none() {
        return Err(Refused::Malformed);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        path: path.to_owned(),
        query: query.to_owned(),
        host: fields.host,
        in_advance: fields.in_advance,
    })
}

/// What of the header fields matters.
#[derive(Default)]
struct Fields {
    host: Option<String>,
    in_advance: bool,
}

impl Fields {
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        let mut fields = Self::default();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Refused::Malformed)?;
            // This also refuses a space before the colon and a line that continues the one before.
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(Refused::Malformed);
            }
            let value = value.trim_matches([' ', '\t']);
            match name.to_ascii_lowercase().as_str() {
                "host" => {
                    let host = value.to_ascii_lowercase();
                    if fields.host.replace(host).is_some() {
                        return Err(Refused::Malformed);
                    }
                }
                "content-length" if value == "0" => {}
                "content-length" | "transfer-encoding" => return Err(Refused::Body),
                // Chromium, Safari and Firefox, each in its own words.
                "sec-purpose" | "purpose" | "x-purpose" | "x-moz" => {
                    fields.in_advance |= ["prefetch", "prerender", "preview"]
                        .iter()
                        .any(|word| value.to_ascii_lowercase().contains(word));
                }
                _ => {}
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Request {
        match read(text.as_bytes()) {
            Head::Request(request) => request,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn refused(text: &str) -> Refused {
        match read(text.as_bytes()) {
            Head::Refused(why) => why,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_browser_that_comes_back_is_understood() {
        let request = parsed(
            "GET /callback?code=a%2Bb&state=x HTTP/1.1\r\nHost: LocalHost:6363\r\n\
             Sec-Fetch-Mode: navigate\r\nCookie: other=1\r\n\r\n",
        );
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.path, "/callback");
        assert_eq!(request.query, "code=a%2Bb&state=x");
        assert_eq!(request.host.as_deref(), Some("localhost:6363"));
        assert!(!request.in_advance);
        assert_eq!(parsed("GET / HTTP/1.0\r\n\r\n").host, None);
        assert_eq!(
            parsed("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").method,
            Method::Head
        );
        assert_eq!(
            parsed("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n").method,
            Method::Other
        );
        parsed("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn every_beginning_of_a_request_may_still_become_one() {
        let whole = "GET /callback?code=a HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(read(&whole.as_bytes()[..length]), Head::Partial, "{length}");
        }
        assert!(matches!(read(whole.as_bytes()), Head::Request(_)));
    }

    #[test]
    fn a_browser_that_asks_in_advance_is_known() {
        for line in [
            "Sec-Purpose: prefetch",
            "Sec-Purpose: prefetch;prerender",
            "Purpose: prefetch",
            "X-Purpose: preview",
            "X-Moz: Prefetch",
        ] {
            let request = parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"));
            assert!(request.in_advance, "{line}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for text in [
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
            "Get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(refused(text), Refused::Malformed, "{text:?}");
        }
        let invalid = b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(read(invalid), Head::Refused(Refused::Malformed));
    }

    #[test]
    fn what_is_no_http_is_known_by_its_first_byte() {
        for bytes in [
            &b"\x16\x03\x01"[..],
            b"\r\n",
            b"\0",
            b"get / HTTP/1.1\r\n\r\n",
            b"{}",
        ] {
            assert_eq!(read(bytes), Head::Refused(Refused::NotHttp), "{bytes:?}");
        }
    }

    #[test]
    fn bodies_other_versions_and_endless_heads_are_refused() {
        for field in [
            "Content-Length: 5",
            "Content-Length: 00",
            "Transfer-Encoding: chunked",
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            assert_eq!(refused(&text), Refused::Body, "{field}");
        }
        for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9"] {
            let text = format!("GET / {version}\r\nHost: a\r\n\r\n");
            assert_eq!(refused(&text), Refused::Version, "{version}");
        }
        let endless = format!("GET /{}", "a".repeat(MAX_HEAD));
        assert_eq!(refused(&endless), Refused::TooLong);
        let late = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(MAX_HEAD));
        assert_eq!(refused(&late), Refused::TooLong);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_more_of_them_never_undo_what_was_decided(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            more in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let before = read(&bytes);
            let after = read(&[bytes, more].concat());
            prop_assert!(before == Head::Partial || before == after);
        }

        #[test]
        fn nearly_requests_never_become_two(
            text in "(GET|HEAD|POST|get) /[a-z?=&%#]{0,9} HTTP/1\\.[01](\r\n|\n|\r)\
                     ((Host|X|Content-Length) ?: ?[a-z0-9:]{0,5}(\r\n|\n)){0,3}(\r\n){1,2}",
        ) {
            if let Head::Request(request) = read(text.as_bytes()) {
                prop_assert!(!request.path.contains(['?', '#', ' ']));
                prop_assert!(!text.starts_with("get"));
            }
        }
    }
}
