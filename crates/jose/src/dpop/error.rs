//! The rules a proof may break, one by one.

use crate::{Error, KeyProblem};

/// Why a proof is not believed (RFC 9449, section 4.3). No message repeats what the proof says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The request has no `DPoP` header (section 4.3, for a token that needs one). Said by whoever
    /// looks for the header.
    #[error("there is no proof")]
    Absent,
    /// The request has more than one `DPoP` header (rule 1). Said by whoever looks for the header.
    #[error("there is more than one proof")]
    Several,
    /// It is no well-formed token, its algorithm is not allowed, or its signature is not from the key
    /// that it shows (rules 2, 5 and 6).
    #[error("the proof or its signature is not valid")]
    Token(#[source] Error),
    /// A claim that every proof has is missing, or has the wrong type (rule 3).
    #[error("a claim of the proof is missing or malformed")]
    Claim(#[source] Error),
    /// `typ` is not `dpop+jwt`: it is another kind of token (rule 4).
    #[error("the token is not a DPoP proof")]
    WrongType,
    /// There is no `jwk` in the header (section 4.2).
    #[error("the proof shows no key")]
    KeyMissing,
    /// The key in the header is unusable, or private (rule 7).
    #[error("the key of the proof cannot be used")]
    Key(#[source] KeyProblem),
    /// `jti` is empty or very long.
    #[error("`jti` is empty or too long")]
    Identifier,
    /// It was made for another method (rule 8).
    #[error("the proof was made for another method")]
    Method,
    /// It was made for another address (rule 9).
    #[error("the proof was made for another address")]
    Address,
    /// There is no nonce, and one is asked for (rule 10).
    #[error("`nonce` is missing")]
    NonceMissing,
    /// The nonce is not one that is good now (rule 10).
    #[error("`nonce` is not one that is good now")]
    Nonce,
    /// It was made too long ago (rule 11).
    #[error("the proof was made {seconds_ago} s ago")]
    TooOld {
        /// How long ago.
        seconds_ago: u64,
    },
    /// It was made in the future (rule 11).
    #[error("the proof was made {seconds_ahead} s in the future")]
    IssuedInFuture {
        /// How far ahead.
        seconds_ahead: u64,
    },
    /// `ath` is not the hash of the access token beside it (rule 12).
    #[error("`ath` does not belong to the access token")]
    AccessToken,
    /// The token or code is bound to another key (rule 12).
    #[error("the proof was made with another key than the one that is bound")]
    OtherKey,
}

impl ProofError {
    /// A short name of the kind of error that stays the same from release to release.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Absent => "dpop_absent",
            Self::Several => "dpop_several",
            Self::Token(error) => error.code(),
            Self::Claim(_) => "dpop_claim",
            Self::WrongType => "dpop_wrong_type",
            Self::KeyMissing => "dpop_key_missing",
            Self::Key(_) => "dpop_key",
            Self::Identifier => "dpop_jti",
            Self::Method => "dpop_htm",
            Self::Address => "dpop_htu",
            Self::NonceMissing => "dpop_nonce_missing",
            Self::Nonce => "dpop_nonce",
            Self::TooOld { .. } => "dpop_too_old",
            Self::IssuedInFuture { .. } => "dpop_issued_in_future",
            Self::AccessToken => "dpop_ath",
            Self::OtherKey => "dpop_other_key",
        }
    }

    /// Whether a fresh nonce would mend it: the server answers `use_dpop_nonce` with one (RFC 9449,
    /// section 8), and `invalid_dpop_proof` to everything else.
    pub fn wants_nonce(&self) -> bool {
        matches!(self, Self::NonceMissing | Self::Nonce)
    }
}
