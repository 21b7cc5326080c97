//! What flags and environment say, and which of the two said it.
//!
//! Not responsible for what holds when they say nothing (`settings`).

use std::collections::BTreeMap;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::args::When;
use crate::directory::Directory;
use crate::layer::Layer;
use crate::settings::{Origin, Setting};

/// What flags and environment say, each as a layer of settings.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) profile: Option<Setting<String>>,
    pub(crate) account: Option<Setting<String>>,
    /// What the working directory says of the two.
    pub(crate) directory: Option<Directory>,
    pub(crate) flags: Layer,
    pub(crate) environment: Layer,
}

/// How to behave, which every command takes.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    pub(crate) no_input: bool,
    pub(crate) no_directory: bool,
    pub(crate) color: When,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
}

impl Globals {
    /// Reads them from the matches of the whole line and of the command in it.
    pub(crate) fn look(matches: &ArgMatches) -> Self {
        let look = Look::at(matches);
        Self {
            no_input: look.flag("no_input"),
            no_directory: look.flag("no_directory"),
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

impl Overrides {
    /// Reads them from the matches of the whole line and of the command in it. What a command does
    /// not take, it does not have.
    pub(crate) fn look(matches: &ArgMatches) -> Self {
        let mut given = Self::look_at_session(matches);
        // Tokens are in a hurry, and have none of the others.
        if !matches!(matches.subcommand_name(), Some("token" | "credential")) {
            given.look_for_sign_in(&Look::at(matches));
        }
        given
    }

    /// The same for a command that takes what it needs to find a session, and no more.
    pub(crate) fn look_at_session(matches: &ArgMatches) -> Self {
        let look = Look::at(matches);
        let mut given = Self {
            profile: look.named("profile"),
            account: look.named("account"),
            ..Self::default()
        };
        given.put(&look, "issuer", |layer| &mut layer.issuer);
        given.put(&look, "client_id", |layer| &mut layer.client_id);
        given.put(&look, "timeout", |layer| &mut layer.timeout);
        given.put(&look, "min_ttl", |layer| &mut layer.min_ttl);
        given.put_all(&look, "ca_cert", |layer: &mut Layer| &mut layer.ca_cert);
        given
    }

    /// Reads what a login and a profile take beside that.
    fn look_for_sign_in(&mut self, look: &Look<'_>) {
        self.put(look, "provider", |layer| &mut layer.provider);
        self.put(look, "org", |layer| &mut layer.org);
        self.put(look, "server", |layer| &mut layer.server);
        self.put(look, "host", |layer| &mut layer.host);
        self.put(look, "client_secret_file", |layer| {
            &mut layer.client_secret_file
        });
        self.put(look, "client_key_file", |layer| &mut layer.client_key_file);
        self.put(look, "client_key_id", |layer| &mut layer.client_key_id);
        self.put_all(look, "scope", |layer| &mut layer.scope);
        self.put(look, "audience", |layer| &mut layer.audience);
        self.put_all(look, "resource", |layer| &mut layer.resource);
        self.put(look, "connection", |layer| &mut layer.connection);
        self.put(look, "prompt", |layer| &mut layer.prompt);
        self.put(look, "login_hint", |layer| &mut layer.login_hint);
        self.put_all(look, "acr", |layer| &mut layer.acr);
        self.put(look, "max_age", |layer| &mut layer.max_age);
        self.put(look, "dpop", |layer| &mut layer.dpop);
        self.put(look, "flow", |layer| &mut layer.flow);
        self.put(look, "redirect_uri", |layer| &mut layer.redirect_uri);
        self.put_all(look, "port", |layer| &mut layer.port);
        self.put(look, "browser", |layer| &mut layer.browser);
        self.put_flag(look, "no_browser", |layer| &mut layer.no_browser);
        self.put(look, "qr", |layer| &mut layer.qr);
        self.put(look, "store", |layer| &mut layer.store);
        self.put(look, "end_session", |layer| &mut layer.end_session);
        self.put(look, "login_timeout", |layer| &mut layer.login_timeout);
        let pairs: Vec<(String, String)> = look.all("param");
        self.flags.param = (!pairs.is_empty()).then(|| BTreeMap::from_iter(pairs));
    }

    fn put<T: Clone + Send + Sync + 'static>(
        &mut self,
        look: &Look<'_>,
        id: &str,
        place: impl Fn(&mut Layer) -> &mut Option<T>,
    ) {
        if let Some((value, source)) = look.one(id) {
            let layer = match source {
                ValueSource::EnvVariable => &mut self.environment,
                _ => &mut self.flags,
            };
            *place(layer) = Some(value);
        }
    }

    /// As `put`, for a flag that is either there or not.
    fn put_flag(
        &mut self,
        look: &Look<'_>,
        id: &str,
        place: impl Fn(&mut Layer) -> &mut Option<bool>,
    ) {
        self.put(look, id, &place);
        for layer in [&mut self.flags, &mut self.environment] {
            let said = place(layer);
            *said = said.filter(|on| *on);
        }
    }

    /// As `put`, for what can be given several times. None of these has a variable.
    fn put_all<T: Clone + Send + Sync + 'static>(
        &mut self,
        look: &Look<'_>,
        id: &str,
        place: impl Fn(&mut Layer) -> &mut Option<Vec<T>>,
    ) {
        let values = look.all(id);
        if !values.is_empty() {
            *place(&mut self.flags) = Some(values);
        }
    }
}

/// The two places where an argument that every command takes can stand.
struct Look<'a> {
    outer: &'a ArgMatches,
    inner: &'a ArgMatches,
}

