//! A token with any content: it is refused or read, and never believed without the key.

#![no_main]

use std::sync::LazyLock;

use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, Claims, KeySet, SigningKey, Unverified};
use libfuzzer_sys::fuzz_target;

/// Made anew by each process: no input can hold its signature.
static KEY: LazyLock<(SigningKey, KeySet)> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::EdDsa, ring::provider()).expect("random numbers");
    let set = KeySet::from(key.verifying_key().expect("it was just made"));
    (key, set)
});

fuzz_target!(|bytes: &[u8]| {
    let (key, set) = &*KEY;

    // The bytes are a token from outside.
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(token) = Unverified::<Claims>::parse(text)
    {
        let _ = token.unverified_issuer();
        assert!(
            token.verify(set, &Algorithm::ALL).is_err(),
            "believed without the key"
        );
    }

    // The bytes are the payload of a token that is signed well.
    let Ok(signed) = key.sign_bytes("JWT", bytes) else {
        return;
    };
    let Ok(token) = Unverified::<Claims>::parse(&signed) else {
        return;
    };
    assert!(token.verify(set, &[]).is_err(), "no algorithm was allowed");
    let Ok(claims) = token.verify(set, &[Algorithm::EdDsa]) else {
        return;
    };
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(bytes) else {
        panic!("read claims from what is no JSON object");
    };
    assert_eq!(
        claims.names().count(),
        members.len(),
        "a member was doubled or lost"
    );
    for name in members.keys() {
        let _ = claims.str(name);
        let _ = claims.bool(name);
        let _ = claims.u64(name);
        let _ = claims.numeric_date(name);
        let _ = claims.string_or_array(name);
        assert_eq!(claims.get(name), members.get(name));
    }
    let _ = claims.scope();
    let _ = format!("{:?}", *claims);
});
