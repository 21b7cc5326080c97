//! Why the demo could not go on, for a person to read.

use std::fmt;

/// One sentence, and what else was seen.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    details: Vec<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            details: Vec::new(),
        }
    }

    /// Says before it which step it was.
    #[must_use]
    pub(crate) fn in_step(mut self, step: &str) -> Self {
        self.what = format!("{step}: {}", self.what);
        self
    }

    /// Adds what a program or page said, line by line below the sentence.
    #[must_use]
    pub(crate) fn with_detail(mut self, text: &str) -> Self {
        self.details.extend(text.trim().lines().map(str::to_owned));
        self
    }
}

/// For `map_err`: the sentence, and the error after a colon.
pub(crate) fn because<E: fmt::Display>(what: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::new(format!("{what}: {error}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for line in &self.details {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
