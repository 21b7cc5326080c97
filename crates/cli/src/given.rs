//! What flags and environment say, and which of the two said it.
//!
//! Not responsible for what holds when they say nothing (`settings`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::args::{Cli, Command, Request, When};
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

impl Overrides {
    /// Takes the values from `cli`, and where each was said from `matches`.
    pub(crate) fn new(cli: &Cli, matches: &ArgMatches) -> Self {
        let global = &cli.global;
        let own = matches.subcommand().map_or(matches, |(_, own)| own);
        let mut given = Self {
            profile: said(
                own,
                "profile",
                "--profile",
                "COUNTERSIGN_PROFILE",
                global.profile.as_ref(),
            ),
            issuer: said(
                own,
                "issuer",
                "--issuer",
                "COUNTERSIGN_ISSUER",
                global.issuer.as_ref(),
            ),
            client_id: said(
                own,
                "client_id",
                "--client-id",
                "COUNTERSIGN_CLIENT_ID",
                global.client_id.as_ref(),
            ),
            timeout: said(
                own,
                "timeout",
                "--timeout",
                "COUNTERSIGN_TIMEOUT",
                global.timeout.as_ref(),
            ),
            ca_cert: global.ca_cert.clone(),
            ..Self::default()
        };
        match &cli.command {
            Command::Login(args) => {
                given.take_request(&args.request);
                let no_browser = args.no_browser.then_some(&true);
                given.no_browser = said(
                    own,
                    "no_browser",
                    "--no-browser",
                    "COUNTERSIGN_NO_BROWSER",
                    no_browser,
                );
                given.login_timeout = said(
                    own,
                    "login_timeout",
                    "--login-timeout",
                    "COUNTERSIGN_LOGIN_TIMEOUT",
                    args.login_timeout.as_ref(),
                );
                given.qr = flag("--qr", args.qr);
            }
            Command::Token(args) => given.min_ttl = flag("--min-ttl", args.min_ttl),
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

/// A value that can come from either.
fn said<T: Clone>(
    matches: &ArgMatches,
    id: &str,
    flag: &'static str,
    variable: &'static str,
    value: Option<&T>,
) -> Option<Setting<T>> {
    let origin = match matches.value_source(id) {
        Some(ValueSource::EnvVariable) => Origin::Environment(variable),
        _ => Origin::Flag(flag),
    };
    value.cloned().map(|value| Setting { value, origin })
}
