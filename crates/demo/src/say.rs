//! What the demo says, calmly, on standard output; failures on standard error.

use std::fmt::Display;
use std::io;
use std::io::Write;

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
