//! This computer: the loopback interface and the proxy.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use url::Url;

use crate::transport::Proxies;

/// A family of internet addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `127.0.0.1`.
    V4,
    /// `[::1]`.
    V6,
}

impl Family {
    /// Both, the one that every computer has first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Its loopback address, as it is written in a URL.
    pub fn host(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1",
            Self::V6 => "[::1]",
        }
    }
}

/// Listens on a loopback port, any free one for 0, and lets go of it again.
///
/// # Errors
/// What the system says, as [`io::ErrorKind::AddrInUse`].
pub fn bind(family: Family, port: u16) -> io::Result<()> {
    let address = match family {
        Family::V4 => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Family::V6 => SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    };
    TcpListener::bind(address).map(drop)
}

/// The proxy that requests go through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its address without user name and password; nothing if it is no address.
    pub address: Option<String>,
}

/// The proxy that the environment names for `url`.
pub fn proxy(url: &Url) -> Option<Proxy> {
    let proxies = Proxies::from_environment();
    let (variable, value) = proxies.for_url(url)?;
    // Without a scheme it is a host and a port, of an HTTP proxy.
    let parsed = if value.contains("://") {
        Url::parse(value)
    } else {
        Url::parse(&format!("http://{value}"))
    };
    let address = parsed.ok().and_then(|url| {
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{}://{host}:{port}", url.scheme()),
            None => format!("{}://{host}", url.scheme()),
        })
    });
    Some(Proxy { variable, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_found_out_and_a_free_one_is_let_go() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(Family::V4, port).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(taken);
        bind(Family::V4, port).unwrap();
        bind(Family::V4, port).unwrap();
        bind(Family::V4, 0).unwrap();
    }
}
