//! A question of Envoy of any bytes, as they come and put together of parts.
//!
//! The modules are taken from the gateway's source and not from its crate, which would bring a TLS
//! library along to be built with coverage.

#![no_main]

#[path = "../../crates/gateway/src/forward/check_request.rs"]
mod check_request;
#[path = "../../crates/gateway/src/forward/subject.rs"]
mod subject;
#[allow(dead_code, reason = "the gateway uses the rest")]
#[path = "../../crates/gateway/src/forward/wire.rs"]
mod wire;

use check_request::{NoQuestion, question};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use subject::Subject;
use wire::{Message, Value, fields};

fuzz_target!(|bytes: &[u8]| {
    // What has been read is written, and read again as the same.
    if let Ok(subject) = question(bytes) {
        check(&subject);
        let same = question(&written(&subject)).expect("what we wrote ourselves");
        assert_eq!(told(&same), told(&subject));
    }
    if let Ok(subject) = question(&framed(bytes)) {
        check(&subject);
    }
    let mut copy = Message::default();
    let read = fields(bytes, |field, value| {
        assert!(field > 0);
        copy = match value {
            Value::Number(number) => std::mem::take(&mut copy).number(field, number),
            Value::Bytes(bytes) => std::mem::take(&mut copy).bytes(field, bytes),
        };
        Ok(())
    });
    // Of what a message says, nothing is lost on the way: zeros are not written, and fixed numbers not
    // read.
    if read.is_ok() {
        let mut again = Message::default();
        let copy = copy.into_bytes();
        fields(&copy, |field, value| {
            again = match value {
                Value::Number(number) => std::mem::take(&mut again).number(field, number),
                Value::Bytes(bytes) => std::mem::take(&mut again).bytes(field, bytes),
            };
            Ok(())
        })
        .expect("what we wrote ourselves");
        assert_eq!(again.into_bytes(), copy);
    }

    // Lines are the parts of a question.
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let [method, target, host, headers @ ..] = &lines[..] else {
        return;
    };
    let headers = headers.iter().map(|line| {
        let end = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(end.unwrap_or(line.len()));
        (name, value.get(1..).unwrap_or_default())
    });
    let mut expected = HeaderMap::new();
    let mut sound = true;
    for (name, value) in headers.clone() {
        let name = HeaderName::from_bytes(name);
        match (name, HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(value)) => drop(expected.append(name, value)),
            _ => sound = false,
        }
    }
    let asked = question(&call(method, target, host, headers));
    let method = Method::from_bytes(method).ok();
    let host = std::str::from_utf8(host).ok();
    let host = host.filter(|host| !host.is_empty());
    let host = host.and_then(|host| HeaderValue::from_str(host).ok());
    match (asked, method, std::str::from_utf8(target), host) {
        (Ok(subject), Some(method), Ok(target), Some(host)) => {
            assert!(sound);
            assert_eq!(subject.method, method);
            assert_eq!((&*subject.target, &subject.host), (target, &host));
            assert_eq!(subject.headers, expected);
        }
        (Err(_), Some(_), Ok(_), Some(_)) => assert!(!sound),
        (Err(_), ..) => {}
        (Ok(subject), ..) => panic!("{subject:?} was never asked"),
    }
});

/// What holds for every question.
fn check(subject: &Subject) {
    assert!(!subject.host.is_empty());
    assert!(subject.body.is_some());
    for name in subject.headers.keys() {
        assert!(!name.as_str().starts_with(':'));
    }
    for problem in [
        NoQuestion::Malformed,
        NoQuestion::Incomplete,
        NoQuestion::Unfit,
    ] {
        assert!(!problem.code().is_empty());
    }
}

/// All of it but the address, which comes from another part of the message.
fn told(subject: &Subject) -> (&Method, &str, &HeaderValue, &HeaderMap) {
    (
        &subject.method,
        &subject.target,
        &subject.host,
        &subject.headers,
    )
}

fn written(subject: &Subject) -> Vec<u8> {
    let headers = subject.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    call(
        subject.method.as_str().as_bytes(),
        subject.target.as_bytes(),
        subject.host.as_bytes(),
        headers,
    )
}

fn call<'h>(
    method: &[u8],
    target: &[u8],
    host: &[u8],
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) -> Vec<u8> {
    let mut http = Message::default()
        .bytes(2, method)
        .bytes(4, target)
        .bytes(5, host);
    for (name, value) in headers {
        http = http.message(3, &Message::default().bytes(1, name).bytes(2, value));
    }
    let request = Message::default().message(2, &http);
    let attributes = Message::default().message(4, &request);
    framed(&Message::default().message(1, &attributes).into_bytes())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short input");
    [&[0][..], &length.to_be_bytes(), message].concat()
}
