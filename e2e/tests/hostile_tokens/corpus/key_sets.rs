//! Key sets as issuers have published them, by mistake or not.

use serde_json::{Value, json};

use super::{Forge, KID, OTHER_KID, changed, hmac};
use crate::signer::encode;

impl Forge<'_> {
    /// RFC 7517, sections 4 and 5; RFC 8725, section 3.5: sets as issuers have published them, by mistake
    /// or not.
    pub(super) fn key_sets(&mut self) {
        let good = self.good();
        let mine = self.signer.jwk(KID);
        let other = self.other.jwk(OTHER_KID);
        let with = |changes: &Value| changed(mine.clone(), changes);
        for (name, keys) in [
            ("nobody's key", json!([other])),
            (
                "the key for encryption",
                json!([with(&json!({ "use": "enc" }))]),
            ),
            (
                "the key for signing only",
                json!([with(&json!({ "use": null, "key_ops": ["sign"] }))]),
            ),
            (
                "the key under another alg",
                json!([with(&json!({ "alg": "RSA-OAEP" }))]),
            ),
            (
                "the key as a private one",
                json!([with(&json!({ "d": "AQAB" }))]),
            ),
            (
                "the key of another type",
                json!([with(&json!({ "kty": "oct", "k": "c2VjcmV0" }))]),
            ),
            ("two keys of one kid", json!([mine, self.foreign.jwk(KID)])),
            (
                "a foreign key under the kid",
                json!([self.foreign.jwk(KID)]),
            ),
        ] {
            self.push_with(
                format!("key set has {name}"),
                good.clone(),
                json!({ "keys": keys }),
                false,
            );
        }
        let header = self.header_with(&json!({ "alg": "HS256", "kid": "sym" }));
        let input = format!("{}.{}", encode(header), encode(self.claims().to_string()));
        let token = format!(
            "{input}.{}",
            encode(hmac("HS256", b"secret", input.as_bytes()))
        );
        let secret = json!({ "kty": "oct", "k": encode("secret"), "kid": "sym", "alg": "HS256" });
        self.push_with(
            "HS256 by a symmetric key of the set",
            token,
            json!({ "keys": [mine, secret] }),
            false,
        );
        // One key that nobody can read is no reason to refuse the others' tokens.
        for (name, stranger) in [
            (
                "post-quantum",
                json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA" }),
            ),
            (
                "X25519",
                json!({ "kty": "OKP", "crv": "X25519", "kid": "x", "x": encode([9; 32]) }),
            ),
            (
                "Ed448",
                json!({ "kty": "OKP", "crv": "Ed448", "kid": "x", "x": encode([9; 57]) }),
            ),
            (
                "secp256k1",
                json!({ "kty": "EC", "crv": "secp256k1", "kid": "k", "x": encode([1; 32]), "y": encode([2; 32]) }),
            ),
            ("symmetric", secret.clone()),
            ("unknown", json!({ "kty": "banana", "kid": "x" })),
            ("odd x5c", changed(other.clone(), &json!({ "x5c": "MIIB" }))),
            ("no kty", json!({ "kid": "x" })),
        ] {
            self.push_with(
                format!("good token, key set has one more key: {name}"),
                good.clone(),
                json!({ "keys": [stranger, mine] }),
                true,
            );
        }
        self.push_with(
            "good token, key without alg and use",
            good,
            json!({ "keys": [with(&json!({ "alg": null, "use": null }))] }),
            true,
        );
    }
}
