//! A daemon of its own for each test, a scripted authorization server, and a client that plays the module.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use countersign_pam_wire::{
    Incoming, Line, Login, Opened, Process, Text, ToDaemon, ToModule, Typed, Verdict,
};
use countersign_testkit::Provider;

/// Nothing here takes so long on a machine that has anything to do it with.
const LIMIT: Duration = Duration::from_secs(40);

/// A provider, a daemon, and a directory for both.
pub(crate) struct Fixture {
    pub(crate) provider: Provider,
    pub(crate) home: tempfile::TempDir,
    daemon: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// The account that tests sign in to: whoever runs them.
pub(crate) fn account() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name
}

/// Lets the subject of the scripted provider into the account of the test, and nothing else.
pub(crate) fn usual() -> String {
    format!(
        "min_uid = 0\nallow_root = true\nqr = \"never\"\n[[rule]]\nname = \"ada\"\naccounts = [{:?}]\nsub = \"ada\"\n",
        account()
    )
}

impl Fixture {
    /// A daemon with the usual configuration.
    pub(crate) fn start() -> Self {
        Self::with(&usual())
    }

    /// A daemon with this configuration, below issuer and client.
    pub(crate) fn with(config: &str) -> Self {
        Self::at(Provider::start(), config, |_| {})
    }

    /// The same at a provider that was prepared, with a change to the command.
    pub(crate) fn at(provider: Provider, config: &str, change: impl FnOnce(&mut Command)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let head = head(&provider);
        fs::write(home.path().join("pam.toml"), format!("{head}{config}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-pamd"));
        command
            .args(["run", "--log-stderr", "--config"])
            .arg(home.path().join("pam.toml"))
            .arg("--socket")
            .arg(home.path().join("pam.sock"))
            .arg("--control")
            .arg(home.path().join("control.sock"))
            .arg("--state")
            .arg(home.path().join("sessions"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut daemon = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = {
            let (log, stderr) = (Arc::clone(&log), daemon.stderr.take().unwrap());
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock().unwrap().push(line);
                }
            })
        };
        let mut fixture = Self {
            provider,
            home,
            daemon,
            log,
            reader: Some(reader),
        };
        while UnixStream::connect(fixture.socket()).is_err() {
            let ended = fixture.daemon.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the daemon has ended: {:#?}",
                fixture.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
        fixture
    }

    /// Puts another configuration in place of the one in force.
    pub(crate) fn reconfigure(&self, config: &str) {
        self.reconfigure_at(&self.provider, config);
    }

    /// The same, at another provider.
    pub(crate) fn reconfigure_at(&self, provider: &Provider, config: &str) {
        let new = self.home.path().join("new.toml");
        fs::write(&new, format!("{}{config}", head(provider))).unwrap();
        fs::rename(&new, self.home.path().join("pam.toml")).unwrap();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("pam.sock")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// The network worker's process.
    pub(crate) fn worker(&self) -> Option<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let own = fs::read_to_string(path).unwrap_or_default();
        own.split_whitespace().next()?.parse().ok()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that has all of this.
    pub(crate) fn logged(&self, parts: &[&str]) -> String {
        let find = || {
            let log = self.log();
            log.into_iter()
                .find(|line| parts.iter().all(|part| line.contains(part)))
        };
        self.wait_until(&format!("the log has {parts:?}"), || find().is_some());
        find().unwrap()
    }

    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < LIMIT, "{what}: {:#?}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the worker has asked the provider about itself, so that nothing is counted twice.
    pub(crate) fn wait_until_warm(&self) {
        self.wait_until("the keys are fetched", || {
            !self
                .provider
                .requests(countersign_testkit::Endpoint::Jwks)
                .is_empty()
        });
    }

    /// A module that has connected and said nothing yet.
    pub(crate) fn module(&self) -> Module {
        Module::connect(&self.socket())
    }

    /// A module that has asked for a sign-in of the usual account.
    pub(crate) fn begin(&self) -> Module {
        self.begin_as(login(&account()))
    }

    pub(crate) fn begin_as(&self, login: Login) -> Module {
        let mut module = self.module();
        module.say(&ToDaemon::Begin(login));
        module
    }

    /// A whole sign-in with somebody at the terminal who presses Enter whenever asked.
    pub(crate) fn sign_in(&self) -> Done {
        self.begin().finish()
    }
}

pub(crate) fn head(provider: &Provider) -> String {
    format!(
        "issuer = {:?}\nclient_id = \"ssh\"\nworker_user = \"nobody\"\n",
        provider.issuer()
    )
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        // A secret that was handed out is in no line, whatever the test was about.
        let log = self.log.lock().unwrap().join("\n");
        for secret in self.provider.secrets() {
            assert!(!log.contains(&secret), "a secret is in the log: {log}");
        }
    }
}

/// A login of this process for an account.
pub(crate) fn login(user: &str) -> Login {
    login_of(std::process::id(), user)
}

/// A login whose monitor is this process.
pub(crate) fn login_of(pid: u32, user: &str) -> Login {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap();
    Login {
        service: Line::clean("sshd"),
        user: Line::clean(user),
        ruser: Line::default(),
        rhost: Line::clean("192.0.2.7"),
        tty: Line::clean("ssh"),
        ssh_connection: Line::clean("192.0.2.7 50000 192.0.2.1 22"),
        auth_info: Text::default(),
        monitor: Process::from_stat(&stat).unwrap(),
    }
}

/// A process that does nothing: the monitor of another connection.
pub(crate) struct Monitor(Child);

impl Monitor {
    pub(crate) fn start() -> Self {
        Self(Command::new("sleep").arg("300").spawn().unwrap())
    }

