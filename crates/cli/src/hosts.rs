//! The hosts that another program may take a token to.
//!
//! git and docker ask for a credential for whatever host an address names, and an address can come from
//! anybody: a submodule, a `FROM` line. So the profile says which hosts its token is for, and no other
//! gets one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::config::Config;
use crate::layer::Layer;
use crate::layers::Layers;

/// What a server that takes a token as a password expects as the name, unless the profile says better.
const USERNAME: &str = "oauth2";

/// What a profile says about the hosts of a program.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hosts {
    /// Where the token may go.
    pub(crate) hosts: Vec<Host>,
    /// What goes with it where it goes as a password.
    #[serde(default, deserialize_with = "name")]
    username: Option<String>,
}

impl Hosts {
    /// The same, where the profile says one.
    pub(crate) fn given_username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The name that goes with a token that goes as a password.
    pub(crate) fn username(&self) -> &str {
        self.username.as_deref().unwrap_or(USERNAME)
    }
}

/// A name ends at a colon (RFC 7617, section 2), and a line of git's protocol at its end.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    let unfit = |c: char| c.is_control() || c == ':';
    if name.is_empty() || name.contains(unfit) {
        return Err(de::Error::custom("this cannot be a user name"));
    }
    Ok(Some(name))
}

/// A host and its port, as two programs would agree on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    port: u16,
}

/// Where HTTPS is, unless an address says otherwise.
const HTTPS: u16 = 443;

impl Host {
    /// Reads `git.example.com` or `git.example.com:8443`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refused =
            || format!("`{text}` is not a host; write git.example.com or git.example.com:8443");
        // What else could stand in an address stands in no host, and a name is written in one way only.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if !text.chars().all(plain) {
            return Err(refused());
        }
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| refused())?;
        let name = url.host_str().ok_or_else(refused)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(refused)?;
        Ok(Self { name, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.port != HTTPS {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Which profile's token a host gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// That of the profile that is in use anyway.
    Chosen,
    /// That of the one other profile that names the host.
    Profile(String),
    /// Several name it, and none of them is in use.
    Several(Vec<String>),
    /// None does.
    Nobody,
}

/// Finds it. A profile that was asked for by name is the only one that is looked at.
pub(crate) fn owner(
    config: &Config,
    chosen: Option<&str>,
    by_name: bool,
    host: &Host,
    of: impl Fn(&Layer) -> Option<&Hosts> + Copy,
) -> Owner {
    let names_it = |profile: Option<&str>| {
        named(config, profile, of).is_some_and(|hosts| hosts.hosts.contains(host))
    };
    if names_it(chosen) {
        return Owner::Chosen;
    }
    if by_name {
        return Owner::Nobody;
    }
    let mut all = config.profile_names();
    all.retain(|name| names_it(Some(name)));
    match all.as_slice() {
        [] => Owner::Nobody,
        [only] => Owner::Profile((*only).to_owned()),
        _ => Owner::Several(all.into_iter().map(str::to_owned).collect()),
    }
}

/// What the files say for a profile.
pub(crate) fn named(
    config: &Config,
    profile: Option<&str>,
    of: impl Fn(&Layer) -> Option<&Hosts> + Copy,
) -> Option<Hosts> {
    let layers = Layers::of_files(config, profile);
    layers.pick("", of).map(|setting| setting.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn a_host_is_a_name_and_a_port_and_nothing_else() {
        let same = |a: &str, b: &str| Host::parse(a).unwrap() == Host::parse(b).unwrap();
        assert!(same("Git.Example.com", "git.example.com:443"));
        assert!(same("[::1]:8443", "[0:0::1]:8443"));
        assert!(!same("git.example.com", "git.example.com:8443"));
        for text in [
            "",
            "https://git.example.com",
            "git.example.com/team",
            "ada@git.example.com",
            "*.example.com",
            "git.example.com:",
            "git.example.com:99999",
            "git.example.com\n",
            "git.example.com#",
            "gıt.example.com",
        ] {
            let ends_with_colon = text == "git.example.com:";
            // An empty port is the usual one (RFC 3986, section 3.2.3).
            assert_eq!(Host::parse(text).is_ok(), ends_with_colon, "{text:?}");
        }
    }

    #[test]
    fn a_name_that_would_be_read_as_more_is_refused() {
        let read = |name: &str| {
            let text = format!("hosts = ['a.example']\nusername = \"{name}\"");
            toml::from_str::<Hosts>(&text)
        };
        assert_eq!(read("x-token-auth").unwrap().username(), "x-token-auth");
        for name in ["", "a:b", "a\\npassword=b"] {
            assert!(read(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_profile_that_names_a_host_is_the_one_whose_token_it_gets() {
        let config = config(
            "[profile.a.git]\nhosts = ['a.example', 'both.example']\n\
             [profile.b.git]\nhosts = ['b.example', 'both.example']\n[profile.c]\n",
            &[],
        );
        let owner = |chosen, by_name, host: &str| {
            let host = Host::parse(host).unwrap();
            owner(&config, chosen, by_name, &host, |layer| layer.git.as_ref())
        };
        assert_eq!(owner(Some("a"), false, "a.example"), Owner::Chosen);
        assert_eq!(owner(Some("a"), false, "both.example"), Owner::Chosen);
        assert_eq!(
            owner(Some("a"), false, "b.example"),
            Owner::Profile("b".to_owned())
        );
        assert_eq!(owner(Some("a"), true, "b.example"), Owner::Nobody);
        assert_eq!(
            owner(Some("c"), false, "both.example"),
            Owner::Several(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(owner(None, false, "evil.example"), Owner::Nobody);
    }
}
