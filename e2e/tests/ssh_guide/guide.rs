//! The pages of the documentation, taken apart into their fences.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A fence: its language, and what is in it.
pub(crate) struct Fence {
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) struct Guide {
    pub(crate) transcript: String,
    pub(crate) steps: Vec<Fence>,
}

impl Guide {
    pub(crate) fn read() -> Self {
        let text = document("ssh.md");
        let (before, rest) = text.split_once("## Ten minutes\n").unwrap();
        let (steps, _) = rest.split_once("\n## ").unwrap();
        Self {
            transcript: fences(before).remove(0).text,
            steps: fences(steps),
        }
    }

    /// What stands in the only fence of a language.
    pub(crate) fn only(&self, language: &str) -> &str {
        let found = self.all(language);
        assert_eq!(found.len(), 1, "{language}");
        found[0]
    }

    pub(crate) fn all(&self, language: &str) -> Vec<&str> {
        let steps = self.steps.iter();
        steps
            .filter(|fence| fence.language == language)
            .map(|fence| fence.text.as_str())
            .collect()
    }
}

/// A page of the documentation.
pub(crate) fn document(name: &str) -> String {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::read_to_string(pages.join(name)).unwrap()
}

pub(crate) fn fences(text: &str) -> Vec<Fence> {
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
            (None, Some(fence)) => writeln!(fence.text, "{line}").unwrap(),
            (None, None) => {}
        }
    }
    found
}

/// Replaces each, which has to be there once.
pub(crate) fn differing(text: &str, list: &[(&str, &str)]) -> String {
    list.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replace(from, to)
    })
}
