//! What is in force, and why: flag, then environment, then profile, then the person's file, then the
//! system's files, then the default.
//!
//! Not responsible for reading files (`config`), for flags (`args`), nor for limits (`limits`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use countersign_client::{EndpointOverrides, SessionName, SignIn};

use crate::args::{Dpop, Keep, When};
use crate::aws::AwsSettings;
use crate::config::Config;
use crate::error::CliError;
use crate::given::Overrides;
use crate::hosts::Hosts;
use crate::layer::Layer;
use crate::layers::Layers;
pub(crate) use crate::layers::{Origin, Setting};
use crate::limits::{AllowedFlows, AllowedStores};
use crate::output::shell_word;
use crate::server::Server;

/// The profile that a first login makes.
pub(crate) const DEFAULT_PROFILE: &str = "default";
/// Long enough for a request that is sent at once, short against any token's life.
const DEFAULT_MIN_TTL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) profile: Option<Setting<String>>,
    /// The account of the profile, if one was named.
    pub(crate) account: Option<Setting<String>>,
    /// Whether a file has the profile.
    pub(crate) profile_exists: bool,
    /// Whether flags or environment lead to another server or client than the profile does.
    pub(crate) leaves_profile: bool,
    pub(crate) server: Server,
    pub(crate) client_secret_file: Option<Setting<PathBuf>>,
    pub(crate) client_key_file: Option<Setting<PathBuf>>,
    pub(crate) client_key_id: Option<Setting<String>>,
    pub(crate) scope: Option<Setting<Vec<String>>>,
    pub(crate) audience: Option<Setting<String>>,
    pub(crate) resource: Option<Setting<Vec<String>>>,
    pub(crate) connection: Option<Setting<String>>,
    pub(crate) prompt: Option<Setting<String>>,
    pub(crate) login_hint: Option<Setting<String>>,
    pub(crate) acr: Option<Setting<Vec<String>>>,
    pub(crate) max_age: Option<Setting<Duration>>,
    pub(crate) dpop: Setting<Dpop>,
    pub(crate) param: Option<Setting<BTreeMap<String, String>>>,
    pub(crate) endpoints: Option<Setting<EndpointOverrides>>,
    pub(crate) git: Option<Setting<Hosts>>,
    pub(crate) docker: Option<Setting<Hosts>>,
    pub(crate) aws: Option<Setting<AwsSettings>>,
    pub(crate) flow: Setting<SignIn>,
    /// No setting, because nothing overrides it.
    pub(crate) allowed_flows: Option<AllowedFlows>,
    pub(crate) redirect_uri: Option<Setting<String>>,
    pub(crate) port: Option<Setting<Vec<u16>>>,
    pub(crate) browser: Option<Setting<String>>,
    pub(crate) no_browser: Setting<bool>,
    pub(crate) qr: Setting<When>,
    pub(crate) store: Setting<Keep>,
    /// As `allowed_flows`.
    pub(crate) allowed_stores: Option<AllowedStores>,
    pub(crate) end_session: Option<Setting<bool>>,
    pub(crate) login_timeout: Option<Setting<Duration>>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) min_ttl: Setting<Duration>,
    pub(crate) ca_cert: Option<Setting<Vec<PathBuf>>>,
}

