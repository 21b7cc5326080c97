//! Where the settings want refresh tokens to be kept, as the client wants to be told.

use std::sync::Arc;

use countersign_client::{Announce, KeyringProgram, Notice, VaultKind, VaultOptions};

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

/// Says on standard error what became of a refresh token.
struct Announcer {
    voice: Voice,
    /// What to type once the place works again.
    back: String,
}

impl Announce for Announcer {
    fn announce(&self, notice: &Notice) {
        self.voice.warn(&output::fold(&notice.text()));
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
