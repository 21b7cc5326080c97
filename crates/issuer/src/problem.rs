//! What went wrong, as it is printed: one line what, one why, one what to type.

use std::error::Error;
use std::fmt;

use countersign_issuer::core;
use countersign_oauth::text::printable;

/// A problem that ends the program.
#[derive(Debug)]
pub(crate) struct Problem {
    what: String,
    why: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Adds an error and what is behind it.
    pub(crate) fn because(mut self, error: impl Error) -> Self {
        self.why.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.why.push(error.to_string());
            source = error.source();
        }
        self
    }

    /// Adds a reason in words.
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<core::Error> for Problem {
    fn from(error: core::Error) -> Self {
        let mut problem = Self::new(error.to_string());
        if let Some(source) = error.source() {
            problem = problem.because(source);
        }
        problem
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
