//! The pages of the documentation, taken apart into their fences, for tests that follow them to the letter.
//!
//! Not responsible for where a page is followed, nor for what differs there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What stands between two fences.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Its language; empty for what is shown and not typed.
    pub language: String,
    /// What is in it.
    pub text: String,
}

/// `docs/ssh.md`.
#[derive(Clone, Debug)]
pub struct Guide {
    /// What a person sees who signs in.
    pub transcript: String,
    /// The fences of "Ten minutes".
    pub steps: Vec<Fence>,
}

impl Guide {
    /// Reads it.
    ///
    /// # Panics
    /// When it has another form.
    pub fn read() -> Self {
        let text = document("ssh.md");
        let steps = text.split_once("## Ten minutes\n");
        let (before, rest) = steps.expect("a guide of ten minutes");
        let (steps, _) = rest.split_once("\n## ").expect("what comes after it");
        Self {
            transcript: fences(before).remove(0).text,
            steps: fences(steps),
        }
    }

    /// What stands in the only fence of a language.
    ///
    /// # Panics
    /// When there is another number of them.
    pub fn only(&self, language: &str) -> &str {
        let found = self.all(language);
        let [only] = found[..] else {
            panic!("{} fences of {language:?}", found.len());
        };
        only
    }

    /// What stands in the fences of a language.
    pub fn all(&self, language: &str) -> Vec<&str> {
        let steps = self.steps.iter();
        steps
            .filter(|fence| fence.language == language)
            .map(|fence| fence.text.as_str())
            .collect()
    }
}

/// A page of the documentation.
///
/// # Panics
/// When there is none of this name.
pub fn document(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = page.join(name);
    fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The fences of a text.
pub fn fences(text: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Fence {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(fence)) => {
                let _ = writeln!(fence.text, "{line}");
            }
            (None, None) => {}
        }
    }
    found
}

/// Replaces each, which has to be there once.
///
/// # Panics
/// When one is not, or more often.
pub fn differing(text: &str, list: &[(&str, &str)]) -> String {
    list.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replace(from, to)
    })
}
