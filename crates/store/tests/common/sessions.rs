//! A session as a program would have it, and vaults to keep it in.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_store::{
    AskPassphrase, Divided, FileVault, Hardness, Key, Keyring, KeyringVault, MemoryVault,
    NoRandomness, PassphraseFor, Random, Record, SealedVault, SecretBytes, SessionStore, Vault,
    VaultKind, Vaults,
};
use serde::{Deserialize, Serialize};

use super::keyring::FakeKeyring;

/// What a login left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) access: String,
    /// In files of version 1 it stood here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LongLived {
    refresh: String,
}

impl Record for Login {
    const VERSION: u32 = 2;
    const OLDEST: u32 = 1;
}

impl Divided for Login {
    type Secrets = LongLived;

    fn divide(&self) -> Option<(Self, LongLived)> {
        let refresh = self.refresh.clone()?;
        let clear = Self {
            access: self.access.clone(),
            refresh: None,
        };
        Some((clear, LongLived { refresh }))
    }

    fn unite(&mut self, secrets: LongLived) {
        self.refresh = Some(secrets.refresh);
    }
}

/// The session after so many renewals.
pub(crate) fn login(number: u32) -> Login {
    Login {
        access: format!("access-{number}"),
        refresh: Some(format!("canary-refresh-{number}")),
    }
}

/// The operating system's random bytes.
#[derive(Debug)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        use std::io::Read as _;
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(bytes))
            .map_err(|_| NoRandomness)
    }
}

pub(crate) fn random() -> Arc<dyn Random> {
    Arc::new(SystemRandom)
}

/// Somebody who knows a passphrase, and counts how often it was asked for.
pub(crate) struct Typist {
    pub(crate) answers: Vec<&'static str>,
    pub(crate) asked: AtomicU32,
}

impl Typist {
    /// Types these, one after the other, and then the last one again and again.
    pub(crate) fn new(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.to_vec(),
            asked: AtomicU32::new(0),
        })
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl AskPassphrase for Typist {
    fn ask(&self, _why: PassphraseFor) -> Option<SecretBytes> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) as usize;
        let answer = self.answers.get(number).or(self.answers.last())?;
        Some(SecretBytes::new(answer.as_bytes().to_vec()))
    }
}

/// Little work, because these tests are not about how hard guessing is.
pub(crate) const EASY: Hardness = Hardness {
    memory_kib: 64,
    passes: 1,
};

pub(crate) fn with_passphrase(typist: &Arc<Typist>) -> Arc<dyn Vault> {
    let ask = Arc::clone(typist) as Arc<dyn AskPassphrase>;
    Arc::new(SealedVault::with_passphrase(ask, EASY, random()))
}

/// Whether the kernel here keeps keys: containers as a rule forbid it.
pub(crate) fn kernel_keeps_keys() -> bool {
    SealedVault::with_kernel_key("countersign-store-test", random())
        .probe()
        .is_ok()
}

/// The kinds that this machine can test.
pub(crate) fn kinds() -> Vec<VaultKind> {
    let can = |kind: &VaultKind| *kind != VaultKind::KernelKey || kernel_keeps_keys();
    VaultKind::ALL.into_iter().filter(can).collect()
}

/// A vault of each kind, over one fake keyring.
pub(crate) struct Bank {
    pub(crate) keyring: Arc<FakeKeyring>,
    pub(crate) memory: MemoryVault,
}

impl Bank {
    /// The keyring's content is in the file `keyring`.
    pub(crate) fn at(keyring: &Path) -> Self {
        Self {
            keyring: Arc::new(FakeKeyring::at(keyring)),
            memory: MemoryVault::default(),
        }
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::new(
            "countersign-store-test",
            Arc::clone(&self.keyring) as _,
            random(),
        )
    }

    pub(crate) fn vault(&self, kind: VaultKind) -> Arc<dyn Vault> {
        match kind {
            VaultKind::Keyring => Arc::new(KeyringVault::new(self.keyring())),
            VaultKind::KeyringKey => {
                Arc::new(SealedVault::with_keyring_key(self.keyring(), random()))
            }
            VaultKind::KernelKey => Arc::new(SealedVault::with_kernel_key(
                "countersign-store-test",
                random(),
            )),
            VaultKind::Passphrase => with_passphrase(&Typist::new(&["correct horse"])),
            VaultKind::Memory => Arc::new(self.memory.clone()),
            _ => Arc::new(FileVault),
        }
    }

    /// New sessions go into a vault of this kind; all others are known, too.
    pub(crate) fn vaults(&self, chosen: VaultKind) -> Vaults {
        VaultKind::ALL
            .into_iter()
            .fold(Vaults::new(self.vault(chosen)), |vaults, kind| {
                vaults.and(self.vault(kind))
            })
    }

    pub(crate) fn store(&self, directory: &Path, chosen: VaultKind) -> SessionStore {
        SessionStore::new(directory, self.vaults(chosen), random())
    }
}

/// Opens the session and answers the refresh token.
pub(crate) fn refresh_of(store: &SessionStore, key: &Key) -> Option<String> {
    store.open::<Login>(key).unwrap().unwrap().record.refresh
}
