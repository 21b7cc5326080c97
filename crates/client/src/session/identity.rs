//! Who signed in.

use countersign_oauth::IdToken;
use countersign_oauth::text::printable;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Who signed in, from the verified ID token. Text from outside: filter it before printing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Identity {
    /// The person's identifier at the issuer: stable, and unique there only.
    pub subject: Option<String>,
    /// The full name.
    pub name: Option<String>,
    /// The name they sign in with, as a rule. Can change, and need not be unique.
    pub preferred_username: Option<String>,
    /// The e-mail address. Verified or not, as the server sees it.
    pub email: Option<String>,
    /// The authentication context class the server reached (`acr`).
    pub acr: Option<String>,
    /// When the person last authenticated, in seconds since 1970 (`auth_time`).
    pub auth_time: Option<i64>,
}

impl Identity {
    /// What an ID token says about the person.
    pub(crate) fn of(token: &IdToken) -> Self {
        let text = |name| token.str(name).map(str::to_owned);
        Self {
            subject: Some(token.sub().to_owned()),
            name: text("name"),
            preferred_username: text("preferred_username"),
            email: text("email"),
            acr: text("acr"),
            auth_time: token.auth_time().map(Timestamp::as_secs),
        }
    }

    /// The person in one line, fit to print: `Ada Lovelace <ada@example.com>`, or as much as is known.
    /// `None` when nothing is. It is for people: only [`subject`](Self::subject) says who it is.
    pub fn line(&self) -> Option<String> {
        let clean = |text: &Option<String>| {
            text.as_deref()
                .map(printable)
                .filter(|text| !text.is_empty())
        };
        let name = clean(&self.name).or_else(|| clean(&self.preferred_username));
        let address = clean(&self.email);
        match (name, address) {
            (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
            (Some(name), _) => Some(name),
            (None, Some(address)) => Some(address),
            (None, None) => clean(&self.subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: Option<&str>, email: Option<&str>, subject: Option<&str>) -> Option<String> {
        let identity = Identity {
            name: name.map(str::to_owned),
            email: email.map(str::to_owned),
            subject: subject.map(str::to_owned),
            ..Identity::default()
        };
        identity.line()
    }

    #[test]
    fn a_person_is_one_line_of_what_is_known() {
        assert_eq!(
            line(Some("Ada"), Some("ada@x.y"), Some("1")).unwrap(),
            "Ada <ada@x.y>"
        );
        assert_eq!(
            line(Some("ada@x.y"), Some("ada@x.y"), None).unwrap(),
            "ada@x.y"
        );
        assert_eq!(line(None, None, Some("1")).unwrap(), "1");
        assert_eq!(line(None, None, None), None);
    }

    #[test]
    fn a_name_cannot_write_on_the_terminal() {
        let line = line(Some("A\x1b[2Jda\n\u{202e}"), None, None).unwrap();
        assert!(!line.contains(['\x1b', '\n', '\u{202e}']), "{line:?}");
    }
}
