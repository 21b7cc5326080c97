//! The ASN.1 structure `RSAPublicKey` (RFC 8017, appendix A.1.1), in both directions.
//!
//! JWK and the crypto libraries disagree on how to write an RSA key; this is the bridge, and it
//! knows no other structure. Reading is for keys that a library has just written, so it checks the
//! frame only.

use super::PublicKey;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Writes modulus and exponent, both big-endian without leading zeros.
pub(crate) fn encode_rsa_public_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(n.len() + e.len() + 16);
    push_integer(&mut body, n);
    push_integer(&mut body, e);
    let mut out = Vec::with_capacity(body.len() + 8);
    push_header(&mut out, SEQUENCE, body.len());
    out.extend_from_slice(&body);
    out
}

/// Reads the structure; `None` when the bytes are something else.
pub(crate) fn rsa_public_key(bytes: &[u8]) -> Option<PublicKey> {
    let (body, rest) = take(bytes, SEQUENCE)?;
    let (n, body) = take(body, INTEGER)?;
    let (e, body) = take(body, INTEGER)?;
    (rest.is_empty() && body.is_empty()).then(|| PublicKey::Rsa {
        n: n.strip_prefix(&[0]).unwrap_or(n).to_vec(),
        e: e.strip_prefix(&[0]).unwrap_or(e).to_vec(),
    })
}

fn push_integer(out: &mut Vec<u8>, value: &[u8]) {
    // INTEGER is signed: a leading one bit would make it negative.
    let sign = usize::from(value.first().is_some_and(|byte| byte & 0x80 != 0));
    push_header(out, INTEGER, value.len() + sign);
    out.extend(std::iter::repeat_n(0, sign));
    out.extend_from_slice(value);
}

fn push_header(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    let bytes = len.to_be_bytes();
    let start = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len() - 1);
    let significant = bytes.get(start..).unwrap_or_default();
    if len > 0x7f {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a usize has at most 16 bytes"
        )]
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
}

/// Splits off the contents of the element at the front of `bytes`.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, bytes) = bytes.split_first()?;
    let (&first, mut bytes) = bytes.split_first()?;
    let mut len = usize::from(first);
    if first > 0x7f {
        let (digits, rest) = bytes.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        len = digits
            .iter()
            .fold(0, |len, digit| (len << 8) | usize::from(*digit));
        bytes = rest;
    }
    (found == tag).then_some(())?;
    bytes.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_key_is_written_as_the_standard_says() {
        let der = encode_rsa_public_key(&[0x80, 0x01], &[0x03]);
        assert_eq!(
            der,
            [0x30, 0x08, 0x02, 0x03, 0x00, 0x80, 0x01, 0x02, 0x01, 0x03]
        );
    }

    #[test]
    fn lengths_above_127_take_the_long_form() {
        let der = encode_rsa_public_key(&[0x7f; 256], &[1, 0, 1]);
        assert_eq!(der[..8], [0x30, 0x82, 0x01, 0x09, 0x02, 0x82, 0x01, 0x00]);
    }

    proptest! {
        #[test]
        fn numbers_survive_the_round_trip(
            n in proptest::collection::vec(1u8.., 1..600),
            e in proptest::collection::vec(1u8.., 1..5),
        ) {
            let key = rsa_public_key(&encode_rsa_public_key(&n, &e)).unwrap();
            prop_assert_eq!(key, PublicKey::Rsa { n, e });
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = rsa_public_key(&bytes);
        }
    }
}
