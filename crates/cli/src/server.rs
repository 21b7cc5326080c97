//! Which server, as which client: an issuer, or a provider and the short parts that its issuer is made
//! of. What stands higher wins as a whole: an issuer in a profile is not mixed with parts from flags.

use countersign_client::preset::{PartName, Parts, PartsError, Preset};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::CliError;
use crate::layer::Layer;
use crate::layers::{Layers, Origin, Setting};

/// The client id that an issuer of ours knows without any set-up.
pub(crate) const DEFAULT_CLIENT_ID: &str = "cli";

/// A provider, in flags and files by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provider(pub(crate) &'static Preset);

impl Provider {
    /// The provider of this name.
    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        Preset::by_name(name).map(Self).ok_or_else(|| {
            let names: Vec<String> = Self::names().map(|name| format!("`{name}`")).collect();
            format!("unknown provider, expected one of {}", names.join(", "))
        })
    }

    /// The names there are.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Preset::ALL.iter().map(|preset| preset.name)
    }

    /// Whether it stands for any server of a kind, of which nothing else is known.
    fn is_general(self) -> bool {
        matches!(
            self.0.issuer(&Parts::default()),
            Err(PartsError::NoShortForm { .. })
        )
    }

    /// Whether there is one issuer of it for everybody.
    pub(crate) fn is_one(self) -> bool {
        self.0.issuer(&Parts::default()).is_ok()
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::by_name(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name)
    }
}

/// Which server, as which client.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "settings are called like flags")]
pub(crate) struct Server {
    pub(crate) provider: Option<Setting<Provider>>,
    pub(crate) org: Option<Setting<String>>,
    pub(crate) server: Option<Setting<String>>,
    pub(crate) host: Option<Setting<String>>,
    /// Given, or made of the parts.
    pub(crate) issuer: Option<Setting<String>>,
    pub(crate) client_id: Setting<String>,
    /// Why no issuer could be made.
    mistake: Option<Mistake>,
}

#[derive(Debug)]
enum Mistake {
    /// The parts are not what the provider needs.
    Parts(PartsError),
    /// Parts of what?
    NoProvider(PartName),
    /// The same place says both.
    Both(PartName),
}

impl Server {
    /// What some layers lead to.
    pub(crate) fn of(layers: &Layers<'_>) -> Self {
        let mut server = Self {
            provider: layers.pick("provider", |l| l.provider.as_ref()),
            org: layers.pick("org", |l| l.org.as_ref()),
            server: layers.pick("server", |l| l.server.as_ref()),
            host: layers.pick("host", |l| l.host.as_ref()),
            issuer: layers.pick("issuer", |l| l.issuer.as_ref()),
            client_id: layers
                .pick("client_id", |l| l.client_id.as_ref())
                .unwrap_or_else(|| Setting {
                    value: DEFAULT_CLIENT_ID.to_owned(),
                    origin: Origin::Default,
                }),
            mistake: None,
        };
        server.make_issuer(layers);
        server
    }

    fn make_issuer(&mut self, layers: &Layers<'_>) {
        let provider = self.provider.as_ref().map(|provider| provider.value);
        let has_part = |layer: &Layer| part_of(layer).is_some();
        let parts = layers.rank(has_part);
        let one = provider.is_some_and(Provider::is_one);
        let made = layers.rank(|layer| has_part(layer) || (one && layer.provider.is_some()));
        let given = layers.rank(|layer| layer.issuer.is_some());
        let part = self.first_part();
        match (given, made) {
            (Some(given), made) if made.is_none_or(|made| given <= made) => {
                if let (true, Some((part, _))) = (parts == Some(given), part) {
                    self.mistake = Some(Mistake::Both(part));
                }
                return;
            }
            (_, None) if provider.is_none_or(Provider::is_general) => return,
            _ => {}
        }
        let Some(provider) = &self.provider else {
            self.issuer = None;
            self.mistake = part.map(|(part, _)| Mistake::NoProvider(part));
            return;
        };
        let origin = part.map_or_else(|| provider.origin.clone(), |(_, origin)| origin);
        match provider.value.0.issuer(&self.parts()) {
            Ok(issuer) => {
                let value = issuer.as_str().to_owned();
                self.issuer = Some(Setting { value, origin });
            }
            Err(error) => {
                self.issuer = None;
                self.mistake = Some(Mistake::Parts(error));
            }
        }
    }

    /// The parts, as the provider takes them.
    pub(crate) fn parts(&self) -> Parts {
        let value = |setting: &Option<Setting<String>>| setting.as_ref().map(|s| s.value.clone());
        Parts {
            org: value(&self.org),
            server: value(&self.server),
            host: value(&self.host),
        }
    }

    /// The part that was said by the strongest word, and by whom.
    fn first_part(&self) -> Option<(PartName, Origin)> {
        let parts = [
            (PartName::Org, &self.org),
            (PartName::Server, &self.server),
            (PartName::Host, &self.host),
        ];
        let mut given = parts
            .into_iter()
            .filter_map(|(name, setting)| Some((name, setting.as_ref()?.origin.clone())));
        let first = given.next()?;
        Some(given.find(|(_, origin)| origin.is_typed()).unwrap_or(first))
    }

