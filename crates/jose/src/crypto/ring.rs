//! The provider on top of *ring*: for clients.
//!
//! *ring* has no P-521 and makes no RSA keys; both are refused with an error that says so. It
//! offers no parsed public keys either, so key material is kept in the form that it reads fastest.

use ::ring::rand::{SecureRandom as _, SystemRandom};
use ::ring::signature;
use ::ring::{agreement, digest, hmac};
use zeroize::Zeroizing;

use super::{Backend, CryptoProvider, Signer, Verifier};
use crate::Algorithm;
use crate::error::{CryptoError, KeyProblem};
use crate::jwk::{Curve, PublicKey, der};

const NAME: &str = "ring";

static PROVIDER: CryptoProvider = CryptoProvider { backend: &Ring };

/// The provider that uses *ring*.
pub fn provider() -> &'static CryptoProvider {
    &PROVIDER
}

struct Ring;

impl Backend for Ring {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        super::fixed(digest::digest(&digest::SHA256, data).as_ref())
    }

    fn sha384(&self, data: &[u8]) -> [u8; 48] {
        super::fixed(digest::digest(&digest::SHA384, data).as_ref())
    }

    fn sha512(&self, data: &[u8]) -> [u8; 64] {
        super::fixed(digest::digest(&digest::SHA512, data).as_ref())
    }

    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        super::fixed(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        SystemRandom::new()
            .fill(bytes)
            .map_err(|_| CryptoError::Random)
    }

    fn verifier(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
    ) -> Result<Box<dyn Verifier>, KeyProblem> {
        let unsupported = KeyProblem::Provider {
            algorithm,
            provider: NAME,
        };
        let (parameters, bytes) = match (key, algorithm) {
            (PublicKey::Rsa { n, e }, _) => (
                rsa_parameters(algorithm).ok_or(unsupported)?,
                der::encode_rsa_public_key(n, e),
            ),
            (
                PublicKey::Ec {
                    curve: Curve::P256, ..
                },
                Algorithm::Es256,
            ) => {
                let point = check_point(&agreement::ECDH_P256, key.point())?;
                (&signature::ECDSA_P256_SHA256_FIXED as Parameters, point)
            }
            (
                PublicKey::Ec {
                    curve: Curve::P384, ..
                },
                Algorithm::Es384,
            ) => {
                let point = check_point(&agreement::ECDH_P384, key.point())?;
                (&signature::ECDSA_P384_SHA384_FIXED as Parameters, point)
            }
            (PublicKey::Ed25519 { x }, Algorithm::EdDsa) => {
                (&signature::ED25519 as Parameters, x.to_vec())
            }
            _ => return Err(unsupported),
        };
        Ok(Box::new(signature::UnparsedPublicKey::new(
            parameters, bytes,
        )))
    }

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Es256 => signature::EcdsaKeyPair::generate_pkcs8(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &random,
            ),
            Algorithm::EdDsa => signature::Ed25519KeyPair::generate_pkcs8(&random),
            Algorithm::Rs256 => {
                let operation = "making RSA keys";
                return Err(CryptoError::Unsupported {
                    provider: NAME,
                    operation,
                });
            }
            _ => {
                let operation = "signing with this algorithm";
                return Err(CryptoError::Unsupported {
                    provider: NAME,
                    operation,
                });
            }
        };
        let document = document.map_err(|_| CryptoError::KeyGeneration)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    fn signer(&self, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Box<dyn Signer>, KeyProblem> {
        let rejected = KeyProblem::Pkcs8(algorithm);
        match algorithm {
            Algorithm::Es256 => signature::EcdsaKeyPair::from_pkcs8(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                pkcs8,
                &SystemRandom::new(),
            )
            .map(|key| Box::new(key) as Box<dyn Signer>)
            .map_err(|_| rejected),
            Algorithm::EdDsa => signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(|key| Box::new(key) as Box<dyn Signer>)
                .map_err(|_| rejected),
            Algorithm::Rs256 => signature::RsaKeyPair::from_pkcs8(pkcs8)
                .map(|key| Box::new(key) as Box<dyn Signer>)
                .map_err(|_| rejected),
            _ => Err(KeyProblem::Provider {
                algorithm,
                provider: NAME,
            }),
        }
    }
}

type Parameters = &'static dyn signature::VerificationAlgorithm;

fn rsa_parameters(algorithm: Algorithm) -> Option<Parameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// Gives `point` back when it is on its curve. *ring* says so only when a point is used:
/// verification would refuse it too, but a key agreement can be tried at once, so that the key set
/// can report the key.
fn check_point(
    algorithm: &'static agreement::Algorithm,
    point: Vec<u8>,
) -> Result<Vec<u8>, KeyProblem> {
    let ours = agreement::EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
        .map_err(|_| KeyProblem::NotAPublicKey)?;
    let theirs = agreement::UnparsedPublicKey::new(algorithm, &point);
    agreement::agree_ephemeral(ours, &theirs, |_| ()).map_err(|_| KeyProblem::NotAPublicKey)?;
    Ok(point)
}

impl Verifier for signature::UnparsedPublicKey<Vec<u8>> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify(message, signature).is_ok()
    }
}

impl Signer for signature::EcdsaKeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self
            .sign(&SystemRandom::new(), message)
            .map_err(|_| CryptoError::Signing)?;
        Ok(signature.as_ref().to_vec())
    }

    fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_point(Curve::P256, signature::KeyPair::public_key(self).as_ref())
    }
}

impl Signer for signature::Ed25519KeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.sign(message).as_ref().to_vec())
    }

    fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_ed25519(signature::KeyPair::public_key(self).as_ref())
    }
}

impl Signer for signature::RsaKeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; self.public().modulus_len()];
        self.sign(
            &signature::RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message,
            &mut out,
        )
        .map_err(|_| CryptoError::Signing)?;
        Ok(out)
    }

    fn public_key(&self) -> Option<PublicKey> {
        der::rsa_public_key(signature::KeyPair::public_key(self).as_ref())
    }
}
