//! A real gnome-keyring on a bus of its own, and stores that keep their secrets there.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use countersign_client::KeyringProgram;
use countersign_store::{
    Divided, FileVault, Key, Keyring, KeyringVault, NoRandomness, Random, Record, SealedVault,
    SecretBytes, SessionStore, Vaults,
};
use serde::{Deserialize, Serialize};

pub(crate) const APPLICATION: &str = "countersign-keyring-test";

/// A desktop, as the program under test meets it.
pub(crate) struct Desktop(countersign_testkit::Desktop);

impl Deref for Desktop {
    type Target = countersign_testkit::Desktop;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Desktop {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Desktop {
    /// A bus that can start nothing by itself.
    pub(crate) fn without_keyring() -> Self {
        Self(countersign_testkit::Desktop::without_keyring())
    }

    /// A bus with gnome-keyring on it, unlocked.
    pub(crate) fn new() -> Self {
        Self(countersign_testkit::Desktop::new())
    }

    /// The program under test as this desktop's programs would start it.
    pub(crate) fn program(&self) -> KeyringProgram {
        program_with(
            self.home(),
            &format!("DBUS_SESSION_BUS_ADDRESS={}", self.address()),
        )
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::new(APPLICATION, Arc::new(self.program()), random())
    }

    fn directory(&self) -> PathBuf {
        self.home().join("sessions")
    }

    /// A store with the secrets in this desktop's keyring.
    pub(crate) fn store(&self) -> SessionStore {
        self.store_of(Vaults::new(Arc::new(KeyringVault::new(self.keyring()))))
    }

    /// A store with sealed secrets, and the key in this desktop's keyring.
    pub(crate) fn sealed_store(&self) -> SessionStore {
        let vault = SealedVault::with_keyring_key(self.keyring(), random());
        self.store_of(Vaults::new(Arc::new(vault)))
    }

    pub(crate) fn store_of(&self, vaults: Vaults) -> SessionStore {
        let known = vaults
            .and(Arc::new(KeyringVault::new(self.keyring())))
            .and(Arc::new(SealedVault::with_keyring_key(
                self.keyring(),
                random(),
            )))
            .and(Arc::new(FileVault));
        SessionStore::new(&self.directory(), known, random())
    }
}

/// A script that sets these variables and becomes the program: a test cannot set its own.
pub(crate) fn program_with(directory: &Path, variables: &str) -> KeyringProgram {
    let script = directory.join("countersign-keyring");
    let program = env!("CARGO_BIN_EXE_countersign-keyring");
    let text = format!("#!/bin/sh\nexec env -i {variables} {program} \"$@\"\n");
    // Another thread that starts a process while this is being written would keep it open for a
    // moment, and an open file cannot be run: so it appears in one go.
    let new = script.with_extension("new");
    let made = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" > \"$2\" && chmod 700 \"$2\" && mv \"$2\" \"$3\"",
            "sh",
        ])
        .arg(text)
        .args([&new, &script])
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        script.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    KeyringProgram::at(script)
}

#[derive(Debug)]
struct SystemRandom;

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

/// What a login left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    access: String,
    #[serde(skip)]
    pub(crate) refresh: Option<String>,
}

impl Record for Login {
    const VERSION: u32 = 1;
}

impl Divided for Login {
    type Secrets = String;

    fn divide(&self) -> Option<(Self, String)> {
        Some((self.clone(), self.refresh.clone()?))
    }

    fn unite(&mut self, refresh: String) {
        self.refresh = Some(refresh);
    }
}

pub(crate) fn login(refresh: &str) -> Login {
    Login {
        access: "access".to_owned(),
        refresh: Some(refresh.to_owned()),
    }
}

pub(crate) fn key() -> Key {
    Key::new("default").unwrap()
}

/// What is asked of the program, by hand.
pub(crate) fn request(operations: &str, unlock: &str, limit_ms: u64) -> SecretBytes {
    let text = format!(
        r#"{{"version":1,"application":"{APPLICATION}","unlock":"{unlock}","limit_ms":{limit_ms},"operations":{operations}}}"#
    );
    SecretBytes::new(text.into_bytes())
}
