//! Modhex: hexadecimal in letters that stand in the same place on most keyboards.

/// The digits in order of their value.
const ALPHABET: [u8; 16] = *b"cbdefghijklnrtuv";

/// The same keys on a US Dvorak keyboard.
pub(super) const DVORAK: [u8; 16] = *b"jxe.uidchtnbpygk";

/// Whether `text` has letters of the alphabet only.
pub(super) fn is_modhex(text: &str) -> bool {
    text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// Exactly `N` bytes from `2 * N` letters.
pub(super) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (value(*high)? << 4) | value(*low)?;
    }
    Some(bytes)
}

#[cfg(any(feature = "sim", test))]
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for value in [byte >> 4, byte & 0xf] {
            out.extend(ALPHABET.get(usize::from(value)).map(|it| char::from(*it)));
        }
    }
}

/// The letter that the same key types on the keyboard that modhex is made for.
pub(super) fn from_dvorak(byte: u8) -> Option<char> {
    let at = DVORAK.iter().position(|it| *it == byte)?;
    ALPHABET.get(at).map(|it| char::from(*it))
}

fn value(letter: u8) -> Option<u8> {
    let at = ALPHABET.iter().position(|it| *it == letter)?;
    u8::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Yubico, `test-vectors.txt` of yubico-c, section "Modhex". Its second `test` is a slip of the
    /// pen: the letters beside it say `foobar`.
    #[test]
    fn the_published_examples_come_out() {
        for (hex, modhex) in [
            ("2d344e83", "dteffuje"),
            (
                "69b6481c8baba2b60e8f22179b58cd56",
                "hknhfjbrjnlnldnhcujvddbikngjrtgh",
            ),
            (
                "ecde18dbe76fbd0c33330f1c354871db",
                "urtubjtnuihvntcreeeecvbregfjibtn",
            ),
            ("74657374", "ifhgieif"),
            ("666f6f626172", "hhhvhvhdhbid"),
        ] {
            let bytes: Vec<u8> = hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let mut encoded = String::new();
            encode(&bytes, &mut encoded);
            assert_eq!(encoded, modhex);
            assert!(is_modhex(modhex));
            match bytes.len() {
                4 => assert_eq!(decode::<4>(modhex).unwrap(), *bytes),
                6 => assert_eq!(decode::<6>(modhex).unwrap(), *bytes),
                _ => assert_eq!(decode::<16>(modhex).unwrap(), *bytes),
            }
        }
    }

    #[test]
    fn other_letters_and_lengths_are_refused() {
        for text in ["ccc", "ccccc", "CCCC", "cc c", "ccca", "ccé", ""] {
            assert_eq!(decode::<2>(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_keys_of_the_other_keyboard_are_in_the_same_order() {
        let typed: String = DVORAK.iter().filter_map(|it| from_dvorak(*it)).collect();
        assert_eq!(typed.as_bytes(), ALPHABET);
        assert_eq!(from_dvorak(b'v'), None);
    }
}
