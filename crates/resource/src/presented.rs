//! The head of a request, as far as a decision needs it.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use url::Url;

/// What a request presents. Borrowed, so it costs nothing to make.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Presented<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// The target as it stands in the request line.
    pub uri: &'a Uri,
    /// The header fields of the request.
    pub headers: &'a HeaderMap,
    /// Under which scheme, host and port callers reach this server, as *configured*: what `Host`
    /// and forwarded headers say is the caller's word. A proof of possession is for an address
    /// (RFC 9449, section 4.3), so without this one none can be checked, and all are refused.
    pub origin: Option<&'a Url>,
    /// The certificate of the TLS client at the other end (RFC 8705), in DER.
    pub client_certificate: Option<&'a [u8]>,
    /// Where the request comes from, for policies that ask for a network.
    pub source: Option<IpAddr>,
    /// Who hands the request to us, when that is a proxy whose word about `source` is believed. What
    /// a header says that a proxy sets is this one's word.
    pub peer: Option<IpAddr>,
}

impl<'a> Presented<'a> {
    /// A request of which nothing is known but its head.
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            uri,
            headers,
            origin: None,
            client_certificate: None,
            source: None,
            peer: None,
        }
    }

    /// As [`new`](Self::new), from the head of a request of `http`.
    pub fn head(parts: &'a Parts) -> Self {
        Self::new(&parts.method, &parts.uri, &parts.headers)
    }

    /// Says under which address callers reach this server.
    #[must_use]
    pub fn origin(mut self, origin: Option<&'a Url>) -> Self {
        self.origin = origin;
        self
    }

    /// Adds the certificate of the TLS client, in DER.
    #[must_use]
    pub fn client_certificate(mut self, der: Option<&'a [u8]>) -> Self {
        self.client_certificate = der;
        self
    }

    /// Says where the request comes from.
    #[must_use]
    pub fn source(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }

    /// Says whom the connection is with, when that is another than the source.
    #[must_use]
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// The address of the request as its caller knows it, without the query;
    /// nothing when no origin is configured.
    pub fn address(&self) -> Option<String> {
        let origin = self.origin?.origin();
        let address = origin
            .is_tuple()
            .then(|| format!("{}{}", origin.ascii_serialization(), self.uri.path()));
        address.filter(|_| self.uri.path().starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(origin: &str, uri: &str) -> Option<String> {
        let (method, headers) = (Method::GET, HeaderMap::new());
        let (origin, uri) = (Url::parse(origin).unwrap(), uri.parse().unwrap());
        let presented = Presented::new(&method, &uri, &headers);
        assert_eq!(presented.address(), None);
        presented.origin(Some(&origin)).address()
    }

    #[test]
    fn the_address_is_of_the_configured_origin_whatever_the_request_line_says() {
        for (origin, uri, expected) in [
            (
                "https://api.example.com",
                "/a/b?c=d",
                "https://api.example.com/a/b",
            ),
            (
                "https://api.example.com/ignored",
                "/a",
                "https://api.example.com/a",
            ),
            (
                "https://api.example.com:8443",
                "/",
                "https://api.example.com:8443/",
            ),
            (
                "https://api.example.com",
                "http://evil.example/a",
                "https://api.example.com/a",
            ),
        ] {
            assert_eq!(address(origin, uri).as_deref(), Some(expected), "{uri}");
        }
        assert_eq!(address("https://api.example.com", "*"), None);
        assert_eq!(address("data:text/plain,x", "/a"), None);
    }
}
