//! Any document: it is read as another reader reads it, or refused for a reason that holds.

#![no_main]

use countersign_jose::JsonError;
use countersign_jose::json::{MAX_DEPTH, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MAX_LEN: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let other: Result<Value, _> = serde_json::from_slice(bytes);
    match parse(bytes, MAX_LEN) {
        Ok(claims) => {
            let Ok(Value::Object(other)) = other else {
                panic!("took what is no JSON object");
            };
            assert_eq!(claims.names().count(), other.len(), "doubled or lost");
            for (name, value) in &other {
                assert!(claims.contains(name), "not found");
                assert_eq!(claims.get(name), Some(value));
            }
        }
        Err(JsonError::Syntax { .. } | JsonError::NotUtf8) => {
            assert!(other.is_err(), "refused what is JSON");
        }
        Err(JsonError::NotAnObject) => {
            assert!(other.is_ok_and(|other| !other.is_object()));
        }
        // Of a name that is repeated, the other takes the last value.
        Err(JsonError::DuplicateMember) => assert!(other.is_ok()),
        Err(JsonError::TooDeep) => {
            let opened = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{'));
            assert!(opened.count() > MAX_DEPTH);
        }
        Err(JsonError::TooLarge { .. }) => assert!(bytes.len() > MAX_LEN),
        Err(other) => panic!("a reason of which nothing is known here: {other}"),
    }
});
