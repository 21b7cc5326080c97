//! Passing requests on to one server, bodies as they come: for a program that stands between another
//! one and an API.
//!
//! Not responsible for what is passed on, nor for who may ask for it.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use countersign_oauth::TransportError;
use ureq::{Agent, SendBody};
use url::Url;

use super::http::{HttpOptions, configuration, translate};
use super::proxy::Proxies;

/// A server that requests are passed on to, and no other.
pub struct Forwarder {
    agent: Agent,
    server: Url,
    proxied: bool,
}

/// A request to be passed on.
pub struct Outgoing<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Where to: on the forwarder's server.
    pub url: &'a Url,
    /// Header fields. Those that concern one connection alone are the caller's to leave out.
    pub headers: &'a [(String, Vec<u8>)],
    /// The body, whose length is among the header fields where it is known.
    pub body: Option<&'a mut dyn Read>,
}

/// An answer whose body is still on its way.
pub struct Incoming {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body. An error in the middle means that it is not whole.
    pub body: Box<dyn Read + Send>,
}

impl Forwarder {
    /// Prepares to pass requests on to the server of `url`, over `https` alone. Neither side may pause
    /// for longer than `idle`; how long an exchange may take in all is not limited.
    ///
    /// # Errors
    /// When `url` is not one of `https`, or certificates or proxy settings cannot be used.
    pub fn new(options: &HttpOptions, url: &Url, idle: Duration) -> Result<Self, TransportError> {
        if url.scheme() != "https" || !url.has_host() {
            let reason = "the address is not https".to_owned();
            return Err(TransportError::Tls { reason });
        }
        let proxies = Proxies::from_environment();
        let proxy = proxies.for_url(url);
        let config = configuration(options, proxy)?
            .timeout_global(None)
            .timeout_per_read(Some(idle))
            .timeout_per_write(Some(idle))
            // What the program said of itself is passed on, and nothing is added.
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .build();
        Ok(Self {
            agent: config.new_agent(),
            server: url.clone(),
            proxied: proxy.is_some(),
        })
    }

    /// Passes one request on. A redirect is an answer like any other, and not followed.
    ///
    /// # Errors
    /// When there was no answer. A request that leads to another server is not sent.
    pub fn send(&self, outgoing: Outgoing<'_>) -> Result<Incoming, TransportError> {
        if outgoing.url.origin() != self.server.origin() {
            let reason = "the address leads to another server".to_owned();
            return Err(TransportError::Malformed { reason });
        }
        let failed = |error: ureq::Error| match (translate(&error), self.proxied) {
            (TransportError::Connect { reason }, true) => TransportError::Proxy { reason },
            (error, _) => error,
        };
        let mut builder = ureq::http::Request::builder()
            .method(outgoing.method)
            .uri(outgoing.url.as_str());
        for (name, value) in outgoing.headers {
            builder = builder.header(name.as_str(), value.as_slice());
        }
        let answer = if let Some(body) = outgoing.body {
            let request = builder.body(SendBody::from_reader(body));
            self.agent
                .run(request.map_err(|error| failed(error.into()))?)
        } else {
            let request = builder.body(());
            self.agent
                .run(request.map_err(|error| failed(error.into()))?)
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let headers = parts.headers.iter().map(|(name, value)| {
            let value = value.as_bytes().to_vec();
            (name.as_str().to_owned(), value)
        });
        Ok(Incoming {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: Box::new(body.into_with_config().limit(u64::MAX).reader()),
        })
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("server", &self.server.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header fields hold secrets.
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_elsewhere_or_in_the_clear() {
        let options = HttpOptions::default();
        let url = |text: &str| Url::parse(text).unwrap();
        for text in ["http://api.example.com/", "http://127.0.0.1/", "file:///x"] {
            let refused = Forwarder::new(&options, &url(text), Duration::from_secs(1));
            assert!(matches!(refused, Err(TransportError::Tls { .. })), "{text}");
        }
        let server = url("https://api.example.com/v1");
        let forwarder = Forwarder::new(&options, &server, Duration::from_secs(1)).unwrap();
        for text in [
            "https://evil.example/v1",
            "https://api.example.com:8443/v1",
            "http://api.example.com/v1",
        ] {
            let url = url(text);
            let outgoing = Outgoing {
                method: "GET",
                url: &url,
                headers: &[],
                body: None,
            };
            let refused = forwarder.send(outgoing);
            let refused = refused.map(|incoming| incoming.status);
            assert!(
                matches!(refused, Err(TransportError::Malformed { .. })),
                "{text}"
            );
        }
    }
}
