//! One thing that was looked at: what was found, why it matters, and what to do.

use std::fmt::Write as _;

use countersign_client::{Error, ExitCategory, printable};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::output::Paint;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, and something about it will surprise somebody.
    Warning,
    /// It does not work.
    Fault,
}

impl Level {
    /// The word for it, in the report and in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One finding. Its code stays the same from release to release; its words may get better.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) level: Level,
    /// What was found, as a sentence.
    what: String,
    /// Why, from the nearest cause to the furthest.
    why: Vec<String>,
    /// What to do or to type, best first.
    remedy: Vec<String>,
    /// What a fault makes the command leave with.
    pub(crate) exit: ExitCategory,
}

impl Finding {
    fn new(level: Level, code: &'static str, what: impl Into<String>) -> Self {
        Self {
            code,
            level,
            what: what.into(),
            why: Vec::new(),
            remedy: Vec::new(),
            exit: ExitCategory::Failure,
        }
    }

    /// Something that is as it should be.
    pub(crate) fn ok(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, code, what)
    }

    /// Something that is good to know.
    pub(crate) fn note(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Note, code, what)
    }

    /// Something that will surprise somebody.
    pub(crate) fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, what)
    }

    /// Something that does not work.
    pub(crate) fn fault(code: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Fault, code, what)
    }

    /// An error of ours, with its reasons and its advice.
    pub(crate) fn of_error(code: &'static str, error: &CliError) -> Self {
        let (what, why, hints) = error.parts();
        let mut finding = Self::fault(code, sentence(what)).leaving_with(error.exit());
        finding.why = why.to_vec();
        finding.remedy = hints.to_vec();
        finding
    }

    /// The same of the rooms below.
    pub(crate) fn of_client(code: &'static str, error: &Error) -> Self {
        Self::of_error(code, &CliError::from_client(error))
    }

    /// Adds a reason.
    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Puts a reason, which is a sentence, before those there are.
    #[must_use]
    pub(crate) fn because(mut self, sentence: &str) -> Self {
        let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
        self.why.insert(0, sentence.to_owned());
        self
    }

    /// Adds something to do.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }

    /// Something to do that makes all other advice needless.
    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = vec![remedy.into()];
        self
    }

    /// Puts something to do before what there is.
    #[must_use]
    pub(crate) fn remedy_first(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.insert(0, remedy.into());
        self
    }

    /// Makes it better or worse.
    #[must_use]
    pub(crate) fn at_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// What it says, in the place of what it said.
    #[must_use]
    pub(crate) fn saying(mut self, what: impl Into<String>) -> Self {
        let before = std::mem::replace(&mut self.what, what.into());
        self.why.insert(0, words(&before));
        self
    }

    /// What the command leaves with if this is the fault.
    #[must_use]
    pub(crate) fn leaving_with(mut self, exit: ExitCategory) -> Self {
        // The table of this command has three ways to go wrong.
        self.exit = match exit {
            ExitCategory::Configuration | ExitCategory::Usage => ExitCategory::Configuration,
            ExitCategory::Unreachable => ExitCategory::Unreachable,
            _ => ExitCategory::Failure,
        };
        self
    }

    /// The lines for a person: one for what it is, and one for each thing more. They are not wrapped,
    /// so that what is to be typed can be copied.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let word = match self.level {
            Level::Ok | Level::Note => self.level.word().to_owned(),
            Level::Warning => paint.bold(self.level.word()),
            Level::Fault => paint.red_bold(self.level.word()),
        };
        let mut text = format!("{word}: {}\n", printable(&self.what));
        for why in &self.why {
            let _ = writeln!(text, "  why: {}", printable(why));
        }
        for remedy in &self.remedy {
            let _ = writeln!(text, "  to do: {}", printable(remedy));
        }
        if self.level > Level::Note {
            let _ = writeln!(text, "  code: {}", self.code);
        }
        text
    }

    /// The object for a program.
    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.code,
            "level": self.level.word(),
            "what": self.what,
            "why": self.why,
            "remedy": self.remedy,
        })
    }
}

/// What an error says in one line, as a sentence.
fn sentence(what: &str) -> String {
    let mut letters = what.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let end = if what.ends_with(['.', '…', '`']) {
        ""
    } else {
        "."
    };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

/// The same the other way round: a sentence as a reason.
fn words(sentence: &str) -> String {
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_lowercase(), letters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_why_and_what_to_do() {
        let finding = Finding::warning("clock_off", "The clock is off.")
            .why("nobody set it")
            .remedy("set it");
        assert_eq!(
            finding.text(Paint::Plain),
            "warning: The clock is off.\n  why: nobody set it\n  to do: set it\n  code: clock_off\n"
        );
        assert_eq!(Finding::ok("a", "Fine.").text(Paint::Plain), "ok: Fine.\n");
    }

    #[test]
    fn an_error_becomes_a_sentence() {
        let error = CliError::configuration("there is no profile")
            .why("none")
            .hint("add one");
        let finding = Finding::of_error("profile", &error);
        assert_eq!(finding.exit, ExitCategory::Configuration);
        assert!(
            finding
                .text(Paint::Plain)
                .starts_with("fault: There is no profile.\n")
        );
    }

    #[test]
    fn what_a_server_said_cannot_write_on_the_terminal() {
        let finding = Finding::note("a", "x\u{1b}[2J").why("\u{202e}y");
        let text = finding.text(Paint::Plain);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}
