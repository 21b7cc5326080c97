//! Who is behind a proxy.

use std::net::IpAddr;

use http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The requester's address: the connection's, unless that is a trusted proxy;
/// then the last entry of `X-Forwarded-For` that is not one.
///
/// Each proxy appends the address it saw. So only entries to the right, made
/// by our own proxies, are facts; whatever stands left of the first stranger
/// was written by that stranger.
pub(crate) fn peer(connection: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let connection = connection.to_canonical();
    if !trusted.contains(&connection) {
        return connection;
    }
    let mut peer = connection;
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Ok(address) = entry.trim().parse::<IpAddr>() else {
            break;
        };
        peer = address.to_canonical();
        if !trusted.contains(&peer) {
            break;
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(connection: &str, lines: &[&str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        peer(ip(connection), &headers, &[ip("10.0.0.1"), ip("10.0.0.2")])
    }

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        assert_eq!(seen("192.0.2.7", &["198.51.100.1"]), ip("192.0.2.7"));
    }

    #[test]
    fn a_trusted_proxy_tells_the_address_it_saw() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(
            seen("::ffff:10.0.0.1", &["198.51.100.1"]),
            ip("198.51.100.1")
        );
    }

    #[test]
    fn what_stands_left_of_the_first_stranger_is_not_believed() {
        assert_eq!(
            seen("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]),
            ip("198.51.100.1")
        );
        assert_eq!(
            seen("10.0.0.1", &["203.0.113.9", "198.51.100.1"]),
            ip("198.51.100.1")
        );
    }

    #[test]
    fn nonsense_ends_the_search_at_the_last_address_known() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown"]), ip("10.0.0.1"));
        assert_eq!(seen("10.0.0.1", &[]), ip("10.0.0.1"));
    }
}
