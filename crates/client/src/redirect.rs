//! Where the authorization server sends the browser back to (RFC 6749, section 3.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::Error;

/// The redirect URI of a sign-in with a browser.
///
/// Servers compare it letter for letter with what is registered, so whatever is given here is sent
/// as it was written; only the port of a loopback address is put in (RFC 8252, section 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Loopback {
        /// The host as it is written in a URI: `127.0.0.1`, `[::1]` or `localhost`.
        host: String,
        /// Everything after the port. Empty is not the same as `/` to who compares letters.
        path: String,
        /// The ports to try, in order; none stands for any free one.
        ports: Vec<u16>,
    },
    Hosted(String),
}

impl Default for Redirect {
    fn default() -> Self {
        Self::loopback()
    }
}

impl Redirect {
    /// `http://127.0.0.1:PORT/callback` with any free port, which is what RFC 8252, section 7.3,
    /// lets every native application have.
    pub fn loopback() -> Self {
        Self {
            target: Target::Loopback {
                host: "127.0.0.1".to_owned(),
                path: "/callback".to_owned(),
                ports: Vec::new(),
            },
        }
    }

    /// Takes a redirect URI as it is registered at the server.
    ///
    /// `http://127.0.0.1`, `http://[::1]` and `http://localhost` lead to this computer: with a port to
    /// that one, without (or with 0) to any free one. Everything else is the address of a page
    /// elsewhere that shows the code to the person, who brings it back by hand.
    ///
    /// # Errors
    /// [`Error::Configuration`] when it is no absolute URI, has a fragment (RFC 6749, section 3.1.2),
    /// or would carry the code over the network in the clear.
    pub fn parse(uri: &str) -> Result<Self, Error> {
        let url = Url::parse(uri).map_err(|error| wrong(format!("it is no URI: {error}")))?;
        if url.fragment().is_some() {
            return Err(wrong("it has a fragment"));
        }
        if url.scheme() != "http" {
            let target = Target::Hosted(uri.to_owned());
            return Ok(Self { target });
        }
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
            Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if !here {
            return Err(wrong("it is neither https nor on this computer"));
        }
        if url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("an address on this computer has a path at most"));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let written = uri.get("http://".len()..).unwrap_or_default();
        let at = written.find('/').unwrap_or(written.len());
        let (authority, path) = written.split_at_checked(at).unwrap_or((written, ""));
        // The colon of the port stands behind the bracket of an IPv6 address.
        let colon = authority
            .rfind(':')
            .filter(|colon| authority.rfind(']').is_none_or(|bracket| bracket < *colon));
        let host = colon
            .and_then(|colon| authority.get(..colon))
            .unwrap_or(authority);
        let ports = match (colon, port) {
            (None, _) | (_, 0) => Vec::new(),
            (Some(_), port) => vec![port],
        };
        let target = Target::Loopback {
            host: host.to_owned(),
            path: path.to_owned(),
            ports,
        };
        Ok(Self { target })
    }

    /// Tries these ports, in this order, and no other: for servers that compare the port too.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a page elsewhere, and for port 0.
    pub fn with_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Result<Self, Error> {
        let wanted: Vec<u16> = ports.into_iter().collect();
        if wanted.contains(&0) {
            return Err(wrong("port 0 is no port"));
        }
        match &mut self.target {
            Target::Loopback { ports, .. } => *ports = wanted,
            Target::Hosted(_) => return Err(wrong("a page elsewhere has no port to choose")),
        }
        Ok(self)
    }

    /// Whether it leads to a page elsewhere, from where the person brings the code back.
    pub fn is_hosted(&self) -> bool {
        matches!(self.target, Target::Hosted(_))
    }

    /// The ports to try, in order; empty for any free one and for a page elsewhere.
    pub fn ports(&self) -> &[u16] {
        match &self.target {
            Target::Loopback { ports, .. } => ports,
            Target::Hosted(_) => &[],
        }
    }

    /// The URI as it is sent, with `port` in it if it leads to this computer.
    pub fn uri(&self, port: u16) -> String {
        match &self.target {
            Target::Loopback { host, path, .. } => format!("http://{host}:{port}{path}"),
            Target::Hosted(uri) => uri.clone(),
        }
    }

    /// The addresses to listen on, and whether each is one that the URI names. Whoever reads
    /// `localhost` may try either first.
    pub(crate) fn addresses(&self) -> [(IpAddr, bool); 2] {
        let (v4, v6) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        match &self.target {
            Target::Loopback { host, .. } if host == "[::1]" => [(v6, true), (v4, false)],
            Target::Loopback { host, .. } => [(v4, host == "127.0.0.1"), (v6, false)],
            Target::Hosted(_) => [(v4, false), (v6, false)],
        }
    }

    /// The path that a browser asks for when it comes back here.
    pub(crate) fn path(&self) -> &str {
        match &self.target {
            Target::Loopback { path, .. } if path.is_empty() => "/",
            Target::Loopback { path, .. } => path,
            Target::Hosted(_) => "",
        }
    }
}

