//! Public keys as JSON Web Keys (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).
//!
//! A key is parsed once and carries the algorithms that it may verify from then on: the key
//! decides, not the token (RFC 8725, section 3.1). Where keys come from, how long they are kept
//! and when they are fetched again is for the caller.

pub(crate) mod der;
mod rsa;
mod set;

use std::fmt;

use serde_json::{Map, Value, json};

pub use self::set::{KeySet, MAX_KEY_SET_LEN, MAX_KEYS, SkippedKey};
use crate::crypto::{CryptoProvider, Verifier};
use crate::error::{Error, KeyProblem, Part, printable};
use crate::{Algorithm, base64url, json};

/// The longest single JWK in bytes; an RSA key of 8192 bits with a chain of certificates fits.
pub const MAX_KEY_LEN: usize = 32 * 1024;

/// Members that only a private or symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that may verify signatures of certain algorithms, ready to use.
pub struct VerifyingKey {
    kid: Option<String>,
    public: PublicKey,
    provider: &'static CryptoProvider,
    verifiers: Vec<(Algorithm, Box<dyn Verifier>)>,
}

impl VerifyingKey {
    /// Reads a single JWK.
    ///
    /// Refuses a key with private members, one whose `use`, `key_ops` or `alg` say that it is not
    /// for verifying signatures, and one that is weak or malformed; see [`KeyProblem`].
    pub fn from_json(jwk: &[u8], provider: &'static CryptoProvider) -> Result<Self, Error> {
        let jwk = json::parse(jwk, MAX_KEY_LEN).map_err(|source| Error::Json {
            part: Part::Key,
            source,
        })?;
        Self::from_members(jwk.values(), provider).map_err(Error::Key)
    }

    pub(crate) fn from_members(
        jwk: &Map<String, Value>,
        provider: &'static CryptoProvider,
    ) -> Result<Self, KeyProblem> {
        if let Some(name) = PRIVATE_MEMBERS
            .into_iter()
            .find(|name| jwk.contains_key(*name))
        {
            return Err(KeyProblem::PrivateMember(name));
        }
        check_purpose(jwk)?;
        let kid = optional_str(jwk, "kid")?.map(str::to_owned);
        let public = PublicKey::from_members(jwk)?;
        let algorithms = match optional_str(jwk, "alg")? {
            None => public.algorithms().to_vec(),
            Some(name) => {
                let algorithm = Algorithm::from_name(name);
                match algorithm.filter(|algorithm| public.algorithms().contains(algorithm)) {
                    Some(algorithm) => vec![algorithm],
                    None => return Err(KeyProblem::Algorithm(printable(name))),
                }
            }
        };
        Self::new(kid, public, &algorithms, provider)
    }

    pub(crate) fn new(
        kid: Option<String>,
        public: PublicKey,
        algorithms: &[Algorithm],
        provider: &'static CryptoProvider,
    ) -> Result<Self, KeyProblem> {
        public.check()?;
        let verifiers = algorithms
            .iter()
            .map(|algorithm| Ok((*algorithm, provider.verifier(*algorithm, &public)?)))
            .collect::<Result<_, KeyProblem>>()?;
        Ok(Self {
            kid,
            public,
            provider,
            verifiers,
        })
    }

    /// The `kid`, as its owner chose it: text from outside.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms this key may verify: the one of its `alg`, or else all of its type.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether this key may verify `algorithm`.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms().any(|allowed| allowed == algorithm)
    }

    /// The thumbprint of RFC 7638 with SHA-256, in base64url.
    pub fn thumbprint(&self) -> String {
        self.public.thumbprint(self.provider)
    }

    /// Checks a signature over `message`, in the form that JWS gives it (RFC 7518, section 3.4
    /// for ECDSA: two numbers of full length, not DER).
    pub fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let mut verifiers = self.verifiers.iter();
        let (_, verifier) = verifiers
            .find(|(allowed, _)| *allowed == algorithm)
            .ok_or(Error::AlgorithmMismatch { algorithm })?;
        let right_length = algorithm
            .signature_len()
            .is_none_or(|len| len == signature.len());
        if right_length && verifier.verify(message, signature) {
            Ok(())
        } else {
            Err(Error::BadSignature)
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// `use` and `key_ops` each have to allow verifying where they are present.
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyProblem> {
    if optional_str(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyProblem::NotForVerifying("use"));
    }
    let Some(operations) = jwk.get("key_ops") else {
        return Ok(());
    };
    let malformed = KeyProblem::Member("key_ops");
    let operations = operations.as_array().ok_or(malformed.clone())?;
    let mut names = Vec::with_capacity(operations.len());
    for operation in operations {
        let name = operation.as_str().ok_or(malformed.clone())?;
        if names.contains(&name) {
            // RFC 7517, section 4.3: duplicate values must not be present.
            return Err(malformed);
        }
        names.push(name);
    }
    if names.contains(&"verify") {
        Ok(())
    } else {
        Err(KeyProblem::NotForVerifying("key_ops"))
    }
}

