//! How the server may be reached, decided before anything is opened.
//!
//! The defaults need no file: plain HTTP on this machine's loopback. Leaving
//! it takes a name and TLS, in the server or in a proxy that is trusted by
//! name; anything less is refused with what to type instead.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use countersign_oauth::{Issuer, text};

/// Where the server listens unless it is told otherwise.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8628);

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    /// The address to listen on; port 0 for any free one.
    pub(crate) listen: SocketAddr,
    /// The issuer; `None` for `http://` and the address.
    pub(crate) issuer: Option<String>,
    /// Certificate chain and key, PEM.
    pub(crate) tls: Option<TlsFiles>,
    /// Proxies that do TLS and tell requesters' addresses.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

/// Where the server's certificate is.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// The certificate chain, PEM, the server's own first.
    pub(crate) certificates: PathBuf,
    /// Its private key, PEM.
    pub(crate) key: PathBuf,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The issuer is not an acceptable URL.
    #[error("{issuer} cannot be an issuer")]
    Issuer {
        /// What was given, fit to be printed.
        issuer: String,
        /// What is wrong with it.
        source: countersign_oauth::InvalidIssuer,
    },
    /// The issuer's path has characters that need encoding, or ends in a slash.
    #[error(
        "the path of the issuer must have letters, digits and . _ ~ - / only, and no slash at its end"
    )]
    IssuerPath,
    /// Others could reach the server and it has no name.
    #[error("{listen} can be reached from other machines, and the server has no name")]
    Nameless {
        /// The address.
        listen: SocketAddr,
    },
    /// The server has a name and nothing that would prove it.
    #[error("the issuer {issuer} needs TLS")]
    NoTls {
        /// The issuer.
        issuer: String,
    },
    /// TLS without a name that the certificate could be for.
    #[error("TLS needs an issuer name")]
    TlsNameless,
    /// An issuer without TLS on a server with it.
    #[error("the issuer {issuer} is without TLS, the server is not")]
    PlainIssuer {
        /// The issuer.
        issuer: String,
    },
}

impl Refused {
    /// What to type instead.
    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Issuer { .. } | Self::IssuerPath => {
                "an issuer looks like https://id.example.com, as clients write it"
            }
            Self::Nameless { .. } => {
                "use --listen 127.0.0.1:8628, or give a name: --issuer https://NAME with \
                 --tls-cert and --tls-key, or with --trusted-proxy ADDRESS"
            }
            Self::NoTls { .. } => {
                "add --tls-cert FILE and --tls-key FILE, or --trusted-proxy ADDRESS when a proxy \
                 does TLS"
            }
            Self::TlsNameless | Self::PlainIssuer { .. } => {
                "add --issuer https://NAME, with the name in the certificate"
            }
        };
        vec![hint.to_owned()]
    }
}

/// Checks what was asked for and settles the issuer. `listen` is the address
/// in use, with the port that the system chose.
pub(crate) fn issuer_for(requested: &Requested, listen: SocketAddr) -> Result<Issuer, Refused> {
    let has_tls = requested.tls.is_some();
    let Some(text) = &requested.issuer else {
        if has_tls {
            return Err(Refused::TlsNameless);
        }
        if !listen.ip().is_loopback() {
            return Err(Refused::Nameless { listen });
        }
        return parse(&format!("http://{listen}"));
    };
    let issuer = parse(text)?;
    if issuer.is_loopback_http() {
        if has_tls {
            return Err(Refused::PlainIssuer {
                issuer: text.clone(),
            });
        }
        if !listen.ip().is_loopback() {
            return Err(Refused::Nameless { listen });
        }
    } else if !has_tls && requested.trusted_proxies.is_empty() {
        return Err(Refused::NoTls {
            issuer: text.clone(),
        });
    }
    Ok(issuer)
}

