//! What happened, said once for the journal: an event with its fields.
//!
//! Not responsible for where it is written. No code, token or claim that was not asked for is ever a
//! field.

use countersign_client::printable;

use crate::Reference;

/// How something came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A person was let in, or goes on.
    Granted,
    /// A person was refused, or is no longer let.
    Refused,
    /// Something failed, or may be wrong.
    Failed,
    /// Good to know.
    Noted,
}

impl Outcome {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Noted => "noted",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What, in a word or two: `login`, `renewal`, `session end`.
    pub what: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// The sentence that people read.
    pub message: String,
    /// Names in lower case and their values, fit for a line.
    pub fields: Vec<(&'static str, String)>,
}

impl Event {
    /// An event without fields.
    pub fn new(what: &'static str, outcome: Outcome, message: impl AsRef<str>) -> Self {
        Self {
            what,
            outcome,
            message: printable(message.as_ref()),
            fields: Vec::new(),
        }
    }

    /// Adds a field; an empty value adds nothing.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = printable(value.as_ref());
        if !value.is_empty() {
            self.fields.push((name, value));
        }
        self
    }

    /// Adds the reference of the login.
    #[must_use]
    pub fn about(self, reference: &Reference) -> Self {
        self.with("reference", reference.as_str())
    }
}

/// Where events go.
pub trait Audit: Send + Sync {
    /// Writes it down. Whoever calls cannot wait for long and cannot do anything about a failure.
    fn write(&self, event: &Event);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Keeps what is written.
    #[derive(Debug, Default)]
    pub(crate) struct Kept(pub(crate) Mutex<Vec<Event>>);

    impl Audit for Kept {
        fn write(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn what_comes_from_outside_cannot_begin_another_line() {
        let kept = Kept::default();
        let event = Event::new("login", Outcome::Refused, "no\nforged: yes\u{1b}[2J");
        kept.write(&event.with("user", "a\r\nb").with("rhost", ""));
        let written = kept.0.lock().unwrap();
        assert_eq!(written[0].message, "no forged: yes[2J");
        assert_eq!(written[0].fields, [("user", "a b".to_owned())]);
    }
}