impl<'a> Look<'a> {
    fn at(matches: &'a ArgMatches) -> Self {
        let mut inner = matches;
        while let Some((_, matches)) = inner.subcommand() {
            inner = matches;
        }
        Self {
            outer: matches,
            inner,
        }
    }

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

    /// A name and who said it. An empty variable says nothing.
    fn named(&self, id: &'static str) -> Option<Setting<String>> {
        let (value, source) = self.one::<String>(id)?;
        let origin = match source {
            ValueSource::EnvVariable if value.is_empty() => return None,
            ValueSource::EnvVariable => Origin::Environment(id),
            _ => Origin::Flag(id),
        };
        Some(Setting { value, origin })
    }

    fn all<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Vec<T> {
        let values = |level: &'a ArgMatches| level.try_get_many::<T>(id).ok().flatten();
        self.levels()
            .filter_map(values)
            .flatten()
            .cloned()
            .collect()
    }

    fn flag(&self, id: &str) -> bool {
        self.levels().any(|level| one(level, id).unwrap_or(false))
    }
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Option<T> {
    matches.try_get_one::<T>(id).ok().flatten().cloned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    fn matches(arguments: &str) -> ArgMatches {
        let words = ["countersign"]
            .into_iter()
            .chain(arguments.split_ascii_whitespace());
        Cli::command().try_get_matches_from(words).unwrap()
    }

    #[test]
    fn what_every_command_takes_may_stand_before_and_after_its_name() {
        for arguments in ["-p work --no-input status", "status -p work --no-input"] {
            let matches = matches(arguments);
            let profile = Overrides::look(&matches).profile.unwrap();
            assert_eq!(profile.value, "work", "{arguments}");
            assert!(Globals::look(&matches).no_input, "{arguments}");
        }
        let nested = Overrides::look(&matches("-p outer profile list -p inner"));
        assert_eq!(nested.profile.unwrap().value, "inner");
    }

    #[test]
    fn what_adds_up_is_added_up() {
        let matches = matches("-v --ca-cert a.pem status -vv --ca-cert b.pem");
        assert_eq!(Globals::look(&matches).verbose, 3);
        assert_eq!(
            Overrides::look(&matches).flags.ca_cert.unwrap(),
            [PathBuf::from("a.pem"), PathBuf::from("b.pem")]
        );
    }

    #[test]
    fn nothing_said_is_nothing_given() {
        for arguments in ["version", "login", "token", "profile add x"] {
            let matches = matches(arguments);
            let globals = Globals::look(&matches);
            assert_eq!(
                (globals.verbose, globals.quiet, globals.color),
                (0, false, When::Auto)
            );
            let given = Overrides::look(&matches);
            assert_eq!(given.flags, Layer::default(), "{arguments}");
        }
    }

    /// The ids of the arguments, the names in `look` and the types are three lists that nothing but
    /// this compares.
    #[test]
    fn every_flag_of_a_login_reaches_its_place() {
        for command in ["login", "profile add x"] {
            let given = Overrides::look(&matches(&format!(
                "--issuer https://a --client-id b --timeout 1 {command} --ca-cert c \
                 --client-secret-file d --client-key-file e --client-key-id t --scope f --audience g --resource h \
                 --connection i --prompt j --login-hint k --acr l --max-age 2 --dpop --flow paste \
                 --redirect-uri m --port 3 --browser n --no-browser --qr never --login-timeout 4 \
                 --param o=p --provider okta --org q --server r --host s"
            )));
            let expected = r#"
                issuer = "https://a"
                client_id = "b"
                timeout = 1
                ca_cert = ["c"]
                client_secret_file = "d"
                client_key_file = "e"
                client_key_id = "t"
                scope = ["f"]
                audience = "g"
                resource = ["h"]
                connection = "i"
                prompt = "j"
                login_hint = "k"
                acr = ["l"]
                max_age = 2
                dpop = "required"
                flow = "paste"
                redirect_uri = "m"
                port = [3]
                browser = "n"
                no_browser = true
                qr = "never"
                login_timeout = 4
                param = { o = "p" }
                provider = "okta"
                org = "q"
                server = "r"
                host = "s"
            "#;
            assert_eq!(given.flags, toml::from_str(expected).unwrap(), "{command}");
        }
        let given = Overrides::look(&matches("token --min-ttl 90"));
        assert_eq!(given.flags, toml::from_str("min_ttl = 90").unwrap());
    }
}
