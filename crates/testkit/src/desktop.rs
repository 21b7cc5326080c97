//! A session bus of our own, and a real gnome-keyring on it.
//!
//! Not responsible for: what is kept there, nor for a screen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The password of the keyring.
const PASSWORD: &str = "a password";
/// How long anything may take that should not take long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A child process that ends with the test.
#[derive(Debug)]
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A desktop: home, bus, and perhaps a keyring.
#[derive(Debug)]
pub struct Desktop {
    home: TempDir,
    address: String,
    keyring: Option<Ended>,
    _bus: Ended,
}

impl Desktop {
    /// A bus that can start nothing by itself.
    ///
    /// # Panics
    /// When no bus can be started.
    pub fn without_keyring() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
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
        std::fs::write(&configuration, text).expect("the home can be written");
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        let stdout = bus.stdout.as_mut().expect("stdout was asked for");
        BufReader::new(stdout)
            .read_line(&mut address)
            .expect("the bus says where it is");
        Self {
            home,
            address: address.trim().to_owned(),
            keyring: None,
            _bus: Ended(bus),
        }
    }

    /// A bus with gnome-keyring on it, unlocked.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn new() -> Self {
        let mut desktop = Self::without_keyring();
        desktop.start_keyring();
        desktop
    }

    /// Starts gnome-keyring, unlocked, in the place of one that runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_keyring(&mut self) {
        self.keyring = None;
        let mut daemon = self
            .command("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets", "--unlock"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring is installed");
        let mut stdin = daemon.stdin.take().expect("stdin was asked for");
        stdin
            .write_all(PASSWORD.as_bytes())
            .expect("it reads its password");
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
            .expect("dbus-send is installed");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(answer)
    }

    /// Locks the keyring, as a screen saver would.
    ///
    /// # Panics
    /// When it does not do that.
    pub fn lock(&self) {
        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
        self.call("Lock", login).expect("it can be locked");
    }

    /// Sends the keyring a signal.
    ///
    /// # Panics
    /// When there is none.
    pub fn signal_keyring(&self, signal: Signal) {
        let daemon = self.keyring.as_ref().expect("there is a keyring");
        kill_process(Pid::from_child(&daemon.0), signal).expect("it is ours");
    }

    /// A program of this desktop.
    pub fn command(&self, program: &str) -> Command {
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

    /// The home of whoever sits at this desktop.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the bus is: what stands in `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Default for Desktop {
    fn default() -> Self {
        Self::new()
    }
}
