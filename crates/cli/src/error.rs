//! What a command ends with when it does not end well: one line what, lines why, and what to type.
//!
//! The only place that turns the errors of the rooms below into text and into an exit code.

use std::error::Error as StdError;
use std::fmt::Write as _;

use countersign_client::{Error as ClientError, ExitCategory, printable};
use countersign_console::without_number;

use crate::output::Paint;

/// What helps where a company looks into all connections, or is its own authority.
pub(crate) const ADD_CERTIFICATE: &str =
    "with the company's certificates in FILE: --ca-cert FILE, or `ca_cert` in the profile";

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError {
    /// What failed, in one line and without its cause.
    what: String,
    /// Why, from the nearest cause to the furthest.
    why: Vec<String>,
    /// A stable word for scripts and search engines.
    code: &'static str,
    /// What to type, best first.
    hints: Vec<String>,
    exit: ExitCategory,
}

impl CliError {
    /// A failure with its code and its exit category.
    pub(crate) fn new(exit: ExitCategory, code: &'static str, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: Vec::new(),
            code,
            hints: Vec::new(),
            exit,
        }
    }

    /// A command that has said everything already and only leaves with its code.
    pub(crate) fn silent(exit: ExitCategory) -> Self {
        Self::new(exit, "", "")
    }

    /// A flag, argument or combination of them that cannot be meant.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(ExitCategory::Usage, "usage", what)
    }

    /// Something about the configuration that a person has to mend.
    pub(crate) fn configuration(what: impl Into<String>) -> Self {
        Self::new(ExitCategory::Configuration, "configuration", what)
    }

    /// Adds a cause.
    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(without_number(&why.into()).to_owned());
        self
    }

    /// Adds something to type.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts an advice before those there are.
    #[must_use]
    pub(crate) fn hint_first(mut self, hint: impl Into<String>) -> Self {
        self.hints.insert(0, hint.into());
        self
    }

    /// Leaves with another exit code than the error's own.
    #[must_use]
    pub(crate) fn leaving_with(mut self, exit: ExitCategory) -> Self {
        self.exit = exit;
        self
    }

    /// The category of its exit code.
    pub(crate) fn exit(&self) -> ExitCategory {
        self.exit
    }

    /// Its stable code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// An error of the rooms below, with its causes and hints.
    pub(crate) fn from_client(error: &ClientError) -> Self {
        // What a server said has been filtered below; paths and settings have not.
        let what = printable(&error.to_string());
        let mut text = Self::new(error.exit_category(), error.code(), what);
        let mut next = error.source();
        while let Some(cause) = next {
            let line = without_number(&printable(&cause.to_string())).to_owned();
            // A wrapper that says what it wraps would say the same thing twice.
            if text.why.last() != Some(&line) && text.what != line {
                text.why.push(line);
            }
            next = cause.source();
        }
        text.hints = error.hints();
        text
    }

    /// What, why, and what to type.
    pub(crate) fn parts(&self) -> (&str, &[String], &[String]) {
        (&self.what, &self.why, &self.hints)
    }

    /// What and why, in one line.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![self.what.as_str()];
        parts.extend(self.why.iter().map(String::as_str));
        parts.join(": ")
    }

    /// The lines for a person.
    pub(crate) fn render(&self, paint: Paint) -> String {
        if self.what.is_empty() {
            return String::new();
        }
        let mut text = format!("{} {}\n", paint.red_bold("error:"), self.what);
        for why in &self.why {
            let _ = writeln!(text, "  why: {why}");
        }
        let _ = writeln!(text, "  code: {}", self.code);
        for hint in &self.hints {
            let _ = writeln!(text, "{} {hint}", paint.bold("hint:"));
        }
        text
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::from_client(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_why_code_and_what_to_type() {
        let error = CliError::configuration("there is no profile yet")
            .why("nobody made one")
            .hint("countersign login");
        assert_eq!(
            error.render(Paint::Plain),
            "error: there is no profile yet\n  why: nobody made one\n  code: configuration\n\
             hint: countersign login\n"
        );
    }
}
