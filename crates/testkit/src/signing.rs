//! Keys and tokens for the scripted provider: right ones, and every kind of wrong one.
//!
//! Not responsible for: refusing anything. What is asked for is signed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

/// A key that signs: P-256 with ES256, or RSA with RS256.
pub struct Key {
    kid: String,
    pair: Pair,
}

enum Pair {
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<rsa::KeyPair>),
}

/// How a token's signature is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// As it should be.
    #[default]
    Good,
    /// A good signature with one bit turned.
    Corrupt,
    /// `alg` is `none` and the third part is empty (RFC 7519, section 6).
    Unsecured,
    /// `alg` is `HS256`, and the secret is the published public key: what a verifier falls for that
    /// lets the token choose the algorithm (RFC 8725, section 2.1).
    HmacWithPublicKey,
    /// Signed by a key that was never published, under the `kid` of one that was.
    ForeignKey,
}

impl Key {
    /// A new P-256 key with this key id.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn generate(kid: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .expect("the system has random numbers");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
                .expect("a key that was just made can be read");
        Self {
            kid: kid.to_owned(),
            pair: Pair::P256(Box::new(pair)),
        }
    }

    /// The RSA key of all tests, under this key id: making a new one would take a second, and this
    /// one protects nothing.
    ///
    /// # Panics
    /// Never: the key is part of the program.
    pub fn rsa(kid: &str) -> Self {
        let text = include_str!("rsa.pk8.b64").split_whitespace();
        let pkcs8 = STANDARD
            .decode(text.collect::<String>())
            .expect("the file is Base64");
        let pair = rsa::KeyPair::from_pkcs8(&pkcs8).expect("the file is an RSA key");
        Self {
            kid: kid.to_owned(),
            pair: Pair::Rsa(Box::new(pair)),
        }
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a member of a key set (RFC 7517).
    pub fn jwk(&self) -> Value {
        match &self.pair {
            Pair::P256(pair) => {
                // An uncompressed point: one byte of form, then x and y of equal length.
                let (_, point) = pair.public_key().as_ref().split_at(1);
                let (x, y) = point.split_at(point.len() / 2);
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
                    "x": encode(x), "y": encode(y),
                })
            }
            Pair::Rsa(pair) => {
                let public: rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                    "n": encode(&public.n), "e": encode(&public.e),
                })
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::P256(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    /// The public key as the library below has it.
    fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::P256(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    /// A compact JWS over these claims. `header` members are added to `alg` and `kid`, or replace
    /// them; a `kid` that is null is left out.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn sign(&self, header: &Value, claims: &Value, signature: Signature) -> String {
        self.sign_bytes(header, claims.to_string().as_bytes(), signature)
    }

    /// As `sign`, over any bytes: for payloads that are not even JSON.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn sign_bytes(&self, header: &Value, payload: &[u8], signature: Signature) -> String {
        let alg = match signature {
            Signature::Unsecured => "none",
            Signature::HmacWithPublicKey => "HS256",
            _ => self.algorithm(),
        };
        let mut protected = json!({ "alg": alg, "kid": self.kid });
        if let (Some(protected), Some(header)) = (protected.as_object_mut(), header.as_object()) {
            protected.extend(header.clone());
            protected.retain(|name, member| name != "kid" || !member.is_null());
        }
        let input = format!(
            "{}.{}",
            encode(protected.to_string().as_bytes()),
            encode(payload)
        );
        let mut value = match signature {
            Signature::Unsecured => Vec::new(),
            Signature::HmacWithPublicKey => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.public_bytes());
                hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
            }
            Signature::ForeignKey => match self.pair {
                Pair::P256(_) => Key::generate(&self.kid).raw_signature(input.as_bytes()),
                // There is one RSA key only; over other bytes its signature is as foreign.
                Pair::Rsa(_) => self.raw_signature(b"something else"),
            },
            Signature::Good | Signature::Corrupt => self.raw_signature(input.as_bytes()),
        };
        if signature == Signature::Corrupt
            && let Some(last) = value.last_mut()
        {
            *last ^= 1;
        }
        format!("{input}.{}", encode(&value))
    }

    /// A signature over any bytes, in the form that JWS gives it: for what looks like a JWS and is
    /// none.
    ///
    /// # Panics
    /// When the system has no random numbers.
    pub fn raw_signature(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) => pair
                .sign(&random, input)
                .expect("the system has random numbers")
                .as_ref()
                .to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)
                    .expect("the signature is as long as the modulus");
                signature
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// The left half of the token's SHA-256: the value of `at_hash` (OpenID Connect Core, section
/// 3.1.3.6).
pub(crate) fn at_hash(access_token: &str) -> String {
    let hash = digest::digest(&digest::SHA256, access_token.as_bytes());
    encode(hash.as_ref().split_at(16).0)
}

/// The SHA-256 of a text in Base64url: `S256` of PKCE, `ath` of DPoP, thumbprints.
pub(crate) fn sha256(text: &str) -> String {
    encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// Base64url without padding (RFC 7515, section 2).
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
