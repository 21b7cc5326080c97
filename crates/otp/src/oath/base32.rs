//! Base32 (RFC 4648, section 6), for secrets that a person may have to type.

use zeroize::Zeroizing;

const ALPHABET: [u8; 32] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Without padding, as authenticators expect it.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
    for chunk in bytes.chunks(5) {
        let bits = chunk
            .iter()
            .chain([0; 5].iter())
            .take(5)
            .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let letters = (chunk.len() * 8).div_ceil(5);
        for at in 0..letters {
            let value = (bits >> (35 - 5 * at)) & 31;
            let letter = usize::try_from(value).ok().and_then(|it| ALPHABET.get(it));
            text.extend(letter.map(|it| char::from(*it)));
        }
    }
    text
}

/// Exactly what [`encode`] writes, with or without the padding that belongs to it; letters of
/// either case. `None` for blanks, stray bits and everything else.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let letters = text.trim_end_matches('=');
    let padding = text.len() - letters.len();
    if padding > 0 && !(text.len().is_multiple_of(8) && padding < 8) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(letters.len() * 5 / 8));
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters.bytes() {
        let letter = letter.to_ascii_uppercase();
        let value = ALPHABET.iter().position(|it| *it == letter)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    // Five bits or more left over are a letter too many; others must not say anything.
    (count < 5 && bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        // RFC 4648, section 10.
        for (plain, padded) in [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ] {
            assert_eq!(
                encode(plain.as_bytes()).as_str(),
                padded.trim_end_matches('=')
            );
            for text in [padded, padded.trim_end_matches('='), &padded.to_lowercase()] {
                assert_eq!(decode(text).unwrap().as_slice(), plain.as_bytes());
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "M",
            "MZX",
            "MZXW6Y",
            "MZ",
            "MY=",
            "MY=======",
            "========",
            "MZXW 6",
            "MZXW-6",
            "MZXW6YT8",
            "MZXW6YT1",
            "=MY=====",
            "MY======A",
            "é",
        ] {
            assert!(decode(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_survive_the_round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(&*decode(&encode(&bytes)).unwrap(), &bytes);
        }

        #[test]
        fn whatever_decodes_has_one_spelling(text in "[A-Z2-7]{0,24}") {
            if let Some(bytes) = decode(&text) {
                let again = encode(&bytes);
                prop_assert_eq!(again.as_str(), text);
            }
        }
    }
}
