//! What a hook returns to PAM.
//!
//! Not responsible for: which hook returns what. What is not in this list is never returned:
//! `PAM_IGNORE` would let a stack go on without a decision, and after `PAM_MAXTRIES` the client of
//! OpenSSH asks for a password that nobody has.

/// A result, with Linux-PAM's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Code {
    /// `PAM_SUCCESS`
    Success = 0,
    /// `PAM_PERM_DENIED`
    PermissionDenied = 6,
    /// `PAM_AUTH_ERR`
    AuthenticationFailed = 7,
    /// `PAM_AUTHINFO_UNAVAIL`
    Unavailable = 9,
    /// `PAM_SESSION_ERR`
    SessionFailed = 14,
    /// `PAM_CRED_ERR`
    CredentialsFailed = 17,
    /// `PAM_AUTHTOK_ERR`
    TokenFailed = 20,
}
