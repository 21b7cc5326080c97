//! What went wrong, as it is printed: one line what, lines why, and what to type.
//!
//! Not responsible for where it is printed, nor for what a person who signs in is told: that is never one
//! of these.

use std::error::Error;
use std::fmt;

use countersign_client::printable;

/// A problem for the administrator of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    why: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    /// A problem, said in one line.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Adds an error and what is behind it.
    #[must_use]
    pub fn because(mut self, error: impl Error) -> Self {
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
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds something to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_why_and_what_to_type() {
        let error = std::io::Error::from_raw_os_error(2);
        let problem = Problem::new("the file\u{7} is gone")
            .because(error)
            .hint("touch it");
        assert_eq!(
            problem.to_string(),
            "error: the file is gone\n  why: No such file or directory\nhint: touch it\n"
        );
        assert_eq!(
            problem.line(),
            "the file is gone: No such file or directory"
        );
    }
}
