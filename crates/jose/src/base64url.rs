//! Base64url as JOSE uses it (RFC 7515, section 2), and not one spelling more.
//!
//! Every byte string has exactly one encoding here. A decoder that also took padding, line
//! breaks, the `+/` alphabet or stray bits in the last character would give one signature many
//! token strings, and a cache or deny-list keyed by the string would miss them.

use base64_simd::URL_SAFE_NO_PAD;

/// The input was not the one base64url encoding of some byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not base64url without padding")]
pub struct InvalidBase64Url;

/// Encodes `bytes` without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Decodes `text`, which must be exactly what [`encode`] writes: no padding, no white space, no
/// other alphabet, and no bits set beyond the last whole byte (RFC 4648, section 3.5).
pub fn decode(text: &str) -> Result<Vec<u8>, InvalidBase64Url> {
    URL_SAFE_NO_PAD
        .decode_to_vec(text)
        .map_err(|_| InvalidBase64Url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(decode("Zm8").unwrap(), b"fo");
        assert_eq!(decode("").unwrap(), b"");
        for text in [
            "Zm8=",
            "Zm9v\n",
            " Zm9v",
            "Zm 9v",
            "Zm9",
            "Z",
            "+/+/",
            "Zm9v=",
            "=",
            "Zm9\u{e9}",
        ] {
            assert_eq!(decode(text), Err(InvalidBase64Url), "{text:?}");
        }
    }

    /// Long texts are decoded many characters at once, and their ends one by one.
    #[test]
    fn a_wrong_character_is_found_wherever_it_stands() {
        let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        for length in [1, 2, 3, 11, 12, 23, 24, 25, 47, 48, 49, 64, 95, 96, 97, 130] {
            let text = encode(&vec![0b1010_0101; length]);
            for place in 0..text.len() {
                let (before, rest) = text.split_at(place);
                for byte in (0..=0x7f).filter(|byte| !is_ours(*byte)) {
                    let wrong = [before, &rest[1..]].join(std::str::from_utf8(&[byte]).unwrap());
                    assert_eq!(decode(&wrong), Err(InvalidBase64Url), "{wrong:?}");
                }
                let wrong = [before, &rest[1..]].join("\u{e9}");
                assert_eq!(decode(&wrong), Err(InvalidBase64Url), "{wrong:?}");
            }
        }
    }

    #[test]
    fn bits_beyond_the_last_byte_are_refused_at_any_length() {
        for length in 0..200 {
            let bytes = vec![0xff; length];
            let text = encode(&bytes);
            assert_eq!(decode(&text).as_ref(), Ok(&bytes));
            let Some(rest) = text.get(..text.len().saturating_sub(1)) else {
                continue;
            };
            let spellings = (0..=0x7f_u8).map(|last| format!("{rest}{}", char::from(last)));
            let read: Vec<Vec<u8>> = spellings.filter_map(|text| decode(&text).ok()).collect();
            let mut different = read.clone();
            different.sort();
            different.dedup();
            assert_eq!(read.len(), different.len(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn bytes_survive_the_round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn whatever_decodes_has_one_spelling(text in "[A-Za-z0-9_=+/-]{0,12}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