impl Settings {
    /// Puts everything in order.
    ///
    /// # Errors
    /// When a profile was chosen by a file that no file has.
    pub(crate) fn resolve(config: &Config, given: &Overrides) -> Result<Self, CliError> {
        let profile = choose_profile(config, given)?;
        let account = given.account.clone().or_else(|| {
            // Together with its profile, or not at all.
            let profile = profile.as_ref()?;
            let directory = given.directory.as_ref()?;
            let origin = Origin::Directory(directory.path.clone());
            let value = directory.account.clone()?;
            (profile.origin == origin).then_some(Setting { value, origin })
        });
        let name = profile.as_ref().map(|setting| setting.value.as_str());
        let own = Layers::of_files(config, name);
        let own_server = Server::of(&own);
        let all = Layers::all(given, own);
        let server = Server::of(&all);
        Ok(Self {
            account,
            profile_exists: name.is_some_and(|name| config.has_profile(name)),
            leaves_profile: !server.is_same_as(&own_server),
            server,
            client_secret_file: all.path("client_secret_file", |l| l.client_secret_file.as_deref()),
            client_key_file: all.path("client_key_file", |l| l.client_key_file.as_deref()),
            client_key_id: all.pick("client_key_id", |l| l.client_key_id.as_ref()),
            scope: all.pick("scope", |l| l.scope.as_ref()),
            audience: all.pick("audience", |l| l.audience.as_ref()),
            resource: all.pick("resource", |l| l.resource.as_ref()),
            connection: all.pick("connection", |l| l.connection.as_ref()),
            prompt: all.pick("prompt", |l| l.prompt.as_ref()),
            login_hint: all.pick("login_hint", |l| l.login_hint.as_ref()),
            acr: all.pick("acr", |l| l.acr.as_ref()),
            max_age: all.pick("max_age", |l| l.max_age.as_ref()),
            dpop: all
                .pick("dpop", |l| l.dpop.as_ref())
                .unwrap_or_else(|| default(Dpop::No)),
            param: all.pick("param", |l| l.param.as_ref()),
            endpoints: all.pick("endpoints", |l| l.endpoints.as_ref()),
            git: all.pick("git", |l| l.git.as_ref()),
            docker: all.pick("docker", |l| l.docker.as_ref()),
            aws: all.pick("aws", |l| l.aws.as_ref()),
            flow: all
                .pick("flow", |l| l.flow.as_ref())
                .unwrap_or_else(|| default(SignIn::Auto)),
            allowed_flows: AllowedFlows::of(config),
            redirect_uri: all.pick("redirect_uri", |l| l.redirect_uri.as_ref()),
            port: all.pick("port", |l| l.port.as_ref()),
            browser: all.pick("browser", |l| l.browser.as_ref()),
            no_browser: all
                .pick("no_browser", |l| l.no_browser.as_ref())
                .unwrap_or_else(|| default(false)),
            qr: all
                .pick("qr", |l| l.qr.as_ref())
                .unwrap_or_else(|| default(When::Auto)),
            store: all
                .pick("store", |l| l.store.as_ref())
                .unwrap_or_else(|| default(Keep::Auto)),
            allowed_stores: AllowedStores::of(config),
            end_session: all.pick("end_session", |l| l.end_session.as_ref()),
            login_timeout: all.pick("login_timeout", |l| l.login_timeout.as_ref()),
            timeout: all
                .pick("timeout", |l| l.timeout.as_ref())
                .unwrap_or_else(|| default(DEFAULT_TIMEOUT)),
            min_ttl: all
                .pick("min_ttl", |l| l.min_ttl.as_ref())
                .unwrap_or_else(|| default(DEFAULT_MIN_TTL)),
            ca_cert: all.certificates(),
            profile,
        })
    }

    /// The name of the profile, if one was chosen.
    pub(crate) fn profile_name(&self) -> Option<&str> {
        self.profile.as_ref().map(|setting| setting.value.as_str())
    }

