//! What the terminal behind standard error can do.
//!
//! Not responsible for writing to it (`output`) nor for colours (`output::Paint`).

use std::env;
use std::io::{self, IsTerminal as _};

/// The terminal behind standard error, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// A file, a pipe, or a terminal that cannot move its cursor.
    Plain,
    /// A screen that can be redrawn.
    Screen {
        /// Its width in columns.
        columns: u16,
        /// Its height in rows.
        rows: u16,
        /// Whether it shows OSC 8 hyperlinks.
        hyperlinks: bool,
    },
}

impl Terminal {
    /// Looks at standard error.
    pub(crate) fn of_stderr() -> Self {
        let stderr = io::stderr();
        if !stderr.is_terminal() || env::var_os("TERM").is_none_or(|term| term == "dumb") {
            return Self::Plain;
        }
        // A size of zero is what a terminal says that does not know; 80 by 24 is what it then is.
        let known = |size: u16, default: u16| if size == 0 { default } else { size };
        let (columns, rows) = match rustix::termios::tcgetwinsize(&stderr) {
            Ok(size) => (known(size.ws_col, 80), known(size.ws_row, 24)),
            Err(_) => (80, 24),
        };
        Self::Screen {
            columns,
            rows,
            hyperlinks: shows_hyperlinks(|name| env::var(name).ok()),
        }
    }

    /// The text as a hyperlink where the terminal shows one, and as it is elsewhere.
    ///
    /// `target` must have been through the filter for control characters: it becomes part of an
    /// escape sequence.
    pub(crate) fn hyperlink(self, text: &str, target: &str) -> String {
        match self {
            Self::Screen {
                hyperlinks: true, ..
            } if target.bytes().all(|b| b.is_ascii_graphic()) => {
                format!("\x1b]8;;{target}\x1b\\{text}\x1b]8;;\x1b\\")
            }
            _ => text.to_owned(),
        }
    }
}

/// Whether there is a person to ask: both the questions and the answers go through a terminal.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether the terminal shows hyperlinks. Nobody can ask it, so only terminals that are known to are
/// trusted with the sequence; the others might print it.
fn shows_hyperlinks(variable: impl Fn(&str) -> Option<String>) -> bool {
    let number = |name: &str| {
        let text = variable(name)?;
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok()
    };
    let term = variable("TERM").unwrap_or_default();
    if let Some(program) = variable("TERM_PROGRAM") {
        const SHOW: [&str; 7] = [
            "iTerm.app",
            "WezTerm",
            "vscode",
            "ghostty",
            "Hyper",
            "rio",
            "zed",
        ];
        if program == "tmux" {
            // From 3.4 it passes them on, when the terminal outside is known to take them.
            return variable("TERM_PROGRAM_VERSION").is_some_and(|v| at_least(&v, 3, 4));
        }
        return SHOW.contains(&program.as_str());
    }
    if term.starts_with("tmux") || term.starts_with("screen") {
        return false;
    }
    // VTE (GNOME Terminal and its relatives) writes 0.50.0 as 5000; earlier ones crashed on some.
    number("VTE_VERSION").is_some_and(|version| version >= 5000)
        || number("KONSOLE_VERSION").is_some_and(|version| version >= 201_200)
        || variable("WT_SESSION").is_some()
        || [
            "xterm-kitty",
            "xterm-ghostty",
            "alacritty",
            "wezterm",
            "foot",
        ]
        .iter()
        .any(|known| term.starts_with(known))
}

/// Whether a version such as `3.4a` is at least `major.minor`.
fn at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(variables: &[(&str, &str)]) -> bool {
        shows_hyperlinks(|name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn hyperlinks_are_for_terminals_known_to_show_them() {
        assert!(shows(&[("TERM", "xterm-kitty")]));
        assert!(shows(&[
            ("TERM", "xterm-256color"),
            ("VTE_VERSION", "7600")
        ]));
        assert!(shows(&[
            ("TERM", "xterm-256color"),
            ("TERM_PROGRAM", "vscode")
        ]));
        assert!(shows(&[
            ("TERM_PROGRAM", "tmux"),
            ("TERM_PROGRAM_VERSION", "3.4")
        ]));
        assert!(!shows(&[
            ("TERM_PROGRAM", "tmux"),
            ("TERM_PROGRAM_VERSION", "3.3a")
        ]));
        assert!(!shows(&[("TERM", "xterm-256color")]));
        assert!(!shows(&[
            ("TERM", "xterm-256color"),
            ("VTE_VERSION", "4601")
        ]));
        assert!(!shows(&[
            ("TERM", "screen-256color"),
            ("VTE_VERSION", "7600")
        ]));
        assert!(!shows(&[
            ("TERM", "xterm"),
            ("TERM_PROGRAM", "Apple_Terminal")
        ]));
    }

    #[test]
    fn a_link_target_cannot_leave_its_escape_sequence() {
        let screen = Terminal::Screen {
            columns: 80,
            rows: 24,
            hyperlinks: true,
        };
        assert_eq!(
            screen.hyperlink("text", "https://a.example/"),
            "\x1b]8;;https://a.example/\x1b\\text\x1b]8;;\x1b\\"
        );
        assert_eq!(
            screen.hyperlink("text", "https://a.example/\x1b]0;x\x07"),
            "text"
        );
        assert_eq!(
            Terminal::Plain.hyperlink("text", "https://a.example/"),
            "text"
        );
    }
}
