//! Demonstrating proof of possession (RFC 9449, section 4): a small token beside a request, which
//! shows that whoever sends it holds a key.
//!
//! Not responsible for: that a proof is used once (the server remembers [`VerifiedProof::jti`] until
//! [`VerifiedProof::fresh_until`]), that a request has one `DPoP` header only (section 4.3, rule 1),
//! and where nonces come from.

mod error;
mod uri;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use error::ProofError;

use crate::error::{Error, Part};
use crate::jwk::VerifyingKey;
use crate::jws::MAX_TOKEN_LEN;
use crate::{
    Algorithm, Claims, CryptoProvider, Jws, SigningKey, Timestamp, base64url, constant_time_eq,
    json,
};

/// The `typ` of every proof (section 4.2).
pub const TYPE: &str = "dpop+jwt";

/// The longest `jti` that is accepted. A server has to keep every one of them for a while.
pub const MAX_JTI: usize = 255;

/// What a proof is for: one request (section 4.2).
#[derive(Clone, Copy)]
pub struct Proof<'a> {
    /// The method of the request.
    pub htm: &'a str,
    /// The address of the request. Its query and fragment are left out of the proof.
    pub htu: &'a str,
    /// The access token that goes with the request, if one does.
    pub access_token: Option<&'a str>,
    /// The latest nonce of the server that gets the request, if it gave one (section 8).
    pub nonce: Option<&'a str>,
}

impl Proof<'_> {
    /// Signs a new proof, dated `now`, with 128 random bits as its `jti`.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the provider fails.
    pub fn sign(&self, key: &SigningKey, now: Timestamp) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Out<'p> {
            jti: &'p str,
            htm: &'p str,
            htu: &'p str,
            iat: i64,
            #[serde(skip_serializing_if = "Option::is_none")]
            ath: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            nonce: Option<&'p str>,
        }
        let mut random = [0; 16];
        key.provider().fill_random(&mut random)?;
        let claims = Out {
            jti: &base64url::encode(&random),
            htm: self.htm,
            htu: uri::without_query(self.htu),
            iat: now.as_secs(),
            ath: self
                .access_token
                .map(|token| token_hash(token, key.provider())),
            nonce: self.nonce,
        };
        key.sign_with_key(TYPE, &claims)
    }
}

/// Without the access token and the nonce.
impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof")
            .field("htm", &self.htm)
            .field("htu", &uri::without_query(self.htu))
            .finish_non_exhaustive()
    }
}

/// `ath`: the hash of an access token (section 4.2).
fn token_hash(access_token: &str, provider: &CryptoProvider) -> String {
    base64url::encode(&provider.sha256(access_token.as_bytes()))
}

/// What a proof must say to be believed. Start with [`Expected::new`] and add what is known.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Expected<'a> {
    /// The method of the request, compared letter for letter (rule 8).
    pub htm: &'a str,
    /// The address of the request as the client knows it, compared without query and fragment and
    /// after the normalisation of RFC 3986, sections 6.2.2 and 6.2.3 (rule 9).
    pub htu: &'a str,
    /// The access token that came with the request: the proof must hold its hash (rule 12).
    pub access_token: Option<&'a str>,
    /// The thumbprint of the key that the token, code or request is bound to (rule 12).
    pub thumbprint: Option<&'a str>,
    /// The nonces that are good now, any of which will do (rule 10). With `None`, a nonce is not asked
    /// for, and one that is there is not looked at.
    pub nonces: Option<&'a [&'a str]>,
    /// The algorithms that may have signed it (rule 5). All that this crate knows unless narrowed;
    /// `none` and HMAC are not among them.
    pub algorithms: &'a [Algorithm],
    /// How old a proof may be (rule 11).
    pub max_age: Duration,
    /// How far the clocks may be apart, both ways.
    pub leeway: Duration,
}

impl<'a> Expected<'a> {
    /// A proof for a request with this method to this address, made within the last minute by a
    /// clock that is at most one minute off.
    pub fn new(htm: &'a str, htu: &'a str) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            htm,
            htu,
            access_token: None,
            thumbprint: None,
            nonces: None,
            algorithms: &Algorithm::ALL,
            max_age: minute,
            leeway: minute,
        }
    }
}

/// Without the access token and the nonces.
impl std::fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected")
            .field("htm", &self.htm)
            .field("htu", &uri::without_query(self.htu))
            .field("thumbprint", &self.thumbprint)
            .field("max_age", &self.max_age)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// What is known after the check. There is no way to make one but [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    thumbprint: String,
    jti: String,
    nonce: Option<String>,
    iat: Timestamp,
    fresh_until: Timestamp,
}

impl VerifiedProof {
    /// The thumbprint of the key that was proved (RFC 7638): the `jkt` of a token bound to it.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The identifier of the proof, at most [`MAX_JTI`] bytes of anything: together with the
    /// thumbprint, it must not be seen again before [`fresh_until`](Self::fresh_until).
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// The nonce in it, for a server that recognises its own without a list of them
    /// ([`Expected::nonces`] is `None`, and then nobody has looked at it).
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// When it was made, by the client's clock.
    pub fn iat(&self) -> Timestamp {
        self.iat
    }

