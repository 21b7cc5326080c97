//! The two streams: standard output carries what was asked for and nothing else, standard error
//! carries everything said to a person.
//!
//! Not responsible for how wide a terminal is (`term`) nor for errors (`error`).

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use countersign_client::ExitCategory;

use crate::args::When;
use crate::error::CliError;

/// Prints the artefact of a command on standard output.
///
/// # Errors
/// When it could not be written in full, because a script must not take half a token for a whole one.
pub(crate) fn artefact(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        // Whoever reads has had enough, and knows.
        ErrorKind::BrokenPipe => CliError::silent(ExitCategory::Failure),
        _ => CliError::new(
            ExitCategory::Failure,
            "output",
            "standard output cannot be written",
        )
        .why(error.to_string()),
    })
}

/// Prints a JSON artefact, indented for people; programs do not mind.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), CliError> {
    artefact(&format!("{value:#}\n"))
}

/// Writes to standard error. That nobody can read a message is no reason to fail.
pub(crate) fn message(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// The text in lines of at most 80 columns, broken at spaces.
pub(crate) fn fold(text: &str) -> String {
    const COLUMNS: usize = 80;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let width = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + width <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// How much is said to the person, and in which manner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    quiet: bool,
    verbose: u8,
    paint: Paint,
}

impl Voice {
    /// As the global flags and the terminal have it.
    pub(crate) fn new(quiet: bool, verbose: u8, color: When) -> Self {
        Self {
            quiet,
            verbose,
            paint: Paint::for_stderr(color),
        }
    }

    /// One line for the person; nothing with `--quiet`.
    pub(crate) fn say(self, line: &str) {
        if !self.quiet {
            message(&format!("{line}\n"));
        }
    }

    /// One line that should not be missed, which ends nothing. Also with `--quiet`.
    pub(crate) fn warn(self, line: &str) {
        message(&format!("{} {line}\n", self.paint.bold("warning:")));
    }

    /// One line about what goes on, at this level of `-v`. Never with a secret in it.
    pub(crate) fn detail(self, level: u8, line: impl FnOnce() -> String) {
        if self.verbose >= level {
            message(&format!("{}\n", self.paint.faint(&format!("· {}", line()))));
        }
    }

    /// Whether details of this level are told.
    pub(crate) fn tells(self, level: u8) -> bool {
        self.verbose >= level
    }

    /// Whether only errors and the artefact are wanted.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// How text is set off.
    pub(crate) fn paint(self) -> Paint {
        self.paint
    }
}

/// How text is set off from other text: with escape sequences, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// For files, pipes and those who prefer it.
    Plain,
    /// For terminals.
    Ansi,
}

impl Paint {
    /// What suits standard error: flags first, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether it
    /// is a terminal.
    pub(crate) fn for_stderr(color: When) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let wanted = match color {
            When::Always => true,
            When::Never => false,
            When::Auto if set("NO_COLOR") => false,
            When::Auto if set("CLICOLOR_FORCE") => true,
            When::Auto => {
                io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
            }
        };
        if wanted { Self::Ansi } else { Self::Plain }
    }

    fn with(self, sequence: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{sequence}m{text}\x1b[0m"),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn red_bold(self, text: &str) -> String {
        self.with("1;31", text)
    }
}

/// Puts text between single quotes for a POSIX shell, if it needs any.
pub(crate) fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paint_leaves_text_alone() {
        assert_eq!(Paint::Plain.bold("code"), "code");
        assert_eq!(Paint::Ansi.bold("code"), "\x1b[1mcode\x1b[0m");
    }

    #[test]
    fn text_is_broken_at_spaces_and_nowhere_else() {
        assert_eq!(fold("short"), "short");
        let word = "w".repeat(39);
        assert_eq!(fold(&format!("{word} {word}a")), format!("{word} {word}a"));
        assert_eq!(
            fold(&format!("{word} {word}ab")),
            format!("{word}\n{word}ab")
        );
        let address = "a".repeat(100);
        assert_eq!(
            fold(&format!("see {address} .")),
            format!("see\n{address}\n.")
        );
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "plain",
            "",
            "two words",
            "it's",
            "$(reboot)",
            "a\nb",
            "`x`\"\\",
        ] {
            let script = format!("printf %s {}", shell_word(text));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(
            shell_word("https://a.example/b?c"),
            "'https://a.example/b?c'"
        );
    }
}
