//! The rules an ID token may break, one by one.

use countersign_jose::Error as JoseError;

/// Why an ID token is not believed. Texts in it are filtered for printing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenError {
    /// There is none, although the answer to this request must have one (section 3.1.3.3).
    #[error("the answer has no ID token")]
    Missing,
    /// It is no well-formed token, or its signature is not from a key of the issuer.
    #[error("the token or its signature is not valid")]
    Token(#[source] JoseError),
    /// A claim that every ID token has is missing, or has the wrong type (section 2).
    #[error("a claim is missing or malformed")]
    Claim(#[source] JoseError),
    /// It is another kind of token, by its `typ` (RFC 8725, section 3.11).
    #[error("the token is a {received}, not an ID token")]
    WrongType {
        /// The `typ` header.
        received: String,
    },
    /// Another issuer (rule 2).
    #[error("issued by {received}, expected {expected}")]
    Issuer {
        /// The configured issuer.
        expected: String,
        /// `iss`.
        received: String,
    },
    /// Not for this client (rule 3).
    #[error("meant for {}, not for {expected}", list(.received))]
    Audience {
        /// The client.
        expected: String,
        /// `aud`.
        received: Vec<String>,
    },
    /// Also for somebody who is not trusted (rule 3).
    #[error("also meant for {received}, which is not a trusted audience")]
    UntrustedAudience {
        /// The first such audience.
        received: String,
    },
    /// Several audiences, and no word on which of them asked for it (rule 4).
    #[error("meant for several audiences, but `azp` is missing")]
    AuthorizedPartyMissing,
    /// Asked for by another client (rule 5).
    #[error("asked for by {received}, expected {expected}")]
    AuthorizedParty {
        /// The client.
        expected: String,
        /// `azp`.
        received: String,
    },
    /// `exp` has passed (rule 9).
    #[error("expired {seconds_ago} s ago")]
    Expired {
        /// How long ago.
        seconds_ago: u64,
    },
    /// `nbf` is still to come (RFC 7519, section 4.1.5).
    #[error("not valid for another {seconds} s")]
    NotYetValid {
        /// How long still.
        seconds: u64,
    },
    /// `iat` is still to come (rule 10).
    #[error("issued {seconds_ahead} s in the future")]
    IssuedInFuture {
        /// How far ahead.
        seconds_ahead: u64,
    },
    /// `nonce` is missing although one was sent (rule 11).
    #[error("`nonce` is missing")]
    NonceMissing,
    /// `nonce` is not the one that was sent: the token answers another request (rule 11).
    #[error("`nonce` is not the one that was sent")]
    Nonce,
    /// `at_hash` does not belong to the access token beside it (section 3.1.3.8).
    #[error("`at_hash` does not belong to the access token")]
    AccessTokenHash,
    /// `sub` is empty, longer than 255 characters, or not printable ASCII (section 2).
    #[error("`sub` is empty, too long, or not printable ASCII")]
    MalformedSubject,
    /// Another person than before (section 12.2).
    #[error("the token is about another person than the session")]
    Subject,
    /// `auth_time` is missing although `max_age` was asked for (rule 13).
    #[error("`auth_time` is missing")]
    AuthTimeMissing,
    /// The person authenticated longer ago than was asked for (rule 13).
    #[error("the person authenticated {age} s ago, at most {max_age} s were asked for")]
    AuthenticationTooOld {
        /// How long ago, in seconds.
        age: u64,
        /// What was asked for, in seconds.
        max_age: u64,
    },
    /// The person authenticated in another way than was asked for (rule 12).
    #[error("`acr` is {}, expected {}", .received.as_deref().unwrap_or("missing"), list(.expected))]
    Acr {
        /// What was asked for.
        expected: Vec<String>,
        /// `acr`.
        received: Option<String>,
    },
}

impl IdTokenError {
    /// A stable name for scripts and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "id_token_missing",
            Self::Token(error) => error.code(),
            Self::Claim(_) => "id_token_claim",
            Self::WrongType { .. } => "id_token_wrong_type",
            Self::Issuer { .. } => "id_token_issuer",
            Self::Audience { .. } => "id_token_audience",
            Self::UntrustedAudience { .. } => "id_token_untrusted_audience",
            Self::AuthorizedPartyMissing => "id_token_azp_missing",
            Self::AuthorizedParty { .. } => "id_token_azp",
            Self::Expired { .. } => "id_token_expired",
            Self::NotYetValid { .. } => "id_token_not_yet_valid",
            Self::IssuedInFuture { .. } => "id_token_issued_in_future",
            Self::NonceMissing => "id_token_nonce_missing",
            Self::Nonce => "id_token_nonce",
            Self::AccessTokenHash => "id_token_at_hash",
            Self::MalformedSubject => "id_token_malformed_subject",
            Self::Subject => "id_token_subject_changed",
            Self::AuthTimeMissing => "id_token_auth_time_missing",
            Self::AuthenticationTooOld { .. } => "id_token_authentication_too_old",
            Self::Acr { .. } => "id_token_acr",
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}
