//! The rules an authorization server may break, one by one.

use crate::http::MAX_BODY;

/// How an answer breaks the rules. Texts in it are filtered for printing and hold no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    // --- any answer -------------------------------------------------------------------------
    /// A web page where JSON belongs: a proxy, a captive portal, an error page, a wrong address.
    #[error("the answer is a web page (status {status})")]
    Html {
        /// The status that came with it.
        status: u16,
    },
    /// Success, and nothing in the body.
    #[error("the answer is empty (status {status})")]
    EmptyBody {
        /// The status that came with it.
        status: u16,
    },
    /// The body is larger than [`MAX_BODY`], and the driver let it through.
    #[error("the answer is larger than {MAX_BODY} bytes")]
    TooLarge,
    /// A redirect, which is never followed.
    #[error("the answer is a redirect{}", .location.as_ref().map(|to| format!(" to {to}")).unwrap_or_default())]
    Redirect {
        /// Where to, without its query.
        location: Option<String>,
    },
    /// A status that means neither success nor any error this endpoint can have.
    #[error("the answer has the unexpected status {status}")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// The body is not JSON, or JSON cut short (RFC 8259).
    #[error("the answer is not JSON: {reason}")]
    InvalidJson {
        /// What the parser found.
        reason: String,
    },
    /// A JSON object names a member twice (RFC 8259, section 4): two readers could see two values.
    #[error("the answer names a member twice")]
    DuplicateMember,
    /// The JSON nests deeper, or has more in it, than any honest answer.
    #[error("the answer is JSON nested too deeply or too large")]
    ExcessiveJson,
    /// The JSON is something other than an object.
    #[error("the answer is JSON, but not an object")]
    NotAnObject,
    /// A member that must be there is not.
    #[error("`{name}` is missing")]
    MissingMember {
        /// Its name.
        name: &'static str,
    },
    /// A member has a value of the wrong type.
    #[error("`{name}` is not {expected}")]
    WrongType {
        /// Its name.
        name: &'static str,
        /// What it should have been, with its article.
        expected: &'static str,
    },

    // --- metadata ---------------------------------------------------------------------------
    /// The document belongs to another issuer (RFC 8414, section 3.3; OpenID Connect Discovery
    /// 1.0, section 4.3).
    #[error("the metadata names the issuer {received}, expected {expected}")]
    IssuerMismatch {
        /// The issuer that was asked for.
        expected: String,
        /// The issuer in the document.
        received: String,
    },
    /// An endpoint is not a URL.
    #[error("`{name}` is not a URL: {value}")]
    InvalidUrl {
        /// The member.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// An endpoint without TLS (RFC 6749, section 3.2; RFC 8414, section 2).
    #[error("`{name}` is neither https nor, for a loopback issuer, http on loopback: {value}")]
    InsecureUrl {
        /// The member.
        name: &'static str,
        /// Its value, without the query.
        value: String,
    },

    // --- device authorization (RFC 8628, section 3.2) ---------------------------------------
    /// A user code that is empty, very long, or has characters nobody can type.
    #[error("`user_code` is empty, too long, or has unprintable characters")]
    UnusableUserCode,
    /// The codes expire before the first poll may be sent.
    #[error("`expires_in` ({expires_in} s) is not longer than `interval` ({interval} s)")]
    NoTimeToPoll {
        /// The lifetime of the codes in seconds.
        expires_in: u64,
        /// The time between polls in seconds.
        interval: u64,
    },

    // --- token answers (RFC 6749, section 5.1) ----------------------------------------------
    /// A kind of access token that this client cannot use (RFC 6749, section 7.1).
    #[error("`token_type` is {received}, expected Bearer")]
    UnsupportedTokenType {
        /// What the server said.
        received: String,
    },
    /// A token that is empty or has characters that cannot stand in a header (RFC 6749,
    /// appendix A.12).
    #[error("`{name}` is empty or has characters that a token cannot have")]
    UnusableToken {
        /// Which one.
        name: &'static str,
    },

    // --- token exchange (RFC 8693, section 2.2.1) --------------------------------------------
    /// The token is of another type than the one that was asked for.
    #[error("`issued_token_type` is {received}, expected {requested}")]
    OtherTokenType {
        /// `requested_token_type`.
        requested: String,
        /// What the server said.
        received: String,
    },

    // --- another API (RFC 8707, section 2.2; RFC 9068, section 3) -----------------------------
    /// The token is for another API than the one that was asked for: the server knows nothing of
    /// `resource`, or of this one, and does not say so.
    #[error("the token is for {received}, expected {expected}")]
    OtherAudience {
        /// What was asked for.
        expected: String,
        /// `aud`.
        received: String,
    },

    // --- DPoP (RFC 9449) --------------------------------------------------------------------
    /// The client asked for a token that is bound to its key, and got one that anybody can use
    /// (section 5).
    #[error(
        "the token is not bound to the key of this client (`token_type` is Bearer, expected DPoP)"
    )]
    TokenNotBound,
    /// The server demands a nonce and gives none, or one that cannot be sent back (section 8.1).
    #[error("`use_dpop_nonce` without a usable `DPoP-Nonce`")]
    DpopNonceMissing,

    // --- authorization response (RFC 6749, section 4.1.2) -----------------------------------
    /// The answer with our `state` comes from another issuer: two servers have been mixed up (RFC
    /// 9207, section 2.4).
    #[error("the answer comes from {received}, expected {expected}")]
    MixedUp {
        /// The issuer that was asked.
        expected: String,
        /// `iss`.
        received: String,
    },
    /// The server promises `iss` in every answer, and this one has none (RFC 9207, section 2.4).
    #[error("`iss` is missing, which the server promises to send")]
    IssMissing,
    /// A code that is empty, very long, or has characters that it cannot have (RFC 6749, appendix
    /// A.11).
    #[error("`code` is empty, too long, or has characters that a code cannot have")]
    UnusableCode,

    // --- pushed authorization (RFC 9126) ----------------------------------------------------
    /// A `request_uri` that is empty, very long, or has characters that it cannot have (section
    /// 2.2).
    #[error("`request_uri` is empty, too long, or no URI")]
    UnusableRequestUri,

    // --- userinfo (OpenID Connect Core 1.0, section 5.3) ------------------------------------
    /// The answer is about another person than the ID token (section 5.3.2).
    #[error("the userinfo answer is about another subject than the ID token")]
    SubjectMismatch,
    /// The answer is a signed or encrypted JWT, which was not asked for.
    #[error("the userinfo answer is a JWT, expected JSON")]
    UserInfoIsJwt,
}