    /// From when on the same proof would be refused for its age.
    pub fn fresh_until(&self) -> Timestamp {
        self.fresh_until
    }
}

/// Checks a proof (section 4.3, rules 2 to 12).
///
/// # Errors
/// [`ProofError`] with the first rule that is broken.
pub fn verify(
    proof: &str,
    expected: &Expected<'_>,
    provider: &'static CryptoProvider,
    now: Timestamp,
) -> Result<VerifiedProof, ProofError> {
    let jws = Jws::parse(proof).map_err(ProofError::Token)?;
    let algorithm = jws.header().algorithm();
    if !jws.header().is_type(TYPE) {
        return Err(ProofError::WrongType);
    }
    if !expected.algorithms.contains(&algorithm) {
        return Err(ProofError::Token(Error::AlgorithmNotAllowed { algorithm }));
    }
    let key = key(proof, provider)?;
    let payload = jws.verify_with(&key).map_err(ProofError::Token)?;
    let claims = json::parse(payload, MAX_TOKEN_LEN).map_err(|source| {
        ProofError::Token(Error::Json {
            part: Part::Payload,
            source,
        })
    })?;
    let thumbprint = key.thumbprint();
    let jti = identifier(&claims)?;
    let iat = claims
        .required_numeric_date("iat")
        .map_err(ProofError::Claim)?;
    request(&claims, expected)?;
    let nonce = nonce(&claims, expected)?;
    let fresh_until = age(iat, expected, now)?;
    binding(&claims, &thumbprint, expected, provider)?;
    Ok(VerifiedProof {
        thumbprint,
        jti,
        nonce,
        iat,
        fresh_until,
    })
}

/// The key in the header, which must be public (rules 6 and 7). This is the one token that chooses the
/// key it is checked with: what it proves is that somebody holds that key, and nothing else.
fn key(proof: &str, provider: &'static CryptoProvider) -> Result<VerifyingKey, ProofError> {
    let part = Part::Header;
    let header = proof.split('.').next().unwrap_or_default();
    let header = base64url::decode(header)
        .map_err(|source| ProofError::Token(Error::Base64Url { part, source }))?;
    let header = json::parse(&header, MAX_TOKEN_LEN)
        .map_err(|source| ProofError::Token(Error::Json { part, source }))?;
    match header.get("jwk") {
        None => Err(ProofError::KeyMissing),
        Some(Value::Object(members)) => {
            VerifyingKey::from_members(members, provider).map_err(ProofError::Key)
        }
        Some(_) => Err(ProofError::Key(crate::KeyProblem::NotAnObject)),
    }
}

fn identifier(claims: &Claims) -> Result<String, ProofError> {
    let jti = claims.required_str("jti").map_err(ProofError::Claim)?;
    if (1..=MAX_JTI).contains(&jti.len()) {
        Ok(jti.to_owned())
    } else {
        Err(ProofError::Identifier)
    }
}

/// Rules 8 and 9.
fn request(claims: &Claims, expected: &Expected<'_>) -> Result<(), ProofError> {
    let htm = claims.required_str("htm").map_err(ProofError::Claim)?;
    let htu = claims.required_str("htu").map_err(ProofError::Claim)?;
    if htm != expected.htm {
        return Err(ProofError::Method);
    }
    if !uri::same(htu, expected.htu) {
        return Err(ProofError::Address);
    }
    Ok(())
}

/// Rule 10.
fn nonce(claims: &Claims, expected: &Expected<'_>) -> Result<Option<String>, ProofError> {
    let received = claims.str("nonce").map_err(ProofError::Claim)?;
    let Some(nonces) = expected.nonces else {
        return Ok(received.map(str::to_owned));
    };
    let received = received.ok_or(ProofError::NonceMissing)?;
    let is = |nonce: &&str| constant_time_eq(nonce.as_bytes(), received.as_bytes());
    if nonces.iter().any(is) {
        Ok(Some(received.to_owned()))
    } else {
        Err(ProofError::Nonce)
    }
}

/// Rule 11. Says until when the proof stays young enough.
fn age(iat: Timestamp, expected: &Expected<'_>, now: Timestamp) -> Result<Timestamp, ProofError> {
    if iat > now + expected.leeway {
        let seconds_ahead = iat.since(now).as_secs();
        return Err(ProofError::IssuedInFuture { seconds_ahead });
    }
    let fresh_until = iat + expected.max_age + expected.leeway;
    if now >= fresh_until {
        let seconds_ago = now.since(iat).as_secs();
        return Err(ProofError::TooOld { seconds_ago });
    }
    Ok(fresh_until)
}

/// Rule 12.
fn binding(
    claims: &Claims,
    thumbprint: &str,
    expected: &Expected<'_>,
    provider: &CryptoProvider,
) -> Result<(), ProofError> {
    if let Some(token) = expected.access_token {
        let ath = claims.required_str("ath").map_err(ProofError::Claim)?;
        if !constant_time_eq(ath.as_bytes(), token_hash(token, provider).as_bytes()) {
            return Err(ProofError::AccessToken);
        }
    }
    match expected.thumbprint {
        Some(bound) if bound != thumbprint => Err(ProofError::OtherKey),
        _ => Ok(()),
    }
}
