//! The ways to sign in, by the names they have in flags and configuration files.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SignIn {
    /// Whichever of the others fits this place and this server, a person being there.
    #[default]
    Auto,
    /// A browser on this computer, which brings the answer back by itself (RFC 8252, section 7.3).
    Browser,
    /// A code that is approved in a browser on any device (RFC 8628).
    Device,
    /// A browser anywhere, and the answer copied from there into the terminal.
    Paste,
    /// No person at all: the client signs in as itself (RFC 6749, section 4.4). Never chosen by
    /// [`Auto`](Self::Auto).
    ClientCredentials,
}

impl SignIn {
    /// Every way, in the order in which a list for people has them.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::Browser,
        Self::Device,
        Self::Paste,
        Self::ClientCredentials,
    ];

    /// The name in flags and configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Paste => "paste",
            Self::ClientCredentials => "client-credentials",
        }
    }

    /// The way of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }

    /// What it is, in a few words for a person: "sign-in with a code on another device".
    pub fn text(self) -> &'static str {
        match self {
            Self::Auto => "whichever sign-in fits",
            Self::Browser => "sign-in in a browser on this computer",
            Self::Device => "sign-in with a code on any device",
            Self::Paste => "sign-in in a browser, the answer pasted here",
            Self::ClientCredentials => "sign-in of the application itself",
        }
    }
}

impl fmt::Display for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_flags_files_and_sessions() {
        for way in SignIn::ALL {
            assert_eq!(SignIn::from_name(way.as_str()), Some(way));
            let written = serde_json::to_string(&way).unwrap();
            assert_eq!(written, format!("\"{way}\""));
        }
        assert_eq!(SignIn::from_name("Browser"), None);
    }
}
