//! The heads of the answers that curl gets, as its `--dump-header` writes them: what the last one says to
//! the person, if it comes from where the token was sent.
//!
//! Not responsible for bodies, nor for what is done about a challenge.

use countersign_client::{ScopeSet, StepUp, UnreadableStepUp, missing_scope};
use url::Url;

/// Longer lines are passed over. No server that means well sends them.
const MAX_LINE: usize = 64 * 1024;
/// How many challenges of one answer are looked at.
const MAX_CHALLENGES: usize = 32;

/// What the last answer wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Another sign-in.
    StepUp(StepUp),
    /// The same, and it cannot be read what kind of.
    Unreadable(UnreadableStepUp),
    /// A scope that the token does not have.
    Scope(ScopeSet),
}

/// The heads so far.
#[derive(Debug)]
pub(crate) struct Heads {
    /// Where the token belongs.
    home: Url,
    /// Where the present answer comes from, if that is known.
    from: Option<Url>,
    /// What has come of a line.
    line: Vec<u8>,
    /// The status of the last answer; zero before the first.
    status: u16,
    challenges: Vec<String>,
    location: Option<String>,
    /// Whether the head has come to its end. What follows is a body, and perhaps trailers.
    complete: bool,
}

impl Heads {
    pub(crate) fn new(url: &Url) -> Self {
        Self {
            home: url.clone(),
            from: Some(url.clone()),
            line: Vec::new(),
            status: 0,
            challenges: Vec::new(),
            location: None,
            complete: false,
        }
    }

    /// Takes what curl has written, in whatever pieces.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() <= MAX_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.len() <= MAX_LINE {
                let text = String::from_utf8_lossy(&line);
                self.take_line(text.trim_end_matches('\r'));
            }
        }
    }

    fn take_line(&mut self, line: &str) {
        if line.starts_with("HTTP/") {
            return self.begin(line);
        }
        if self.complete {
            return;
        }
        let Some((name, value)) = line.split_once(':') else {
            self.complete = line.is_empty();
            return;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("www-authenticate") && self.challenges.len() < MAX_CHALLENGES {
            self.challenges.push(value.to_owned());
        } else if name.eq_ignore_ascii_case("location") {
            self.location = Some(value.to_owned());
        }
    }

    /// A new answer. After a redirect it comes from where that led to.
    fn begin(&mut self, line: &str) {
        let followed = self.location.take().filter(|_| self.status / 100 == 3);
        if let Some(location) = followed {
            let from = self.from.take();
            self.from = from.and_then(|from| from.join(&location).ok());
        }
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        self.status = status.unwrap_or(0);
        self.challenges.clear();
        self.complete = false;
    }

    /// Whether the last answer may turn out to ask for another sign-in.
    pub(crate) fn may_ask(&self) -> bool {
        if self.complete {
            matches!(self.wanted(), Some(Wanted::StepUp(_)))
        } else {
            self.status == 401
        }
    }

    /// What the last answer wants. What another host wants, which a redirect led to, is nothing to a
    /// token that it did not get.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        let from = self.from.as_ref().map(Url::origin);
        if !self.complete || from != Some(self.home.origin()) {
            return None;
        }
        let values = || self.challenges.iter().map(String::as_str);
        match StepUp::find(self.status, values()) {
            Ok(Some(wanted)) => Some(Wanted::StepUp(wanted)),
            Ok(None) => missing_scope(self.status, values()).map(Wanted::Scope),
            Err(error) => Some(Wanted::Unreadable(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer \
        error=\"insufficient_user_authentication\", acr_values=\"mfa\"\r\n\r\n";

    /// What is made of these heads, whatever pieces they come in.
    fn wanted(heads: &str) -> Option<Wanted> {
        let url = Url::parse("https://api.example.com/items").unwrap();
        let mut whole = Heads::new(&url);
        whole.take(heads.as_bytes());
        let mut pieces = Heads::new(&url);
        heads.bytes().for_each(|byte| pieces.take(&[byte]));
        assert_eq!(whole.wanted(), pieces.wanted());
        assert_eq!(
            whole.may_ask(),
            matches!(whole.wanted(), Some(Wanted::StepUp(_)))
        );
        whole.wanted()
    }

    fn asks(heads: &str) -> bool {
        matches!(wanted(heads), Some(Wanted::StepUp(_)))
    }

    #[test]
    fn the_last_answer_counts() {
        assert!(asks(ASKS));
        assert!(asks(&format!(
            "HTTP/1.1 200 Connection established\r\n\r\n{ASKS}"
        )));
        assert!(asks(&format!("HTTP/1.1 100 Continue\r\n\r\n{ASKS}")));
        assert!(asks(
            &ASKS.replace("HTTP/1.1 401 Unauthorized", "HTTP/2 401 ")
        ));
        assert!(asks(&format!("{ASKS}x-trailer: 1\r\n\r\n")));
        assert_eq!(wanted(&format!("{ASKS}HTTP/1.1 200 OK\r\n\r\n")), None);
        assert_eq!(wanted(&ASKS.replace("401", "200")), None);
        assert_eq!(wanted(""), None);
        assert_eq!(
            wanted("HTTP/1.1 401 x\r\nwww-authenticate: Bearer\r\n\r\n"),
            None
        );
    }

    #[test]
    fn another_host_is_not_followed() {
        let after = |location: &str| {
            asks(&format!(
                "HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n{ASKS}"
            ))
        };
        assert!(after("/elsewhere"));
        assert!(after("https://api.example.com/elsewhere"));
        assert!(!after("https://evil.example/"));
        assert!(!after("http://api.example.com/"));
        assert!(!after("https://api.example.com:8443/"));
        assert!(!after("//evil.example/x"));
        assert!(!after("https://["));
    }

    #[test]
    fn a_head_that_has_not_ended_wants_nothing_yet() {
        let url = Url::parse("https://api.example.com/").unwrap();
        let mut heads = Heads::new(&url);
        heads.take(b"HTTP/1.1 401 Unauthorized\r\n");
        assert!(heads.may_ask() && heads.wanted().is_none());
        heads.take(b"\r\n");
        assert!(!heads.may_ask());
    }

    #[test]
    fn a_long_line_is_passed_over_and_the_next_is_read() {
        let long = format!("x: {}\r\n", "y".repeat(2 * MAX_LINE));
        assert!(asks(&ASKS.replace("WWW", &format!("{long}WWW"))));
    }

    #[test]
    fn what_cannot_be_read_and_what_is_missing() {
        let unreadable = ASKS.replace("acr_values=\"mfa\"", "max_age=soon");
        assert!(matches!(wanted(&unreadable), Some(Wanted::Unreadable(_))));
        let scope = "HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer \
            error=\"insufficient_scope\", scope=\"items:write\"\r\n\r\n";
        assert!(matches!(wanted(scope), Some(Wanted::Scope(_))));
    }
}
