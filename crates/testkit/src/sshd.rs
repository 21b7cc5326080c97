//! A real sshd with a PAM stack of the test's own, and its client.
//!
//! It needs no root: sshd runs as whoever runs the test, and lets that account in. `libpam_wrapper`
//! stands between sshd and PAM, so that the stack is a file in a temporary directory.
//!
//! Not responsible for: modules and daemons. The stack names the former, the test starts the latter.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Program, Running};
use crate::{Release, Terminal};

/// How long sshd and each client may live.
const LIMIT: Duration = Duration::from_secs(120);

/// Held while an sshd starts.
static STARTS: Mutex<()> = Mutex::new(());

/// How many ports are tried: sshd cannot be told to take any that is free.
const PORTS: usize = 20;

/// What the program is called, and therefore its service: versions before 9.8 take it from there.
const SERVICE: &str = "sshd-under-test";

/// A program that versions since 9.8 have.
const SESSION: &str = "/usr/lib/openssh/sshd-session";

/// A running sshd. It ends when dropped.
#[derive(Debug)]
pub struct Sshd {
    running: Running,
    directory: TempDir,
    port: u16,
    account: String,
    clients: Release,
}

impl Sshd {
    /// Starts sshd with this content of `/etc/pam.d/sshd`, and `options` as further lines of
    /// `sshd_config`. Without any, keyboard-interactive is the one method.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(stack: &str, options: &[&str]) -> Self {
        Self::start_of(Release::Installed, None, stack, options)
    }

    /// The same of either release, whose clients it has too until `take_clients_of`. With `accounts`, it is
    /// a host that has those of `passwd` and `group` in that directory, and no others: `libnss_wrapper`
    /// stands between sshd and the real ones. The option `User` of a client chooses one.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_of(
        release: Release,
        accounts: Option<&Path>,
        stack: &str,
        options: &[&str],
    ) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("countersign-sshd-")
            .tempdir()
            .expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("pam.d")).expect("a new directory");
        for (name, content) in [(SERVICE, stack), ("other", "auth required pam_deny.so\n")] {
            fs::write(at("pam.d").join(name), content).expect("a new file");
        }
        let program = at(SERVICE);
        symlink("/usr/sbin/sshd", &program).expect("a new link");
        for key in ["host", "client"] {
            make_key(&at(key));
        }
        fs::copy(at("client.pub"), at("authorized_keys")).expect("a key was made");
        let account = Program::new("id").arg("-un").run().expect_code(0);
        let account = account.stdout.trim().to_owned();
        if account == "root" {
            // The empty directory that root's sshd goes into.
            fs::create_dir_all("/run/sshd").expect("root may make it");
        }

        let is_new = release == Release::Newer || Path::new(SESSION).exists();
        let started = (0..PORTS).find_map(|_| {
            let port = free_port();
            let config = config(directory.path(), port, is_new, options);
            fs::write(at("sshd_config"), config).expect("a new file");
            // Processes that start at once may take one directory of the wrapper for theirs, and then
            // read each other's stack.
            let _alone = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
            let mut call = vec!["env".to_owned()];
            call.extend(wrapped(directory.path(), accounts));
            call.push(program.display().to_string());
            // Connections of older ones are forks, which have what the listener has read.
            let options = if is_new { "-Def" } else { "-rDef" };
            call.extend([options.to_owned(), at("sshd_config").display().to_string()]);
            let call = release.call(directory.path(), call);
            let running = Program::new("env").args(call).limit(LIMIT).start();
            // Somebody else may have taken the port meanwhile.
            let listens = running.wait_for_stderr(|log| {
                let listens = log.contains("Server listening");
                (listens || log.contains("Cannot bind")).then_some(listens)
            });
            listens.then_some((running, port))
        });
        let (running, port) = started.expect("a port stays free for a moment");
        let host = fs::read_to_string(at("host.pub")).expect("a key was made");
        let known = format!("[127.0.0.1]:{port} {host}");
        fs::write(at("known_hosts"), known).expect("a new file");
        Self {
            running,
            directory,
            port,
            account,
            clients: release,
        }
    }

    /// From now on its clients are of this release.
    pub fn take_clients_of(&mut self, release: Release) {
        self.clients = release;
    }

    /// The account that can sign in: that of whoever runs the test.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What sshd and the modules of its stack have logged so far. Of the modules, what is not worse than
    /// a warning is missing.
    pub fn log(&self) -> String {
        self.running.stderr()
    }

    /// The process that listens.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// As `client`, for any account.
    pub fn client_of(&self, account: &str, options: &[&str], command: &str) -> Program {
        at_terminal(&self.words(account, options, command))
    }

    /// A client at a terminal of its own, which runs `command` on the other side. What it shows comes on
    /// standard output, and `tell` types. `options` are OpenSSH's (`-o` is put before each).
    pub fn client(&self, options: &[&str], command: &str) -> Program {
        self.client_of(&self.account, options, command)
    }

    /// The same at a terminal of 80 columns and 24 lines that shows what a person sees.
    ///
    /// # Panics
    /// When it does not start.
    pub fn client_on_screen(&self, options: &[&str], command: &str) -> Terminal {
        // It asks at the terminal that controls it.
        Program::new("setsid")
            .args(["--ctty", "--wait"])
            .args(self.words(&self.account, options, command))
            .env("TERM", "dumb")
            .limit(LIMIT)
            .at_terminal()
    }

    /// A client without a terminal, as cron and scripts have it.
    pub fn client_without_terminal(&self, options: &[&str], command: &str) -> Program {
        // A session of its own: otherwise the terminal of whoever runs the test would be used.
        Program::new("setsid")
            .arg("--wait")
            .args(self.words(&self.account, options, command))
            .limit(LIMIT)
    }

    /// The client's private key. sshd lets it in where `PubkeyAuthentication yes` is among the options.
    pub fn client_key(&self) -> PathBuf {
        self.directory.path().join("client")
    }

    /// Whether it still accepts connections.
    pub fn is_alive(&self) -> bool {
        let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else {
            return false;
        };
        let mut line = String::new();
        let limit = stream.set_read_timeout(Some(Duration::from_secs(20)));
        limit.is_ok()
            && BufReader::new(stream).read_line(&mut line).is_ok()
            && line.starts_with("SSH-2.0-")
    }

    /// The words of a call of ssh.
    fn words(&self, account: &str, options: &[&str], command: &str) -> Vec<String> {
        let known = self.directory.path().join("known_hosts");
        let own = [
            format!("UserKnownHostsFile={}", known.display()),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
        ];
        let mut words = vec!["ssh".to_owned(), "-F".to_owned(), "/dev/null".to_owned()];
        words.extend(["-p".to_owned(), self.port.to_string()]);
        let given = options.iter().map(|option| (*option).to_owned());
        for option in given.chain(own) {
            words.extend(["-o".to_owned(), option]);
        }
        words.push(format!("{account}@127.0.0.1"));
        words.push(command.to_owned());
        self.clients.call(self.directory.path(), words)
    }
}

