//! The real `countersign`, in a home of its own.

use std::time::Duration;

use countersign_testkit::{Finished, Home, Program, Running, bin};

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

    /// Runs `countersign` with these arguments (separated by spaces).
    pub fn run(&self, arguments: &str) -> Finished {
        self.command(arguments).run()
    }

    /// Starts a login and waits until it shows where to approve.
    ///
    /// # Panics
    /// When it shows nothing.
    pub fn start_login(&self, issuer: &str, client_id: &str) -> Waiting {
        let arguments = format!("login --issuer {issuer} --client-id {client_id} --no-browser");
        let process = self.command(&arguments).start();
        let address = process.wait_for_stderr(|text| {
            let whole = text.rsplit_once('\n').map(|(lines, _)| lines)?;
            whole
                .lines()
                .find(|line| line.starts_with("http"))
                .map(str::to_owned)
        });
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
}

impl Waiting {
    /// Waits for the end of the login.
    pub fn finish(self) -> Finished {
        self.process.finish()
    }
}
