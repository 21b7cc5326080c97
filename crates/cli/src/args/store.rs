//! Where refresh tokens are kept.

use clap::{Args, Subcommand, ValueEnum};
use countersign_client::VaultKind;
use serde::{Deserialize, Serialize};

use super::With;

/// Where the refresh token of a new session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keep {
    /// as `keyring-key` where there is a keyring, else as `file`
    #[default]
    Auto,
    /// in the keyring of the system
    Keyring,
    /// in the session's file, sealed with a key from the keyring
    KeyringKey,
    /// in the session's file, sealed until this computer restarts
    KernelKey,
    /// in the session's file, sealed with a passphrase
    Passphrase,
    /// in the session's file, readable by you alone
    File,
    /// nowhere: sign in again when the access token has expired
    Memory,
}

impl Keep {
    /// The word that stands for it in flags and files.
    pub(crate) fn word(self) -> &'static str {
        self.kind().map_or("auto", VaultKind::as_str)
    }

    /// The one place that it means; none for a choice among several.
    pub(crate) fn kind(self) -> Option<VaultKind> {
        match self {
            Self::Auto => None,
            Self::Keyring => Some(VaultKind::Keyring),
            Self::KeyringKey => Some(VaultKind::KeyringKey),
            Self::KernelKey => Some(VaultKind::KernelKey),
            Self::Passphrase => Some(VaultKind::Passphrase),
            Self::File => Some(VaultKind::File),
            Self::Memory => Some(VaultKind::Memory),
        }
    }
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Store {
    /// Move the refresh token of a session to another place
    Migrate(With<StoreMigrate>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A session is moved as a whole or not at all. Whoever is interrupted asks again.
Access tokens stay where they are, in the session's file: they are what makes
`countersign token` quick, and they expire soon.")]
pub(crate) struct StoreMigrate {
    /// Where to; what the profile says if not given
    #[arg(long, value_name = "WHERE")]
    #[arg(env = "COUNTERSIGN_STORE", hide_env_values = true)]
    pub(crate) to: Option<Keep>,

    /// Move every session on this computer, of all profiles
    #[arg(long)]
    pub(crate) all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_word_everywhere() {
        for keep in Keep::value_variants() {
            let flag = keep.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), keep.word());
            let file = format!("store = {:?}", keep.word());
            let file: std::collections::BTreeMap<String, Keep> = toml::from_str(&file).unwrap();
            assert_eq!(file["store"], *keep);
        }
        let kinds = Keep::value_variants().iter().filter_map(|keep| keep.kind());
        assert!(kinds.eq(VaultKind::ALL));
    }
}
