//! Real databases of our own, each in a directory of its own that goes with it: Redis and
//! `PostgreSQL`.
//!
//! They listen on a socket in that directory, and where asked on loopback with TLS. Not responsible for
//! what is kept in them.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take that should not take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The system user that `PostgreSQL`, which refuses to run as root, is run as then.
const NOT_ROOT: &str = "postgres";

/// A database process that ends with the test.
#[derive(Debug)]
pub struct Database {
    directory: TempDir,
    start: Vec<String>,
    socket: PathBuf,
    port: Option<u16>,
    /// What ends it at once, without a last word to its clients.
    end: Signal,
    child: Option<Child>,
}

impl Database {
    /// A `redis-server` that writes nothing to disk, with these options besides.
    ///
    /// # Panics
    /// When it does not start.
    pub fn redis(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("redis.sock");
        let mut start = words(&[
            "redis-server",
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        start.extend(words(&[
            "--dir",
            text(directory.path()),
            "--unixsocket",
            text(&socket),
        ]));
        start.extend(words(options));
        Self::started(directory, start, socket, None, Signal::KILL)
    }

    /// A `redis-server` with a password that also speaks TLS, on [`Database::port`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn redis_with_tls(certificate: &str, key: &str, password: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        let (cert_file, key_file) = pem_files(files.path(), certificate, key);
        let port = free_port();
        let mut database = Self::redis(&[
            "--tls-port",
            &port.to_string(),
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            text(&cert_file),
            "--tls-key-file",
            text(&key_file),
            "--tls-ca-cert-file",
            text(&cert_file),
            "--requirepass",
            password,
        ]);
        database.port = Some(port);
        database
    }

    /// A `PostgreSQL` server with a database `postgres` for the user `countersign`, whose password this
    /// is. Speaks TLS on [`Database::port`] if there are a certificate and its key.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn postgres(password: &str, tls: Option<(&str, &str)>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let programs = postgres_programs();
        let is_root = rustix::process::geteuid().is_root();
        let prefix = if is_root {
            // The data belongs to whom the server runs as.
            own(directory.path());
            words(&[
                "setpriv",
                "--reuid",
                NOT_ROOT,
                "--regid",
                NOT_ROOT,
                "--clear-groups",
            ])
        } else {
            Vec::new()
        };
        let data = directory.path().join("data");
        let password_file = directory.path().join("password");
        fs::write(&password_file, password).expect("the directory can be written");
        if is_root {
            own(&password_file);
        }
        let mut initdb = prefix.clone();
        initdb.extend(words(&[
            text(&programs.join("initdb")),
            "--username=countersign",
            "--auth=scram-sha-256",
            "--no-sync",
            "--encoding=UTF8",
            "--no-locale",
            "--pgdata",
            text(&data),
            "--pwfile",
            text(&password_file),
        ]));
        let made = command(&initdb).output().expect("initdb can be started");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );

        let mut start = prefix;
        start.extend(words(&[
            text(&programs.join("postgres")),
            "-D",
            text(&data),
            "-k",
            text(directory.path()),
            "-c",
            "fsync=off",
            "-c",
            "max_connections=20",
        ]));
        let port = free_port();
        // The name of the socket has the port in it.
        start.extend(words(&["-p", &port.to_string()]));
        if let Some((certificate, key)) = tls {
            let (cert_file, key_file) = pem_files(&data, certificate, key);
            if is_root {
                own(&cert_file);
                own(&key_file);
            }
            start.extend(words(&["-c", "ssl=on", "-c", "listen_addresses=127.0.0.1"]));
            for (name, file) in [("ssl_cert_file", cert_file), ("ssl_key_file", key_file)] {
                start.extend(words(&["-c", &format!("{name}={}", file.display())]));
            }
        } else {
            start.extend(words(&["-c", "listen_addresses="]));
        }
        let socket = directory.path().join(format!(".s.PGSQL.{port}"));
        // Killed, it would leave processes behind that keep a new one from starting; this is its own way
        // to end as if the power had failed.
        Self::started(directory, start, socket, Some(port), Signal::QUIT)
    }

    fn started(
        directory: TempDir,
        start: Vec<String>,
        socket: PathBuf,
        port: Option<u16>,
        end: Signal,
    ) -> Self {
        let mut database = Self {
            directory,
            start,
            socket,
            port,
            end,
            child: None,
        };
        database.start();
        database
    }

    /// Starts it again, after [`Database::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&mut self) {
        let child = command(&self.start)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.start.first()));
        self.child = Some(child);
        let began = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "{:?} ended: {ended:?}", self.start);
            assert!(
                began.elapsed() < PATIENCE,
                "{:?} does not listen",
                self.start
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(Pid::from_child(&child), self.end);
            let _ = child.wait();
        }
        // It may be left behind, and would look as if somebody listened.
        let _ = fs::remove_file(&self.socket);
    }

    /// Stops it where it stands, or lets it go on (`SIGSTOP`, `SIGCONT`).
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The port on 127.0.0.1 that it speaks TLS on.
    ///
    /// # Panics
    /// When it has none.
    pub fn port(&self) -> u16 {
        self.port.expect("it was started with a port")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(words: &[String]) -> Command {
    let (program, arguments) = words.split_first().expect("a command has a first word");
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

fn pem_files(directory: &Path, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
    let cert_file = directory.join("server.pem");
    let key_file = directory.join("server.key");
    fs::write(&cert_file, certificate).expect("the directory can be written");
    fs::write(&key_file, key).expect("the directory can be written");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&key_file, private).expect("the file is ours");
    (cert_file, key_file)
}

fn own(path: &Path) {
    let owned = Command::new("chown").arg(NOT_ROOT).arg(path).status();
    assert!(
        owned.is_ok_and(|status| status.success()),
        "chown {}",
        path.display()
    );
}

/// Debian keeps them out of the search path, one directory a version.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path().join("bin"))
        .find(|programs| programs.join("initdb").exists())
        .expect("PostgreSQL is installed")
}

/// A port that nobody has just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback is there");
    listener.local_addr().expect("it is bound").port()
}
