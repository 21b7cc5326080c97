//! One file for each command. Nothing here decides about a request.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod otp;
mod qr;
pub(crate) mod revoke;
pub(crate) mod run;

use std::io::Write as _;

/// Writes to stdout what was asked for.
pub(crate) fn print(text: &str) {
    // A reader that has gone has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Tells the operator a line.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Asks the operator for a line.
fn ask(question: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question}");
    let _ = stderr.flush();
}
