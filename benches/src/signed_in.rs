//! A home in which somebody has signed in, with the real program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_testkit::{Home, Program as Tool, Provider};

use crate::process::Program;

/// Long enough for the slowest vault on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A home with a session, and the program that made it.
pub(crate) struct SignedIn {
    _home: Home,
    countersign: PathBuf,
    environment: Vec<(String, String)>,
}

impl SignedIn {
    /// Signs in at a scripted provider. The refresh token goes where `store` says, and `variables` are
    /// set then and ever after.
    pub(crate) fn at(
        provider: &Provider,
        countersign: &Path,
        store: &str,
        variables: &[(&str, String)],
    ) -> Self {
        let home = Home::new();
        let mut login = Tool::new(countersign)
            .args(["login", "--no-browser", "--client-id", "cli"])
            .args(["--issuer", &provider.issuer(), "--store", store])
            .home(&home)
            .limit(LIMIT);
        let mut environment: Vec<(String, String)> = home
            .environment()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_string_lossy().into_owned()))
            .collect();
        for (name, value) in variables {
            login = login.env(name, value);
            environment.push(((*name).to_owned(), value.clone()));
        }
        login.run().expect_code(0);
        Self {
            _home: home,
            countersign: countersign.to_owned(),
            environment,
        }
    }

    /// The program in this home, with arguments that are separated by blanks.
    pub(crate) fn program(&self, name: &str, arguments: &str) -> Program {
        Program::new(name, &self.countersign)
            .arguments(arguments.split_ascii_whitespace())
            .environment(&self.environment)
    }
}
