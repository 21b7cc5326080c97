//! What a rule asks: which passwords do, for how long one counts, and what a person is told.
//!
//! Not responsible for whether anybody has a device.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method as HttpMethod, Uri};

use crate::Error;
use crate::otp::Method;

/// The longest time for which one password counts.
const LONGEST_WINDOW: Duration = Duration::from_secs(60 * 60);
/// How long a person has to touch a key or to type six digits.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 60);
const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
/// What a terminal can show in a line or two.
const LONGEST_ACTION: usize = 128;
const LONGEST_RULE: usize = 200;

/// A one-time password that is asked for beside a good token: `StepUp::each_request("delete")`.
///
/// Cloning is cheap.
#[derive(Debug, Clone)]
pub struct StepUp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rule: String,
    per: Per,
    methods: Vec<Method>,
    action: Option<Action>,
    life: Duration,
    body_limit: usize,
}

/// For how much one password counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Per {
    /// For the request that it comes with.
    Request,
    /// For every request of this token under this rule, for so long.
    Window(Duration),
}

impl StepUp {
    /// Asks for a password with every request. `rule` is the name of what is asked for, and part of
    /// every challenge: a password for one rule is none for another.
    pub fn each_request(rule: impl Into<String>) -> StepUpBuilder {
        StepUpBuilder::new(rule.into(), Per::Request)
    }

    /// Asks for a password once, and then lets requests with the same token pass under this rule for
    /// so long, a second at least and an hour at most. No secret is given to the client for that.
    pub fn once_in(time: Duration, rule: impl Into<String>) -> StepUpBuilder {
        StepUpBuilder::new(rule.into(), Per::Window(time))
    }

    /// The name of what is asked for.
    pub fn rule(&self) -> &str {
        &self.0.rule
    }

    /// For how much one password counts.
    pub fn per(&self) -> Per {
        self.0.per
    }

    /// The passwords that will do, the preferred one first.
    pub fn methods(&self) -> &[Method] {
        &self.0.methods
    }

    /// How many bytes of a body are read.
    pub fn body_limit(&self) -> usize {
        self.0.body_limit
    }

    /// How long a challenge is good.
    pub(super) fn life(&self) -> Duration {
        self.0.life
    }

    /// What a person confirms by this request.
    pub(super) fn action(&self, method: &HttpMethod, uri: &Uri) -> Option<String> {
        let action = self.0.action.as_ref()?;
        Some(action.of(method.as_str(), uri.path()))
    }
}

/// What is asked for, being put together; see [`StepUp::each_request`].
#[derive(Debug, Clone)]
#[must_use]
pub struct StepUpBuilder {
    rule: String,
    per: Per,
    methods: Vec<Method>,
    action: Option<String>,
    life: Duration,
    body_limit: usize,
}

impl StepUpBuilder {
    fn new(rule: String, per: Per) -> Self {
        Self {
            rule,
            per,
            methods: Vec::new(),
            action: None,
            life: DEFAULT_LIFE,
            body_limit: DEFAULT_BODY_LIMIT,
        }
    }

    /// The passwords that will do, the preferred one first; a Yubico OTP and then a TOTP unless said
    /// otherwise.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// What a person reads before typing a password. `{method}`, `{path}` and `{last}`, the last
    /// segment of the path, stand for those of the request.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// How long a challenge is good: a minute unless said otherwise, ten at most.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// How many bytes of a body are read, because a challenge is bound to all of it: 1 MiB unless
    /// said otherwise. A longer one is refused with 413.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`Error::StepUp`], which says what cannot be asked for.
    pub fn build(self) -> Result<StepUp, Error> {
        let unfit = |why: String| Err(Error::StepUp(why));
        if self.rule.is_empty() || self.rule.len() > LONGEST_RULE {
            return unfit("the name of the rule is empty or too long".to_owned());
        }
        if let Per::Window(time) = self.per
            && !(Duration::from_secs(1)..=LONGEST_WINDOW).contains(&time)
        {
            return unfit("a password counts for a second at least and an hour at most".to_owned());
        }
        if !(Duration::from_secs(5)..=LONGEST_LIFE).contains(&self.life) {
            return unfit("a challenge is good for 5 to 600 seconds".to_owned());
        }
        let mut methods = self.methods;
        if methods.is_empty() {
            methods = vec![Method::Yubikey, Method::Totp];
        }
        let twice = |(at, method)| methods.iter().take(at).any(|before| before == method);
        if methods.iter().enumerate().any(twice) {
            return unfit("a method is named twice".to_owned());
        }
        let action = match self.action {
            None => None,
            Some(text) => Some(Action::parse(&text).map_err(Error::StepUp)?),
        };
        Ok(StepUp(Arc::new(Inner {
            rule: self.rule,
            per: self.per,
            methods,
            action,
            life: self.life,
            body_limit: self.body_limit,
        })))
    }
}