fn wrong(why: impl Into<String>) -> Error {
    Error::Configuration {
        what: "redirect URI",
        why: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_uri_is_sent_as_it_was_written_with_the_port_put_in() {
        let cases: [(&str, &[u16], &str, &str); 8] = [
            (
                "http://localhost:6363",
                &[6363],
                "http://localhost:6363",
                "/",
            ),
            (
                "http://localhost:6363/",
                &[6363],
                "http://localhost:6363/",
                "/",
            ),
            ("http://LocalHost/cb", &[], "http://LocalHost:9/cb", "/cb"),
            ("http://127.0.0.1", &[], "http://127.0.0.1:9", "/"),
            (
                "http://127.0.0.1:0/a/b",
                &[],
                "http://127.0.0.1:9/a/b",
                "/a/b",
            ),
            (
                "http://127.0.0.1:80/a",
                &[80],
                "http://127.0.0.1:80/a",
                "/a",
            ),
            ("http://[::1]:8080/x", &[8080], "http://[::1]:8080/x", "/x"),
            ("http://[::1]/x", &[], "http://[::1]:9/x", "/x"),
        ];
        for (given, ports, sent, path) in cases {
            let redirect = Redirect::parse(given).unwrap();
            assert!(!redirect.is_hosted(), "{given}");
            assert_eq!(redirect.ports(), ports, "{given}");
            assert_eq!(redirect.uri(ports.first().copied().unwrap_or(9)), sent);
            assert_eq!(redirect.path(), path, "{given}");
        }
        assert_eq!(Redirect::loopback().uri(9), "http://127.0.0.1:9/callback");
    }

    #[test]
    fn a_page_elsewhere_is_sent_letter_for_letter() {
        for uri in [
            "https://company.example/Code?from=cli",
            "https://localhost:8443/callback",
            "com.example.cli:/callback",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            let redirect = Redirect::parse(uri).unwrap();
            assert!(redirect.is_hosted(), "{uri}");
            assert_eq!(redirect.uri(9), uri);
            assert!(redirect.with_ports([9]).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_uri_that_would_give_the_code_away_is_refused() {
        for uri in [
            "http://company.example/callback",
            "http://localhost.example/callback",
            "http://127.0.0.2/callback",
            "http://0.0.0.0:80/callback",
            "http://app.localhost/callback",
            "http://u:p@127.0.0.1/callback",
            "http://127.0.0.1/callback?x=1",
            "http://127.0.0.1/callback#x",
            "https://company.example/#x",
            "/callback",
            "",
        ] {
            let error = Redirect::parse(uri).unwrap_err();
            assert_eq!(error.code(), "configuration", "{uri}");
        }
        assert!(Redirect::loopback().with_ports([6363, 0]).is_err());
    }
}
