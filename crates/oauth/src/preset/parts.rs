//! The short parts of an issuer: `--org acme --server default` for a long URL.
//!
//! Three parts serve all providers, because each of them asks for the same three things under its own
//! names: whose it is, which of several servers there, and at which host.

use std::fmt;

use super::Preset;
use crate::InvalidIssuer;
use crate::text::printable;

/// One of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartName {
    /// Whose it is: the organisation or tenant.
    Org,
    /// Which of several servers there: the authorization server, realm or user pool.
    Server,
    /// The host name, where it is not the provider's usual one.
    Host,
}

impl PartName {
    /// The name in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Server => "server",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a provider uses a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartUse {
    /// Which part.
    pub name: PartName,
    /// What the provider calls it, with an article.
    pub called: &'static str,
    /// A value as it may be typed.
    pub example: &'static str,
    /// What happens without it; `None` for a part that must be given.
    pub otherwise: Option<&'static str>,
}

impl PartUse {
    /// A part that must be given.
    pub(super) const fn required(
        name: PartName,
        called: &'static str,
        example: &'static str,
    ) -> Self {
        Self {
            name,
            called,
            example,
            otherwise: None,
        }
    }

    /// A part that may be left out.
    pub(super) const fn optional(
        name: PartName,
        called: &'static str,
        example: &'static str,
        otherwise: &'static str,
    ) -> Self {
        Self {
            name,
            called,
            example,
            otherwise: Some(otherwise),
        }
    }
}

/// What was given of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// See [`PartName::Org`].
    pub org: Option<String>,
    /// See [`PartName::Server`].
    pub server: Option<String>,
    /// See [`PartName::Host`].
    pub host: Option<String>,
}

/// Why no issuer could be made of the parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A part that the provider needs was not given.
    #[error("{title} needs `{part}`, {called}, such as {example}")]
    Missing {
        /// The provider.
        title: &'static str,
        /// Which part.
        part: PartName,
        /// What it is there.
        called: &'static str,
        /// A value as it may be typed.
        example: &'static str,
    },
    /// A part that means nothing at this provider was given.
    #[error("{title} has no use for `{part}`")]
    Unused {
        /// The provider.
        title: &'static str,
        /// Which part.
        part: PartName,
    },
    /// A part has characters that it cannot have, or too few of them.
    #[error("`{part}` cannot be {value:?}: {why}")]
    Malformed {
        /// Which part.
        part: PartName,
        /// What was given, fit to be printed.
        value: String,
        /// What it must be.
        why: &'static str,
    },
    /// The issuer of this provider has to be given as a whole.
    #[error("{title} has no short form: give the issuer as a whole")]
    NoShortForm {
        /// The provider.
        title: &'static str,
    },
    /// What came out is no issuer.
    #[error("the parts make {text}, which is no issuer")]
    Issuer {
        /// What came out.
        text: String,
        /// Why it is none.
        #[source]
        why: InvalidIssuer,
    },
}

impl Parts {
    /// The value of a part, without surrounding spaces; an empty one is none.
    pub fn get(&self, name: PartName) -> Option<&str> {
        let value = match name {
            PartName::Org => self.org.as_deref(),
            PartName::Server => self.server.as_deref(),
            PartName::Host => self.host.as_deref(),
        };
        value.map(str::trim).filter(|value| !value.is_empty())
    }

    /// Sets a part.
    pub fn set(&mut self, name: PartName, value: impl Into<String>) {
        let value = Some(value.into());
        match name {
            PartName::Org => self.org = value,
            PartName::Server => self.server = value,
            PartName::Host => self.host = value,
        }
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        [PartName::Org, PartName::Server, PartName::Host]
            .into_iter()
            .all(|name| self.get(name).is_none())
    }

    /// Refuses a part that means nothing to `preset`: whoever gave it expects something of it.
    pub(super) fn only(&self, preset: &Preset) -> Result<(), PartsError> {
        for part in [PartName::Org, PartName::Server, PartName::Host] {
            let used = preset.parts.iter().any(|used| used.name == part);
            if self.get(part).is_some() && !used {
                let title = preset.title;
                return Err(PartsError::Unused { title, part });
            }
        }
        Ok(())
    }

    /// A part that must be there.
    pub(super) fn required(&self, preset: &Preset, name: PartName) -> Result<&str, PartsError> {
        self.get(name).ok_or_else(|| {
            let used = preset.parts.iter().find(|used| used.name == name);
            PartsError::Missing {
                title: preset.title,
                part: name,
                called: used.map_or("a part of the issuer", |used| used.called),
                example: used.map_or("…", |used| used.example),
            }
        })
    }

    /// A part that is one word of letters, digits, `-`, `_` and, where `also` has them, others.
    pub(super) fn word<'a>(
        name: PartName,
        value: &'a str,
        also: &str,
        why: &'static str,
    ) -> Result<&'a str, PartsError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || also.contains(c);
        let bare = value.trim_matches(['.', '/']);
        if bare == value && !value.contains("..") && value.chars().all(plain) {
            return Ok(value);
        }
        Err(malformed(name, value, why))
    }

    /// The host, as `host`, `host:port` or `host/path`, whether or not it was given with `https://`.
    /// What stands at its end, a slash, is no part of it.
    pub(super) fn host(&self) -> Result<Option<&str>, PartsError> {
        let Some(given) = self.get(PartName::Host) else {
            return Ok(None);
        };
        let host = given.strip_prefix("https://").unwrap_or(given);
        let host = host.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]~".contains(c);
        if host.is_empty() || host.contains("://") || !host.chars().all(plain) {
            let why = "give a host name such as login.example.com";
            return Err(malformed(PartName::Host, given, why));
        }
        Ok(Some(host))
    }
}

pub(super) fn malformed(part: PartName, value: &str, why: &'static str) -> PartsError {
    let value = printable(value);
    PartsError::Malformed { part, value, why }
}
