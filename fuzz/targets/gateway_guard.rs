//! A stream of requests, in one piece and in many, beside the parser that reads it after the guard.
//!
//! The module is taken from the gateway's source and not from its crate, which would bring a TLS
//! library along to be built with coverage.

#![no_main]

#[allow(dead_code, reason = "the gateway uses the rest")]
#[path = "../../crates/gateway/src/listen/guard.rs"]
mod guard;

use guard::Guard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else {
        return;
    };
    let mut whole = bytes.to_vec();
    let found = Guard::default().watch(&mut whole);
    let mut guard = Guard::default();
    let mut pieces = bytes.to_vec();
    let in_pieces = pieces
        .chunks_mut(usize::from(piece).max(1))
        .find_map(|piece| guard.watch(piece));
    // Where the bytes are divided says nothing.
    assert_eq!(
        found.map(|found| found.problem),
        in_pieces.map(|found| found.problem)
    );
    if found.is_some() {
        return;
    }
    assert_eq!(whole, bytes, "what is sound stays as it is");

    // A first head that both take is told in one way only.
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else {
        return;
    };
    let head = &bytes[..length];
    for (at, byte) in head.iter().enumerate() {
        if *byte == b'\n' {
            assert!(at > 0 && head[at - 1] == b'\r', "a bare line feed");
        }
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let headers = request.headers.iter();
        let named = headers.filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    assert!(
        lengths.len() + codings.len() <= 1,
        "two ways to tell the length"
    );
    for length in lengths {
        assert!(!length.is_empty() && length.iter().all(u8::is_ascii_digit));
    }
    for coding in codings {
        assert!(coding.eq_ignore_ascii_case(b"chunked"));
    }
});
