//! Which vaults there are for the long-lived secrets of sessions, and which of them takes a new one.

use std::fmt;
use std::sync::{Arc, OnceLock};

use countersign_jose::crypto::ring;
use countersign_store::{
    AskPassphrase, FellBack, FileVault, Hardness, Keyring, KeyringVault, MemoryVault, NoRandomness,
    Random, Saved, SealedVault, StoreError, Vault, VaultKind, Vaults,
};

use crate::{Error, KeyringProgram, Notice};

/// Where the refresh tokens of sessions may be kept, and where they should be.
///
/// Whatever is chosen for new sessions, those there are stay where they are until they are moved, and
/// can be used as long as their kind is allowed.
#[derive(Clone)]
pub struct VaultOptions {
    /// The name that items in a keyring are kept under: that of the application.
    pub application: String,
    /// For new sessions: the first of these that works.
    pub preferred: Vec<VaultKind>,
    /// The only kinds that may be used at all. Should the vault of a session fail when it is renewed,
    /// the session's file takes its place if it is among these; if not, the renewal is lost.
    pub allowed: Vec<VaultKind>,
    /// How the keyring is reached.
    pub keyring: KeyringProgram,
    /// Who asks for a passphrase; without it, nobody can be asked.
    pub passphrase: Option<Arc<dyn AskPassphrase>>,
    /// Whether the keyring may ask a person to unlock it, when somebody signs in.
    pub may_ask: bool,
    /// Who is told when a vault that worked takes a refresh token no more, and the session's file has it
    /// from then on. That is no error, and nobody should have to find out by looking.
    pub announce: Option<Arc<dyn Announce>>,
}

/// Tells a person what becomes of their session, at the moment it happens.
pub trait Announce: Send + Sync {
    /// Says it.
    fn announce(&self, notice: &Notice);
}

impl VaultOptions {
    /// The session's file, for new sessions; everything is allowed. Nobody is asked anything.
    pub fn new(application: &str) -> Self {
        Self {
            application: application.to_owned(),
            preferred: vec![VaultKind::File],
            allowed: VaultKind::ALL.to_vec(),
            keyring: KeyringProgram::installed(),
            passphrase: None,
            may_ask: false,
            announce: None,
        }
    }
}

impl fmt::Debug for VaultOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultOptions")
            .field("application", &self.application)
            .field("preferred", &self.preferred)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// The vaults of an application. Making them touches nothing.
#[derive(Debug, Clone)]
pub(crate) struct KnownVaults {
    options: VaultOptions,
    /// Those of sessions that are there, once they have been asked for: a cached token needs none.
    all: OnceLock<Vaults>,
    /// One, because what it keeps is nowhere else.
    memory: MemoryVault,
}

impl KnownVaults {
    pub(crate) fn new(options: VaultOptions) -> Self {
        Self {
            options,
            all: OnceLock::new(),
            memory: MemoryVault::default(),
        }
    }

    /// For a person who moves sessions about, and may be asked.
    pub(crate) fn for_moving(&self) -> Vaults {
        every(&self.options, &self.memory, self.options.may_ask)
    }

    /// For sessions that are there.
    pub(crate) fn all(&self) -> Vaults {
        let make = || every(&self.options, &self.memory, false);
        self.all.get_or_init(make).clone()
    }

    /// The same, with the vault that a new session goes into; and those that were passed over.
    ///
    /// # Errors
    /// When none of those preferred is allowed and works: why the first of them does not.
    pub(crate) fn for_login(&self) -> Result<(Vaults, Vec<FellBack>), Error> {
        let (chosen, passed_over) = self.choose();
        let mut vaults = self
            .all()
            .prefer(Arc::clone(chosen_or(chosen, &passed_over)?.chosen()));
        if !self.options.preferred.contains(&VaultKind::File) {
            // Who named a place gets that place or no session.
            vaults = vaults.or_nowhere();
        }
        Ok((vaults, passed_over))
    }

    /// Where a login would put its secrets now, without doing it; and those that were passed over.
    pub(crate) fn try_preferred(&self) -> (Result<VaultKind, Error>, Vec<FellBack>) {
        let (chosen, passed_over) = self.choose();
        let chosen = chosen_or(chosen, &passed_over);
        (chosen.map(|vaults| vaults.chosen().kind()), passed_over)
    }

