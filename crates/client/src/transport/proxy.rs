//! Which proxy the environment names for a request.
//!
//! `HTTPS_PROXY`, then `ALL_PROXY`, in capitals or not, unless `NO_PROXY` names the host. There is no
//! `HTTP_PROXY` here: plain HTTP goes to this computer only, and what goes there goes directly.

use std::net::IpAddr;

use url::{Host, Url};

use super::is_loopback;

/// The proxy settings of the environment, read when the first request is sent.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    /// The name of the variable and its value. The value may hold a password.
    proxy: Option<(&'static str, String)>,
    exceptions: Vec<Exception>,
}

impl Proxies {
    pub(crate) fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let proxy = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let exceptions = first(&["NO_PROXY", "no_proxy"])
            .map(|(_, list)| {
                list.split([',', ' '])
                    .filter_map(|entry| Exception::parse(entry.trim()))
                    .collect()
            })
            .unwrap_or_default();
        Self { proxy, exceptions }
    }

    /// The variable that names a proxy for `url`, and its value.
    pub(crate) fn for_url(&self, url: &Url) -> Option<(&'static str, &str)> {
        if is_loopback(url)
            || self
                .exceptions
                .iter()
                .any(|exception| exception.covers(url))
        {
            return None;
        }
        self.proxy
            .as_ref()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    /// `*`.
    Everything,
    /// A name, which stands for the names below it as well, and a port if one was given.
    Name(String, Option<u16>),
    /// An address or a block of them: `10.0.0.0/8`.
    Addresses(IpAddr, u8),
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        let bare = entry.trim_start_matches('[').replace(']', "");
        let (address, prefix) = bare.split_once('/').unwrap_or((bare.as_str(), ""));
        if let Ok(address) = address.parse::<IpAddr>() {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let prefix = if prefix.is_empty() {
                whole
            } else {
                prefix.parse().ok()?
            };
            return (prefix <= whole).then_some(Self::Addresses(address, prefix));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let name = name
            .trim_start_matches('*')
            .trim_start_matches('.')
            .to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name, port))
    }

    fn covers(&self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::Everything, _) => true,
            (Self::Name(name, port), Some(Host::Domain(host))) => {
                let host = host.trim_end_matches('.');
                let below = host.strip_suffix(name.as_str());
                below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
            (Self::Addresses(block, prefix), Some(Host::Ipv4(host))) => {
                same_block(*block, IpAddr::V4(host), *prefix)
            }
            (Self::Addresses(block, prefix), Some(Host::Ipv6(host))) => {
                same_block(*block, IpAddr::V6(host), *prefix)
            }
            _ => false,
        }
    }
}

/// Whether two addresses of one family agree in their first `prefix` bits.
fn same_block(block: IpAddr, host: IpAddr, prefix: u8) -> bool {
    let differing = match (block, host) {
        (IpAddr::V4(block), IpAddr::V4(host)) => (block.to_bits() ^ host.to_bits()).leading_zeros(),
        (IpAddr::V6(block), IpAddr::V6(host)) => (block.to_bits() ^ host.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_for(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let proxies = Proxies::from_variables(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        });
        let url = Url::parse(url).unwrap();
        proxies.for_url(&url).map(|(_, value)| value.to_owned())
    }

    #[test]
    fn the_proxy_for_https_is_preferred_and_all_proxy_is_the_fallback() {
        let both = [
            ("ALL_PROXY", "http://all:1"),
            ("HTTPS_PROXY", "http://https:2"),
        ];
        assert_eq!(
            proxy_for(&both, "https://id.example.com").unwrap(),
            "http://https:2"
        );
        let lower = [("all_proxy", "socks5://all:1"), ("HTTPS_PROXY", "")];
        assert_eq!(
            proxy_for(&lower, "https://id.example.com").unwrap(),
            "socks5://all:1"
        );
        assert_eq!(proxy_for(&[], "https://id.example.com"), None);
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        let set = [("HTTPS_PROXY", "http://p:1"), ("ALL_PROXY", "http://p:1")];
        for url in [
            "http://127.0.0.1:9",
            "https://localhost",
            "https://[::1]",
            "http://a.localhost",
        ] {
            assert_eq!(proxy_for(&set, url), None, "{url}");
        }
    }

    #[test]
    fn exceptions_are_names_addresses_blocks_and_ports() {
        let cases = [
            ("example.com", "https://example.com", true),
            ("example.com", "https://id.Example.com", true),
            ("example.com", "https://notexample.com", false),
            (".example.com", "https://id.example.com", true),
            ("*.example.com", "https://id.example.com", true),
            ("example.com:8443", "https://example.com:8443", true),
            ("example.com:8443", "https://example.com", false),
            ("example.com:443", "https://example.com", true),
            ("a.test, b.test", "https://b.test", true),
            ("a.test b.test", "https://b.test", true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("0.0.0.0/0", "https://11.1.2.3", true),
            ("192.0.2.7", "https://192.0.2.7", true),
            ("192.0.2.7", "https://192.0.2.8", false),
            ("2001:db8::/32", "https://[2001:db8::1]", true),
            ("[2001:db8::1]", "https://[2001:db8::1]", true),
            ("10.0.0.0/99", "https://10.1.2.3", false),
            ("*", "https://anything.test", true),
            (",,", "https://anything.test", false),
        ];
        for (list, url, expected) in cases {
            let set = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)];
            assert_eq!(proxy_for(&set, url).is_none(), expected, "{list} and {url}");
        }
    }
}