fn parse(issuer: &str) -> Result<Issuer, Refused> {
    let parsed = Issuer::parse(issuer).map_err(|source| Refused::Issuer {
        issuer: text::printable(issuer),
        source,
    })?;
    // Routes are made from the path, and URLs by appending to it.
    let path = parsed.as_url().path();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
    let is_bare = path == "/" && !issuer.ends_with('/');
    let is_sound = path.chars().all(plain) && !path.ends_with('/') && !path.contains("//");
    if is_bare || is_sound {
        Ok(parsed)
    } else {
        Err(Refused::IssuerPath)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(listen: &str, issuer: Option<&str>) -> Requested {
        Requested {
            listen: listen.parse().unwrap(),
            issuer: issuer.map(str::to_owned),
            tls: None,
            trusted_proxies: Vec::new(),
        }
    }

    fn decide(requested: &Requested) -> Result<String, Refused> {
        issuer_for(requested, requested.listen).map(|issuer| issuer.as_str().to_owned())
    }

    fn with_tls(mut requested: Requested) -> Requested {
        requested.tls = Some(TlsFiles {
            certificates: "c".into(),
            key: "k".into(),
        });
        requested
    }

    fn behind_proxy(mut requested: Requested) -> Requested {
        requested.trusted_proxies.push([10, 0, 0, 1].into());
        requested
    }

    const NAME: Option<&str> = Some("https://id.example.com");

    #[test]
    fn loopback_needs_nothing() {
        assert_eq!(
            decide(&requested("127.0.0.1:8628", None)).unwrap(),
            "http://127.0.0.1:8628"
        );
        assert_eq!(
            decide(&requested("[::1]:8628", None)).unwrap(),
            "http://[::1]:8628"
        );
    }

    #[test]
    fn other_machines_are_let_in_only_with_a_name_and_tls() {
        for listen in ["0.0.0.0:8628", "192.0.2.1:8628", "[::]:8628"] {
            let refused = decide(&requested(listen, None)).unwrap_err();
            assert!(matches!(refused, Refused::Nameless { .. }), "{refused}");
            let refused = decide(&requested(listen, Some("http://127.0.0.1:8628"))).unwrap_err();
            assert!(matches!(refused, Refused::Nameless { .. }), "{refused}");
            let refused = decide(&requested(listen, NAME)).unwrap_err();
            assert!(matches!(refused, Refused::NoTls { .. }), "{refused}");
            assert!(refused.hints()[0].contains("--tls-cert"));
            decide(&with_tls(requested(listen, NAME))).unwrap();
            decide(&behind_proxy(requested(listen, NAME))).unwrap();
        }
    }

    #[test]
    fn tls_and_the_issuer_have_to_agree() {
        let refused = decide(&with_tls(requested("127.0.0.1:8628", None))).unwrap_err();
        assert_eq!(refused, Refused::TlsNameless);
        let plain = requested("127.0.0.1:8628", Some("http://127.0.0.1:8628"));
        assert!(matches!(
            decide(&with_tls(plain)),
            Err(Refused::PlainIssuer { .. })
        ));
        let refused = decide(&requested("127.0.0.1:8628", NAME)).unwrap_err();
        assert!(matches!(refused, Refused::NoTls { .. }));
    }

    #[test]
    fn an_issuer_is_a_name_that_urls_can_be_appended_to() {
        for issuer in [
            "https://id.example.com/",
            "https://id.example.com/a/",
            "https://x.example/{a}",
        ] {
            let refused = decide(&with_tls(requested("127.0.0.1:1", Some(issuer)))).unwrap_err();
            assert_eq!(refused, Refused::IssuerPath, "{issuer}");
        }
        for issuer in [
            "http://id.example.com",
            "id.example.com",
            "https://id.example.com?a",
        ] {
            let refused = decide(&with_tls(requested("127.0.0.1:1", Some(issuer)))).unwrap_err();
            assert!(matches!(refused, Refused::Issuer { .. }), "{issuer}");
        }
        decide(&with_tls(requested(
            "127.0.0.1:1",
            Some("https://id.example.com/a/b"),
        )))
        .unwrap();
    }
}
