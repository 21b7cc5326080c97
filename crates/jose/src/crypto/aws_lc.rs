//! The provider on top of AWS-LC: for servers.
//!
//! Public keys are parsed once, when they are loaded; that is most of what makes RSA faster here
//! than elsewhere. The first use in a process costs some tens of milliseconds for entropy, which
//! is why a command-line tool should take the other provider.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use super::{Backend, CryptoProvider, Signer, Verifier};
use crate::Algorithm;
use crate::error::{CryptoError, KeyProblem};
use crate::jwk::{Curve, PublicKey, der};

const NAME: &str = "aws-lc-rs";

static PROVIDER: CryptoProvider = CryptoProvider { backend: &AwsLc };

/// The provider that uses AWS-LC.
pub fn provider() -> &'static CryptoProvider {
    &PROVIDER
}

struct AwsLc;

impl Backend for AwsLc {
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
        let parsed = match (key, algorithm) {
            (PublicKey::Rsa { n, e }, _) => {
                let parameters = rsa_parameters(algorithm).ok_or(KeyProblem::Provider {
                    algorithm,
                    provider: NAME,
                })?;
                ParsedPublicKey::new(parameters, der::encode_rsa_public_key(n, e))
            }
            (
                PublicKey::Ec {
                    curve: Curve::P256, ..
                },
                Algorithm::Es256,
            ) => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key.point()),
            (
                PublicKey::Ec {
                    curve: Curve::P384, ..
                },
                Algorithm::Es384,
            ) => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key.point()),
            (
                PublicKey::Ec {
                    curve: Curve::P521, ..
                },
                Algorithm::Es512,
            ) => ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, key.point()),
            (PublicKey::Ed25519 { x }, Algorithm::EdDsa) => {
                ParsedPublicKey::new(&signature::ED25519, x)
            }
            _ => {
                return Err(KeyProblem::Provider {
                    algorithm,
                    provider: NAME,
                });
            }
        };
        match parsed {
            Ok(parsed) => Ok(Box::new(parsed)),
            Err(_) => Err(KeyProblem::NotAPublicKey),
        }
    }

    fn generate_pkcs8(&self, algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let failed = CryptoError::KeyGeneration;
        match algorithm {
            Algorithm::Es256 => {
                let parameters = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let document =
                    signature::EcdsaKeyPair::generate_pkcs8(parameters, &SystemRandom::new());
                document.map(|document| Zeroizing::new(document.as_ref().to_vec()))
            }
            Algorithm::EdDsa => signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map(|document| Zeroizing::new(document.as_ref().to_vec())),
            Algorithm::Rs256 => signature::RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|key| key.as_der())
                .map(|document| Zeroizing::new(document.as_ref().to_vec())),
            _ => {
                let operation = "signing with this algorithm";
                return Err(CryptoError::Unsupported {
                    provider: NAME,
                    operation,
                });
            }
        }
        .map_err(|_| failed)
    }

    fn signer(&self, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Box<dyn Signer>, KeyProblem> {
        let rejected = KeyProblem::Pkcs8(algorithm);
        match algorithm {
            Algorithm::Es256 => signature::EcdsaKeyPair::from_pkcs8(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                pkcs8,
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

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
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

impl Verifier for ParsedPublicKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_sig(message, signature).is_ok()
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
        let signature = self.try_sign(message).map_err(|_| CryptoError::Signing)?;
        Ok(signature.as_ref().to_vec())
    }

    fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_ed25519(signature::KeyPair::public_key(self).as_ref())
    }
}

impl Signer for signature::RsaKeyPair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; self.public_modulus_len()];
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
