//! What is in force, and why: flag, then environment, then profile, then the person's file, then the
//! system's files, then the default.
//!
//! Not responsible for reading files (`config`) nor for flags (`args`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::{EndpointOverrides, SessionName};

use crate::args::When;
use crate::config::{Config, Layer, Source};
use crate::error::CliError;
use crate::given::Overrides;
use crate::output::shell_word;

/// The client id that an issuer of ours knows without any set-up.
pub(crate) const DEFAULT_CLIENT_ID: &str = "cli";
/// The profile that a first login makes.
pub(crate) const DEFAULT_PROFILE: &str = "default";
/// Long enough for a request that is sent at once, short against any token's life.
const DEFAULT_MIN_TTL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The profile, in this file.
    Profile(PathBuf),
    /// What a file sets for all profiles.
    Defaults(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::Profile(path) => write!(f, "profile in {}", path.display()),
            Self::Defaults(path) => write!(f, "defaults in {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// What is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The profile that was chosen, whether or not there is one of that name.
    pub(crate) profile: Option<Setting<String>>,
    /// Whether some file has a profile of that name.
    pub(crate) profile_exists: bool,
    /// Whether flags or environment lead to another server or client than the profile does.
    pub(crate) leaves_profile: bool,
    pub(crate) issuer: Option<Setting<String>>,
    pub(crate) client_id: Setting<String>,
    pub(crate) client_secret_file: Option<Setting<PathBuf>>,
    pub(crate) scope: Option<Setting<Vec<String>>>,
    pub(crate) audience: Option<Setting<String>>,
    pub(crate) resource: Option<Setting<Vec<String>>>,
    pub(crate) param: Option<Setting<BTreeMap<String, String>>>,
    pub(crate) endpoints: Option<Setting<EndpointOverrides>>,
    pub(crate) ca_cert: Option<Setting<Vec<PathBuf>>>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) login_timeout: Option<Setting<Duration>>,
    pub(crate) min_ttl: Setting<Duration>,
    pub(crate) no_browser: Setting<bool>,
    pub(crate) qr: Setting<When>,
}

impl Settings {
    /// Puts everything in order.
    ///
    /// # Errors
    /// When a profile was chosen by a file that no file has.
    pub(crate) fn resolve(config: &Config, overrides: &Overrides) -> Result<Self, CliError> {
        let profile = choose_profile(config, overrides.profile.clone())?;
        let name = profile.as_ref().map(|setting| setting.value.as_str());
        let layers = Layers::new(config, name);
        let mut ca_cert = layers.paths(|layer| layer.ca_cert.as_deref());
        if !overrides.ca_cert.is_empty() {
            // The only setting that adds up: a certificate for once must not hide the company's.
            let mut value = ca_cert.map(|setting| setting.value).unwrap_or_default();
            value.extend(overrides.ca_cert.iter().cloned());
            ca_cert = Some(Setting {
                value,
                origin: Origin::Flag("--ca-cert"),
            });
        }
        let issuer = layers.pick(|l| l.issuer.as_ref());
        let client_id = layers
            .pick(|l| l.client_id.as_ref())
            .unwrap_or_else(|| default(DEFAULT_CLIENT_ID.to_owned()));
        let other = |given: Option<&Setting<String>>, own: Option<&Setting<String>>| {
            given.is_some_and(|given| own.is_none_or(|own| own.value != given.value))
        };
        Ok(Self {
            profile_exists: name.is_some_and(|name| config.has_profile(name)),
            leaves_profile: other(overrides.issuer.as_ref(), issuer.as_ref())
                || other(overrides.client_id.as_ref(), Some(&client_id)),
            issuer: overrides.issuer.clone().or(issuer),
            client_id: overrides.client_id.clone().unwrap_or(client_id),
            client_secret_file: overrides
                .client_secret_file
                .clone()
                .or_else(|| layers.path(|l| l.client_secret_file.as_deref())),
            scope: overrides
                .scope
                .clone()
                .or_else(|| layers.pick(|l| l.scope.as_ref())),
            audience: overrides
                .audience
                .clone()
                .or_else(|| layers.pick(|l| l.audience.as_ref())),
            resource: overrides
                .resource
                .clone()
                .or_else(|| layers.pick(|l| l.resource.as_ref())),
            param: overrides
                .param
                .clone()
                .or_else(|| layers.pick(|l| l.param.as_ref())),
            endpoints: layers.pick(|l| l.endpoints.as_ref()),
            ca_cert,
            timeout: overrides
                .timeout
                .clone()
                .or_else(|| layers.pick(|l| l.timeout.as_ref()))
                .unwrap_or_else(|| default(DEFAULT_TIMEOUT)),
            login_timeout: overrides
                .login_timeout
                .clone()
                .or_else(|| layers.pick(|l| l.login_timeout.as_ref())),
            min_ttl: overrides
                .min_ttl
                .clone()
                .or_else(|| layers.pick(|l| l.min_ttl.as_ref()))
                .unwrap_or_else(|| default(DEFAULT_MIN_TTL)),
            no_browser: overrides
                .no_browser
                .clone()
                .or_else(|| layers.pick(|l| l.no_browser.as_ref()))
                .unwrap_or_else(|| default(false)),
            qr: overrides
                .qr
                .clone()
                .or_else(|| layers.pick(|l| l.qr.as_ref()))
                .unwrap_or_else(|| default(When::Auto)),
            profile,
        })
    }

