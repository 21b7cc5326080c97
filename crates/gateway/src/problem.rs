//! What went wrong, as it is printed: one line what, lines why, and what to type.
//!
//! Not responsible for where it is printed, nor for what a caller of a service is told: that is
//! never one of these.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use countersign_oauth::text::printable;

/// A problem for the person who runs the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    why: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    /// A problem, said in one line.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Adds an error and what is behind it.
    #[must_use]
    pub(crate) fn because(mut self, error: impl Error) -> Self {
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            let line = without_number(error.to_string());
            // A wrapper that says what it wraps would say the same thing twice.
            if self.why.last() != Some(&line) {
                self.why.push(line);
            }
            next = error.source();
        }
        self
    }

    /// Adds a reason in words.
    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds something to type.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The token cannot be read from stdin.
    #[must_use]
    pub fn unreadable_token(error: io::Error) -> Self {
        Self::new("the token cannot be read from stdin")
            .because(error)
            .hint("countersign token | countersign-gateway explain FILE GET /path")
    }

    /// Nothing says what is to be revoked.
    #[must_use]
    pub fn no_token_to_revoke() -> Self {
        Self::new("there is no token on stdin")
            .hint("give one, or say --subject SUB, --session SID or --jti JTI")
    }

    /// A password cannot be read from stdin.
    #[must_use]
    pub fn unreadable_password(error: io::Error) -> Self {
        Self::new("the password cannot be read from stdin").because(error)
    }

    /// Nobody gave a password of the device.
    #[must_use]
    pub fn no_password() -> Self {
        Self::new("there is no password of the device on stdin")
            .hint("give one, or say --no-confirm to enrol it without a trial")
    }

    /// A file cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::new(format!("{} cannot be read", path.display())).because(error)
    }

    /// The runtime cannot start.
    #[must_use]
    pub fn no_runtime(error: io::Error) -> Self {
        Self::new("the async runtime cannot start").because(error)
    }

    /// Signals cannot be heard.
    #[must_use]
    pub fn no_signals(error: io::Error) -> Self {
        Self::new("signals cannot be heard").because(error)
    }

    /// What and why in one line, for a log.
    pub fn line(&self) -> String {
        let mut parts = vec![printable(&self.what)];
        parts.extend(self.why.iter().map(|why| printable(why)));
        parts.join(": ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", printable(&self.what))?;
        for why in &self.why {
            writeln!(f, "  why: {}", printable(why))?;
        }
        for hint in &self.hints {
            writeln!(f, "hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl Error for Problem {}

/// Takes the number from what the system says about a failed call: the words say the same.
fn without_number(mut text: String) -> String {
    if let Some(at) = text.rfind(" (os error ") {
        text.truncate(at);
    }
    text
}
