//! A proof of possession with any content: it is refused or read, and never believed without the key.

#![no_main]

use std::sync::LazyLock;

use countersign_jose::crypto::ring;
use countersign_jose::dpop::{self, Expected, MAX_JTI, Proof};
use countersign_jose::{Algorithm, SigningKey, Timestamp, base64url};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const ADDRESS: &str = "https://id.example.com/token";

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256, ring::provider()).expect("a key"));

/// Checks a proof, and what must hold whichever way that ends. Says whose key it was.
fn check(proof: &str, address: &str) -> Option<String> {
    let mut expected = Expected::new("POST", address);
    expected.nonces = Some(&["n-1"]);
    match dpop::verify(proof, &expected, ring::provider(), NOW) {
        Ok(verified) => {
            assert!((1..=MAX_JTI).contains(&verified.jti().len()));
            assert_eq!(verified.thumbprint().len(), 43);
            assert!(verified.fresh_until() > NOW && verified.iat() <= verified.fresh_until());
            Some(verified.thumbprint().to_owned())
        }
        Err(error) => {
            assert!(!error.code().is_empty() && !error.to_string().is_empty());
            let line = error.to_string();
            assert!(!line.chars().any(char::is_control), "{line:?}");
            None
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // As it came, against a real address and as an address.
    check(&text, ADDRESS);
    let real = Proof {
        htm: "POST",
        htu: ADDRESS,
        access_token: None,
        nonce: Some("n-1"),
    };
    let real = real.sign(&KEY, NOW).expect("a proof");
    let believed = check(&real, &text).is_some();
    assert_eq!(
        believed,
        check(&real, &format!("{text}#x")).is_some() || text == ADDRESS
    );

    // Signed by a key, with these claims.
    if let Ok(signed) = KEY.sign_bytes(dpop::TYPE, bytes) {
        assert_eq!(check(&signed, ADDRESS), None, "a header without a key");
    }
    // With a real header and a real signature, but not of these claims.
    let mut parts = real.split('.');
    let (header, claims, signature) = (parts.next(), parts.next(), parts.next());
    let other = base64url::encode(bytes);
    if let (Some(header), Some(claims), Some(signature)) = (header, claims, signature) {
        let forged = check(&format!("{header}.{other}.{signature}"), ADDRESS);
        assert!(
            forged.is_none() || other == claims,
            "somebody else's signature"
        );
        let forged = check(&format!("{other}.{claims}.{signature}"), ADDRESS);
        assert!(forged.is_none() || other == header, "somebody else's key");
    }
});