    /// The name that the sessions of the profile's accounts are kept under: the profile's, when its issuer
    /// and client are the ones in force. `None` for a session that belongs to no profile.
    pub(crate) fn session_name(&self) -> Result<Option<SessionName>, CliError> {
        match &self.profile {
            Some(profile) if !(self.profile_exists && self.leaves_profile) => {
                session_name(&profile.value).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Refuses what a limit forbids in a profile that is about to be written, naming the file.
    pub(crate) fn check_limits(&self, new: &Layer) -> Result<(), CliError> {
        if let (Some(flow), Some(allowed)) = (new.flow, &self.allowed_flows) {
            allowed.check(flow)?;
        }
        let kind = new.store.and_then(Keep::kind);
        if let (Some(kind), Some(allowed)) = (kind, &self.allowed_stores) {
            allowed.check(kind)?;
        }
        Ok(())
    }

    /// The issuer, without which nothing can be done.
    ///
    /// # Errors
    /// What to type to change that.
    pub(crate) fn require_issuer(&self, config: &Config) -> Result<&str, CliError> {
        if let Some(issuer) = self.server.issuer()? {
            return Ok(issuer);
        }
        let names = config.profile_names();
        match self.profile_name() {
            Some(name) if self.profile_exists => Err(CliError::configuration(format!(
                "profile `{name}` names no issuer"
            ))
            .hint(format!(
                "countersign profile add {name} --replace --issuer URL --client-id ID"
            ))),
            Some(name) if !names.is_empty() => {
                let error = unknown_profile(config, name);
                let origin = self.profile.as_ref().map(|profile| &profile.origin);
                Err(match origin {
                    Some(origin @ (Origin::Directory(_) | Origin::Environment(_))) => {
                        error.why(format!("it is named by {origin}"))
                    }
                    _ => error,
                })
            }
            None if !names.is_empty() => Err(CliError::configuration(
                "there are several profiles and none is chosen",
            )
            .why(format!("there are: {}", names.join(", ")))
            .hint("countersign profile use NAME")
            .hint("or name one each time: countersign -p NAME …")),
            name => Err(no_profile(name)),
        }
    }
}

/// Takes a profile's name as the name of its session.
pub(crate) fn session_name(profile: &str) -> Result<SessionName, CliError> {
    let refused = |why: String| {
        let what = format!("a profile cannot be called {}", shell_word(profile));
        CliError::usage(what).why(why)
    };
    // After an `@` stands which account of the profile a session is of.
    if profile.contains('@') {
        let what = "the name has a character other than a-z, 0-9, '.', '_' and '-'";
        return Err(refused(what.to_owned()));
    }
    profile
        .parse()
        .map_err(|error: countersign_client::InvalidSessionName| refused(error.to_string()))
}

/// The error for a profile that was named and is not there.
pub(crate) fn unknown_profile(config: &Config, name: &str) -> CliError {
    let names = config.profile_names();
    let error = CliError::configuration(format!("there is no profile {}", shell_word(name)));
    if names.is_empty() {
        return error.why("there is no profile at all yet").hint(format!(
            "countersign -p {} login --issuer URL --client-id ID",
            shell_word(name)
        ));
    }
    error
        .why(format!("there are: {}", names.join(", ")))
        .hint("countersign profile list")
}

/// The error for a program that was never set up.
fn no_profile(name: Option<&str>) -> CliError {
    let profile = name.map_or_else(String::new, |name| format!("-p {} ", shell_word(name)));
    CliError::new(
        countersign_client::ExitCategory::Configuration,
        "no_profile",
        "countersign has not been told where you sign in",
    )
    .why("there is no profile, and no --issuer")
    .hint(format!(
        "countersign {profile}login --issuer URL --client-id ID"
    ))
}

fn default<T>(value: T) -> Setting<T> {
    Setting {
        value,
        origin: Origin::Default,
    }
}

/// The named one; else that of the directory; else the one that a file names; else the only one there is;
/// else none.
fn choose_profile(config: &Config, given: &Overrides) -> Result<Option<Setting<String>>, CliError> {
    if given.profile.is_some() {
        return Ok(given.profile.clone());
    }
    if let Some(directory) = &given.directory {
        return Ok(Some(Setting {
            value: directory.profile.clone(),
            origin: Origin::Directory(directory.path.clone()),
        }));
    }
    for source in config.sources() {
        if let Some(name) = &source.file.default_profile {
            if !config.has_profile(name) {
                let at = source.path.display();
                return Err(
                    unknown_profile(config, name).why(format!("{at} names it as default_profile"))
                );
            }
            let origin = Origin::Defaults(source.path.clone());
            let value = name.clone();
            return Ok(Some(Setting { value, origin }));
        }
    }
    Ok(match config.profile_names().as_slice() {
        [only] => Some(default((*only).to_owned())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn flags(text: &str) -> Overrides {
        Overrides {
            flags: toml::from_str(text).unwrap(),
            ..Overrides::default()
        }
    }

    #[test]
    fn flags_win_over_the_profile_over_the_users_file_over_the_systems_over_the_default() {
        let user =
            "[defaults]\ntimeout = 3\nqr = 'never'\n[profile.a]\ntimeout = 2\nissuer = 'https://u'";
        let system = "[defaults]\ntimeout = 4\nlogin_timeout = 5\n[profile.a]\nclient_id = 's'";
        let config = config(user, &[system]);
        let resolve = |overrides| Settings::resolve(&config, &overrides).unwrap();

        let plain = resolve(Overrides::default());
        assert_eq!(plain.timeout.value, Duration::from_secs(2));
        assert_eq!(
            plain.timeout.origin,
            Origin::Profile("/home/ada/config.toml".into())
        );
        assert_eq!(
            plain.qr.origin,
            Origin::Defaults("/home/ada/config.toml".into())
        );
        assert_eq!(
            plain.login_timeout.unwrap().origin,
            Origin::Defaults("/etc/0.toml".into())
        );
        assert_eq!(
            plain.server.client_id.origin,
            Origin::Profile("/etc/0.toml".into())
        );
        assert_eq!(plain.min_ttl.origin, Origin::Default);

        let mut given = flags("timeout = 1");
        given.environment = toml::from_str("timeout = 9\nqr = 'always'").unwrap();
        let given = resolve(given);
        assert_eq!(given.timeout.value, Duration::from_secs(1));
        assert_eq!(given.timeout.origin.to_string(), "--timeout");
        assert_eq!(given.qr.value, When::Always);
        assert_eq!(given.qr.origin.to_string(), "COUNTERSIGN_QR");
    }

    #[test]
    fn of_the_systems_files_the_last_wins() {
        let config = config("", &["[defaults]\ntimeout = 1", "[defaults]\ntimeout = 2"]);
        let settings = Settings::resolve(&config, &Overrides::default()).unwrap();
        assert_eq!(
            settings.timeout.origin,
            Origin::Defaults("/etc/1.toml".into())
        );
    }

    #[test]
    fn the_only_profile_needs_no_name_and_one_of_several_does() {
        let one = config("[profile.a]\nissuer = 'https://a'", &[]);
        let settings = Settings::resolve(&one, &Overrides::default()).unwrap();
        assert_eq!(settings.profile_name(), Some("a"));

        let two = config(
            "[profile.a]\nissuer = 'https://a'\n[profile.b]\nissuer = 'https://b'",
            &[],
        );
        let settings = Settings::resolve(&two, &Overrides::default()).unwrap();
        assert_eq!(settings.profile_name(), None);
        assert_eq!(
            settings.require_issuer(&two).unwrap_err().code(),
            "configuration"
        );
    }

    #[test]
    fn certificates_add_up() {
        let config = config("[defaults]\nca_cert = ['company.pem']", &[]);
        let given = flags("ca_cert = ['/tmp/mine.pem']");
        let settings = Settings::resolve(&config, &given).unwrap();
        assert_eq!(
            settings.ca_cert.unwrap().value,
            [
                PathBuf::from("/home/ada/company.pem"),
                PathBuf::from("/tmp/mine.pem")
            ]
        );
    }

    #[test]
    fn a_session_is_the_profiles_only_when_the_server_is() {
        let config = config("[profile.a]\nissuer = 'https://a'", &[]);
        let own = Settings::resolve(&config, &Overrides::default()).unwrap();
        assert_eq!(own.session_name().unwrap().unwrap().as_str(), "a");

        let other = Settings::resolve(&config, &flags("issuer = 'https://b'")).unwrap();
        assert_eq!(other.session_name().unwrap(), None);
    }

    #[test]
    fn a_default_profile_that_is_not_there_is_an_error() {
        let config = config(
            "default_profile = 'gone'\n[profile.a]\nissuer = 'https://a'",
            &[],
        );
        let error = Settings::resolve(&config, &Overrides::default()).unwrap_err();
        assert!(error.render(crate::output::Paint::Plain).contains("gone"));
    }
}
