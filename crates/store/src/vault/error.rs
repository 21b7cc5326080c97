//! Why secrets could not be kept or given back.

use std::time::Duration;

use super::VaultKind;
use crate::NoRandomness;

/// Why a vault did not do what was asked. Each is a reason that can be shown when another vault is
/// used instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The program that speaks with the keyring is not where it should be.
    #[error("the program countersign-keyring is not installed beside this one")]
    NoProgram,
    /// The program that speaks with the keyring failed.
    #[error("the program countersign-keyring failed ({detail})")]
    ProgramFailed {
        /// What became of it. Fit to print.
        detail: String,
    },
    /// There is no session bus, and so no keyring.
    #[error("there is no session bus here, and so no keyring")]
    NoBus,
    /// Nothing on the bus offers to keep secrets.
    #[error("no keyring service is running")]
    NoService,
    /// The keyring is locked, and nobody may be asked to open it.
    #[error("the keyring is locked")]
    Locked,
    /// The person was asked to open the keyring, and did not.
    #[error("the keyring was not unlocked")]
    Dismissed,
    /// The keyring did not answer.
    #[error("the keyring did not answer within {}", seconds(*.limit))]
    TimedOut {
        /// How long it had.
        limit: Duration,
    },
    /// The keyring said no, or something that makes no sense.
    #[error("the keyring refused ({detail})")]
    Refused {
        /// What it said. Fit to print.
        detail: String,
    },
    /// The keyring took a value and gave back another.
    #[error("the keyring gave back something other than what was put in")]
    Unfaithful,
    /// This system has no such vault.
    #[error("this system offers nothing of the kind `{kind}`{}", detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Unsupported {
        /// Which kind.
        kind: VaultKind,
        /// What the system said.
        detail: Option<String>,
    },
    /// The session is in a vault that the calling program did not provide.
    #[error("the secrets of this session are kept in `{kind}`, which this program was not given")]
    NotProvided {
        /// Which kind.
        kind: VaultKind,
    },
    /// The session is in a vault that this version does not know.
    #[error("the secrets of this session are kept in a place that this version does not know")]
    UnknownKind,
    /// The secrets, or the key that sealed them, are no longer there.
    #[error("{}", match .kind {
        VaultKind::Memory => "the secrets ended with the program that signed in",
        VaultKind::KernelKey => "the kernel no longer has the key to the session's secrets",
        VaultKind::KeyringKey => "the keyring no longer has the key to the session's secrets",
        _ => "the keyring no longer has the session's secrets",
    })]
    Missing {
        /// From where they are missing.
        kind: VaultKind,
    },
    /// A passphrase is needed, and there is nobody to ask.
    #[error("a passphrase is needed, and nobody can be asked for it")]
    NoPassphrase,
    /// The passphrase is not the one that sealed the secrets.
    #[error("the passphrase is not the right one")]
    WrongPassphrase,
    /// The secrets are whole, but were sealed for another session, another login, another write or
    /// beside another file.
    #[error("the session's secrets do not belong to the file they stand in")]
    Misplaced,
    /// The vault has seen later writes of this login: an old file was put back.
    #[error(
        "the session's file is older than what the keyring remembers (write {file}, not {vault})"
    )]
    RolledBack {
        /// The generation in the file.
        file: u64,
        /// The generation in the vault.
        vault: u64,
    },
    /// What is kept cannot be understood.
    #[error("the session's secrets are damaged ({what})")]
    Damaged {
        /// Which part. Never the content.
        what: &'static str,
    },
    /// More than a vault takes.
    #[error("too large for the keyring ({size} bytes, at most {limit})")]
    TooLarge {
        /// What was to be kept, in bytes.
        size: usize,
        /// What may be.
        limit: usize,
    },
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// "1 second", "3 seconds", "0.3 seconds".
fn seconds(limit: Duration) -> String {
    let plural = if limit == Duration::from_secs(1) {
        ""
    } else {
        "s"
    };
    format!("{} second{plural}", limit.as_secs_f32())
}

impl VaultError {
    /// A stable name of the kind of error, for scripts and for searching.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoProgram => "keyring_no_program",
            Self::ProgramFailed { .. } => "keyring_program_failed",
            Self::NoBus => "keyring_no_bus",
            Self::NoService => "keyring_no_service",
            Self::Locked => "keyring_locked",
            Self::Dismissed => "keyring_dismissed",
            Self::TimedOut { .. } => "keyring_timed_out",
            Self::Refused { .. } => "keyring_refused",
            Self::Unfaithful => "keyring_unfaithful",
            Self::Unsupported { .. } => "vault_unsupported",
            Self::NotProvided { .. } => "vault_not_provided",
            Self::UnknownKind => "vault_unknown",
            Self::Missing { .. } => "vault_missing",
            Self::NoPassphrase => "passphrase_needed",
            Self::WrongPassphrase => "passphrase_wrong",
            Self::Misplaced => "vault_misplaced",
            Self::RolledBack { .. } => "vault_rolled_back",
            Self::Damaged { .. } => "vault_damaged",
            Self::TooLarge { .. } => "keyring_too_large",
            Self::NoRandomness(_) => "no_randomness",
        }
    }

    /// What the person can do about it, best first.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoProgram => "install countersign-keyring into the directory of this program",
            Self::NoBus | Self::NoService => {
                "start a keyring (gnome-keyring, KWallet, KeePassXC), or keep the secrets elsewhere"
            }
            Self::Locked | Self::Dismissed => "unlock the keyring, and try again",
            Self::TimedOut { .. } => {
                "see whether the keyring is waiting for a password in a window of its own"
            }
            Self::NotProvided { .. } | Self::UnknownKind => {
                "use the program, or the newer version, that signed in"
            }
            Self::Missing { .. }
            | Self::Misplaced
            | Self::RolledBack { .. }
            | Self::Damaged { .. } => "log in again",
            Self::NoPassphrase => "run this at a terminal, where you can be asked",
            Self::WrongPassphrase => "try again; without the passphrase, log in again",
            Self::ProgramFailed { .. } => {
                "install countersign-keyring and this program from the same release"
            }
            Self::Refused { .. }
            | Self::Unfaithful
            | Self::TooLarge { .. }
            | Self::Unsupported { .. } => "keep the secrets elsewhere",
            Self::NoRandomness(_) => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    /// Whether the same call may succeed later: the secrets are where they were.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Locked
                | Self::Dismissed
                | Self::TimedOut { .. }
                | Self::NoBus
                | Self::NoService
                | Self::NoPassphrase
                | Self::WrongPassphrase
                | Self::ProgramFailed { .. }
                | Self::NoRandomness(_)
        )
    }

    /// Whether there simply is no such vault here, as on most servers: nothing is out of order, and
    /// nothing could be left in it.
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::NoProgram | Self::NoBus | Self::NoService | Self::Unsupported { .. }
        )
    }

    /// Whether the secrets are gone for good, so that only a login helps.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Misplaced | Self::RolledBack { .. } | Self::Damaged { .. }
        )
    }
}
