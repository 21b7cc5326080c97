//! An issuer, and tokens that it never meant to sign.

use countersign_jose::{
    Algorithm, CryptoProvider, Error, KeySet, SigningKey, Unverified, base64url,
};
use serde_json::{Value, json};

use super::{key_set, providers};

/// An issuer with one ES256 key, and what it published.
pub(crate) struct Issuer {
    pub(crate) provider: &'static CryptoProvider,
    pub(crate) key: SigningKey,
    pub(crate) keys: KeySet,
}

impl Issuer {
    pub(crate) fn all() -> Vec<Self> {
        let issuer = |provider| {
            let key = SigningKey::generate(Algorithm::Es256, provider).unwrap();
            let keys = key_set(&[key.public_jwk()], provider);
            Self {
                provider,
                key,
                keys,
            }
        };
        providers().into_iter().map(issuer).collect()
    }

    pub(crate) fn verify(&self, token: &str) -> Result<(), Error> {
        let token: Unverified<'_> = Unverified::parse(token)?;
        token.verify(&self.keys, &Algorithm::ALL).map(drop)
    }

    /// A header that would be fine, with other members set.
    pub(crate) fn header(&self, members: Value) -> String {
        let mut header = json!({ "alg": "ES256", "kid": self.key.kid(), "typ": "at+jwt" });
        let Value::Object(members) = members else {
            unreachable!()
        };
        header.as_object_mut().unwrap().extend(members);
        header.to_string()
    }
}

/// A token with any header and payload, and the signature of a real one.
pub(crate) fn forge(issuer: &Issuer, header: &str, payload: &str) -> String {
    let real = issuer.key.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
    let signature = real.rsplit_once('.').unwrap().1;
    format!(
        "{}.{}.{signature}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload.as_bytes())
    )
}

/// A token with any header and payload that the key of the issuer really signed, so that nothing
/// but the rule under test can refuse it.
pub(crate) fn signed(issuer: &Issuer, header: &str, payload: &[u8]) -> String {
    super::sign_raw(&issuer.key, header.as_bytes(), payload, issuer.provider)
}