    pub(crate) fn login(&self, user: &str) -> Login {
        login_of(self.0.id(), user)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
    pub(crate) reference: String,
    /// What was asked before, in this order.
    pub(crate) prompts: Vec<String>,
}

/// Plays the module on one connection.
pub(crate) struct Module {
    stream: UnixStream,
    incoming: Incoming<ToModule>,
}

impl Module {
    pub(crate) fn connect(socket: &std::path::Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self {
            stream,
            incoming: Incoming::default(),
        }
    }

    pub(crate) fn say(&mut self, message: &ToDaemon) {
        let encoded = message.encode().unwrap();
        self.stream.write_all(encoded.expose()).unwrap();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The daemon may have hung up in the middle of it.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn enter(&mut self) {
        self.answer("");
    }

    pub(crate) fn answer(&mut self, text: &str) {
        self.say(&ToDaemon::Answer(Typed::clean(text)));
    }

    /// The next message; `None` when the daemon has hung up.
    pub(crate) fn next(&mut self) -> Option<ToModule> {
        self.incoming
            .receive_from(&mut self.stream)
            .unwrap_or_default()
    }

    /// The next prompt.
    pub(crate) fn prompt(&mut self) -> String {
        loop {
            match self.next().expect("the daemon has not hung up") {
                ToModule::Prompt { text, .. } => return text.as_str().to_owned(),
                ToModule::Working => {}
                other => panic!("no prompt but {other:?}"),
            }
        }
    }

    /// Presses Enter at every prompt until it is over.
    pub(crate) fn finish(&mut self) -> Done {
        let mut prompts = Vec::new();
        loop {
            match self.next().expect("the daemon says how it ended") {
                ToModule::Prompt { text, .. } => {
                    prompts.push(text.as_str().to_owned());
                    self.enter();
                }
                ToModule::Done {
                    verdict,
                    text,
                    reference,
                } => {
                    return Done {
                        verdict,
                        text: text.as_str().to_owned(),
                        reference: reference.as_str().to_owned(),
                        prompts,
                    };
                }
                _ => {}
            }
        }
    }
}

/// The session of a login opens.
pub(crate) fn opened(login: Login) -> ToDaemon {
    ToDaemon::Open(Opened {
        login,
        audit_session: None,
        xdg_session: Line::default(),
    })
}
