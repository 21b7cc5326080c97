//! A session bus of our own, and a real gnome-keyring on it.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_client::KeyringProgram;
use countersign_store::{
    Divided, FileVault, Key, Keyring, KeyringVault, NoRandomness, Random, Record, SealedVault,
    SecretBytes, SessionStore, Vaults,
};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// The password of the keyring.
const PASSWORD: &str = "a password";
pub(crate) const APPLICATION: &str = "countersign-keyring-test";
/// How long anything may take that should not take long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A child process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A desktop: home, bus, and perhaps a keyring.
pub(crate) struct Desktop {
    home: TempDir,
    address: String,
    keyring: Option<Ended>,
    _bus: Ended,
}

impl Desktop {
    /// A bus that can start nothing by itself.
    pub(crate) fn without_keyring() -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("bus");
        let configuration = home.path().join("bus.conf");
        let text = format!(
            r#"<busconfig>
                <type>session</type>
                <listen>unix:path={}</listen>
                <auth>EXTERNAL</auth>
                <policy context="default">
                    <allow send_destination="*" eavesdrop="true"/>
                    <allow eavesdrop="true"/>
                    <allow own="*"/>
                </policy>
            </busconfig>"#,
            socket.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        let stdout = bus.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        Self {
            home,
            address: address.trim().to_owned(),
            keyring: None,
            _bus: Ended(bus),
        }
    }

    /// A bus with gnome-keyring on it, unlocked.
    pub(crate) fn new() -> Self {
        let mut desktop = Self::without_keyring();
        desktop.start_keyring();
        desktop
    }

    pub(crate) fn start_keyring(&mut self) {
        self.keyring = None;
        let mut daemon = self
            .command("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets", "--unlock"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring is installed");
        let mut stdin = daemon.stdin.take().unwrap();
        stdin.write_all(PASSWORD.as_bytes()).unwrap();
        drop(stdin);
        self.keyring = Some(Ended(daemon));
        let begin = Instant::now();
        while !self.has_default_keyring() {
            assert!(begin.elapsed() < PATIENCE, "gnome-keyring does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn has_default_keyring(&self) -> bool {
        let asked = self.call("ReadAlias", "string:default");
        asked.is_some_and(|answer| answer.contains("/collection/login"))
    }

    /// Calls a method of the service itself.
    fn call(&self, method: &str, argument: &str) -> Option<String> {
        let output = self
            .command("dbus-send")
            .args(["--session", "--print-reply", "--reply-timeout=5000"])
            .args(["--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"])
            .arg(format!("org.freedesktop.Secret.Service.{method}"))
            .arg(argument)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(answer)
    }

    /// Locks the keyring, as a screen saver would.
    pub(crate) fn lock(&self) {
        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
        self.call("Lock", login).unwrap();
    }

    /// Sends the keyring a signal.
    pub(crate) fn signal_keyring(&self, signal: Signal) {
        let id = self.keyring.as_ref().unwrap().0.id();
        let pid = Pid::from_raw(id.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// A program of this desktop.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("XDG_DATA_HOME", self.home.path().join("data"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// The program under test as this desktop's programs would start it.
    pub(crate) fn program(&self) -> KeyringProgram {
        program_with(
            self.home.path(),
            &format!("DBUS_SESSION_BUS_ADDRESS={}", self.address),
        )
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::new(APPLICATION, Arc::new(self.program()), random())
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("sessions")
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
