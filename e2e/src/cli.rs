//! The real `countersign`, in a home of its own.

use std::fs;
use std::time::Duration;

use countersign_testkit::{Finished, Home, Program, Running, bin};
use serde_json::{Value, json};

/// Longer than anything a test waits for; what hangs is killed then.
const LIMIT: Duration = Duration::from_secs(90);

/// A user's `countersign`, whose files are all below one throw-away directory.
#[derive(Debug, Default)]
pub struct Cli {
    home: Home,
    environment: Vec<(&'static str, String)>,
}

/// A `countersign login` that waits for its approval.
#[derive(Debug)]
pub struct Waiting {
    process: Running,
    /// The address that has the code in it.
    pub address: String,
    /// The code to compare.
    pub code: String,
}

impl Cli {
    /// A user who has never used it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A user with these variables in the environment besides.
    #[must_use]
    pub fn with(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// The home of that user.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// `countersign` with these arguments (separated by spaces), not started yet.
    pub fn command(&self, arguments: &str) -> Program {
        let program = Program::new(bin("countersign"))
            .args(arguments.split_whitespace())
            .home(&self.home)
            .limit(LIMIT);
        self.environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// As `command`, at a terminal of its own. What both streams show comes on standard output.
    pub fn command_at_terminal(&self, arguments: &str) -> Program {
        let line = format!("{} {arguments}", bin("countersign").display());
        let program = Program::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "dumb")
            .home(&self.home)
            .listening()
            .limit(LIMIT);
        self.environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Runs `countersign` with these arguments (separated by spaces).
    pub fn run(&self, arguments: &str) -> Finished {
        self.command(arguments).run()
    }

    /// Makes what it has kept of metadata and keys older by so many milliseconds.
    ///
    /// # Panics
    /// When it has kept nothing that can be read.
    pub fn age_cache(&self, milliseconds: i64) {
        let directory = self.home.cache_dir().join("provider");
        let entries = fs::read_dir(directory).expect("something was kept");
        for entry in entries {
            let path = entry.expect("it can be listed").path();
            let text = fs::read(&path).expect("it can be read");
            let mut kept: Value = serde_json::from_slice(&text).expect("it is JSON");
            let fetched_at = kept
                .pointer_mut("/record/fetched_at")
                .expect("it says when");
            *fetched_at = json!(fetched_at.as_i64().unwrap_or_default() - milliseconds);
            fs::write(&path, kept.to_string()).expect("it can be written");
        }
    }

    /// Starts a login by device code and waits until it shows where to approve.
    ///
    /// # Panics
    /// When it shows nothing.
    pub fn start_login(&self, issuer: &str, client_id: &str) -> Waiting {
        self.start_device(&format!("--issuer {issuer} --client-id {client_id}"))
    }

    /// As `start_login`, with these arguments instead of issuer and client id.
    ///
    /// # Panics
    /// When it shows nothing.
    pub fn start_device(&self, arguments: &str) -> Waiting {
        let process = self
            .command(&format!("login --flow device --no-browser {arguments}"))
            .start();
        let address = process.wait_for_stderr(address);
        let code = process.wait_for_stderr(|text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("Your one-time code: "))?;
            line.split_whitespace().last().map(str::to_owned)
        });
        Waiting {
            process,
            address,
            code,
        }
    }

    /// Starts a login in the browser, with these arguments, and waits until it shows the address that
    /// the browser is to open.
    ///
    /// # Panics
    /// When it shows nothing.
    pub fn start_browser(&self, arguments: &str) -> Visiting {
        let command = self.command(&format!("login --flow browser --no-browser {arguments}"));
        Visiting::start(command)
    }
}

/// The first line that is an address, once it is whole.
fn address(text: &str) -> Option<String> {
    let (lines, _) = text.rsplit_once('\n')?;
    let line = lines.lines().find(|line| line.starts_with("http"))?;
    Some(line.to_owned())
}

/// A `countersign login` that waits for the browser to come back.
#[derive(Debug)]
pub struct Visiting {
    /// The program.
    pub process: Running,
    /// What the browser is to open.
    pub address: String,
}

impl Visiting {
    /// Starts this command, which shows an address on standard error.
    ///
    /// # Panics
    /// When it shows nothing.
    pub fn start(command: Program) -> Self {
        let process = command.start();
        let address = process.wait_for_stderr(address);
        Self { process, address }
    }

    /// A member of the authorization request.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn asked(&self, name: &str) -> String {
        let (_, query) = self.address.split_once('?').unwrap_or_default();
        let mut members = url::form_urlencoded::parse(query.as_bytes());
        match members.find(|(known, _)| known == name) {
            Some((_, value)) => value.into_owned(),
            None => panic!("no {name} in {}", self.address),
        }
    }

    /// Waits for the end of the login.
    pub fn finish(self) -> Finished {
        self.process.finish()
    }
}

impl Waiting {
    /// Waits for the end of the login.
    pub fn finish(self) -> Finished {
        self.process.finish()
    }
}
