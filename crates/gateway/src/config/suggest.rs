//! What to write instead of a key that nobody knows.
//!
//! Not responsible for values, which say by themselves how they are written.

use countersign_resource::policy::suggest::UnknownKey;
pub(super) use countersign_resource::policy::suggest::line_of;

use crate::problem::Problem;

/// An error of the TOML reader with its line, and the key that was probably meant.
pub(super) fn problem(text: &str, name: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, span.start));
    let place = match line {
        Some(line) => format!("{name}, line {line}"),
        None => name.to_owned(),
    };
    let message = error.message();
    let problem = Problem::new(format!("{place}: the configuration cannot be used")).why(message);
    let Some(key) = UnknownKey::of(message) else {
        return problem;
    };
    match key.meant {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint("countersign-gateway check --help"),
    }
}
