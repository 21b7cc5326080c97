//! The names under which other programs look for us.
//!
//! docker runs `docker-credential-NAME`, and git knows `git-credential-NAME` by NAME alone. A symbolic
//! link of such a name, which leads to this program, is all that they need.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The names, and the command that each stands for.
pub(crate) const NAMES: &[(&str, [&str; 2])] = &[
    ("docker-credential-countersign", ["credential", "docker"]),
    ("git-credential-countersign", ["credential", "git"]),
];

/// The arguments as if the command had been typed.
pub(crate) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    let known = NAMES
        .iter()
        .find(|(known, _)| name == Some(OsStr::new(known)));
    if let Some((_, command)) = known {
        arguments.splice(1..1, command.map(OsString::from));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_command() {
        let arguments = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(
            arguments(&["/usr/bin/docker-credential-countersign", "get"]),
            [
                "/usr/bin/docker-credential-countersign",
                "credential",
                "docker",
                "get"
            ]
        );
        assert_eq!(
            arguments(&["git-credential-countersign", "-p", "work", "get"]),
            [
                "git-credential-countersign",
                "credential",
                "git",
                "-p",
                "work",
                "get"
            ]
        );
        for words in [
            &["countersign", "token"][..],
            &["docker-credential-other", "get"],
            &[],
        ] {
            assert_eq!(arguments(words), words);
        }
    }
}
