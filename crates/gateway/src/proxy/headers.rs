//! Headers that are meant for the next machine and no further (RFC 9110, section 7.6.1).
//!
//! Not responsible for identity, which is of `identity`, nor for the body's length, which hyper
//! writes anew on every connection.

use http::header::{CONNECTION, COOKIE, HeaderName, TE};
use http::{HeaderMap, HeaderValue};

/// `Connection` names a header that is meant for the upstream: somebody wants it to get lost here.
#[derive(Debug, thiserror::Error)]
#[error("`Connection` names a header that is not of the connection")]
pub(crate) struct NotOfConnection;

/// What a request said about its connection, before that was taken out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hop {
    /// Whether the caller takes trailers.
    pub(crate) trailers: bool,
}

/// Takes out of a request what is of the connection.
pub(crate) fn strip_request(headers: &mut HeaderMap) -> Result<Hop, NotOfConnection> {
    let mut hop = Hop::default();
    if headers.contains_key(CONNECTION) {
        for token in tokens(headers) {
            if !is_of_connection(&token) && headers.contains_key(token.as_str()) {
                return Err(NotOfConnection);
            }
        }
    }
    if let Some(te) = headers.remove(TE) {
        hop.trailers = te.as_bytes().eq_ignore_ascii_case(b"trailers");
    }
    remove_all(headers, |name| {
        is_usual(name) || matches!(name, "proxy-authorization" | "http2-settings")
    });
    Ok(hop)
}

/// Puts the pieces of a cookie header together that HTTP/2 may send apart (RFC 9113, section 8.2.3):
/// HTTP/1.1 knows one such header only.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let cookies = headers.get_all(COOKIE);
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        whole.set_sensitive(true);
        headers.insert(COOKIE, whole);
    }
}

/// Takes out of an answer what is of the connection. Here `Connection` is followed: it is the
/// upstream's own answer that it takes from.
pub(crate) fn strip_answer(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        for token in tokens(headers) {
            headers.remove(token);
        }
    }
    remove_all(headers, |name| {
        is_usual(name) || name == "proxy-authenticate"
    });
}

fn is_usual(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    )
}

/// Takes out what is unwanted. Each header that is there is looked at once: most of the unwanted ones
/// never are.
pub(crate) fn remove_all(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_unwanted(name.as_str()))
        .cloned()
        .collect();
    for name in found {
        headers.remove(name);
    }
}

fn tokens(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        .filter(|token| HeaderName::from_bytes(token.as_bytes()).is_ok())
        .collect()
}

fn is_of_connection(token: &str) -> bool {
    matches!(
        token,
        "close" | "keep-alive" | "upgrade" | "te" | "http2-settings" | "proxy-connection"
    )
}

/// Whether a list such as `Connection: keep-alive, Upgrade` has this token.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| HeaderValue::to_str(value).ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn what_is_of_the_connection_stays_behind() {
        let mut request = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic eA=="),
            ("keep-alive", "timeout=5"),
            ("accept", "*/*"),
        ]);
        assert!(strip_request(&mut request).unwrap().trailers);
        assert_eq!(request, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn a_request_does_not_lose_headers_by_naming_them() {
        for name in [
            "authorization",
            "Cookie",
            "x-anything",
            "host",
            "content-length",
        ] {
            let mut request = headers(&[("connection", name), (name, "1")]);
            assert!(strip_request(&mut request).is_err(), "{name}");
        }
        assert!(strip_request(&mut headers(&[("connection", "x-absent, close")])).is_ok());
    }

    #[test]
    fn a_cookie_in_pieces_becomes_one() {
        let mut request = headers(&[("cookie", "a=1"), ("cookie", "b=2; c=3"), ("x", "y")]);
        join_cookies(&mut request);
        assert_eq!(request, headers(&[("cookie", "a=1; b=2; c=3"), ("x", "y")]));
        let mut single = headers(&[("cookie", "a=1")]);
        join_cookies(&mut single);
        assert_eq!(single, headers(&[("cookie", "a=1")]));
    }

    #[test]
    fn an_answer_loses_what_it_names() {
        let mut answer = headers(&[("connection", "x-hop"), ("x-hop", "1"), ("etag", "\"1\"")]);
        strip_answer(&mut answer);
        assert_eq!(answer, headers(&[("etag", "\"1\"")]));
    }
}
