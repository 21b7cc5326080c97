//! What a server can say.
//!
//! Not responsible for: whether it was the server that said it.

use std::fmt;

/// A status of validation protocol 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// `OK`: the password is valid and was not used before.
    Ok,
    /// `BAD_OTP`: it is not valid, or the key is not known or switched off.
    BadOtp,
    /// `REPLAYED_OTP`: it was used before.
    ReplayedOtp,
    /// `DELAYED_OTP`: it is older than it should be. No document lists it; servers have it.
    DelayedOtp,
    /// `BAD_SIGNATURE`: the signature of the request is not right.
    BadSignature,
    /// `MISSING_PARAMETER`: the request lacks something.
    MissingParameter,
    /// `NO_SUCH_CLIENT`: the client's number is not known.
    NoSuchClient,
    /// `OPERATION_NOT_ALLOWED`: the client may not ask this.
    OperationNotAllowed,
    /// `BACKEND_ERROR`: something is wrong with the server.
    BackendError,
    /// `NOT_ENOUGH_ANSWERS`: too few of its peers answered in time.
    NotEnoughAnswers,
    /// `REPLAYED_REQUEST`: it has seen this password with this nonce before.
    ReplayedRequest,
    /// Something else, which counts as the server's fault.
    Unknown,
}

/// Who has to do something about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody.
    None,
    /// Whoever typed the password.
    Person,
    /// Whoever configured the client: its number, its key, its rights.
    Client,
    /// Whoever runs the server.
    Server,
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the answer is what it is.
    Never,
    /// With a new password from the key, and not with this one.
    NewPassword,
    /// Another server may know, now.
    OtherServer,
    /// After the configuration was corrected.
    Corrected,
}

impl Status {
    /// Every status but [`Unknown`](Self::Unknown).
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::BadOtp,
        Self::ReplayedOtp,
        Self::DelayedOtp,
        Self::BadSignature,
        Self::MissingParameter,
        Self::NoSuchClient,
        Self::OperationNotAllowed,
        Self::BackendError,
        Self::NotEnoughAnswers,
        Self::ReplayedRequest,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadOtp => "BAD_OTP",
            Self::ReplayedOtp => "REPLAYED_OTP",
            Self::DelayedOtp => "DELAYED_OTP",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::MissingParameter => "MISSING_PARAMETER",
            Self::NoSuchClient => "NO_SUCH_CLIENT",
            Self::OperationNotAllowed => "OPERATION_NOT_ALLOWED",
            Self::BackendError => "BACKEND_ERROR",
            Self::NotEnoughAnswers => "NOT_ENOUGH_ANSWERS",
            Self::ReplayedRequest => "REPLAYED_REQUEST",
            Self::Unknown => "(a status that is not known)",
        }
    }

    /// The status that a word stands for.
    pub fn from_wire(word: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .unwrap_or(Self::Unknown)
    }

    /// Who has to do something about it.
    pub fn fault(self) -> Fault {
        match self {
            Self::Ok => Fault::None,
            Self::BadOtp | Self::ReplayedOtp | Self::DelayedOtp => Fault::Person,
            Self::BadSignature
            | Self::MissingParameter
            | Self::NoSuchClient
            | Self::OperationNotAllowed => Fault::Client,
            Self::BackendError | Self::NotEnoughAnswers | Self::ReplayedRequest | Self::Unknown => {
                Fault::Server
            }
        }
    }

    /// Whether asking again can help. A `REPLAYED_REQUEST` is what a server says to a question that
    /// its peer has answered already: the peer's answer is the one to have.
    pub fn retry(self) -> Retry {
        match self.fault() {
            Fault::None => Retry::Never,
            Fault::Person => Retry::NewPassword,
            Fault::Client => Retry::Corrected,
            Fault::Server => Retry::OtherServer,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
