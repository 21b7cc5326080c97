//! What went wrong, as it is printed: one line what, lines why, and what to type.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use countersign_oauth::text::{printable, without_number};

/// A problem for the person who runs the program.
///
/// Its parts may come from outside: they are made fit for a terminal when they are printed.
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

    /// An error that says by itself what went wrong, with what is behind it.
    pub fn of(error: &dyn Error) -> Self {
        let problem = Self::new(without_number(&error.to_string()).to_owned());
        match error.source() {
            Some(source) => problem.because(source),
            None => problem,
        }
    }

    /// A file cannot be read.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(format!("{} cannot be read", path.display())).because(error)
    }

    /// The async runtime cannot start.
    pub fn no_runtime(error: &io::Error) -> Self {
        Self::new("the async runtime cannot start").because(error)
    }

    /// Adds an error and what is behind it.
    #[must_use]
    pub fn because(mut self, error: impl Error) -> Self {
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            let line = without_number(&error.to_string()).to_owned();
            // A wrapper that says what it wraps would say the same thing twice.
            if *self.why.last().unwrap_or(&self.what) != line {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapper(io::Error);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_problem_says_what_why_and_what_to_type() {
        let problem = Problem::new("the file\u{7} is gone")
            .because(io::Error::from_raw_os_error(2))
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

    #[test]
    fn nothing_is_said_twice() {
        let wrapped = || Wrapper(io::Error::from_raw_os_error(13));
        let problem = Problem::new("it cannot be opened").because(wrapped());
        assert_eq!(problem.line(), "it cannot be opened: Permission denied");
        assert_eq!(Problem::of(&wrapped()).line(), "Permission denied");
    }
}
