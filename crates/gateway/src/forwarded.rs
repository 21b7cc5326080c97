//! Whom a request really comes from, when a proxy in front of us says so.
//!
//! Nobody is believed by default. A trusted peer says one address and one scheme; a list, or the same
//! header twice, is refused, because only one of the values can be the proxy's own.

use std::net::IpAddr;

use countersign_resource::Network;
use http::{HeaderMap, HeaderName};

/// What is believed about where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) client: IpAddr,
    pub(crate) scheme: &'static str,
}

/// A trusted peer says something that has no one meaning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

/// Where a request comes from.
pub(crate) fn seen(
    peer: IpAddr,
    secure: bool,
    headers: &HeaderMap,
    trust: &[Network],
) -> Result<Seen, Unclear> {
    let mut seen = Seen {
        client: peer,
        scheme: if secure { "https" } else { "http" },
    };
    if !trust.iter().any(|block| block.contains(peer)) {
        return Ok(seen);
    }
    if let Some(address) = single(headers, &crate::proxy::FORWARDED_FOR)? {
        let address: IpAddr = address.parse().map_err(|_| Unclear)?;
        seen.client = address.to_canonical();
    }
    if let Some(scheme) = single(headers, &crate::proxy::FORWARDED_PROTO)? {
        seen.scheme = match scheme {
            "https" => "https",
            "http" => "http",
            _ => return Err(Unclear),
        };
    }
    Ok(seen)
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Unclear> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value
            .to_str()
            .map(|text| Some(text.trim()))
            .map_err(|_| Unclear),
        (Some(_), Some(_)) => Err(Unclear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, headers: &[(&'static str, &'static str)]) -> Result<String, Unclear> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trust = ["10.0.0.0/8".parse().unwrap()];
        seen(peer.parse().unwrap(), false, &map, &trust)
            .map(|seen| format!("{} {}", seen.scheme, seen.client))
    }

    #[test]
    fn nobody_but_a_trusted_peer_chooses_an_address() {
        let forged = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(from("192.0.2.7", &forged).unwrap(), "http 192.0.2.7");
        assert_eq!(from("10.0.0.1", &forged).unwrap(), "https 1.2.3.4");
        assert_eq!(from("10.0.0.1", &[]).unwrap(), "http 10.0.0.1");
    }

    #[test]
    fn a_trusted_peer_says_one_thing() {
        for headers in [
            &[("x-forwarded-for", "1.2.3.4, 5.6.7.8")][..],
            &[
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-for", "5.6.7.8"),
            ],
            &[("x-forwarded-for", "unknown")],
            &[("x-forwarded-for", "1.2.3.4:80")],
            &[("x-forwarded-for", "")],
            &[("x-forwarded-proto", "https, http")],
            &[("x-forwarded-proto", "wss")],
        ] {
            assert_eq!(from("10.0.0.1", headers), Err(Unclear), "{headers:?}");
        }
    }
}
