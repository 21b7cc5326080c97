//! Values that others carry for us: a browser from one page to the next, a
//! client from one request to the next.
//!
//! Nothing is stored for somebody who has not signed in yet: what we must
//! remember meanwhile goes along, where anybody can read it and nobody can
//! change it. Each kind of value has a domain of its own, so that
//! none is taken for another.

use countersign_jose::{CryptoProvider, base64url, constant_time_eq};

/// The longest sealed value that is looked at, in bytes.
const LONGEST: usize = 12 * 1_024;
const MAC_LENGTH: usize = 32;

/// The value and its MAC, fit for a URL.
pub(super) fn seal(domain: &[u8], value: &[u8], key: &[u8], provider: &CryptoProvider) -> String {
    let mut bytes = value.to_vec();
    bytes.extend_from_slice(&mac(domain, value, key, provider));
    base64url::encode(&bytes)
}

/// The value, if it was sealed here, in this domain.
pub(super) fn open(
    domain: &[u8],
    sealed: &str,
    key: &[u8],
    provider: &CryptoProvider,
) -> Option<Vec<u8>> {
    if sealed.len() > LONGEST {
        return None;
    }
    let mut bytes = base64url::decode(sealed).ok()?;
    let seal = bytes.split_off(bytes.len().checked_sub(MAC_LENGTH)?);
    constant_time_eq(&seal, &mac(domain, &bytes, key, provider)).then_some(bytes)
}

fn mac(domain: &[u8], value: &[u8], key: &[u8], provider: &CryptoProvider) -> [u8; MAC_LENGTH] {
    let mut message = domain.to_vec();
    message.extend_from_slice(value);
    provider.hmac_sha256(key, &message)
}

#[cfg(test)]
mod tests {
    use countersign_jose::crypto::aws_lc;

    use super::*;

    const KEY: &[u8] = &[1; 32];

    fn opened(domain: &[u8], sealed: &str, key: &[u8]) -> Option<Vec<u8>> {
        open(domain, sealed, key, aws_lc::provider())
    }

    #[test]
    fn a_value_opens_with_its_key_in_its_domain() {
        let sealed = seal(b"a\0", b"value", KEY, aws_lc::provider());
        assert_eq!(opened(b"a\0", &sealed, KEY).as_deref(), Some(&b"value"[..]));
        assert_eq!(opened(b"b\0", &sealed, KEY), None);
        assert_eq!(opened(b"a\0", &sealed, &[2; 32]), None);
    }

    #[test]
    fn no_altered_value_opens() {
        let sealed = seal(b"a\0", b"value", KEY, aws_lc::provider());
        for place in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(opened(b"a\0", &altered, KEY), None);
            assert_eq!(opened(b"a\0", &sealed[..place], KEY), None);
        }
        assert_eq!(opened(b"a\0", &"A".repeat(20_000), KEY), None);
    }
}
