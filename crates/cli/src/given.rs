//! What flags and environment say, and which of the two said it.
//!
//! Not responsible for what holds when they say nothing (`settings`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::args::{Command, Request, When, With};
use crate::settings::{Origin, Setting};

/// What flags and environment say. Absent means that nothing was said.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) profile: Option<Setting<String>>,
    pub(crate) issuer: Option<Setting<String>>,
    pub(crate) client_id: Option<Setting<String>>,
    pub(crate) client_secret_file: Option<Setting<PathBuf>>,
    pub(crate) scope: Option<Setting<Vec<String>>>,
    pub(crate) audience: Option<Setting<String>>,
    pub(crate) resource: Option<Setting<Vec<String>>>,
    pub(crate) param: Option<Setting<BTreeMap<String, String>>>,
    pub(crate) ca_cert: Vec<PathBuf>,
    pub(crate) timeout: Option<Setting<Duration>>,
    pub(crate) login_timeout: Option<Setting<Duration>>,
    pub(crate) min_ttl: Option<Setting<Duration>>,
    pub(crate) no_browser: Option<Setting<bool>>,
    pub(crate) qr: Option<Setting<When>>,
}

/// What every command takes, from before its name and from after it.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    profile: Option<Setting<String>>,
    issuer: Option<Setting<String>>,
    client_id: Option<Setting<String>>,
    timeout: Option<Setting<Duration>>,
    ca_cert: Vec<PathBuf>,
    pub(crate) no_input: bool,
    pub(crate) color: When,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
}

impl Globals {
    /// Reads them from the matches of the whole line and of the command in it.
    pub(crate) fn look(matches: &ArgMatches) -> Self {
        let mut innermost = matches;
        while let Some((_, inner)) = innermost.subcommand() {
            innermost = inner;
        }
        let look = Look {
            outer: matches,
            inner: innermost,
        };
        Self {
            profile: look.setting("profile", "--profile", "COUNTERSIGN_PROFILE"),
            issuer: look.setting("issuer", "--issuer", "COUNTERSIGN_ISSUER"),
            client_id: look.setting("client_id", "--client-id", "COUNTERSIGN_CLIENT_ID"),
            timeout: look.setting("timeout", "--timeout", "COUNTERSIGN_TIMEOUT"),
            ca_cert: look
                .levels()
                .flat_map(|level| all(level, "ca_cert"))
                .collect(),
            no_input: look.flag("no_input"),
            color: look
                .one("color")
                .map(|(color, _)| color)
                .unwrap_or_default(),
            quiet: look.flag("quiet"),
            verbose: look
                .levels()
                .filter_map(|level| one::<u8>(level, "verbose"))
                .sum(),
        }
    }
}

/// The two places where an argument that every command takes can stand.
struct Look<'a> {
    outer: &'a ArgMatches,
    inner: &'a ArgMatches,
}

impl<'a> Look<'a> {
    /// Outer first. Not every command has these arguments.
    fn levels(&self) -> impl Iterator<Item = &'a ArgMatches> {
        let inner = (!std::ptr::eq(self.outer, self.inner)).then_some(self.inner);
        [Some(self.outer), inner].into_iter().flatten()
    }

    /// What the command line says, the later word before the earlier; else what the environment does.
    fn one<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Option<(T, ValueSource)> {
        let mut found = None;
        for level in self.levels() {
            let Some(value) = one(level, id) else {
                continue;
            };
            let source = level.value_source(id)?;
            if found.is_none() || source == ValueSource::CommandLine {
                found = Some((value, source));
            }
        }
        found
    }

    fn setting<T: Clone + Send + Sync + 'static>(
        &self,
        id: &str,
        flag: &'static str,
        variable: &'static str,
    ) -> Option<Setting<T>> {
        let (value, source) = self.one(id)?;
        let origin = origin(source, flag, variable);
        Some(Setting { value, origin })
    }

    fn flag(&self, id: &str) -> bool {
        self.levels().any(|level| one(level, id).unwrap_or(false))
    }
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Option<T> {
    matches.try_get_one::<T>(id).ok().flatten().cloned()
}

fn all(matches: &ArgMatches, id: &str) -> Vec<PathBuf> {
    let values = matches.try_get_many::<PathBuf>(id).ok().flatten();
    values.into_iter().flatten().cloned().collect()
}

fn origin(source: ValueSource, flag: &'static str, variable: &'static str) -> Origin {
    if source == ValueSource::EnvVariable {
        Origin::Environment(variable)
    } else {
        Origin::Flag(flag)
    }
}

impl Overrides {
    /// What was said, from what every command takes and from what this one takes.
    pub(crate) fn new(globals: Globals, command: &Command) -> Self {
        let mut given = Self {
            profile: globals.profile,
            issuer: globals.issuer,
            client_id: globals.client_id,
            timeout: globals.timeout,
            ca_cert: globals.ca_cert,
            ..Self::default()
        };
        match command {
            Command::Login(With { own: args, .. }) => {
                given.take_request(&args.request);
                given.no_browser = flag("--no-browser", args.no_browser.then_some(true));
                given.login_timeout = flag("--login-timeout", args.login_timeout);
                given.qr = flag("--qr", args.qr);
            }
            Command::Token(With { own: args, .. }) => {
                given.min_ttl = flag("--min-ttl", args.min_ttl);
            }
            _ => {}
        }
        given
    }

    fn take_request(&mut self, request: &Request) {
        let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        self.scope = flag("--scope", some(&request.scope));
        self.audience = flag("--audience", request.audience.clone());
        self.resource = flag("--resource", some(&request.resource));
        let param: BTreeMap<_, _> = request.param.iter().cloned().collect();
        self.param = flag("--param", (!param.is_empty()).then_some(param));
        self.client_secret_file = flag("--client-secret-file", request.client_secret_file.clone());
    }
}

/// A value that can only come from the command line.
fn flag<T>(name: &'static str, value: Option<T>) -> Option<Setting<T>> {
    let origin = Origin::Flag(name);
    value.map(|value| Setting { value, origin })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    fn globals(arguments: &str) -> Globals {
        let words = ["countersign"]
            .into_iter()
            .chain(arguments.split_ascii_whitespace());
        Globals::look(&Cli::command().try_get_matches_from(words).unwrap())
    }

    fn value<T>(setting: Option<Setting<T>>) -> Option<T> {
        setting.map(|setting| setting.value)
    }

    #[test]
    fn what_every_command_takes_may_stand_before_and_after_its_name() {
        for arguments in ["-p work --no-input status", "status -p work --no-input"] {
            let globals = globals(arguments);
            assert_eq!(
                value(globals.profile).as_deref(),
                Some("work"),
                "{arguments}"
            );
            assert!(globals.no_input, "{arguments}");
        }
        let nested = globals("-p outer profile list -p inner");
        assert_eq!(value(nested.profile).as_deref(), Some("inner"));
    }

    #[test]
    fn what_adds_up_is_added_up() {
        let globals = globals("-v --ca-cert a.pem status -vv --ca-cert b.pem");
        assert_eq!(globals.verbose, 3);
        assert_eq!(
            globals.ca_cert,
            [PathBuf::from("a.pem"), PathBuf::from("b.pem")]
        );
    }

    #[test]
    fn nothing_said_is_nothing_given() {
        let globals = globals("version");
        assert_eq!(
            (globals.verbose, globals.quiet, globals.color),
            (0, false, When::Auto)
        );
        assert!(globals.issuer.is_none() && globals.ca_cert.is_empty());
    }
}
