//! The vaults a store may use: one for new sessions, others to read from, and one for bad days.

use std::sync::Arc;

use crate::vault::{FileVault, Vault};
use crate::{VaultError, VaultKind};

/// That a vault was passed over, and why: for whoever should know where their secrets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FellBack {
    /// The vault that was wanted.
    pub kind: VaultKind,
    /// Why it was not used.
    pub why: VaultError,
}

/// The vaults of a store.
///
/// The session's own file says in which vault its secrets are, so a store should be given all it may
/// meet, whichever is chosen for new sessions.
#[derive(Debug, Clone)]
pub struct Vaults {
    chosen: Arc<dyn Vault>,
    known: Vec<Arc<dyn Vault>>,
    fallback: Option<Arc<dyn Vault>>,
}

impl Default for Vaults {
    /// The session's file, and nothing else.
    fn default() -> Self {
        Self::new(Arc::new(FileVault))
    }
}

impl Vaults {
    /// New sessions go into `chosen`. Those in the plain file are readable, too, because those of
    /// older versions are.
    pub fn new(chosen: Arc<dyn Vault>) -> Self {
        Self {
            chosen,
            known: vec![Arc::new(FileVault)],
            fallback: None,
        }
    }

    /// New sessions go into the first of `candidates` that stands its test ([`Vault::probe`]); the
    /// others are known, too. Answers as well which were passed over, and why. `None` when none stands:
    /// whoever would rather have the plain file than no session names it last.
    pub fn choose(candidates: Vec<Arc<dyn Vault>>) -> (Option<Self>, Vec<FellBack>) {
        let mut passed_over = Vec::new();
        let mut chosen = None;
        for candidate in &candidates {
            match candidate.probe() {
                Ok(()) => {
                    chosen = Some(Arc::clone(candidate));
                    break;
                }
                Err(why) => passed_over.push(FellBack {
                    kind: candidate.kind(),
                    why,
                }),
            }
        }
        let mut vaults = chosen.map(Self::new);
        if let Some(vaults) = &mut vaults {
            vaults.known.extend(candidates);
        }
        (vaults, passed_over)
    }

    /// Sessions in this vault can be read and migrated, too.
    #[must_use]
    pub fn and(mut self, vault: Arc<dyn Vault>) -> Self {
        self.known.push(vault);
        self
    }

    /// Where secrets go when the vault they belong to does not take them. Without this, such a write
    /// fails: for those whose company does not want secrets anywhere else.
    #[must_use]
    pub fn or_else(mut self, vault: Arc<dyn Vault>) -> Self {
        self.fallback = Some(vault);
        self
    }

    /// Takes that back: a write that the vault does not take fails.
    #[must_use]
    pub fn or_nowhere(mut self) -> Self {
        self.known.extend(self.fallback.take());
        self
    }

    /// The same, but new sessions go into `chosen`.
    #[must_use]
    pub fn prefer(&self, chosen: Arc<dyn Vault>) -> Self {
        let mut vaults = self.clone();
        vaults
            .known
            .push(std::mem::replace(&mut vaults.chosen, chosen));
        vaults
    }

    /// Where new sessions go.
    pub fn chosen(&self) -> &Arc<dyn Vault> {
        &self.chosen
    }

    pub(super) fn fallback_of(&self, kind: VaultKind) -> Option<Arc<dyn Vault>> {
        self.fallback.clone().filter(|other| other.kind() != kind)
    }

    /// The vault of this kind.
    pub(super) fn find(&self, kind: VaultKind) -> Result<Arc<dyn Vault>, VaultError> {
        self.all()
            .find(|vault| vault.kind() == kind)
            .cloned()
            .ok_or(VaultError::NotProvided { kind })
    }

    /// Those of every other kind.
    pub(super) fn others(&self, kind: VaultKind) -> impl Iterator<Item = &Arc<dyn Vault>> {
        self.all().filter(move |vault| vault.kind() != kind)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Vault>> {
        std::iter::once(&self.chosen)
            .chain(&self.known)
            .chain(&self.fallback)
    }
}
