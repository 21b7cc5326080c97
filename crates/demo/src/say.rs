//! What the demo says, calmly, on standard output; failures on standard error.

use std::fmt::Display;
use std::io;
use std::io::Write;

use crate::Player;

/// A line as it is.
pub(crate) fn line(text: impl Display) {
    // Where standard output is gone nobody listens, and the steps still count.
    let _ = writeln!(io::stdout(), "{text}");
}

/// A step that did what it must.
pub(crate) fn done(text: impl Display) {
    line(format_args!("✓ {text}"));
}

/// A step that did not.
pub(crate) fn failed(text: impl Display) {
    let _ = writeln!(io::stderr(), "✗ {text}");
}

impl Player {
    /// Shows the person the command that comes next; unattended, nobody reads.
    pub(crate) fn announce(self, command: &str) {
        if self == Self::Person {
            line(format_args!("\n$ {command}"));
        }
    }

    /// Shows the person what a program printed.
    pub(crate) fn repeat(self, text: &str) {
        if self == Self::Person && !text.trim().is_empty() {
            line(text.trim_end());
        }
    }
}