/// A sentence with places for what the request is about.
#[derive(Debug, Clone)]
struct Action(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Method,
    Path,
    Last,
}

impl Action {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST_ACTION || !text.bytes().all(is_shown) {
            return Err(format!(
                "the action is 1 to {LONGEST_ACTION} printable ASCII characters without quotes"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| "the action has a `{` without its `}`".to_owned())?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name {
                "method" => Piece::Method,
                "path" => Piece::Path,
                "last" => Piece::Last,
                _ => {
                    return Err(format!(
                        "the action can name {{method}}, {{path}} and {{last}}, not {{{name}}}"
                    ));
                }
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    fn of(&self, method: &str, path: &str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            text.push_str(match piece {
                Piece::Text(words) => words,
                Piece::Method => method,
                Piece::Path => path,
                Piece::Last => path
                    .rsplit('/')
                    .find(|part| !part.is_empty())
                    .unwrap_or("/"),
            });
        }
        let mut shown: String = text
            .bytes()
            .map(|byte| {
                if is_shown(byte) {
                    char::from(byte)
                } else {
                    '_'
                }
            })
            .collect();
        if shown.len() > LONGEST_ACTION {
            // Only ASCII is left, so any place is one between two characters.
            shown.truncate(LONGEST_ACTION - 3);
            shown.push_str("...");
        }
        shown
    }
}

/// What can stand between quotes in a challenge and on a terminal as it is.
fn is_shown(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("each request"),
            Self::Window(time) => write!(f, "{} seconds", time.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(template: &str, path: &str) -> String {
        let asked = StepUp::each_request("r").action(template).build().unwrap();
        let uri = path.parse().unwrap();
        asked.action(&HttpMethod::DELETE, &uri).unwrap()
    }

    #[test]
    fn an_action_names_the_request_and_nothing_that_moves_a_cursor() {
        let name = "delete resource {last}";
        for (template, path, text) in [
            (name, "/resources/foobar", "delete resource foobar"),
            (name, "/resources/foobar/?x=y", "delete resource foobar"),
            (name, "/", "delete resource /"),
            ("{method} {path}", "/a/%1b%22?q", "DELETE /a/%1b%22"),
            ("clear", "/x", "clear"),
        ] {
            assert_eq!(action(template, path), text);
        }
        let long = action("{path}", &format!("/{}", "a".repeat(400)));
        assert!(
            long.len() == LONGEST_ACTION && long.ends_with("aa..."),
            "{long}"
        );
        assert!(![b'"', b'\\', 0x1b, 0x7f].into_iter().any(is_shown));
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        let seconds = Duration::from_secs;
        let each = || StepUp::each_request("r");
        for (builder, why) in [
            (StepUp::each_request(""), "name of the rule"),
            (StepUp::once_in(seconds(0), "r"), "an hour at most"),
            (StepUp::once_in(seconds(3601), "r"), "an hour at most"),
            (each().life(seconds(4)), "5 to 600 seconds"),
            (each().life(seconds(601)), "5 to 600 seconds"),
            (each().methods([Method::Totp, Method::Totp]), "twice"),
            (each().action(""), "printable"),
            (each().action("a \"b\""), "printable"),
            (each().action("löschen"), "printable"),
            (each().action("delete {name}"), "not {name}"),
            (each().action("delete {path"), "without its"),
        ] {
            match builder.build() {
                Err(Error::StepUp(said)) => assert!(said.contains(why), "{said}"),
                other => panic!("{why}: {other:?}"),
            }
        }
        let usual = each().build().unwrap();
        assert_eq!(usual.methods(), [Method::Yubikey, Method::Totp]);
        assert_eq!((usual.per(), usual.body_limit()), (Per::Request, 1 << 20));
    }
}
