//! The plainest vault: the secrets stand in the session's file, which is 0600 in a 0700 directory.

use super::{Place, Receipt, Vault, VaultError, VaultKind, Withdrawn};
use crate::{Key, SecretBytes};

/// Keeps secrets in the session's file itself: the receipt is the secret.
///
/// File and secrets are replaced by one rename, so there is nothing to keep in step.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileVault;

impl Vault for FileVault {
    fn kind(&self) -> VaultKind {
        VaultKind::File
    }

    fn probe(&self) -> Result<(), VaultError> {
        // What could fail is the session's file, and whoever could not write that has no session.
        Ok(())
    }

    fn deposit(&self, _place: &Place<'_>, secrets: &SecretBytes) -> Result<Receipt, VaultError> {
        Ok(Receipt::from_json(secrets.expose()))
    }

    fn withdraw(&self, place: &Place<'_>, receipt: &Receipt) -> Result<Withdrawn, VaultError> {
        Ok(Withdrawn {
            secrets: SecretBytes::new(receipt.json().as_bytes().to_vec()),
            generation: place.generation,
        })
    }

    fn forget(
        &self,
        _store: &str,
        _key: &Key,
        _old: Option<&Receipt>,
        _keep: Option<&str>,
    ) -> Result<(), VaultError> {
        Ok(())
    }
}