    /// The name of the profile, if one was chosen.
    pub(crate) fn profile_name(&self) -> Option<&str> {
        self.profile.as_ref().map(|setting| setting.value.as_str())
    }

    /// The name that the session is kept under: the profile's, when its issuer and client are the
    /// ones in force. `None` for a session that belongs to no profile.
    pub(crate) fn session_name(&self) -> Result<Option<SessionName>, CliError> {
        match &self.profile {
            Some(profile) if !(self.profile_exists && self.leaves_profile) => {
                session_name(&profile.value).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The issuer, without which nothing can be done.
    ///
    /// # Errors
    /// What to type to change that.
    pub(crate) fn require_issuer(&self, config: &Config) -> Result<&str, CliError> {
        if let Some(issuer) = &self.issuer {
            return Ok(&issuer.value);
        }
        let names = config.profile_names();
        match self.profile_name() {
            Some(name) if self.profile_exists => Err(CliError::configuration(format!(
                "profile `{name}` names no issuer"
            ))
            .hint(format!(
                "countersign profile add {name} --replace --issuer URL --client-id ID"
            ))),
            Some(name) if !names.is_empty() => Err(unknown_profile(config, name)),
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
    profile.parse().map_err(|error| {
        CliError::usage(format!(
            "a profile cannot be called {}",
            shell_word(profile)
        ))
        .why(format!("{error}"))
    })
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

/// The named one; else the one that a file names; else the only one there is; else none.
fn choose_profile(
    config: &Config,
    named: Option<Setting<String>>,
) -> Result<Option<Setting<String>>, CliError> {
    if named.is_some() {
        return Ok(named);
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

/// The parts of the files that apply, the one that wins first.
struct Layers<'a>(Vec<(&'a Layer, &'a Source, bool)>);

impl<'a> Layers<'a> {
    fn new(config: &'a Config, profile: Option<&str>) -> Self {
        let profiles = config.sources().filter_map(|source| {
            let layer = source.file.profile.get(profile?)?;
            Some((layer, source, true))
        });
        let defaults = config
            .sources()
            .map(|source| (&source.file.defaults, source, false));
        Self(profiles.chain(defaults).collect())
    }

    fn pick<T: Clone + 'a>(&self, get: impl Fn(&'a Layer) -> Option<&'a T>) -> Option<Setting<T>> {
        self.find(|layer, _| get(layer).cloned())
    }

    /// A path in a file is meant from where that file is.
    fn path(&self, get: impl Fn(&'a Layer) -> Option<&'a Path>) -> Option<Setting<PathBuf>> {
        self.find(|layer, base| get(layer).map(|path| base.join(path)))
    }

    fn paths(
        &self,
        get: impl Fn(&'a Layer) -> Option<&'a [PathBuf]>,
    ) -> Option<Setting<Vec<PathBuf>>> {
        self.find(|layer, base| {
            get(layer).map(|paths| paths.iter().map(|path| base.join(path)).collect())
        })
    }

    fn find<T>(&self, get: impl Fn(&'a Layer, &'a Path) -> Option<T>) -> Option<Setting<T>> {
        self.0.iter().find_map(|(layer, source, in_profile)| {
            let base = source.path.parent().unwrap_or(Path::new("/"));
            let value = get(layer, base)?;
            let path = source.path.clone();
            let origin = if *in_profile {
                Origin::Profile(path)
            } else {
                Origin::Defaults(path)
            };
            Some(Setting { value, origin })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(user: &str, system: &[&str]) -> Config {
        let source = |path: &str, text: &str| Source {
            path: PathBuf::from(path),
            file: toml::from_str(text).unwrap(),
        };
        Config {
            user_path: PathBuf::from("/home/ada/config.toml"),
            user: Some(source("/home/ada/config.toml", user)),
            system: system
                .iter()
                .enumerate()
                .map(|(index, text)| source(&format!("/etc/{index}.toml"), text))
                .collect(),
        }
    }

    fn flag<T>(value: T) -> Setting<T> {
        let origin = Origin::Flag("--it");
        Setting { value, origin }
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
            plain.client_id.origin,
            Origin::Profile("/etc/0.toml".into())
        );
        assert_eq!(plain.min_ttl.origin, Origin::Default);

        let flagged = resolve(Overrides {
            timeout: Some(flag(Duration::from_secs(1))),
            ..Overrides::default()
        });
        assert_eq!(flagged.timeout.value, Duration::from_secs(1));
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
        let overrides = Overrides {
            ca_cert: vec!["/tmp/mine.pem".into()],
            ..Overrides::default()
        };
        let settings = Settings::resolve(&config, &overrides).unwrap();
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

        let elsewhere = Overrides {
            issuer: Some(flag("https://b".to_owned())),
            ..Overrides::default()
        };
        let other = Settings::resolve(&config, &elsewhere).unwrap();
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
