//! `yubiserver`, a validation server for Yubico OTPs that somebody else wrote, as Debian packages it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A loaded machine starts programs slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// What client `1` signs with. The program wants twenty characters.
const API_KEY: &str = "twenty characters!!!";

/// `yubiserver` with one client and one key. It is ended when the value is dropped.
///
/// It does not sign the counters that it says, so its clients must not ask for them.
#[derive(Debug)]
pub struct Yubiserver {
    folder: tempfile::TempDir,
    port: u16,
}

impl Yubiserver {
    /// The number of its client.
    pub const CLIENT: &str = "1";
    /// The letters in front of the passwords of its key.
    pub const PUBLIC_ID: &str = "ccccccbchvth";
    /// The private id of its key.
    pub const PRIVATE_ID: [u8; 6] = [1, 2, 3, 4, 5, 6];
    /// The AES key of its key.
    pub const AES_KEY: [u8; 16] = [7; 16];

    /// Starts one at any free port.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        // Started by root it becomes another user, who has to write here.
        let open = std::fs::Permissions::from_mode(0o777);
        let opened = std::fs::set_permissions(folder.path(), open.clone());
        opened.expect("the directory is ours");
        let database = folder.path().join("yubiserver.sqlite");
        std::fs::copy("/etc/yubiserver/yubiserver.sqlite.init", &database)
            .expect("yubiserver is installed (cargo xtask test does it)");
        std::fs::set_permissions(&database, open).expect("the file is ours");
        let database = database.to_str().expect("its name is plain");
        let private_id = format!("{:012x}", number(&Self::PRIVATE_ID));
        let aes_key = format!("{:032x}", number(&Self::AES_KEY));
        administer(&["-b", database, "-p", "-a", "test", API_KEY]);
        let key = ["ada", Self::PUBLIC_ID, &private_id, &aes_key];
        administer(&[&["-b", database, "-y", "-a"], &key[..]].concat());

        // The listener is gone again when this has its number.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        drop(listener);
        let log = folder.path().join("log");
        // It goes into the background.
        let started = Command::new("yubiserver")
            .args(["-d", database, "-p", &port.to_string(), "-l"])
            .arg(log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(started.is_ok_and(|status| status.success()), "yubiserver");
        let server = Self { folder, port };
        let start = Instant::now();
        while server.greet().is_err() {
            assert!(start.elapsed() < PATIENCE, "yubiserver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Where it validates.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/wsapi/2.0/verify", self.port)
    }

    /// What its client signs with, in Base64.
    pub fn api_key() -> String {
        STANDARD.encode(API_KEY)
    }

    /// With a whole request in one piece: a connection that says nothing ends it.
    fn greet(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

/// What these bytes are as one number, the highest first.
fn number(bytes: &[u8]) -> u128 {
    let shifted = |number, byte: &u8| (number << 8) | u128::from(*byte);
    bytes.iter().fold(0, shifted)
}

fn administer(arguments: &[&str]) {
    let mut program = Command::new("yubiserver-admin");
    let added = program.args(arguments).stdin(Stdio::null()).output();
    let added = added.expect("yubiserver is installed (cargo xtask test does it)");
    assert!(added.status.success(), "{added:?}");
}

/// It has to be looked for: whose arguments name our folder, it is.
impl Drop for Yubiserver {
    fn drop(&mut self) {
        let folder = self.folder.path().to_str().unwrap_or_default().as_bytes();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if arguments.starts_with(b"yubiserver")
                && arguments.windows(folder.len()).any(|it| it == folder)
            {
                let id = process.file_name();
                let _ = Command::new("kill").arg(id).status();
            }
        }
    }
}
