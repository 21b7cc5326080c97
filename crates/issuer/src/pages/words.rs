//! What the pages say in plain English: scopes, ages and codes.
//!
//! Everything here returns text; escaping it for HTML is the templates' business.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use countersign_oauth::Secret;

use crate::core::{Destination, user_code};

/// Says what granting `scope` allows, to somebody who has never heard the word.
///
/// A scope this issuer has no sentence for is shown by its own name: hiding it would hide
/// what is being granted.
fn scope(scope: &str) -> Cow<'static, str> {
    Cow::Borrowed(match scope {
        "openid" => "Know which account you are",
        "profile" => "See your name and username",
        "email" => "See your email address",
        "groups" => "See the groups you belong to",
        "address" => "See your postal address",
        "phone" => "See your phone number",
        "offline_access" => "Stay signed in until you sign it out",
        other => return Cow::Owned(format!("Use the permission “{other}”")),
    })
}

/// Says what granting `scopes` allows, the most personal first and what outlasts today last.
pub(super) fn scopes(scopes: &[String]) -> Vec<Cow<'static, str>> {
    const ORDER: [&str; 6] = ["openid", "profile", "email", "groups", "address", "phone"];
    let rank = |name: &String| match ORDER.iter().position(|known| known == name) {
        Some(rank) => rank,
        None if name == "offline_access" => usize::MAX,
        None => ORDER.len(),
    };
    let mut sorted: Vec<&String> = scopes.iter().collect();
    sorted.sort_by_key(|name| rank(name));
    sorted.into_iter().map(|name| scope(name)).collect()
}

/// Says how long ago something happened, coarsely enough to be read at a glance.
pub(super) fn ago(elapsed: Duration) -> String {
    if elapsed.as_secs() < 10 {
        "just now".to_owned()
    } else {
        format!("{} ago", span(elapsed))
    }
}

/// Says how long a wait is, rounded up: a person told "1 minute" must not come too early.
pub(super) fn wait(remaining: Duration) -> String {
    let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
    match seconds {
        0..=59 => count(seconds.max(1), "second"),
        60..=5_399 => count(seconds.div_ceil(60), "minute"),
        _ => count(seconds.div_ceil(3_600), "hour"),
    }
}

/// Says a length of time, rounded down to its largest unit.
pub(super) fn span(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..=59 => count(seconds, "second"),
        seconds @ 60..=3_599 => count(seconds / 60, "minute"),
        seconds @ 3_600..=86_399 => count(seconds / 3_600, "hour"),
        seconds => count(seconds / 86_400, "day"),
    }
}

/// Says where a request came from.
pub(super) fn address(address: IpAddr) -> String {
    if address.is_loopback() {
        format!("this computer ({address})")
    } else {
        address.to_string()
    }
}

/// Where a browser goes on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What is there.
    pub(super) words: &'static str,
    /// Its address.
    pub(super) address: String,
}

/// Says where a browser goes on to.
pub(super) fn destination(destination: &Destination) -> Place {
    let (words, address) = match destination {
        Destination::ThisMachine { address } => ("a program on this computer", address.clone()),
        Destination::Site { host } => ("another site", host.clone()),
        Destination::Application { scheme } => (
            "the application for addresses that begin with",
            format!("{scheme}:"),
        ),
    };
    Place { words, address }
}

/// A secret to be typed, in groups that the eye can keep.
pub(super) fn groups_of_four(secret: &Secret) -> Vec<Secret> {
    let letters: Vec<char> = secret.expose().chars().collect();
    let groups = letters.chunks(4);
    groups
        .map(|group| Secret::from(group.iter().collect::<String>()))
        .collect()
}

fn count(number: u64, unit: &str) -> String {
    if number == 1 {
        format!("1 {unit}")
    } else {
        format!("{number} {unit}s")
    }
}

/// A user code, written for the eye and for a screen reader.
#[derive(Debug, Clone)]
pub(super) struct Code {
    /// `WDJB-MJHT`.
    pub(super) shown: String,
    /// `W D J B, M J H T`: letters apart, so that speech reads each one by its name.
    pub(super) spelled: String,
}

impl Code {
    /// Reads what a person typed, in any notation; `None` when it cannot be a code.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        user_code::normalise(typed).map(|code| Self::new(&user_code::display(&code)))
    }

    /// Takes a code as it is to be shown.
    pub(super) fn new(shown: &str) -> Self {
        let spelled = shown
            .split('-')
            .map(|group| {
                group
                    .chars()
                    .map(String::from)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect::<Vec<_>>()
            .join(", ");
        Self {
            shown: shown.to_owned(),
            spelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scope_is_shown_by_its_own_name() {
        assert_eq!(scope("deploy:prod"), "Use the permission “deploy:prod”");
    }

    #[test]
    fn scopes_are_told_in_an_order_for_people() {
        let asked = ["deploy", "email", "offline_access", "openid"].map(str::to_owned);
        assert_eq!(
            scopes(&asked),
            [
                "Know which account you are",
                "See your email address",
                "Use the permission “deploy”",
                "Stay signed in until you sign it out",
            ]
        );
    }

    #[test]
    fn a_wait_is_never_understated() {
        assert_eq!(wait(Duration::from_millis(200)), "1 second");
        assert_eq!(wait(Duration::from_secs(59)), "59 seconds");
        assert_eq!(wait(Duration::from_secs(61)), "2 minutes");
        assert_eq!(wait(Duration::from_secs(7_201)), "3 hours");
    }

    #[test]
    fn an_age_is_never_overstated() {
        assert_eq!(ago(Duration::from_secs(9)), "just now");
        assert_eq!(ago(Duration::from_secs(59)), "59 seconds ago");
        assert_eq!(ago(Duration::from_secs(119)), "1 minute ago");
        assert_eq!(ago(Duration::from_secs(3 * 86_400 + 5)), "3 days ago");
    }

    #[test]
    fn a_code_is_spelled_letter_by_letter_for_speech() {
        let code = Code::new("WDJB-MJHT");
        assert_eq!(code.shown, "WDJB-MJHT");
        assert_eq!(code.spelled, "W D J B, M J H T");
    }

    #[test]
    fn a_code_is_shown_in_one_notation_however_it_was_typed() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " wDjB mJhT "] {
            assert_eq!(Code::parse(typed).unwrap().shown, "WDJB-MJHT", "{typed}");
        }
        assert!(Code::parse("../../MJHT").is_none());
    }
}
