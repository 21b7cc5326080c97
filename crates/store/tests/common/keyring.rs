//! A keyring that is a file, with the faults that real ones have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign_store::wire::{Operation, Outcome, Reply, Request, Trouble, Unlock};
use countersign_store::{KeyringPort, PortError, SecretBytes};

/// What is wrong with a keyring today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The program is not installed.
    NoProgram,
    /// It hangs until it is ended.
    Hangs,
    /// It is locked.
    Locked,
    /// Nobody is on the bus.
    NoService,
    /// It says that it has written, and has not: a library that was built without a keyring.
    Forgets,
    /// It cuts values off, as some do at their size limit.
    CutsOff,
    /// It answers with nonsense.
    Babbles,
    /// It is of another version.
    OtherVersion,
    /// It answers with fewer outcomes than there were operations.
    Stops,
    /// It says no in a language for terminals.
    Escapes,
}

type Items = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
pub(crate) struct FakeKeyring {
    path: PathBuf,
    fault: Mutex<Fault>,
    used: AtomicU32,
}

impl FakeKeyring {
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            fault: Mutex::new(Fault::None),
            used: AtomicU32::new(0),
        }
    }

    pub(crate) fn break_with(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// How many requests there were.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// What is in it: `group|name` and the values.
    pub(crate) fn items(&self) -> Items {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => Items::new(),
        }
    }

    pub(crate) fn set(&self, items: &Items) {
        // One rename, as a service would answer one message: it has done it or it has not.
        let new = self.path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(items).unwrap()).unwrap();
        std::fs::rename(&new, &self.path).unwrap();
    }

    fn carry_out(&self, operation: &Operation) -> Outcome {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::Locked => return Outcome::Failed(Trouble::Locked),
            Fault::NoService => return Outcome::Failed(Trouble::NoService),
            Fault::Escapes => {
                return Outcome::Failed(Trouble::Other {
                    detail: format!("\u{1b}[2J{}", "no! ".repeat(1000)),
                });
            }
            _ => {}
        }
        let mut items = self.items();
        match operation {
            Operation::Read { group, name } => match items.get(&format!("{group}|{name}")) {
                Some(value) => Outcome::Value(SecretBytes::new(value.clone())),
                None => Outcome::Absent,
            },
            Operation::Write {
                group, name, value, ..
            } => {
                let mut value = value.expose().to_vec();
                if fault == Fault::CutsOff {
                    value.truncate(10);
                }
                if fault != Fault::Forgets {
                    items.insert(format!("{group}|{name}"), value);
                    self.set(&items);
                }
                Outcome::Done
            }
            Operation::Clear { group, keep } => {
                let before = items.len();
                items.retain(|item, _| match item.strip_prefix(&format!("{group}|")) {
                    Some(name) => keep.as_ref().is_some_and(|keep| name.starts_with(keep)),
                    None => true,
                });
                if items.len() != before {
                    self.set(&items);
                }
                Outcome::Done
            }
        }
    }
}

impl KeyringPort for FakeKeyring {
    fn limit(&self, _unlock: Unlock) -> Duration {
        Duration::from_secs(3)
    }

    fn exchange(&self, request: &SecretBytes, _unlock: Unlock) -> Result<SecretBytes, PortError> {
        self.used.fetch_add(1, Ordering::Relaxed);
        let request: Request = serde_json::from_slice(request.expose()).unwrap();
        assert_eq!(request.application, "countersign-store-test");
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::NoProgram => return Err(PortError::NotInstalled),
            Fault::Hangs => return Err(PortError::TimedOut),
            Fault::Babbles => return Ok(SecretBytes::new(b"Hello, World!".to_vec())),
            _ => {}
        }
        let mut outcomes = Vec::new();
        for operation in &request.operations {
            outcomes.push(self.carry_out(operation));
            if matches!(outcomes.last(), Some(Outcome::Failed(_))) {
                break;
            }
        }
        if fault == Fault::Stops {
            outcomes.pop();
        }
        let version = request.version + u32::from(fault == Fault::OtherVersion);
        let reply = Reply { version, outcomes };
        Ok(SecretBytes::new(serde_json::to_vec(&reply).unwrap()))
    }
}