fn optional_str<'j>(
    jwk: &'j Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'j str>, KeyProblem> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(KeyProblem::Member(name)),
    }
}

fn required_str<'j>(
    jwk: &'j Map<String, Value>,
    name: &'static str,
) -> Result<&'j str, KeyProblem> {
    optional_str(jwk, name)?.ok_or(KeyProblem::Member(name))
}

fn bytes(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyProblem> {
    base64url::decode(required_str(jwk, name)?).map_err(|_| KeyProblem::Member(name))
}

/// An elliptic curve of RFC 7518, section 6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Length of a coordinate in bytes.
    const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The numbers of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// Coordinates, big-endian, of full length.
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// The encoded point of RFC 8032, section 5.1.2.
    Ed25519 { x: [u8; 32] },
}

impl PublicKey {
    fn from_members(jwk: &Map<String, Value>) -> Result<Self, KeyProblem> {
        match required_str(jwk, "kty")? {
            "RSA" => Ok(Self::Rsa {
                n: bytes(jwk, "n")?,
                e: bytes(jwk, "e")?,
            }),
            "EC" => {
                let name = required_str(jwk, "crv")?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
                let curve = curve.ok_or_else(|| KeyProblem::Type(printable(name)))?;
                Ok(Self::Ec {
                    curve,
                    x: bytes(jwk, "x")?,
                    y: bytes(jwk, "y")?,
                })
            }
            "OKP" => {
                let name = required_str(jwk, "crv")?;
                if name != "Ed25519" {
                    return Err(KeyProblem::Type(printable(name)));
                }
                Self::from_ed25519(&bytes(jwk, "x")?).ok_or(KeyProblem::Member("x"))
            }
            name => Err(KeyProblem::Type(printable(name))),
        }
    }

    /// From the uncompressed point of SEC 1, section 2.3.3.
    pub(crate) fn from_point(curve: Curve, point: &[u8]) -> Option<Self> {
        let (x, y) = point
            .strip_prefix(&[4])?
            .split_at_checked(curve.coordinate_len())?;
        let key = Self::Ec {
            curve,
            x: x.to_vec(),
            y: y.to_vec(),
        };
        key.check().is_ok().then_some(key)
    }

    pub(crate) fn from_ed25519(x: &[u8]) -> Option<Self> {
        Some(Self::Ed25519 {
            x: x.try_into().ok()?,
        })
    }

    /// The uncompressed point of SEC 1, section 2.3.3; empty for keys that are not points.
    pub(crate) fn point(&self) -> Vec<u8> {
        match self {
            Self::Ec { x, y, .. } => [&[4], x.as_slice(), y.as_slice()].concat(),
            Self::Rsa { .. } | Self::Ed25519 { .. } => Vec::new(),
        }
    }

    /// The algorithms that this type of key can verify.
    fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
            Self::Ec {
                curve: Curve::P256, ..
            } => &[Algorithm::Es256],
            Self::Ec {
                curve: Curve::P384, ..
            } => &[Algorithm::Es384],
            Self::Ec {
                curve: Curve::P521, ..
            } => &[Algorithm::Es512],
            Self::Ed25519 { .. } => &[Algorithm::EdDsa],
        }
    }

    /// What can be said about the numbers without a crypto library.
    fn check(&self) -> Result<(), KeyProblem> {
        match self {
            Self::Rsa { n, e } => rsa::check(n, e),
            Self::Ec { curve, x, y } => {
                // RFC 7518, section 6.2.1.2: the full length, leading zeros included.
                for (name, coordinate) in [("x", x), ("y", y)] {
                    if coordinate.len() != curve.coordinate_len() {
                        return Err(KeyProblem::Member(name));
                    }
                }
                Ok(())
            }
            Self::Ed25519 { .. } => Ok(()),
        }
    }

    /// The required members of the key: what a thumbprint is made of (RFC 7638, section 3.2;
    /// RFC 8037, appendix A.3), and all that there is to publish.
    pub(crate) fn to_members(&self) -> Value {
        let text = |bytes: &[u8]| base64url::encode(bytes);
        match self {
            Self::Rsa { n, e } => json!({ "e": text(e), "kty": "RSA", "n": text(n) }),
            Self::Ec { curve, x, y } => {
                json!({ "crv": curve.name(), "kty": "EC", "x": text(x), "y": text(y) })
            }
            Self::Ed25519 { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(x) }),
        }
    }

    pub(crate) fn thumbprint(&self, provider: &CryptoProvider) -> String {
        let text = |bytes: &[u8]| base64url::encode(bytes);
        // RFC 7638, section 3.3 fixes every byte: names in this order, no white space. The values
        // are base64url and need no escaping.
        let canonical = match self {
            Self::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n))
            }
            Self::Ec { curve, x, y } => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                curve.name(),
                text(x),
                text(y)
            ),
            Self::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x))
            }
        };
        base64url::encode(&provider.sha256(canonical.as_bytes()))
    }
}
