//! A path of any bytes, brought into its one form.
//!
//! The module is taken from the gateway's source and not from its crate, which would bring a TLS
//! library along to be built with coverage.

#![no_main]

#[allow(dead_code, reason = "the gateway uses the rest")]
#[path = "../../crates/gateway/src/route/path.rs"]
mod path;

use libfuzzer_sys::fuzz_target;
use path::canonical;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(form) = canonical(text) else {
        return;
    };
    // One form, and the form of itself.
    assert_eq!(canonical(&form).as_deref(), Ok(&*form));
    assert!(form.starts_with('/') && form.is_ascii(), "{form:?}");
    // It means what was written.
    let decoded = decode(&form);
    assert_eq!(decoded, decode(text));
    // Whoever decodes it, once or not at all, finds the same segments.
    let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
    assert_eq!(slashes(form.as_bytes()), slashes(&decoded));
    let segments: Vec<&[u8]> = decoded.split(|byte| *byte == b'/').collect();
    let last = segments.len() - 1;
    for (at, segment) in segments.iter().enumerate().skip(1) {
        assert!(!matches!(*segment, b"." | b".."), "{form:?}");
        assert!(at == last || !segment.is_empty(), "{form:?}");
    }
    for byte in decoded {
        assert!(
            byte >= 0x20 && byte != 0x7f && !b"\\;#?%".contains(&byte),
            "{form:?}"
        );
    }
});

/// Percent signs resolved once (RFC 3986, section 2.1); only what is sound gets here.
fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [
                bytes.next().expect("a digit"),
                bytes.next().expect("a digit"),
            ];
            let digits = std::str::from_utf8(&digits).expect("digits are ASCII");
            out.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
        } else {
            out.push(byte);
        }
    }
    out
}