/// What stands between sshd and its stack and accounts, which are in directories.
fn wrapped(directory: &Path, accounts: Option<&Path>) -> Vec<String> {
    let mut libraries = "libpam_wrapper.so".to_owned();
    let stack = directory.join("pam.d");
    let mut variables = vec![
        "PAM_WRAPPER=1".to_owned(),
        format!("PAM_WRAPPER_SERVICE_DIR={}", stack.display()),
    ];
    if let Some(accounts) = accounts {
        libraries.insert_str(0, "libnss_wrapper.so ");
        for table in ["passwd", "group"] {
            let path = accounts.join(table);
            let name = table.to_uppercase();
            variables.push(format!("NSS_WRAPPER_{name}={}", path.display()));
        }
    }
    variables.push(format!("LD_PRELOAD={libraries}"));
    variables
}

fn config(directory: &Path, port: u16, is_new: bool, options: &[&str]) -> String {
    let mut config = String::new();
    // What stands first counts.
    for option in options {
        let _ = writeln!(config, "{option}");
    }
    if is_new {
        // Since 9.8 the service is a setting, and a client that fails has to wait.
        let _ = writeln!(config, "PAMServiceName {SERVICE}\nPerSourcePenalties no");
    }
    let directory = directory.display();
    let _ = write!(
        config,
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\nUsePAM yes\n\
         AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nUseDNS no\n\
         PermitRootLogin yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n\
         PubkeyAuthentication no\nPrintMotd no\nPrintLastLog no\n"
    );
    config
}

fn make_key(path: &Path) {
    Program::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .run()
        .expect_code(0);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A program that these words start at a terminal of its own. What it shows comes on standard output, and
/// `tell` types.
pub fn at_terminal(words: &[String]) -> Program {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let line = words.join(" ");
    Program::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "dumb")
        .listening()
        .limit(LIMIT)
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
