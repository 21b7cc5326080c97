//! Private keys that sign tokens.
//!
//! How a key is stored and when it is replaced is for the caller; here it is made, read from and
//! written to PKCS#8, and used.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto::{CryptoProvider, Signer};
use crate::error::{Error, KeyProblem};
use crate::jwk::{PublicKey, VerifyingKey};
use crate::jws::{self, NamedBy};
use crate::{Algorithm, base64url};

/// A private key for one of [`SigningKey::ALGORITHMS`].
///
/// `Debug` shows its algorithm and its `kid`. The PKCS#8 bytes are wiped on drop.
pub struct SigningKey {
    algorithm: Algorithm,
    kid: String,
    public: PublicKey,
    signer: Box<dyn Signer>,
    pkcs8: Zeroizing<Vec<u8>>,
    provider: &'static CryptoProvider,
}

impl SigningKey {
    /// The algorithms that can sign. Every other [`Algorithm`] can only be verified.
    pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

    /// Makes a new key; its `kid` is the thumbprint of RFC 7638.
    ///
    /// RSA keys have 2048 bits, and *ring* does not make them: with it, [`Algorithm::Rs256`] is
    /// refused with [`crate::CryptoError::Unsupported`].
    pub fn generate(
        algorithm: Algorithm,
        provider: &'static CryptoProvider,
    ) -> Result<Self, Error> {
        let pkcs8 = provider.generate_pkcs8(algorithm)?;
        Self::from_pkcs8(algorithm, None, pkcs8, provider)
    }

    /// Reads a PKCS#8 private key (RFC 5958), unencrypted DER.
    ///
    /// `kid` is the id to sign with; `None` takes the thumbprint of RFC 7638. RSA keys must have 2048
    /// to 8192 bits and sound numbers, as when verifying.
    pub fn from_pkcs8_der(
        algorithm: Algorithm,
        kid: Option<String>,
        der: &[u8],
        provider: &'static CryptoProvider,
    ) -> Result<Self, Error> {
        Self::from_pkcs8(algorithm, kid, Zeroizing::new(der.to_vec()), provider)
    }

    fn from_pkcs8(
        algorithm: Algorithm,
        kid: Option<String>,
        pkcs8: Zeroizing<Vec<u8>>,
        provider: &'static CryptoProvider,
    ) -> Result<Self, Error> {
        let signer = provider.signer(algorithm, &pkcs8).map_err(Error::Key)?;
        let public = signer
            .public_key()
            .ok_or(Error::Key(KeyProblem::NotAPublicKey))?;
        // What we sign must be acceptable to ourselves.
        VerifyingKey::new(None, public.clone(), &[algorithm], provider).map_err(Error::Key)?;
        let kid = kid.unwrap_or_else(|| public.thumbprint(provider));
        Ok(Self {
            algorithm,
            kid,
            public,
            signer,
            pkcs8,
            provider,
        })
    }

    /// The private key as PKCS#8 DER, lent so that no copy escapes the wiping: whoever holds these
    /// bytes can sign.
    pub fn to_pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The algorithm this key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` that is written into every header.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The thumbprint of the public half (RFC 7638) with SHA-256, in base64url: what a token says that is
    /// bound to this key (`jkt`; RFC 9449, section 6.1).
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint(self.provider)
    }

    /// The provider that the key was made with.
    pub fn provider(&self) -> &'static CryptoProvider {
        self.provider
    }

    /// The public half as a JWK with `kid`, `alg` and `use`, ready to be published.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.to_members();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".to_owned(), self.kid.clone().into());
            members.insert("alg".to_owned(), self.algorithm.name().into());
            members.insert("use".to_owned(), "sig".into());
        }
        jwk
    }

    /// The public half, to verify with.
    pub fn verifying_key(&self) -> Result<VerifyingKey, Error> {
        let kid = Some(self.kid.clone());
        VerifyingKey::new(kid, self.public.clone(), &[self.algorithm], self.provider)
            .map_err(Error::Key)
    }

    /// Signs `claims`, which must serialise to a JSON object, and gives the token in compact
    /// serialisation. Its header holds `alg`, `typ` and `kid`.
    pub fn sign<C: Serialize + ?Sized>(&self, typ: &str, claims: &C) -> Result<String, Error> {
        let payload = serde_json::to_vec(claims).map_err(|_| Error::NotAnObject)?;
        if payload.first() != Some(&b'{') {
            return Err(Error::NotAnObject);
        }
        self.sign_bytes(typ, &payload)
    }

    /// Signs a payload of any kind.
    pub fn sign_bytes(&self, typ: &str, payload: &[u8]) -> Result<String, Error> {
        self.sign_naming(&NamedBy::Id(&self.kid), typ, payload)
    }

    /// Signs `claims` under a header that holds the public key itself, for whoever does not know it
    /// yet. Only a reader that asks for such a token may look at that key; see [`crate::dpop`].
    pub(crate) fn sign_with_key<C: Serialize>(
        &self,
        typ: &str,
        claims: &C,
    ) -> Result<String, Error> {
        let payload = serde_json::to_vec(claims).map_err(|_| Error::NotAnObject)?;
        self.sign_naming(&NamedBy::Key(self.public.to_members()), typ, &payload)
    }

    fn sign_naming(&self, key: &NamedBy<'_>, typ: &str, payload: &[u8]) -> Result<String, Error> {
        let mut token = jws::signing_input(self.algorithm, typ, key, payload)?;
        let signature = self.signer.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
