//! Hex and percent-encoding, as far as they are needed here, and text for messages.

use std::fmt::Write as _;

/// Bytes from exactly `2 * N` hexadecimal digits of either case.
pub(crate) fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Appends `text` with everything but unreserved characters percent-encoded (RFC 3986, section
/// 2.3). A blank becomes `%20`, which both forms and paths understand.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Undoes percent-encoding once. `None` if it is not well-formed, or not text with nothing
/// invisible in it.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            (digit(rest.next()?)? << 4) | digit(rest.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| text.chars().all(is_visible))
}

/// Not a control character, and none that turns the direction of writing.
pub(crate) fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_exactly_its_length() {
        assert_eq!(hex("00fF"), Some([0, 255]));
        for text in ["00f", "00ff0", "0x12", "+1+1", "", "zz00", "é0"] {
            assert_eq!(hex::<2>(text), None, "{text:?}");
        }
    }

    #[test]
    fn percent_encoding_survives_the_round_trip() {
        let text = "Größe & Co:a/b?c=d+e%";
        let mut encoded = String::new();
        percent_encode(text, &mut encoded);
        assert!(encoded.is_ascii() && !encoded.contains([' ', ':', '&', '+', '/']));
        assert_eq!(percent_decode(&encoded).as_deref(), Some(text));
        for text in ["%", "%4", "%zz", "%ff", "%0a", "%e2%80%ae"] {
            assert_eq!(percent_decode(text), None, "{text:?}");
        }
    }
}
