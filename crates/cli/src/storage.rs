//! Where the settings want refresh tokens to be kept, as the client wants to be told.

use std::sync::Arc;

use countersign_client::{
    Announce, Error as ClientError, KeyringProgram, Notice, VaultKind, VaultOptions,
};

use crate::app::App;
use crate::args::Keep;
use crate::error::CliError;
use crate::output::{self, Voice};
use crate::passphrase::Asker;

/// The name that items in a keyring are kept under.
const APPLICATION: &str = "countersign";

impl App {
    /// What the client needs to know. Nothing is looked for or asked before a session needs it.
    pub(crate) fn vaults(&self) -> VaultOptions {
        let mut options = VaultOptions::new(APPLICATION);
        options.preferred = preferred(self.settings.store.value);
        if let Some(allowed) = &self.settings.allowed_stores {
            options.allowed = allowed.kinds().to_vec();
        }
        options.keyring = KeyringProgram::installed();
        options.passphrase = Some(Arc::new(Asker {
            no_input: self.no_input,
        }));
        options.announce = Some(Arc::new(Announcer {
            voice: self.voice,
            back: self.command("store migrate"),
        }));
        options
    }

    /// The same for looking: nobody is asked anything.
    pub(crate) fn vaults_of_doctor(&self) -> VaultOptions {
        let mut options = self.vaults();
        options.passphrase = None;
        options
    }

    /// The same for a person who signs in or moves sessions about: the keyring may ask to be unlocked.
    ///
    /// # Errors
    /// When the place that the settings name is not allowed.
    pub(crate) fn vaults_asking(&self) -> Result<VaultOptions, CliError> {
        if let (Some(allowed), Some(kind)) = (
            &self.settings.allowed_stores,
            self.settings.store.value.kind(),
        ) {
            allowed.check(kind)?;
        }
        let mut options = self.vaults();
        options.may_ask = self.may_ask();
        Ok(options)
    }
}

impl App {
    /// The error with the place where a session could be kept instead, if the one there is does not work.
    pub(crate) fn elsewhere(&self, error: &ClientError, text: CliError) -> CliError {
        let text = match error {
            ClientError::NotKept(_) => text.hint(format!(
                "if the next renewal is refused: {}",
                self.command("login")
            )),
            // Another place would not remove it from this one.
            ClientError::NotRemoved(_) => {
                return text.hint(format!(
                    "when it can be written again: {}",
                    self.command("logout")
                ));
            }
            _ => text,
        };
        match error.code() {
            "store_io" => {
                text.hint("or set COUNTERSIGN_STATE_DIR to a directory with room that is yours")
            }
            code if is_of_keyring(code) && self.may_keep(VaultKind::File) => text.hint(format!(
                "or keep the refresh token in a file: {}",
                self.command("login --store file")
            )),
            _ => text,
        }
    }

    /// Whether no file forbids to keep refresh tokens there.
    pub(crate) fn may_keep(&self, kind: VaultKind) -> bool {
        let allowed = self.settings.allowed_stores.as_ref();
        allowed.is_none_or(|allowed| allowed.kinds().contains(&kind))
    }
}

/// Whether it is the keyring, or the system's want of one, that another place would help with.
fn is_of_keyring(code: &str) -> bool {
    code.starts_with("keyring_") || code == "vault_unsupported"
}

/// Says on standard error what became of a refresh token.
struct Announcer {
    voice: Voice,
    /// What to type once the place works again.
    back: String,
}

impl Announce for Announcer {
    fn announce(&self, notice: &Notice) {
        // Folded with the word that stands before it.
        let text = output::fold(&format!("warning: {}", notice.text()));
        self.voice.warn(text.trim_start_matches("warning: "));
        self.voice.say(&format!(
            "To bring it back when that works again: {}",
            self.back
        ));
    }
}

fn preferred(keep: Keep) -> Vec<VaultKind> {
    match keep.kind() {
        Some(kind) => vec![kind],
        // The keyring is asked for a key, which is written once, and not for each new token: what it
        // does on a later day cannot come between a server that has rotated a token and the file.
        None => vec![VaultKind::KeyringKey, VaultKind::File],
    }
}