impl PeerMisbehaved {
    /// A stable name for scripts and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Html { .. } => "html_response",
            Self::EmptyBody { .. } => "empty_response",
            Self::TooLarge => "response_too_large",
            Self::Redirect { .. } => "redirect_refused",
            Self::UnexpectedStatus { .. } => "unexpected_status",
            Self::InvalidJson { .. } => "invalid_json",
            Self::DuplicateMember => "duplicate_member",
            Self::ExcessiveJson => "excessive_json",
            Self::NotAnObject => "json_not_an_object",
            Self::MissingMember { .. } => "missing_member",
            Self::WrongType { .. } => "wrong_member_type",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::InvalidUrl { .. } => "invalid_endpoint_url",
            Self::InsecureUrl { .. } => "insecure_endpoint_url",
            Self::UnusableUserCode => "unusable_user_code",
            Self::NoTimeToPoll { .. } => "no_time_to_poll",
            Self::UnsupportedTokenType { .. } => "unsupported_token_type",
            Self::UnusableToken { .. } => "unusable_token",
            Self::OtherTokenType { .. } => "other_token_type",
            Self::OtherAudience { .. } => "other_audience",
            Self::TokenNotBound => "token_not_bound",
            Self::DpopNonceMissing => "dpop_nonce_missing",
            Self::MixedUp { .. } => "issuer_mixed_up",
            Self::IssMissing => "iss_missing",
            Self::UnusableCode => "unusable_code",
            Self::UnusableRequestUri => "unusable_request_uri",
            Self::SubjectMismatch => "userinfo_subject_mismatch",
            Self::UserInfoIsJwt => "userinfo_is_jwt",
        }
    }

    /// Whether the answer rather came from something in between, or from a server in trouble,
    /// and another try may reach the real one.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            // A page that says "not found" or "not this method" will say so again.
            Self::Html { status } => !matches!(status, 404 | 405 | 410),
            Self::EmptyBody { .. } => true,
            _ => false,
        }
    }
}
