//! Ranges of addresses, for those who are trusted by where they are.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of IP addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
///
/// An IPv4 address in IPv6 form (`::ffff:10.0.0.1`), as a socket for both shows
/// it, is the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an address or a range such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length));
                let mask = mask.unwrap_or_default();
                ours.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length));
                let mask = mask.unwrap_or_default();
                ours.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let network = Self { address, length };
        // Bits beyond the length are a slip of the pen; who knows which half of
        // it was meant.
        let is_mapped = address.to_canonical() != address;
        if length > longest || is_mapped || !network.has_no_bits_beyond() {
            return Err(InvalidNetwork);
        }
        Ok(network)
    }
}

impl Network {
    fn has_no_bits_beyond(self) -> bool {
        match self.address {
            IpAddr::V4(address) => {
                let beyond = u32::MAX.checked_shr(self.length.into());
                address.to_bits() & beyond.unwrap_or_default() == 0
            }
            IpAddr::V6(address) => {
                let beyond = u128::MAX.checked_shr(self.length.into());
                address.to_bits() & beyond.unwrap_or_default() == 0
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_the_ranges_that_contain_it() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.6/31", "::ffff:192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "::ffff:192.0.2.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn whatever_is_not_a_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.1/8",
            "10.0.0",
            "10.0.0/8",
            "localhost",
            "fd00::/129",
            "fd00::1/8",
            // It would be compared with IPv4 addresses alone, and never be true.
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.7",
            "10.0.0.0/8 ",
        ] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text:?}");
        }
    }
}
