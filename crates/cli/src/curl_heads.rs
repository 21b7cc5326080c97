//! The heads of the answers that curl gets, as its `--dump-header` writes them: what the last one says to
//! the person, if it comes from where the token was sent.
//!
//! Not responsible for bodies, nor for what is done about a challenge.

use countersign_client::{
    OtpDemand, ScopeSet, StepUp, UnreadableStepUp, missing_scope, wants_dpop_nonce,
};
use url::Url;

/// Longer lines are passed over. No server that means well sends them.
const MAX_LINE: usize = 64 * 1024;
/// How many fields of one name are looked at.
const MAX_FIELDS: usize = 32;

/// What the last answer wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Another sign-in.
    StepUp(StepUp),
    /// The same, and it cannot be read what kind of.
    Unreadable(UnreadableStepUp),
    /// A one-time password, or none now.
    Otp(OtpDemand),
    /// A proof with its own nonce (RFC 9449, section 9).
    Nonce,
    /// A scope that the token does not have.
    Scope(ScopeSet),
}

/// What an answer may be followed by: the same request once more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Follows {
    /// Because a person signs in or types a password.
    pub(crate) person: bool,
    /// Because the proof was without the nonce that the API wants.
    pub(crate) nonce: bool,
}

impl Follows {
    /// Whether there can be anything.
    pub(crate) fn any(self) -> bool {
        self.person || self.nonce
    }
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
    retry_after: Option<String>,
    /// Those of the last answer: more than one are none.
    nonces: Vec<String>,
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
            retry_after: None,
            nonces: Vec::new(),
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
        if name.eq_ignore_ascii_case("www-authenticate") && self.challenges.len() < MAX_FIELDS {
            self.challenges.push(value.to_owned());
        } else if name.eq_ignore_ascii_case("dpop-nonce") && self.nonces.len() < MAX_FIELDS {
            self.nonces.push(value.to_owned());
        } else if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = Some(value.to_owned());
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
        self.nonces.clear();
        self.retry_after = None;
        self.complete = false;
    }

    /// The status of the last answer; zero before the first.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the last answer may turn out to be one that the same request follows.
    pub(crate) fn may_ask(&self, follows: Follows) -> bool {
        if !self.complete {
            return follows.any() && self.status == 401;
        }
        match self.wanted() {
            Some(Wanted::StepUp(_) | Wanted::Otp(OtpDemand::Password(_))) => follows.person,
            Some(Wanted::Nonce) => follows.nonce,
            _ => false,
        }
    }

    /// What the last answer wants, a sign-in before a password. What another host wants, which a redirect
    /// led to, is nothing to a token that it did not get.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        if !self.is_from_home() {
            return None;
        }
        let values = || self.challenges.iter().map(String::as_str);
        match StepUp::find(self.status, values()) {
            Ok(Some(wanted)) => return Some(Wanted::StepUp(wanted)),
            Ok(None) => {}
            Err(error) => return Some(Wanted::Unreadable(error)),
        }
        match self.otp() {
            Ok(Some(wanted)) => Some(Wanted::Otp(wanted)),
            Ok(None) if wants_dpop_nonce(self.status, values()) => Some(Wanted::Nonce),
            Ok(None) => missing_scope(self.status, values()).map(Wanted::Scope),
            Err(error) => Some(Wanted::Unreadable(error)),
        }
    }

    /// What the last answer says of one-time passwords.
    pub(crate) fn otp(&self) -> Result<Option<OtpDemand>, UnreadableStepUp> {
        if !self.is_from_home() {
            return Ok(None);
        }
        let values = self.challenges.iter().map(String::as_str);
        OtpDemand::find(self.status, values, self.retry_after.as_deref())
    }

    /// The nonce that the last answer brings for the proofs to come.
    pub(crate) fn nonce(&self) -> Option<&str> {
        match self.nonces.as_slice() {
            [nonce] if self.is_from_home() => Some(nonce),
            _ => None,
        }
    }

    /// Where the last answer is from, if a redirect led there.
    pub(crate) fn moved_to(&self) -> Option<&Url> {
        self.from.as_ref().filter(|from| **from != self.home)
    }

    /// Where the last answer would lead, if it is a redirect.
    pub(crate) fn leads_to(&self) -> Option<&str> {
        let is_redirect = self.complete && self.status / 100 == 3;
        self.location.as_deref().filter(|_| is_redirect)
    }

    fn is_from_home(&self) -> bool {
        let from = self.from.as_ref().map(Url::origin);
        self.complete && from == Some(self.home.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKS: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer \
        error=\"insufficient_user_authentication\", acr_values=\"mfa\"\r\n\r\n";

    const PERSON: Follows = Follows {
        person: true,
        nonce: false,
    };

    /// What is made of these heads, whatever pieces they come in.
    fn wanted(heads: &str) -> Option<Wanted> {
        let url = Url::parse("https://api.example.com/items").unwrap();
        let mut whole = Heads::new(&url);
        whole.take(heads.as_bytes());
        let mut pieces = Heads::new(&url);
        heads.bytes().for_each(|byte| pieces.take(&[byte]));
        assert_eq!(whole.wanted(), pieces.wanted());
        let asks = matches!(
            whole.wanted(),
            Some(Wanted::StepUp(_) | Wanted::Otp(OtpDemand::Password(_)))
        );
        assert_eq!(whole.may_ask(PERSON), asks);
        assert!(!whole.may_ask(Follows::default()));
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
        assert!(heads.may_ask(PERSON) && heads.wanted().is_none());
        heads.take(b"\r\n");
        assert!(!heads.may_ask(PERSON));
    }

    #[test]
    fn a_password_is_asked_for_after_the_sign_in() {
        let otp = "error=\"insufficient_user_authentication\", otp_challenge=\"c\", \
            otp_methods=\"totp\", otp_expires_in=\"60\"";
        let alone = format!("HTTP/1.1 401 x\r\nWWW-Authenticate: Bearer {otp}\r\n\r\n");
        assert!(matches!(
            wanted(&alone),
            Some(Wanted::Otp(OtpDemand::Password(_)))
        ));
        assert!(asks(&alone.replace(otp, &format!("{otp}, max_age=5"))));
        let locked = "HTTP/1.1 429 x\r\nRetry-After: 60\r\nWWW-Authenticate: Bearer otp_error=locked\r\n\r\n";
        let Some(Wanted::Otp(OtpDemand::Refused(refused))) = wanted(locked) else {
            panic!("{:?}", wanted(locked))
        };
        assert_eq!(refused.retry_after.map(|wait| wait.as_secs()), Some(60));
        let garbled = alone.replace("\"60\"", "soon");
        assert!(matches!(wanted(&garbled), Some(Wanted::Unreadable(_))));
    }

    #[test]
    fn a_nonce_is_one_and_of_the_last_answer() {
        let url = Url::parse("https://api.example.com/").unwrap();
        let nonce = |heads: &str| {
            let mut all = Heads::new(&url);
            all.take(heads.as_bytes());
            all.nonce().map(str::to_owned)
        };
        let head = "HTTP/1.1 401 x\r\nDPoP-Nonce: n\r\n\r\n";
        assert_eq!(nonce(head).as_deref(), Some("n"));
        assert_eq!(
            nonce(&head.replace("\r\n\r\n", "\r\ndpop-nonce: m\r\n\r\n")),
            None
        );
        assert_eq!(nonce(&format!("{head}HTTP/1.1 200 OK\r\n\r\n")), None);
        let mut heads = Heads::new(&url);
        heads.take(b"HTTP/1.1 401 x\r\nWWW-Authenticate: DPoP error=use_dpop_nonce\r\n\r\n");
        assert_eq!(heads.wanted(), Some(Wanted::Nonce));
        assert!(!heads.may_ask(PERSON));
    }

    #[test]
    fn who_was_led_elsewhere_on_the_same_host_is_known() {
        let url = Url::parse("https://api.example.com/a").unwrap();
        let mut heads = Heads::new(&url);
        heads.take(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n");
        assert_eq!((heads.moved_to(), heads.leads_to()), (None, Some("/b")));
        heads.take(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(heads.moved_to().map(Url::path), Some("/b"));
        assert_eq!(heads.leads_to(), None);
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
