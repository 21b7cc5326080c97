//! A key set with any content: usable keys are kept, the others are reported, nothing else happens.

#![no_main]

use std::collections::HashSet;

use countersign_jose::crypto::ring;
use countersign_jose::{KeySet, VerifyingKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = VerifyingKey::from_json(bytes, ring::provider());
    let Ok(set) = KeySet::from_json(bytes, ring::provider()) else {
        return;
    };
    let total = set.keys().len() + set.skipped().len();
    assert!(total <= countersign_jose::jwk::MAX_KEYS);
    let mut ids = HashSet::new();
    for key in set.keys() {
        assert!(
            key.kid().is_none_or(|kid| ids.insert(kid)),
            "an id that means two keys"
        );
        assert!(
            key.algorithms().next().is_some(),
            "a key that is good for nothing"
        );
        let thumbprint = key.thumbprint();
        assert_eq!(thumbprint.len(), 43, "SHA-256 in base64url");
        for algorithm in key.algorithms() {
            assert!(key.verify(algorithm, b"message", b"no signature").is_err());
            assert!(key.verify(algorithm, b"message", &[0; 64]).is_err());
            assert!(
                set.candidates(key.kid(), algorithm)
                    .any(|it| it.thumbprint() == thumbprint)
            );
        }
    }
    for skipped in set.skipped() {
        assert!(!skipped.problem().to_string().is_empty());
        assert!(skipped.index() < total);
    }
});
