//! A block of IP addresses, as in `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses (RFC 4632; RFC 4291, section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    length: u8,
}

/// Why a block is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrProblem {
    /// Not an address, or not a length after the slash.
    #[error("not a block of addresses; write it as 10.0.0.0/8, or as one address")]
    Malformed,
    /// Bits beyond the length are set: whoever wrote it meant another block.
    #[error("the address has bits beyond the length of the block")]
    BitsBeyond,
}

impl Cidr {
    /// Whether the address is in the block; an IPv4 address is the same when it is written in IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                prefix(base.to_bits().into(), 32, self.length)
                    == prefix(address.to_bits().into(), 32, self.length)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                prefix(base.to_bits(), 128, self.length)
                    == prefix(address.to_bits(), 128, self.length)
            }
            _ => false,
        }
    }

    /// Whether it is everybody, or near enough.
    pub(crate) fn is_everybody(&self) -> bool {
        self.length == 0
    }
}

fn prefix(bits: u128, width: u32, length: u8) -> u128 {
    bits.checked_shr(width - u32::from(length)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrProblem;

    fn from_str(text: &str) -> Result<Self, CidrProblem> {
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| CidrProblem::Malformed)?;
        let (width, bits) = match base {
            IpAddr::V4(base) => (32, u128::from(base.to_bits())),
            IpAddr::V6(base) => (128, base.to_bits()),
        };
        let length = match length {
            None => width,
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| CidrProblem::Malformed)?
            }
            Some(_) => return Err(CidrProblem::Malformed),
        };
        if length > width {
            return Err(CidrProblem::Malformed);
        }
        let kept = prefix(bits, width.into(), length);
        let back = kept
            .checked_shl(u32::from(width - length))
            .unwrap_or_default();
        if back != bits {
            return Err(CidrProblem::BitsBeyond);
        }
        Ok(Self { base, length })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(block: &str, address: &str) -> bool {
        let block: Cidr = block.parse().unwrap();
        block.contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_in_their_block_only() {
        assert!(within("10.0.0.0/8", "10.255.0.1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!within("10.0.0.0/8", "11.0.0.0"));
        assert!(within("192.0.2.7", "192.0.2.7"));
        assert!(!within("192.0.2.7", "192.0.2.6"));
        assert!(within("2001:db8::/32", "2001:db8:1::1"));
        assert!(!within("2001:db8::/32", "2001:db9::1"));
        assert!(within("0.0.0.0/0", "203.0.113.9"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrProblem::Malformed), "{text}");
        }
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrProblem::BitsBeyond));
        assert_eq!("1.0.0.0/0".parse::<Cidr>(), Err(CidrProblem::BitsBeyond));
    }
}