    fn choose(&self) -> (Option<Vaults>, Vec<FellBack>) {
        let VaultOptions {
            preferred,
            allowed,
            may_ask,
            ..
        } = &self.options;
        let candidates = preferred
            .iter()
            .filter(|kind| allowed.contains(kind))
            .map(|kind| make(&self.options, &self.memory, *kind, *may_ask))
            .collect();
        Vaults::choose(candidates)
    }

    /// Tells that secrets were kept elsewhere than where they belong.
    pub(crate) fn announce(&self, saved: &Saved) {
        if let (Some(failed), Some(announce)) = (&saved.fell_back, &self.options.announce) {
            announce.announce(&passed_over(failed, saved.origin.kept_in()));
        }
    }

    /// What these vaults were made from.
    pub(crate) fn options(&self) -> &VaultOptions {
        &self.options
    }

    /// Whether a session may be moved into a vault of this kind.
    pub(crate) fn check_allowed(&self, kind: VaultKind) -> Result<(), Error> {
        if self.options.allowed.contains(&kind) {
            Ok(())
        } else {
            Err(not_allowed())
        }
    }
}

/// The choice there is, or why there is none.
fn chosen_or(chosen: Option<Vaults>, passed_over: &[FellBack]) -> Result<Vaults, Error> {
    chosen.ok_or_else(|| {
        let first = passed_over.first();
        first.map_or_else(not_allowed, |first| {
            Error::Storage(first.why.clone().into())
        })
    })
}

/// What a person is told of a vault that was not used.
pub(crate) fn passed_over(failed: &FellBack, instead: VaultKind) -> Notice {
    Notice::VaultPassedOver {
        kind: failed.kind,
        absent: failed.why.is_absent(),
        why: failed.why.to_string(),
        instead,
    }
}

fn not_allowed() -> Error {
    Error::Configuration {
        what: "place for the refresh token",
        why: "no place that is wanted is allowed here".to_owned(),
    }
}

/// All vaults there are, and the session's file for when one fails, if that is allowed.
fn every(options: &VaultOptions, memory: &MemoryVault, may_ask: bool) -> Vaults {
    let others = VaultKind::ALL
        .into_iter()
        .filter(|kind| *kind != VaultKind::File);
    let all = others.fold(Vaults::default(), |vaults, kind| {
        vaults.and(make(options, memory, kind, may_ask))
    });
    if options.allowed.contains(&VaultKind::File) {
        all.or_else(Arc::new(FileVault))
    } else {
        all
    }
}

fn make(
    options: &VaultOptions,
    memory: &MemoryVault,
    kind: VaultKind,
    may_ask: bool,
) -> Arc<dyn Vault> {
    let keyring = || {
        let port = Arc::new(options.keyring.clone());
        let keyring = Keyring::new(&options.application, port, random());
        if may_ask { keyring.asking() } else { keyring }
    };
    match kind {
        VaultKind::Keyring => Arc::new(KeyringVault::new(keyring())),
        VaultKind::KeyringKey => Arc::new(SealedVault::with_keyring_key(keyring(), random())),
        VaultKind::KernelKey => {
            Arc::new(SealedVault::with_kernel_key(&options.application, random()))
        }
        VaultKind::Passphrase => {
            let ask = options.passphrase.clone();
            let ask = ask.unwrap_or_else(|| Arc::new(Nobody));
            Arc::new(SealedVault::with_passphrase(
                ask,
                Hardness::default(),
                random(),
            ))
        }
        VaultKind::Memory => Arc::new(memory.clone()),
        _ => Arc::new(FileVault),
    }
}

/// There is nobody to ask.
struct Nobody;

impl AskPassphrase for Nobody {
    fn ask(
        &self,
        _why: countersign_store::PassphraseFor,
    ) -> Option<countersign_store::SecretBytes> {
        None
    }
}

/// The random bytes of the operating system.
#[derive(Debug)]
struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let filled = ring::provider().fill_random(bytes);
        filled.map_err(|_| NoRandomness)
    }
}

pub(crate) fn random() -> Arc<dyn Random> {
    Arc::new(SystemRandom)
}

/// Why secrets that are gone cannot be had, if that is what the error says.
pub(crate) fn are_lost(error: &StoreError) -> bool {
    matches!(error, StoreError::Vault(why) if why.is_final())
}
