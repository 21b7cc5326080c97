//! What an error of a provider means, in plain words.
//!
//! The texts are read to a person, maybe aloud: whole sentences, no codes, nothing to decode.

/// What an error means, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meaning {
    /// What happened, as a sentence.
    pub sentence: &'static str,
    /// What to do, as a sentence.
    pub remedy: &'static str,
    /// Whether another flow may work where this one did not. A program then offers it by name.
    pub other_flow: bool,
}

/// When a meaning applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// `error`, or `None` for any.
    code: Option<&'static str>,
    /// What the description has in it, in any case, or `None` for anything.
    description: Option<&'static str>,
    pub(super) meaning: Meaning,
}

impl Rule {
    /// For this `error`, whatever the description.
    pub(super) const fn code(
        code: &'static str,
        sentence: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self::new(Some(code), None, sentence, remedy)
    }

    /// For a description that has this in it, whatever the `error`.
    pub(super) const fn says(
        description: &'static str,
        sentence: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self::new(None, Some(description), sentence, remedy)
    }

    /// For this `error` with this in the description.
    pub(super) const fn both(
        code: &'static str,
        description: &'static str,
        sentence: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self::new(Some(code), Some(description), sentence, remedy)
    }

    const fn new(
        code: Option<&'static str>,
        description: Option<&'static str>,
        sentence: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self {
            code,
            description,
            meaning: Meaning {
                sentence,
                remedy,
                other_flow: false,
            },
        }
    }

    /// Another flow may work.
    pub(super) const fn other_flow(mut self) -> Self {
        self.meaning.other_flow = true;
        self
    }

    pub(super) fn applies(&self, code: &str, description: &str) -> bool {
        self.code.is_none_or(|known| known == code)
            && self.description.is_none_or(|part| says(description, part))
    }
}

/// Whether `part` stands in `description`, in any case. A number is meant as a whole: the one that
/// ends in further digits is another.
fn says(description: &str, part: &str) -> bool {
    let (description, part) = (description.to_ascii_lowercase(), part.to_ascii_lowercase());
    let number = part.ends_with(|c: char| c.is_ascii_digit());
    description.match_indices(&part).any(|(at, _)| {
        let after = description.get(at + part.len()..).unwrap_or_default();
        !number || !after.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// What the codes of the specifications mean at any provider, after its own rules.
pub(super) const COMMON: &[Rule] = &[
    Rule::code(
        "unauthorized_client",
        "This application may not use this way of signing in.",
        "Ask the administrator to allow the grant for this application, or sign in another way.",
    )
    .other_flow(),
    Rule::code(
        "unsupported_grant_type",
        "The server does not have this way of signing in.",
        "Sign in another way.",
    )
    .other_flow(),
    Rule::code(
        "unsupported_response_type",
        "The server does not have this way of signing in.",
        "Sign in another way.",
    )
    .other_flow(),
    Rule::code(
        "access_denied",
        "The sign-in was refused, by you or by a rule of the server.",
        "Sign in again and approve. If you did, ask the administrator which rule refused it.",
    ),
];
