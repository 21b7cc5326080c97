//! The command line: from the words that were typed to the command they mean.
//!
//! clap builds the names of all commands and the options of the whole program before it reads the
//! first word. For a command that other programs run all day long, and that is named first, the
//! definition of this one command does as well, in half the time. Whatever is not plainly such a line,
//! or is wrong, or asks for help, is read by the whole definition.
//!
//! Not responsible for what can be typed: both definitions are those of `args`.

use std::ffi::OsString;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, Credential};
use crate::given::{Globals, Overrides};

/// What was typed, and what the environment adds to it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) command: Command,
    pub(crate) globals: Globals,
    pub(crate) given: Overrides,
}

impl Line {
    /// Reads the words, of which the first is the name of this program.
    ///
    /// # Errors
    /// What clap says about them, which may be the help that was asked for.
    pub(crate) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        match Self::shortly(words) {
            Some(line) => Ok(line),
            None => Self::wholly(words),
        }
    }

    /// By the whole definition.
    fn wholly(words: &[OsString]) -> Result<Self, clap::Error> {
        let mut matches = matches(Cli::command(), words)?;
        let globals = Globals::look(&matches);
        let given = Overrides::look(&matches);
        Ok(Self {
            command: Cli::from_arg_matches_mut(&mut matches)?.command,
            globals,
            given,
        })
    }

    /// By the definition of one command, if it is one of those that are in a hurry.
    fn shortly(words: &[OsString]) -> Option<Self> {
        let word = |place: usize| words.get(place).and_then(|word| word.to_str());
        match (word(1)?, word(2)) {
            ("token" | "get-token", _) => Self::alone(words.get(1..)?, Command::Token),
            ("credential", Some(asker)) => {
                let words = words.get(2..)?;
                match asker {
                    "kubernetes" => {
                        Self::alone(words, |args| credential(Credential::Kubernetes(args)))
                    }
                    "git" => Self::alone(words, |args| credential(Credential::Git(args))),
                    "docker" => Self::alone(words, |args| credential(Credential::Docker(args))),
                    "aws" => Self::alone(words, |args| credential(Credential::Aws(args))),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The words from the name of a command on, by its own definition.
    fn alone<T: Args>(words: &[OsString], command: impl FnOnce(T) -> Command) -> Option<Self> {
        let definition = T::augment_args(clap::Command::new("countersign"));
        let mut matches = matches(definition, words).ok()?;
        let globals = Globals::look(&matches);
        let given = Overrides::look_at_session(&matches);
        Some(Self {
            command: command(T::from_arg_matches_mut(&mut matches).ok()?),
            globals,
            given,
        })
    }
}

fn credential(credential: Credential) -> Command {
    Command::Credential(credential)
}

fn matches(definition: clap::Command, words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    // Never dropped: taking a definition apart again takes time, and the end is near.
    Box::leak(Box::new(definition)).try_get_matches_from_mut(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        let words = ["countersign"].into_iter();
        words
            .chain(line.split_ascii_whitespace())
            .map(OsString::from)
            .collect()
    }

    #[test]
    fn a_command_alone_is_read_as_it_is_read_among_all() {
        for line in [
            "token",
            "get-token",
            "token -o json -p work --min-ttl 90",
            "token --id-token --force-refresh -vv --color always --no-input --timeout 3",
            "token --issuer https://a --client-id b --ca-cert c --ca-cert d -q",
            "token --output=header",
            "credential kubernetes",
            "credential kubernetes --access-token --min-ttl=5m -p work",
            "credential git get",
            "credential git --no-input get -v",
            "credential docker get",
            "credential docker list -q",
            "credential aws",
            "credential aws --account ada",
        ] {
            let (short, whole) = (Line::shortly(&words(line)), Line::wholly(&words(line)));
            assert_eq!(
                format!("{:?}", short.unwrap()),
                format!("{:?}", whole.unwrap()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_wrong_or_asks_for_help_is_for_the_whole_definition() {
        for line in [
            "",
            "-p work token",
            "token --help",
            "token -h",
            "token --version",
            "token help",
            "token --nonsense",
            "token --min-ttl never",
            "token -q -v",
            "credential",
            "credential help",
            "credential kubernetes --help",
            "credential install git",
            "credential --help kubernetes",
            "status",
            "login",
        ] {
            assert!(Line::shortly(&words(line)).is_none(), "{line}");
        }
    }
}
