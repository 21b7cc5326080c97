//! One file for each command. Nothing here decides about a request.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod otp;
pub(crate) mod revoke;
pub(crate) mod run;

use std::io::{Read as _, Write as _};

use countersign_gateway::Problem;

/// More than any token.
const LONGEST_INPUT: u64 = 64 * 1024;

/// Writes to stdout what was asked for.
pub(crate) fn print(text: &str) {
    // A reader that has gone has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Tells the operator a line.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The token on stdin, if there is one.
fn token() -> Result<Option<String>, Problem> {
    let mut token = String::new();
    std::io::stdin()
        .take(LONGEST_INPUT)
        .read_to_string(&mut token)
        .map_err(|error| {
            Problem::new("the token cannot be read from stdin")
                .because(error)
                .hint("countersign token | countersign-gateway explain FILE GET /path")
        })?;
    let token = token.trim();
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

/// Asks the operator for a line.
fn ask(question: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question}");
    let _ = stderr.flush();
}