    /// The issuer, if anybody named one.
    ///
    /// # Errors
    /// When the parts make none, or the provider knows no client of the usual name.
    pub(crate) fn issuer(&self) -> Result<Option<&str>, CliError> {
        match &self.mistake {
            None => {}
            Some(Mistake::Parts(error)) => {
                let error = CliError::configuration("no issuer can be made of these settings")
                    .why(error.to_string());
                return Err(match &self.provider {
                    Some(provider) => {
                        error.hint(format!("countersign setup {}", provider.value.0.name))
                    }
                    None => error,
                });
            }
            Some(Mistake::NoProvider(part)) => {
                return Err(CliError::configuration(format!(
                    "`{part}` is a part of an issuer, and nobody says of which provider"
                ))
                .why(format!("providers are: {}", names()))
                .hint(format!("add --provider NAME to --{part}")));
            }
            Some(Mistake::Both(part)) => {
                return Err(CliError::configuration(format!(
                    "`issuer` and `{part}` are two ways to say the same"
                ))
                .hint(format!("leave out either `issuer` or `{part}`")));
            }
        }
        let general = |provider: &Setting<Provider>| provider.value.is_general();
        if let (Some(provider), Some(_), Origin::Default) =
            (&self.provider, &self.issuer, &self.client_id.origin)
            && !general(provider)
        {
            let Preset { name, title, .. } = provider.value.0;
            return Err(
                CliError::configuration(format!("{title} has to be told a client id"))
                    .why("it is given to an application when that is registered there")
                    .hint(format!("countersign setup {name}"))
                    .hint("or, when you know it: add --client-id ID"),
            );
        }
        Ok(self.issuer.as_ref().map(|issuer| issuer.value.as_str()))
    }

    /// Whether sessions there are sessions here.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let value = |setting: &Option<Setting<String>>| setting.as_ref().map(|s| s.value.clone());
        value(&self.issuer) == value(&other.issuer) && self.client_id.value == other.client_id.value
    }
}

fn names() -> String {
    Provider::names().collect::<Vec<_>>().join(", ")
}

/// A part that a layer has.
fn part_of(layer: &Layer) -> Option<&String> {
    let Layer {
        org, server, host, ..
    } = layer;
    org.as_ref().or(server.as_ref()).or(host.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;
    use crate::given::Overrides;
    use crate::output::Paint;

    /// The issuer by flags and a profile, or the words of the error.
    fn issuer(flags: &str, profile: &str) -> Result<Option<String>, String> {
        let config = config(&format!("[profile.a]\n{profile}"), &[]);
        let given = Overrides {
            flags: toml::from_str(flags).unwrap(),
            ..Overrides::default()
        };
        let layers = Layers::all(&given, Layers::of_files(&config, Some("a")));
        let server = Server::of(&layers);
        let issuer = server.issuer().map(|issuer| issuer.map(str::to_owned));
        issuer.map_err(|error| error.render(Paint::Plain))
    }

    fn made(flags: &str, profile: &str) -> String {
        issuer(flags, profile).unwrap().unwrap()
    }

    const OKTA: &str = "provider = 'okta'\norg = 'acme'\nclient_id = 'c'";

    #[test]
    fn an_issuer_is_given_or_made() {
        assert_eq!(issuer("", ""), Ok(None));
        assert_eq!(made("issuer = 'https://a'", ""), "https://a");
        assert_eq!(made("", OKTA), "https://acme.okta.com");
        let custom = "provider = 'okta'\nissuer = 'https://login.acme.com'\nclient_id = 'c'";
        assert_eq!(made("", custom), "https://login.acme.com");
        let google = "provider = 'google'\nclient_id = 'c'";
        assert_eq!(made("", google), "https://accounts.google.com");
        assert_eq!(
            made("", "provider = 'oidc'\nissuer = 'https://a'"),
            "https://a"
        );
        assert_eq!(issuer("", "provider = 'oidc'"), Ok(None));
    }

    #[test]
    fn the_stronger_word_wins_as_a_whole() {
        assert_eq!(made("issuer = 'https://a'", OKTA), "https://a");
        assert_eq!(made("org = 'other'", OKTA), "https://other.okta.com");
        let server = made("server = 'default'", OKTA);
        assert_eq!(server, "https://acme.okta.com/oauth2/default");
        let profile = "issuer = 'https://a'\nclient_id = 'c'";
        assert_eq!(
            made("provider = 'okta'\norg = 'acme'", profile),
            "https://acme.okta.com"
        );
        // Which provider it is says nothing about where it is, unless there is only one.
        assert_eq!(made("provider = 'okta'", profile), "https://a");
        assert_eq!(
            made("provider = 'google'", profile),
            "https://accounts.google.com"
        );
    }

    #[test]
    fn what_makes_no_issuer_says_why() {
        let wrong = |flags, words: &str| {
            let text = issuer(flags, "").unwrap_err();
            assert!(text.contains(words), "{flags}: {text}");
        };
        wrong("provider = 'okta'\nclient_id = 'c'", "needs `org`");
        wrong("provider = 'okta'", "countersign setup okta");
        wrong("org = 'acme'", "of which provider");
        wrong(
            "issuer = 'https://a'\norg = 'acme'\nprovider = 'okta'",
            "two ways",
        );
        wrong("provider = 'okta'\norg = 'acme'", "client id");
        wrong(
            "provider = 'google'\norg = 'acme'\nclient_id = 'c'",
            "no use for `org`",
        );
        let unknown = toml::from_str::<Layer>("provider = 'octa'").unwrap_err();
        assert!(unknown.message().contains("`okta`"), "{unknown}");
    }
}
