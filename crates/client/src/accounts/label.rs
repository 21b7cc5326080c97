//! What an account is called, and whether two sessions are the same person's.

use crate::{Session, SignIn};

/// What a person, or a client that signed in as itself, is called here: the address, else the user name,
/// else the identifier, as far as it can be part of a file name. `None` when nothing is known.
pub(super) fn of(session: &Session) -> Option<String> {
    let identity = session.identity();
    let itself = is_client(session).then_some(session.client_id());
    let known = [
        itself,
        identity.email.as_deref(),
        identity.preferred_username.as_deref(),
        identity.subject.as_deref(),
    ];
    known.into_iter().flatten().find_map(plain)
}

/// Room for the name of the profile, and for a number.
const LONGEST: usize = 40;

/// The text in the characters of a session's name.
fn plain(text: &str) -> Option<String> {
    let fitting = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@') => c,
        _ => '-',
    };
    let label: String = text
        .chars()
        .map(fitting)
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(LONGEST)
        .collect();
    let label = label.trim_end_matches(['-', '@', '.']);
    (!label.is_empty()).then(|| label.to_owned())
}

/// Whether `word` (in lower case) is how the server calls the person.
pub(super) fn fits(session: &Session, word: &str) -> bool {
    let identity = session.identity();
    [&identity.email, &identity.preferred_username]
        .into_iter()
        .flatten()
        .any(|name| name.eq_ignore_ascii_case(word))
}

/// How two sessions relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sameness {
    /// The same person's, or of the same client as itself.
    Same,
    /// Of two people, or of a person and a client.
    Other,
    /// At least one server did not say who it was.
    Unknown,
    /// The subjects of two servers, or of two clients, cannot be compared (`OpenID` Connect Core, sections
    /// 2 and 8).
    Elsewhere,
}

pub(super) fn compare(one: &Session, other: &Session) -> Sameness {
    let same_client = one.client_id() == other.client_id();
    if one.issuer() != other.issuer() {
        return Sameness::Elsewhere;
    }
    match (is_client(one), is_client(other)) {
        (true, true) if same_client => return Sameness::Same,
        (false, false) => {}
        _ => return Sameness::Other,
    }
    match (&one.identity().subject, &other.identity().subject) {
        (Some(one), Some(other)) if one == other => Sameness::Same,
        _ if !same_client => Sameness::Elsewhere,
        (Some(_), Some(_)) => Sameness::Other,
        _ => Sameness::Unknown,
    }
}

fn is_client(session: &Session) -> bool {
    session.flow() == Some(SignIn::ClientCredentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_called_becomes_part_of_a_file_name() {
        for (text, label) in [
            ("Ada@Example.com", Some("ada@example.com")),
            ("ada+test@example.com", Some("ada-test@example.com")),
            ("EXAMPLE\\ada", Some("example-ada")),
            ("auth0|5f7c", Some("auth0-5f7c")),
            ("../../etc/passwd", Some("etc-passwd")),
            ("\u{1b}[2J", Some("2j")),
            ("ada.", Some("ada")),
            ("@@", None),
            ("ädä", Some("d")),
            ("", None),
        ] {
            assert_eq!(plain(text).as_deref(), label, "{text:?}");
        }
        assert_eq!(plain(&"a".repeat(300)).unwrap().len(), LONGEST);
    }
}
