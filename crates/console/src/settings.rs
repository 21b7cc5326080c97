//! A file of settings, as people wrote it.
//!
//! ```
//! use countersign_console::settings::{OneOrMany, Source, Span};
//! use serde::Deserialize;
//!
//! #[derive(Debug, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct File {
//!     listen: toml::Spanned<OneOrMany>,
//!     drain: Option<Span>,
//! }
//!
//! let source = Source::new("listen = \"127.0.0.1:80\"\ndrian = \"5m\"\n", "gateway.toml");
//! let problem = source.read::<File>("see the guide").unwrap_err();
//! assert!(problem.line().starts_with("gateway.toml, line 2: "));
//! assert!(problem.to_string().ends_with("hint: did you mean `drain`?\n"));
//! ```
//!
//! Not responsible for opening the file, nor for what its values mean.

mod measure;

use std::ops::Range;

use countersign_policy::suggest::{UnknownKey, line_of};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::measure::{Bytes, Span};
use crate::Problem;

/// The text of a file, and what messages call it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'f> {
    text: &'f str,
    name: &'f str,
}

impl<'f> Source<'f> {
    /// A text that messages call `name`.
    pub fn new(text: &'f str, name: &'f str) -> Self {
        Self { text, name }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong and on which line, with the key that was probably meant. Where nothing resembles
    /// what was written, the hint is `help`.
    pub fn read<T: DeserializeOwned>(&self, help: &str) -> Result<T, Problem> {
        toml::from_str(self.text).map_err(|error| self.unusable(&error, help))
    }

    fn unusable(&self, error: &toml::de::Error, help: &str) -> Problem {
        let what = "the configuration cannot be used";
        let problem = match error.span() {
            Some(span) => self.at(&span, what),
            None => self.whole(what),
        };
        let problem = problem.why(error.message());
        match UnknownKey::of(error.message()) {
            None => problem,
            Some(UnknownKey { meant: Some(meant) }) => {
                problem.hint(format!("did you mean `{meant}`?"))
            }
            Some(UnknownKey { meant: None }) => problem.hint(help),
        }
    }

    /// A problem of no place in particular.
    pub fn whole(&self, what: impl AsRef<str>) -> Problem {
        Problem::new(format!("{}: {}", self.name, what.as_ref()))
    }

    /// A problem of a place in it.
    pub fn at(&self, span: &Range<usize>, what: impl AsRef<str>) -> Problem {
        self.on_line(self.line(span), what)
    }

    /// A problem of one of its lines, counted from one.
    pub fn on_line(&self, line: usize, what: impl AsRef<str>) -> Problem {
        Problem::new(format!("{}, line {line}: {}", self.name, what.as_ref()))
    }

    /// The line, counted from one, on which a place begins.
    pub fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.text, span.start)
    }
}

/// One value or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum OneOrMany {
    /// A text.
    One(String),
    /// A list of texts.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        names: OneOrMany,
    }

    #[test]
    fn one_and_many_are_read_and_nothing_else() {
        let read = |text| Source::new(text, "f").read::<File>("help");
        let names = |text| read(text).unwrap().names.into_vec();
        assert_eq!(names("names = \"a\""), ["a"]);
        assert_eq!(names("names = [\"a\", \"b\"]"), ["a", "b"]);
        assert_eq!(
            read("\nnames = 1").unwrap_err().to_string(),
            "error: f, line 2: the configuration cannot be used\n  why: a text or a list of texts\n"
        );
    }

    #[test]
    fn a_key_that_resembles_nothing_gets_the_help() {
        let problem = Source::new("zzzzzz = 1", "f").read::<File>("help");
        let problem = problem.unwrap_err().to_string();
        assert!(problem.ends_with("\nhint: help\n"), "{problem}");
    }
}
