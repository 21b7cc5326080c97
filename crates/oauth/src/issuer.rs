//! The identifier of an authorization server.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

/// The issuer identifier of an authorization server (RFC 8414, section 2; OpenID Connect
/// Discovery 1.0, section 3).
///
/// An `https` URL without query, fragment or user information; plain `http` is accepted for this
/// machine's loopback addresses only. It is kept and compared exactly as written: RFC 8414,
/// section 3.3 asks for identical strings, and a trailing slash makes another issuer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a string is no issuer identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIssuer {
    /// It does not parse as an absolute URL with a host.
    #[error("the issuer is not an absolute URL")]
    NotAUrl,
    /// The scheme is not `https`, and it is not `http` to a loopback address either.
    #[error("the issuer must be an https URL (http only on 127.0.0.1, [::1] or localhost)")]
    Insecure,
    /// There is a query (RFC 8414, section 2).
    #[error("the issuer must not have a query")]
    Query,
    /// There is a fragment (RFC 8414, section 2).
    #[error("the issuer must not have a fragment")]
    Fragment,
    /// There is a user name or password.
    #[error("the issuer must not have a user name or password")]
    UserInfo,
    /// There are spaces, control characters, or characters that a URL must encode.
    #[error("the issuer has characters that a URL cannot have")]
    Characters,
}

impl Issuer {
    /// Checks `text` and keeps it exactly.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        // The parser would silently drop tabs and newlines, trim spaces and take `\` for `/`; what is
        // compared as a string must not depend on that.
        if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
            return Err(InvalidIssuer::Characters);
        }
        let url = Url::parse(text).map_err(|_| InvalidIssuer::NotAUrl)?;
        if !url.has_host() {
            return Err(InvalidIssuer::NotAUrl);
        }
        if !is_secure(&url) {
            return Err(InvalidIssuer::Insecure);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidIssuer::UserInfo);
        }
        if url.query().is_some() {
            return Err(InvalidIssuer::Query);
        }
        if url.fragment().is_some() {
            return Err(InvalidIssuer::Fragment);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The identifier exactly as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The identifier as a URL.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// Whether this is a plain `http` issuer on this machine, as in development.
    pub fn is_loopback_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether `url`, an endpoint this issuer published, may be used: `https`, or `http` on loopback
    /// if the issuer itself is that. An `https` issuer cannot point a client at the client's own
    /// machine in the clear.
    pub fn may_publish(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => url.has_host(),
            "http" => self.is_loopback_http() && is_loopback(url),
            _ => false,
        }
    }
}

/// Whether what is sent to `url` stays private: `https`, or `http` on loopback.
pub(crate) fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

/// RFC 6761, section 6.3 reserves `localhost` for the loopback interface.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => false,
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({:?})", self.text)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Issuer {
    type Err = InvalidIssuer;

    fn from_str(text: &str) -> Result<Self, InvalidIssuer> {
        Self::parse(text)
    }
}

impl Serialize for Issuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_loopback_http_are_issuers() {
        for text in [
            "https://login.example.com",
            "https://login.example.com/",
            "https://login.example.com:8443/realms/a",
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "http://[::1]:3000/x",
            "http://localhost:3000",
        ] {
            assert_eq!(Issuer::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use InvalidIssuer::*;
        for (text, reason) in [
            ("http://login.example.com", Insecure),
            ("http://127.0.0.1.example.com", Insecure),
            ("http://localhost.example.com", Insecure),
            ("http://10.0.0.1", Insecure),
            ("ftp://127.0.0.1", Insecure),
            ("file:///etc/passwd", NotAUrl),
            ("login.example.com", NotAUrl),
            ("", NotAUrl),
            ("mailto:ada@example.com", NotAUrl),
            ("https://a.example?x=1", Query),
            ("https://a.example?", Query),
            ("https://a.example#", Fragment),
            ("https://ada:pw@a.example", UserInfo),
            ("https://a.example/ x", Characters),
            ("https://a.example\n", Characters),
            ("https:\\\\a.example", Characters),
            ("https://ä.example", Characters),
        ] {
            assert_eq!(Issuer::parse(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn issuers_are_compared_as_strings() {
        let issuer = |text| Issuer::parse(text).unwrap();
        assert_ne!(issuer("https://a.example"), issuer("https://a.example/"));
        assert_ne!(issuer("https://a.example"), issuer("https://A.example"));
        assert_ne!(issuer("https://a.example"), issuer("https://a.example:443"));
    }

    #[test]
    fn an_https_issuer_cannot_publish_a_plain_endpoint() {
        let url = |text| Url::parse(text).unwrap();
        let remote = Issuer::parse("https://a.example").unwrap();
        assert!(remote.may_publish(&url("https://b.example/token")));
        assert!(!remote.may_publish(&url("http://a.example/token")));
        assert!(!remote.may_publish(&url("http://127.0.0.1/token")));
        assert!(!remote.may_publish(&url("javascript:alert(1)")));
        let local = Issuer::parse("http://127.0.0.1:1").unwrap();
        assert!(local.may_publish(&url("http://127.0.0.1:2/token")));
        assert!(local.may_publish(&url("https://b.example/token")));
        assert!(!local.may_publish(&url("http://b.example/token")));
    }
}
