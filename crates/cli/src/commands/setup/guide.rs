//! What to create at a provider, step by step: one source for the terminal and for `docs/providers`.
//!
//! The words are read on a screen, aloud, or by somebody who is told them on the telephone: whole
//! sentences, the names on the buttons as they stand there, no arrows and no pictures.

use std::fmt::Write as _;

use countersign_client::preset::Preset;

use crate::wrap::wrapped;

/// How far the text of a step is from the edge: its number stands there.
const INDENT: usize = 4;

/// What to create at one provider.
#[derive(Debug)]
pub(crate) struct Guide {
    /// The preset it belongs to.
    pub(crate) provider: &'static str,
    /// What comes of it, in a sentence or two.
    pub(crate) opening: &'static str,
    pub(crate) steps: &'static [Step],
    /// What is good to know about this provider before somebody wonders.
    pub(crate) know: &'static [&'static str],
}

/// One thing to do.
#[derive(Debug)]
pub(crate) struct Step {
    /// What, as an order.
    pub(crate) title: &'static str,
    pub(crate) lines: &'static [Line],
}

/// A part of a step.
#[derive(Debug)]
pub(crate) enum Line {
    /// A paragraph.
    Say(&'static str),
    /// What is copied as it is: a value, or a command with everything that belongs to it. Words in
    /// capitals stand for what only the reader knows.
    Copy(&'static str),
    /// The redirect URIs that the preset expects to be registered.
    Redirects,
}

impl Guide {
    fn preset(&self) -> Option<&'static Preset> {
        Preset::by_name(self.provider)
    }

    fn title(&self) -> &'static str {
        self.preset().map_or(self.provider, |preset| preset.title)
    }

    /// The redirect URIs to register, one a line.
    pub(super) fn redirects(&self) -> String {
        let uris = self
            .preset()
            .map(|preset| preset.quirks.redirect.to_register());
        uris.unwrap_or_default().join("\n")
    }

    /// The guide for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        text.push_str(&wrapped(self.opening, ""));
        let indent = " ".repeat(INDENT);
        for (number, step) in (1..).zip(self.steps) {
            let _ = write!(text, "\n{number:>2}. {}\n", step.title);
            for (place, line) in step.lines.iter().enumerate() {
                if place > 0 {
                    text.push('\n');
                }
                match line {
                    Line::Say(words) => text.push_str(&wrapped(words, &indent)),
                    Line::Copy(copy) => text.push_str(&set_off(copy, &indent)),
                    Line::Redirects => text.push_str(&set_off(&self.redirects(), &indent)),
                }
            }
        }
        if !self.know.is_empty() {
            text.push_str("\nGood to know\n");
            for paragraph in self.know {
                text.push_str(&wrapped(paragraph, "  - "));
            }
        }
        text
    }
}

/// Something to copy, letter for letter.
fn set_off(copy: &str, indent: &str) -> String {
    let lines = copy.lines().map(|line| format!("{indent}{line}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::guides;
    use super::*;
    use crate::wrap::COLUMNS;

    #[test]
    fn every_preset_has_a_guide_and_every_guide_a_preset() {
        let known: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name).collect();
        let guided: Vec<&str> = guides::ALL.iter().map(|guide| guide.provider).collect();
        assert_eq!(guided, known);
    }

    #[test]
    fn no_line_is_longer_than_the_screen_is_wide() {
        for guide in guides::ALL {
            for line in guide.text().lines() {
                assert!(
                    line.chars().count() <= COLUMNS,
                    "{}: {line}",
                    guide.provider
                );
                assert_eq!(line.trim_end(), line, "{}", guide.provider);
            }
            assert!(!guide.text().contains("\n\n\n"), "{}", guide.provider);
        }
    }

    #[test]
    fn the_words_can_be_read_aloud() {
        for guide in guides::ALL {
            let said = guide.steps.iter().flat_map(|step| step.lines);
            let said = said.filter_map(|line| match line {
                Line::Say(words) => Some(*words),
                Line::Copy(_) | Line::Redirects => None,
            });
            for words in said
                .chain([guide.opening])
                .chain(guide.know.iter().copied())
            {
                assert!(words.ends_with(['.', ':']), "{}: {words}", guide.provider);
                assert!(words.is_ascii() && !words.contains(['>', '|']), "{words}");
            }
            for step in guide.steps {
                assert!(
                    !step.title.ends_with('.'),
                    "{}: {}",
                    guide.provider,
                    step.title
                );
            }
        }
    }

    /// Where the program registers redirect URIs, the guide shows them.
    #[test]
    fn every_provider_with_a_redirect_uri_is_told_which() {
        for guide in guides::ALL {
            let is_redirects = |line: &Line| matches!(line, Line::Redirects);
            let shown = guide
                .steps
                .iter()
                .any(|step| step.lines.iter().any(is_redirects));
            // A desktop client of Google's has none to register.
            assert_eq!(shown, guide.provider != "google", "{}", guide.provider);
        }
    }
}
