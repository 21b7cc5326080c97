//! The signature algorithms this crate knows, and nothing else.
//!
//! There is no variant for `none` and none for an HMAC: what cannot be written down cannot be
//! accepted by mistake (RFC 8725, sections 2.1 and 3.1).

use std::fmt;

/// A signature algorithm of JWS (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// `RS384`: RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// `RS512`: RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// `PS256`: RSASSA-PSS with SHA-256 and MGF1 with SHA-256.
    Ps256,
    /// `PS384`: RSASSA-PSS with SHA-384 and MGF1 with SHA-384.
    Ps384,
    /// `PS512`: RSASSA-PSS with SHA-512 and MGF1 with SHA-512.
    Ps512,
    /// `ES256`: ECDSA on P-256 with SHA-256.
    Es256,
    /// `ES384`: ECDSA on P-384 with SHA-384.
    Es384,
    /// `ES512`: ECDSA on P-521 with SHA-512.
    Es512,
    /// `EdDSA` on Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, in the order of the type.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The `alg` value on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm with this `alg` value. Names are compared letter for letter (RFC 7515,
    /// section 4.1.1), so `es256` and `None` are as unknown as `HS256`.
    ///
    /// `Ed25519`, the fully specified name of RFC 9864, section 2.2, is read as
    /// [`Algorithm::EdDsa`], which knows no other curve.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The length of every signature of this algorithm in bytes; `None` for RSA, where it is the
    /// length of the modulus.
    pub(crate) const fn signature_len(self) -> Option<usize> {
        match self {
            Self::Es256 | Self::EdDsa => Some(64),
            Self::Es384 => Some(96),
            Self::Es512 => Some(132),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
    }

    #[test]
    fn none_hmac_and_other_spellings_do_not_exist() {
        let names = [
            "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "es256", "ES256 ", "ES256K",
        ];
        for name in names.into_iter().chain(["", "Ed448", "RSA-OAEP", "ES521"]) {
            assert_eq!(Algorithm::from_name(name), None, "{name:?}");
        }
    }
}
