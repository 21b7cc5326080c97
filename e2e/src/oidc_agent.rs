//! Debian's `oidc-agent`, a client written in C that shares nothing with ours: an agent that holds
//! tokens, as ssh-agent holds keys, and small programs that talk to it.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use countersign_testkit::{Finished, Home, Program, Running};

/// Nothing that it does takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// What its files are encrypted with.
const PASSWORD: &str = "only for this test";

/// A running agent in a home of its own.
#[derive(Debug)]
pub struct OidcAgent {
    home: Home,
    _agent: Running,
}

impl OidcAgent {
    /// Starts an agent that knows no account.
    ///
    /// # Panics
    /// When it is not installed; the message says how it is.
    pub fn start() -> Self {
        assert!(
            Path::new("/usr/bin/oidc-agent").is_file(),
            "oidc-agent is missing: run `cargo xtask test`, or `apt-get install oidc-agent-cli`"
        );
        let home = Home::new();
        // Without it there is nowhere to keep an account.
        std::fs::create_dir(home.path().join(".oidc-agent")).expect("the home is ours");
        let agent = Program::new("oidc-agent")
            .args(["--console", "--no-autoload", "--no-autoreauthenticate"])
            .arg(format!("--socket-path={}", socket(&home)))
            .home(&home)
            .limit(Duration::from_secs(120))
            .start();
        // It says that it is ready only when its output is a terminal.
        let begin = Instant::now();
        while UnixStream::connect(socket(&home)).is_err() {
            assert!(begin.elapsed() < LIMIT, "no agent: {}", agent.stderr());
            thread::sleep(Duration::from_millis(2));
        }
        Self {
            home,
            _agent: agent,
        }
    }

    /// Starts to sign in as this public client, and returns once the address for the person is shown.
    pub fn sign_in(&self, issuer: &str, client_id: &str, flow: &str, more: &[&str]) -> Signing {
        let process = self
            .program("oidc-gen")
            .args([
                &format!("--flow={flow}"),
                &format!("--issuer={issuer}"),
                &format!("--client-id={client_id}"),
                "--client-secret=",
                "--scope=openid profile email offline_access",
            ])
            .args(more)
            .args(["--manual", "--no-url-call", "--prompt=none", "--pw-env"])
            .arg("account")
            .start();
        Signing { process }
    }

    /// What `oidc-token` says with these arguments.
    pub fn token(&self, arguments: &[&str]) -> Finished {
        self.program("oidc-token")
            .args(arguments)
            .arg("account")
            .run()
    }

    /// Forgets the account, after having revoked its refresh token.
    pub fn sign_out(&self) -> Finished {
        self.program("oidc-gen")
            .args(["--delete", "--confirm-yes", "--pw-env", "account"])
            .run()
    }

    /// What leads its programs here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path().display().to_string();
        let pairs = [
            ("HOME", home),
            ("OIDC_SOCK", socket(&self.home)),
            ("OIDC_ENCRYPTION_PW", PASSWORD.to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn program(&self, name: &str) -> Program {
        let mut program = Program::new(name).home(&self.home).limit(LIMIT);
        for (name, value) in self.environment() {
            program = program.env(name, value);
        }
        program
    }
}

fn socket(home: &Home) -> String {
    home.path().join("agent.socket").display().to_string()
}

/// An `oidc-gen` that waits for the person.
#[derive(Debug)]
pub struct Signing {
    process: Running,
}

impl Signing {
    /// The address that the person is to open, which begins with `prefix`.
    ///
    /// # Panics
    /// When none is shown.
    pub fn address(&self, prefix: &str) -> String {
        self.process.wait_for_stderr(|text| {
            let (whole, _) = text.rsplit_once('\n')?;
            let line = whole.lines().find(|line| line.starts_with(prefix))?;
            Some(line.trim().to_owned())
        })
    }

    /// The code that goes with the address.
    ///
    /// # Panics
    /// When none is shown.
    pub fn code(&self) -> String {
        self.process.wait_for_stderr(|text| {
            let (whole, _) = text.rsplit_once('\n')?;
            let line = whole
                .lines()
                .find_map(|line| line.strip_prefix("And enter the code: "))?;
            Some(line.trim().to_owned())
        })
    }

    /// Waits for the end.
    pub fn finish(self) -> Finished {
        self.process.finish()
    }
}
